//! What an event becomes: a contact that must exist and show these attributes, and the event itself.
//!
//! With the attributes goes `tributary_sequence_<source>`, the sequence of the event they come from.
//! Intercom takes whatever is written last, so whoever looks a contact up after a crash compares it and
//! leaves attributes alone that are newer. It is text, so that more can be written into it later.

use schemas::{EventType, LifecycleEvent, Money};
use serde_json::{Map, Number, Value, json};
use strum::IntoEnumIterator;

use super::OnCustomerDeleted;
use crate::destinations::metadata::{Fact, metadata};
use crate::destinations::{Attribute, Identifier, Names, Shown, Telling};
use crate::failure::shortened;

/// Keys kept of an event's metadata; what is sent beyond is dropped in silence (API 2.16).
const METADATA_LIMIT: usize = 10;

/// Not documented for contacts; what others found.
const VALUE_LIMIT: usize = 255;

/// One event for one contact.
#[derive(Clone)]
pub struct Message {
    pub(super) identifier: Identifier,
    pub(super) source_sequence: (String, i64),
    /// `email` and `name`, as far as known.
    pub(super) standard: Map<String, Value>,
    pub(super) custom: Map<String, Value>,
    /// All of the event's request but the contact's id, where it is told as an event.
    pub(super) event: Option<Map<String, Value>>,
    pub(super) afterwards: Afterwards,
}

/// What follows the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    Nothing,
    Archive,
}

impl std::fmt::Debug for Message {
    /// Without its content: it names a person.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Message")
    }
}

/// The custom attribute that says up to which event of a source a contact's attributes are.
pub(super) fn sequence_attribute(source: &str) -> String {
    format!("tributary_sequence_{source}")
}

pub(super) fn message(
    names: &Names,
    on_customer_deleted: OnCustomerDeleted,
    event: &LifecycleEvent,
    identifier: Identifier,
) -> Message {
    let person = &event.subscriber;
    let mut standard = Map::new();
    if let Some(email) = &person.email {
        standard.insert("email".to_owned(), Value::from(email.as_str()));
    }
    if let Some(name) = person.attributes.get("name").filter(|name| !name.is_empty()) {
        standard.insert("name".to_owned(), Value::from(shortened(name, VALUE_LIMIT)));
    }
    let deleted = event.event_type == EventType::CustomerDeleted;
    let afterwards = match on_customer_deleted {
        OnCustomerDeleted::Archive if deleted => Afterwards::Archive,
        OnCustomerDeleted::Archive | OnCustomerDeleted::Keep => Afterwards::Nothing,
    };
    Message {
        identifier,
        source_sequence: (sequence_attribute(&event.source), event.sequence),
        standard,
        custom: custom_attributes(names, event),
        event: match Telling::of(event.event_type) {
            Telling::Event => Some(event_request(names, event)),
            Telling::Attributes => None,
        },
        afterwards,
    }
}

fn event_request(names: &Names, event: &LifecycleEvent) -> Map<String, Value> {
    let mut request = Map::new();
    request.insert("event_name".to_owned(), Value::from(event_name(names, event.event_type)));
    request.insert("created_at".to_owned(), Value::from(event.distinct_second));
    request.insert("metadata".to_owned(), Value::Object(event_metadata(event)));
    request
}

/// Intercom would replace dots and dollar signs itself, and then nobody finds the name again.
fn event_name(names: &Names, event_type: EventType) -> String {
    names.event(event_type).trim().replace(['.', '$'], "-")
}

fn custom_attributes(names: &Names, event: &LifecycleEvent) -> Map<String, Value> {
    let mut custom = Map::new();
    for attribute in Attribute::iter() {
        let Some(name) = names.attribute(attribute) else { continue };
        let value = match attribute.shown(event) {
            Shown::Unsaid => continue,
            Shown::Cleared => Value::Null,
            Shown::Is(Fact::Text(text)) => Value::from(shortened(&text, VALUE_LIMIT)),
            Shown::Is(Fact::Number(count)) => Value::from(count),
            Shown::Is(Fact::Flag(flag)) => Value::from(flag),
            Shown::Is(Fact::Moment(moment)) => Value::from(moment.seconds()),
            Shown::Is(Fact::Money(money)) => number(&money.major()),
        };
        custom.insert(name.to_owned(), value);
    }
    let sequence = Value::from(event.sequence.to_string());
    custom.insert(sequence_attribute(&event.source), sequence);
    custom
}

fn event_metadata(event: &LifecycleEvent) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, fact) in metadata(event).into_iter().take(METADATA_LIMIT) {
        match fact {
            Fact::Text(text) => {
                kept.insert(key.to_owned(), Value::from(shortened(&text, VALUE_LIMIT)));
            }
            Fact::Number(count) => {
                kept.insert(key.to_owned(), Value::from(count));
            }
            // Booleans are not among the types of metadata.
            Fact::Flag(flag) => {
                kept.insert(key.to_owned(), Value::from(if flag { "true" } else { "false" }));
            }
            // Keys that end so are shown as dates.
            Fact::Moment(moment) => {
                let name = key.strip_suffix("_at").unwrap_or(key);
                kept.insert(format!("{name}_date"), Value::from(moment.seconds()));
            }
            Fact::Money(money) => {
                let (name, value) = monetary(key, &money);
                kept.insert(name.to_owned(), value);
            }
        }
    }
    kept
}

/// Monetary objects must be positive: what went back is called `refund`.
fn monetary<'a>(key: &'a str, money: &Money) -> (&'a str, Value) {
    let name = if key == "amount" && money.amount < 0 { "refund" } else { key };
    let object = json!({
        "amount": money.amount.unsigned_abs(),
        "currency": money.currency.to_ascii_lowercase(),
    });
    // A total of nothing, or below, is no monetary object either.
    if money.amount == 0 || (key != "amount" && money.amount < 0) {
        return (key, Value::from(format!("{} {}", money.major(), money.currency)));
    }
    (name, object)
}

fn number(decimal: &str) -> Value {
    decimal.parse::<Number>().map_or_else(|_| Value::from(decimal), Value::Number)
}
