//! What an event becomes: one message, `{"type", "timestamp", "data"}` as Standard Webhooks advises.
//!
//! `data.subscriber` is the person, `data.facts` what goes with the event, `data.attributes` what the
//! person shows after it. Nothing is cut: a receiver has no limits that are known. Money is whole minor
//! units with its currency and, for people, the amount in major units as text; moments are RFC 3339;
//! what does not hold any more is null.

use schemas::LifecycleEvent;
use schemas::event::Subscriber;
use serde_json::{Map, Value, json};

use crate::destinations::metadata::Fact;
use crate::destinations::telling::{Said, Telling};
use crate::destinations::{Method, Request, Shown};

/// One event, ready to be sent.
#[derive(Clone)]
pub struct Message(pub(super) Request);

impl std::fmt::Debug for Message {
    /// Without its content: it names a person.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Message")
    }
}

pub(super) fn message(event: &LifecycleEvent, telling: Telling, path: &str) -> Message {
    let (name, facts) = match telling.event {
        Some(told) => (told.name, told.facts),
        // Who somebody is, and no news: elsewhere the person is brought up to date, here that is told.
        None => (event.event_type.name().to_owned(), Vec::new()),
    };
    let body = json!({
        "type": name,
        "timestamp": event.occurred_at.to_string(),
        "data": {
            "event_id": event.event_id,
            "sequence": event.sequence,
            "epoch": event.epoch.millis(),
            "late": event.late,
            "source": event.source,
            "provider": event.provider.name(),
            "environment": event.environment.name(),
            "subscriber": person(&event.subscriber),
            "facts": said(facts),
            "attributes": said(telling.attributes),
        },
    });
    let request = Request::with_body(Method::Post, path, body.to_string());
    Message(request.identified(event.event_id.as_str()))
}

fn person(subscriber: &Subscriber) -> Value {
    json!({
        "key": subscriber.key,
        "id": subscriber.id,
        "user_id": subscriber.user_id,
        "anonymous": subscriber.anonymous,
        "email": subscriber.email,
        "aliases": subscriber.aliases,
        "attributes": subscriber.attributes,
    })
}

fn said(all: Vec<Said>) -> Map<String, Value> {
    let said = all.into_iter().filter_map(|Said { name, shown, .. }| match shown {
        Shown::Unsaid => None,
        Shown::Cleared => Some((name, Value::Null)),
        Shown::Is(fact) => Some((name, value(fact))),
    });
    said.collect()
}

fn value(fact: Fact) -> Value {
    match fact {
        Fact::Text(text) | Fact::Decimal(text) => Value::from(text),
        Fact::Number(count) => Value::from(count),
        Fact::Flag(flag) => Value::from(flag),
        Fact::Moment(moment) => Value::from(moment.to_string()),
        Fact::List(texts) => Value::from(texts),
        Fact::Money(money) => json!({
            "amount": money.amount,
            "currency": money.currency,
            "decimal": money.major(),
        }),
    }
}
