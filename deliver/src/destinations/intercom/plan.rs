//! What an event becomes: a contact that must exist and show these attributes, and the event itself.
//!
//! With the attributes goes `tributary_sequence_<source>`, which says what event they come from.
//! Intercom takes whatever is written last, so whoever looks a contact up after a crash compares it and
//! leaves attributes alone that are newer.

use schemas::{LifecycleEvent, Money};
use serde_json::{Map, Number, Value, json};

use super::progress::Progress;
use crate::destinations::metadata::Fact;
use crate::destinations::telling::{Profile, Said, Telling, Told};
use crate::destinations::{Identifier, Shown};
use crate::failure::shortened;

/// Keys kept of an event's metadata; what is sent beyond is dropped in silence (API 2.16).
const METADATA_LIMIT: usize = 10;

/// Not documented for contacts; what others found.
const VALUE_LIMIT: usize = 255;

/// One event for one contact.
#[derive(Clone)]
pub struct Message {
    pub(super) identifier: Identifier,
    /// The attribute that says up to which event the contact's attributes are.
    pub(super) progress_attribute: String,
    /// Up to this event.
    pub(super) progress: Progress,
    /// `email` and `name`, as far as known.
    pub(super) standard: Map<String, Value>,
    /// Never empty, except where nothing is told.
    pub(super) custom: Map<String, Value>,
    /// All of the event's request but the contact's id, where it is told as an event.
    pub(super) event: Option<Map<String, Value>>,
    pub(super) afterwards: Afterwards,
    pub(super) yields: Yields,
}

impl Message {
    /// Whether only what follows is to be done.
    pub(super) fn tells_nothing(&self) -> bool {
        self.custom.is_empty() && self.event.is_none()
    }
}

/// What follows the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    Nothing,
    Archive,
}

/// To which attributes those of a message make way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Yields {
    /// To those of the same event and of later ones: they are there already.
    ToSame,
    /// To those of later events: a refresh shows differently what the same event has left.
    ToLater,
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
    event: &LifecycleEvent,
    telling: Telling,
    identifier: Identifier,
    afterwards: Afterwards,
) -> Message {
    Message {
        identifier,
        progress_attribute: sequence_attribute(&event.source),
        progress: Progress::of(event),
        standard: match telling.profile {
            Profile::Whole => standard_attributes(event),
            Profile::Listed | Profile::Untold => Map::new(),
        },
        custom: match telling.profile {
            Profile::Whole | Profile::Listed => custom_attributes(telling.attributes, event),
            Profile::Untold => Map::new(),
        },
        event: telling.event.map(|told| event_request(told, event)),
        afterwards,
        yields: Yields::ToSame,
    }
}

/// The attributes alone.
pub(super) fn refresh(
    snapshot: &LifecycleEvent,
    telling: Telling,
    identifier: Identifier,
) -> Message {
    let message = message(snapshot, telling, identifier, Afterwards::Nothing);
    Message { yields: Yields::ToLater, ..message }
}

fn standard_attributes(event: &LifecycleEvent) -> Map<String, Value> {
    let person = &event.subscriber;
    let mut standard = Map::new();
    if let Some(email) = &person.email {
        standard.insert("email".to_owned(), Value::from(email.as_str()));
    }
    if let Some(name) = person.attributes.get("name").filter(|name| !name.is_empty()) {
        standard.insert("name".to_owned(), Value::from(shortened(name, VALUE_LIMIT)));
    }
    standard
}

/// Intercom would replace dots and dollar signs in a name itself, and then nobody finds it again.
pub(super) fn rewritten(name: &str) -> String {
    name.replace(['.', '$'], "-")
}

fn event_request(told: Told, event: &LifecycleEvent) -> Map<String, Value> {
    let mut request = Map::new();
    request.insert("event_name".to_owned(), Value::from(rewritten(&told.name)));
    request.insert("created_at".to_owned(), Value::from(event.distinct_second));
    request.insert("metadata".to_owned(), Value::Object(event_metadata(told.facts)));
    request
}

fn custom_attributes(shown: Vec<Said>, event: &LifecycleEvent) -> Map<String, Value> {
    let mut custom = Map::new();
    for Said { name, shown, .. } in shown {
        let value = match shown {
            Shown::Unsaid => continue,
            Shown::Cleared => Value::Null,
            Shown::Is(Fact::Text(text)) => Value::from(shortened(&text, VALUE_LIMIT)),
            Shown::Is(Fact::List(texts)) => Value::from(shortened(&texts.join(","), VALUE_LIMIT)),
            Shown::Is(Fact::Number(count)) => Value::from(count),
            Shown::Is(Fact::Flag(flag)) => Value::from(flag),
            Shown::Is(Fact::Moment(moment)) => Value::from(moment.seconds()),
            Shown::Is(Fact::Decimal(decimal)) => number(&decimal),
            Shown::Is(Fact::Money(money)) => number(&money.major()),
        };
        custom.insert(name, value);
    }
    let progress = Value::from(Progress::of(event).to_string());
    custom.insert(sequence_attribute(&event.source), progress);
    custom
}

/// Metadata know no null: what there is none of is left out.
fn event_metadata(facts: Vec<Said>) -> Map<String, Value> {
    let said = facts.into_iter().filter_map(|Said { key, name, shown }| match shown {
        Shown::Is(fact) => Some((key, name, fact)),
        Shown::Unsaid | Shown::Cleared => None,
    });
    let named = said.take(METADATA_LIMIT).map(|(key, name, fact)| match fact {
        Fact::Text(text) => (name, Value::from(shortened(&text, VALUE_LIMIT))),
        Fact::List(texts) => (name, Value::from(shortened(&texts.join(","), VALUE_LIMIT))),
        Fact::Number(count) => (name, Value::from(count)),
        Fact::Decimal(decimal) => (name, number(&decimal)),
        // Booleans are not among the types of metadata.
        Fact::Flag(flag) => (name, Value::from(if flag { "true" } else { "false" })),
        Fact::Moment(moment) => (as_date(key, name), Value::from(moment.seconds())),
        Fact::Money(money) => monetary(key, name, &money),
    });
    named.collect()
}

/// Keys that end in `_date` are shown as dates. A name that was chosen stays as it is.
fn as_date(key: &str, name: String) -> String {
    if name == key { format!("{}_date", key.strip_suffix("_at").unwrap_or(key)) } else { name }
}

/// Monetary objects must be positive: what went back is called `refund`.
fn monetary(key: &str, name: String, money: &Money) -> (String, Value) {
    // A total of nothing, or below, is no monetary object either.
    if money.amount == 0 || (key != "amount" && money.amount < 0) {
        return (name, Value::from(format!("{} {}", money.major(), money.currency)));
    }
    let object = json!({
        "amount": money.amount.unsigned_abs(),
        "currency": money.currency.to_ascii_lowercase(),
    });
    (if money.amount < 0 { "refund".to_owned() } else { name }, object)
}

fn number(decimal: &str) -> Value {
    decimal.parse::<Number>().map_or_else(|_| Value::from(decimal), Value::Number)
}
