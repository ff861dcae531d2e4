//! What an event becomes: one message, `{"type", "timestamp", "data"}` as Standard Webhooks advises.
//!
//! `data.subscriber` is the person, `data.facts` what goes with the event, `data.attributes` what the
//! person shows after it. Nothing is cut: a receiver has no limits that are known. Money is whole minor
//! units with its currency and, for people, the amount in major units as text; moments are RFC 3339;
//! what does not hold any more is null.

use std::collections::BTreeMap;

use schemas::LifecycleEvent;
use schemas::event::Subscriber;
use serde::Serialize;
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
    let body = Body {
        r#type: &name,
        timestamp: event.occurred_at.to_string(),
        data: Data {
            event_id: &event.event_id,
            sequence: event.sequence,
            epoch: event.epoch.millis(),
            late: event.late,
            source: &event.source,
            provider: event.provider.name(),
            environment: event.environment.name(),
            subscriber: Person::from(&event.subscriber),
            facts: said(facts),
            attributes: said(telling.attributes),
        },
    };
    // Of texts, numbers and maps by text nothing can fail.
    let body = serde_json::to_string(&body).unwrap_or_default();
    let request = Request::with_body(Method::Post, path, body);
    Message(request.identified(event.event_id.as_str()))
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    event_id: &'a str,
    sequence: i64,
    epoch: i64,
    late: bool,
    source: &'a str,
    provider: &'static str,
    environment: &'static str,
    subscriber: Person<'a>,
    facts: Map<String, Value>,
    attributes: Map<String, Value>,
}

#[derive(Serialize)]
struct Person<'a> {
    key: &'a str,
    id: &'a str,
    user_id: Option<&'a str>,
    anonymous: bool,
    email: Option<&'a str>,
    aliases: &'a [String],
    attributes: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a Subscriber> for Person<'a> {
    fn from(subscriber: &'a Subscriber) -> Self {
        Self {
            key: &subscriber.key,
            id: &subscriber.id,
            user_id: subscriber.user_id.as_deref(),
            anonymous: subscriber.anonymous,
            email: subscriber.email.as_deref(),
            aliases: &subscriber.aliases,
            attributes: &subscriber.attributes,
        }
    }
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
