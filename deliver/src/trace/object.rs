//! The story as one JSON object, for programs, and as all that is known of a person.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dead_letters::letter::Dealt;
use schemas::Timestamp;
use schemas::state::SubscriberState;
use serde_json::{Value, json};
use stream::Received;

use super::Answer;
use super::deliveries::{Delivery, End};
use super::material::{AtDestination, Breaker, Outcome};
use super::page::limits;
use super::refreshes::{Refresh, RefreshFate};
use super::story::{Chapter, Story};
use super::webhooks::{Fate, Timing, Webhook};
use super::words::retry_number;

/// Whether what was received is shown byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bodies {
    Shown,
    LeftOut,
}

/// All of it. Moments are RFC 3339; identity, subscriptions and events are as their schemas have them, with
/// moments in milliseconds since 1970.
pub(super) fn object(answer: &Answer, bodies: Bodies) -> Value {
    let stories = answer.stories.iter().map(|story| of_story(story, bodies));
    json!({
        "asked_at": answer.asked_at.to_string(),
        "since": answer.since.to_string(),
        "subscribers": stories.collect::<Vec<_>>(),
        "not_known": limits(answer),
    })
}

fn of_story(story: &Story, bodies: Bodies) -> Value {
    let material = &story.material;
    let webhooks = story.webhooks.iter().map(|webhook| {
        let mut shown = of_webhook(webhook);
        if bodies == Bodies::Shown {
            let same = |record: &&Received| record.offset == webhook.position.offset;
            let record = material.raw.iter().find(same);
            show_body(&mut shown, record.and_then(|record| record.value.as_deref()));
        }
        shown
    });
    let chapters = story.chapters.iter();
    let chapters = chapters.map(|chapter| of_chapter(chapter, &material.destinations, bodies));
    json!({
        "subscriber": material.key,
        "partition": material.partition,
        "belongs_to": material.linked_to,
        "present": material.state.as_ref().map(of_state),
        "webhooks": webhooks.collect::<Vec<_>>(),
        "events": chapters.collect::<Vec<_>>(),
        "destinations": material.destinations.iter().map(of_destination).collect::<Vec<_>>(),
    })
}

/// What is known of the person now; what waits is told by the webhooks it came with.
fn of_state(state: &SubscriberState) -> Value {
    json!({
        "identity": state.identity,
        "subscriptions": state.subscriptions,
        "totals": state.totals,
        "sequence": state.sequence,
        "transferred_to_others": state.left,
        "told": state.told,
        "forgotten_at": state.forgotten_at.map(|at| at.to_string()),
    })
}

fn of_webhook(webhook: &Webhook) -> Value {
    let (fate, details) = of_fate(&webhook.fate);
    json!({
        "position": webhook.position.to_string(),
        "received_at": webhook.received_at.to_string(),
        "id": webhook.labels.id,
        "source": webhook.labels.source,
        "type": webhook.labels.event_type,
        "copy_of": webhook.copy_of.map(|position| position.to_string()),
        "redriven": webhook.redriven,
        "fate": fate,
        "details": details,
    })
}

fn of_fate(fate: &Fate) -> (&'static str, Value) {
    match fate {
        Fate::Events { sequences, timing } => {
            let is_late = *timing == Timing::Late;
            ("events", json!({"sequences": sequences, "late": is_late}))
        }
        Fate::Ignored(reason) => ("ignored", json!({"reason": reason})),
        Fate::Repeated(first) => ("repeated", json!({"first_at": first.map(text)})),
        Fate::Parked { letter, reason, message, dealt } => {
            let details = json!({
                "letter": letter.to_string(), "reason": reason, "message": message,
                "dealt_with": dealt.map(|dealt| dealt.disposal.to_string()),
                "dealt_with_at": dealt.map(|Dealt { at, .. }| text(at)),
            });
            ("parked", details)
        }
        Fate::Held { until } => ("held", json!({"until": text(*until)})),
        Fate::WaitsForLink { until } => ("waits_for_link", json!({"until": text(*until)})),
        Fate::WentOn(key) => ("went_on", json!({"to": key})),
        Fate::NotTaken => ("not_taken", Value::Null),
        Fate::Unknown => ("not_known", Value::Null),
    }
}

