use schemas::event::FORGOTTEN;
use schemas::{Environment, EventType, Money};
use serde_json::{Value, json};

use super::*;
use crate::destinations::samples::{event, of_every_type};
use crate::destinations::{
    Anonymous, Answer, Change, Conversation, Identity, Naming, Skip, Transport, Turn, Verdict,
};

fn receiver() -> Webhook {
    let audience = Audience {
        identify_by: vec![Identity::UserId],
        anonymous: Anonymous::Skip,
        environments: vec![Environment::Production],
    };
    Webhook { audience, names: Names::default(), path: "/hooks?team=7".to_owned() }
}

fn request(receiver: &Webhook, event: &LifecycleEvent) -> Request {
    match receiver.plan(event) {
        Plan::Send(message) => receiver.converse(vec![message]).begin(),
        other @ (Plan::Skip(_) | Plan::End(_)) => panic!("{other:?}"),
    }
}

fn body(receiver: &Webhook, event: &LifecycleEvent) -> Value {
    serde_json::from_slice(&request(receiver, event).body.unwrap()).unwrap()
}

#[test]
fn every_type_as_the_receiver_gets_it() {
    let mut lines = Vec::new();
    for event in of_every_type() {
        lines.push(event.event_type.to_string());
        lines.push(match receiver().plan(&event) {
            Plan::Skip(skip) => format!("  skipped: {skip}"),
            Plan::End(verdict) => panic!("{verdict:?}"),
            Plan::Send(_) => format!("  {}", body(&receiver(), &event)),
        });
    }
    insta::assert_snapshot!("unified", lines.join("\n"));
}

#[test]
fn the_message_is_known_by_the_event_whatever_it_is_called() {
    let event = event(EventType::SubscriptionRenewed);
    let mut renamed = receiver();
    renamed.names.events =
        [("subscription_renewed", Change::Renamed("renewed".into()))].into_iter().collect();
    assert_eq!(body(&renamed, &event)["type"], "renewed");
    for receiver in [receiver(), renamed] {
        let request = request(&receiver, &event);
        assert_eq!(request.message_id.as_deref(), Some(event.event_id.as_str()));
        assert_eq!(request.path, "/hooks?team=7");
    }
}

#[test]
fn whoever_asked_to_be_forgotten_is_deleted_in_our_words_whatever_the_naming() {
    let mut erased = event(EventType::CustomerDeleted);
    FORGOTTEN.clone_into(&mut erased.provider_event_type);
    let mut as_provider = receiver();
    as_provider.names.naming = Naming::Provider;
    for receiver in [receiver(), as_provider] {
        assert_eq!(body(&receiver, &erased)["type"], "customer_deleted");
    }
}

#[test]
fn a_token_in_the_url_is_never_printed() {
    assert!(!format!("{:?}", receiver()).contains("team"));
}

#[test]
fn money_is_exact_and_what_is_over_is_null() {
    let mut paid = event(EventType::TransactionProcessed);
    paid.money = Some(Money::minor(4_500, "KWD"));
    let body = body(&receiver(), &paid);
    let amount = json!({"amount": 4_500, "currency": "KWD", "decimal": "4.500"});
    assert_eq!(body["data"]["facts"]["amount"], amount);
    assert_eq!(body["data"]["attributes"]["trial_ends_at"], Value::Null);
    assert!(body["data"]["attributes"].as_object().unwrap().contains_key("trial_ends_at"));
}

#[test]
fn somebody_known_by_the_providers_id_alone_is_told_of_and_somebody_anonymous_is_not() {
    let mut event = event(EventType::SubscriptionStarted);
    event.subscriber.user_id = None;
    event.subscriber.email = None;
    assert_eq!(body(&receiver(), &event)["data"]["subscriber"]["id"], "cus_9");
    event.subscriber.id = "x".repeat(1_000);
    assert_eq!(body(&receiver(), &event)["data"]["subscriber"]["id"], event.subscriber.id);
    event.subscriber.anonymous = true;
    assert!(matches!(receiver().plan(&event), Plan::Skip(Skip::Anonymous)));
}

#[test]
fn every_class_of_answer_has_its_meaning() {
    let judged = |answer: &Answer| {
        let Plan::Send(message) = receiver().plan(&event(EventType::TrialStarted)) else {
            panic!("skipped")
        };
        let mut exchange = receiver().converse(vec![message]);
        let _ = exchange.begin();
        match exchange.judge(answer) {
            Turn::Over(verdicts) => <[Verdict; 1]>::try_from(verdicts).unwrap()[0].clone(),
            Turn::Ask(_) => panic!("another request"),
        }
    };
    let replied = |status| judged(&Answer::Replied(Reply { status, ..Reply::default() }));
    for status in [200, 201, 202, 204] {
        assert_eq!(replied(status), Verdict::Delivered, "{status}");
    }
    for status in [301, 401, 403, 404, 405, 410, 429] {
        assert!(matches!(replied(status), Verdict::Pause { .. }), "{status}");
    }
    for status in [408, 500, 502, 503, 504] {
        assert!(matches!(replied(status), Verdict::Retry(_)), "{status}");
    }
    for status in [400, 409, 413, 422] {
        assert!(matches!(replied(status), Verdict::Park(_)), "{status}");
    }
    for transport in [Transport::TimedOut, Transport::Lost] {
        assert!(matches!(judged(&Answer::Failed(transport)), Verdict::Retry(_)), "{transport:?}");
    }
}

#[test]
fn nobody_is_refreshed_who_only_hears_of_events() {
    let refreshed = receiver().refresh(&event(EventType::CustomerUpdated));
    assert!(matches!(refreshed, Plan::Skip(Skip::Unsupported)));
}
