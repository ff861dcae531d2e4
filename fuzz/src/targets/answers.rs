//! What destinations answer. The first message of an input says who answers whom (`!destination`, `!people`, `!user`),
//! the others are the answers, in turn.

use std::fmt::Debug;
use std::time::Duration;

use deliver::destinations::customerio::{self, CustomerIo};
use deliver::destinations::intercom::{self, Intercom};
use deliver::destinations::webhook::Webhook;
use deliver::destinations::{
    Anonymous, Answer, Audience, Conversation, Destination, Identity, Method, Names, Plan, Request,
    Transport, Turn, Verdict,
};
use deliver::failure::Failure;
use deliver::http::{LONGEST_WAIT, reply};
use schemas::samples::full_event;
use schemas::{Environment, EventType, LifecycleEvent};

use crate::input::{Message, messages};
use crate::promise::{discreet_in_logs, keep};

const NOW: i64 = 1_780_000_000;

/// Most bytes of an answer that a failure keeps.
const LONGEST_MESSAGE: usize = 1_000;

/// More requests than any conversation takes, for each of its deliveries.
const MOST_REQUESTS: usize = 24;

pub(super) fn check(input: &[u8]) {
    let messages = messages(input, 24);
    let Some((first, rest)) = messages.split_first() else { return };
    let answers: Vec<Answer> = rest.iter().map(answer).collect();
    let people = usize::try_from(first.number("people").unwrap_or(1)).unwrap_or(1).clamp(1, 12);
    let user = first.said("user");
    match first.said("destination") {
        Some("intercom") => {
            let workspace =
                Intercom::new(audience(), Names::default(), intercom::OnCustomerDeleted::Archive);
            // The same person again and again: what one conversation learned, the next begins with.
            for _ in 0..people {
                converse(&workspace, &[event(0, user)], &answers);
            }
        }
        Some("webhook") => {
            let path = "/hooks".to_owned();
            converse(
                &Webhook { audience: audience(), names: Names::default(), path },
                &[event(0, user)],
                &answers,
            );
        }
        _ => {
            let on_customer_deleted = customerio::OnCustomerDeleted::Suppress;
            let workspace =
                CustomerIo { audience: audience(), names: Names::default(), on_customer_deleted };
            let events: Vec<_> = (0..people).map(|person| event(person, user)).collect();
            converse(&workspace, &events, &answers);
        }
    }
}

fn audience() -> Audience {
    Audience {
        identify_by: vec![Identity::UserId, Identity::Email],
        anonymous: Anonymous::Skip,
        environments: vec![Environment::Production],
    }
}

fn event(person: usize, user_id: Option<&str>) -> LifecycleEvent {
    let mut event = full_event();
    let own = || format!("u_{person}");
    event.subscriber.user_id = Some(user_id.map_or_else(own, str::to_owned));
    event.subscriber.key = format!("stripe-main/cus_{person}");
    event.event_id = format!("{person:032x}");
    if person % 5 == 4 {
        event.event_type = EventType::CustomerDeleted;
    }
    event
}

fn answer(message: &Message<'_>) -> Answer {
    match message.said("failed") {
        Some("unreachable") => return Answer::Failed(Transport::Unreachable),
        Some("timed out") => return Answer::Failed(Transport::TimedOut),
        Some("lost") => return Answer::Failed(Transport::Lost),
        Some(_) | None => {}
    }
    let status = message.number("status").and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|status| (100..1000).contains(status)).unwrap_or(200);
    let reply = reply(status, &message.header_map(), message.body.to_vec(), NOW);
    let waits = [reply.retry_after, reply.used_up_for];
    keep(
        waits.into_iter().flatten().all(|wait| wait <= LONGEST_WAIT),
        "no destination is left alone for days",
    );
    discreet_in_logs(&reply);
    Answer::Replied(reply)
}

/// Has a group delivered to whoever gives these answers.
fn converse<D: Destination>(to: &D, events: &[LifecycleEvent], answers: &[Answer])
where
    D::Conversation: Debug,
{
    let planned = events.iter().filter_map(|event| match to.plan(event) {
        Plan::Send(delivery) => Some(delivery),
        Plan::Skip(_) | Plan::End(_) => None,
    });
    let group: Vec<D::Delivery> = planned.collect();
    let size = group.len();
    if size == 0 {
        return;
    }
    let mut conversation = to.converse(group);
    let mut request = conversation.begin();
    let mut was_accepted = false;
    let silence = Answer::Failed(Transport::Unreachable);
    for turn in 0..MOST_REQUESTS * size {
        sound(&request);
        // Whoever has nothing more to say cannot be reached.
        let answer = answers.get(turn).unwrap_or(&silence);
        was_accepted |= accepts(answer) && tells_events(&request);
        match conversation.judge(answer) {
            Turn::Ask(next) => request = next,
            Turn::Over(verdicts) => {
                keep(verdicts.len() == size, "each delivery gets one verdict");
                for verdict in &verdicts {
                    judged(verdict, was_accepted);
                }
                return;
            }
        }
    }
    keep(false, "a conversation ends");
}

fn accepts(answer: &Answer) -> bool {
    matches!(answer, Answer::Replied(reply) if (200..300).contains(&reply.status))
}

/// Whether an event is told with it.
fn tells_events(request: &Request) -> bool {
    request.method == Method::Post
        && matches!(request.path.as_str(), "/api/v2/batch" | "/events" | "/hooks")
}

/// A request goes where requests go, whatever was answered before.
fn sound(request: &Request) {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/".contains(&byte);
    keep(
        request.path.bytes().all(is_known),
        "nothing of an answer becomes a query or another host",
    );
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    keep(!parts.contains(&"..") && !parts.contains(&"."), "nor another path");
    let is_ours = match parts.as_slice() {
        ["api", "v2", "batch"]
        | ["hooks" | "contacts" | "events" | "me"]
        | ["contacts", "search"] => true,
        ["contacts", id]
        | ["contacts", "find_by_external_id", id]
        | ["contacts", id, "archive"] => !id.is_empty(),
        _ => false,
    };
    keep(is_ours, "nor one that is none of ours");
    let body = request.body.as_deref().unwrap_or(b"{}");
    keep(serde_json::from_slice::<serde_json::Value>(body).is_ok(), "a body is JSON");
    discreet_in_logs(request);
}

fn judged(verdict: &Verdict, was_accepted: bool) {
    discreet_in_logs(verdict);
    match verdict {
        Verdict::Delivered => keep(was_accepted, "what nobody accepted is not delivered"),
        Verdict::DeliveredWithoutAttributes(failure) => {
            keep(was_accepted, "what nobody accepted is not delivered");
            has_bounds(failure);
        }
        Verdict::Outdated => keep(false, "an event is never out of date"),
        Verdict::Retry(failure) => has_bounds(failure),
        Verdict::Park(failure) => {
            keep(
                failure.reason.parks(),
                "nothing is parked for what is the destination's own fault",
            );
            has_bounds(failure);
        }
        Verdict::Pause { failure, after } => {
            has_bounds(failure);
            keep(after.unwrap_or(Duration::ZERO) <= LONGEST_WAIT, "a pause ends");
        }
    }
}

fn has_bounds(failure: &Failure) {
    keep(failure.message.len() <= LONGEST_MESSAGE, "a dead letter carries no whole body");
}