fn of_chapter(chapter: &Chapter, destinations: &[AtDestination], bodies: Bodies) -> Value {
    let mut event = json!(chapter.told.event);
    let payload = chapter.told.event.payload.as_deref();
    event["payload"] = Value::Null;
    if bodies == Bodies::Shown {
        show_body(&mut event, payload);
    }
    let deliveries = destinations.iter().zip(&chapter.deliveries).map(|(at, delivery)| {
        let (fate, details) = of_delivery(delivery, at);
        json!({"destination": at.name, "fate": fate, "details": details})
    });
    json!({
        "event": event,
        "offset": chapter.told.offset,
        "deliveries": deliveries.collect::<Vec<_>>(),
    })
}

fn of_delivery(delivery: &Delivery, at: &AtDestination) -> (&'static str, Value) {
    match delivery {
        Delivery::Delivered { failures, redriven } => {
            ("delivered", json!({"failures": failures, "redriven": redriven}))
        }
        Delivery::Planned => ("planned", Value::Null),
        Delivery::Skipped(skip) => ("skipped", json!({"reason": skip.word()})),
        Delivery::BeforeStart => ("before_start", Value::Null),
        Delivery::Queued { behind } => ("queued", json!({"behind": behind})),
        Delivery::Waiting(wait) => {
            let details = json!({
                "retry": retry_number(wait, at),
                "failures": wait.attempts,
                "first_failure": wait.first_failure.map(text),
                "due": wait.due.map(text),
                "an_outcome_is_unknown": wait.outcome == Outcome::Unknown,
            });
            ("waiting", details)
        }
        Delivery::Following { behind } => ("following", json!({"behind": behind})),
        Delivery::Redriven => ("redriven", Value::Null),
        Delivery::Dead(end) => ("dead", of_end(end)),
        Delivery::Discarded { end, at } => {
            let mut details = of_end(end);
            details["discarded_at"] = text(*at).into();
            ("discarded", details)
        }
        Delivery::NotBegun => ("not_begun", Value::Null),
        Delivery::NotKept => ("not_known", Value::Null),
    }
}

fn of_end(end: &End) -> Value {
    json!({
        "letter": end.letter.to_string(),
        "at": text(end.at),
        "reason": end.reason,
        "http_status": end.status,
        "message": end.message,
        "request_id": end.request_id,
        "failures": end.attempts,
    })
}

fn of_destination(at: &AtDestination) -> Value {
    let standing = at.standing.as_ref();
    json!({
        "destination": at.name,
        "instances": at.service.members,
        "next_offset": standing.map(|standing| standing.events.next()),
        "out_of_service_seconds": standing.map(|standing| standing.tenure.outages.as_secs()),
        "refresh": at.refresh.as_ref().map(of_refresh),
        "left_alone_until": at.service.left_alone_until.map(text),
        "breaker": match at.service.breaker {
            Breaker::NotLookedAt => None,
            Breaker::Closed => Some("closed"),
            Breaker::Open => Some("open"),
        },
    })
}

fn of_refresh(refresh: &Refresh) -> Value {
    let known_at = text(refresh.known_at);
    match &refresh.fate {
        RefreshFate::Done => json!({"known_at": known_at, "fate": "done"}),
        RefreshFate::Waits { failures, due } => json!({
            "known_at": known_at, "fate": "waiting", "failures": failures, "due": due.map(text),
        }),
        RefreshFate::Dead { reason } => {
            json!({"known_at": known_at, "fate": "dead", "reason": reason})
        }
    }
}

/// Text where it is text.
fn show_body(shown: &mut Value, body: Option<&[u8]>) {
    match body.map(std::str::from_utf8) {
        None => shown["body"] = Value::Null,
        Some(Ok(text)) => shown["body"] = text.into(),
        Some(Err(_)) => shown["body_base64"] = body.map(|body| STANDARD.encode(body)).into(),
    }
}

fn text(moment: Timestamp) -> String {
    moment.to_string()
}
