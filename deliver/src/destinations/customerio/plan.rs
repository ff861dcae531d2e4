//! What an event becomes: the person's identify, the event where it is news, and what a merge or a
//! deletion asks for.
//!
//! The identify stands directly before the event, because an event for an unknown id creates an empty
//! profile and an event that overtakes its identify triggers a campaign without an address. It carries
//! the event's distinct second: Customer.io drops an update older than the one it has, so that a late
//! or repeated identify never undoes a newer one. Values are cut to the documented limits; a value cut
//! is better than an event refused.

use schemas::{EventType, LifecycleEvent};
use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::{CustomerIo, IDENTIFIER_LIMIT, ITEM_LIMIT, ulid};
use crate::destinations::audience::is_usable;
use crate::destinations::metadata::Fact;
use crate::destinations::telling::{Profile, Said, Telling};
use crate::destinations::{Anonymous, Identifier, Recipient, Shown};
use crate::failure::shortened;

/// Documented limits (Track API specification, read 2026-08-22).
const ATTRIBUTE_NAME_LIMIT: usize = 150;
pub(super) const ATTRIBUTE_VALUE_LIMIT: usize = 1_000;
const ATTRIBUTES_LIMIT: usize = 300;
pub(super) const EVENT_NAME_LIMIT: usize = 100;

/// How old a snapshot is taken to be, in seconds: what happened before has mostly arrived by then.
const SETTLED_AFTER: i64 = 60;

/// What has a meaning of its own at Customer.io and must not be set by a provider's custom attribute.
const RESERVED: [&str; 9] = [
    "id",
    "email",
    "cio_id",
    "anonymous_id",
    "unsubscribed",
    "cio_subscription_preferences",
    "_update",
    "_last_emailed",
    "_created_in_customerio_at",
];

/// The operations of one event, as JSON, in the order in which they are to take effect.
#[derive(Clone, PartialEq, Eq)]
pub struct Operations(Vec<String>);

impl std::fmt::Debug for Operations {
    /// Without the operations: they name a person.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Operations({})", self.0.len())
    }
}

impl Operations {
    /// These, each in JSON.
    pub(super) fn of(items: Vec<String>) -> Self {
        Self(items)
    }

    /// The items for the batch.
    pub fn items(&self) -> &[String] {
        &self.0
    }
}

/// One operation on a person, in the words of the API.
#[derive(Serialize)]
struct Operation<'a> {
    r#type: &'static str,
    identifiers: Identifiers<'a>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Map<String, Value>>,
}

impl<'a> Operation<'a> {
    fn on(identifiers: Identifiers<'a>, action: &'static str) -> Self {
        let (name, id, timestamp, attributes) = (None, None, None, None);
        Self { r#type: "person", identifiers, action, name, id, timestamp, attributes }
    }
}

/// Of one person another one becomes a part.
#[derive(Serialize)]
struct Merge<'a> {
    r#type: &'static str,
    action: &'static str,
    primary: Identifiers<'a>,
    secondary: Identifiers<'a>,
}

/// By what a person is found.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Identifiers<'a> {
    Id(&'a str),
    Email(&'a str),
}

impl<'a> From<&'a Identifier> for Identifiers<'a> {
    fn from(identifier: &'a Identifier) -> Self {
        match identifier {
            Identifier::Id(id) => Self::Id(id),
            Identifier::Email(email) => Self::Email(email),
        }
    }
}

/// In JSON. Of texts, numbers and maps by text nothing can fail.
fn json(operation: &impl Serialize) -> String {
    serde_json::to_string(operation).unwrap_or_default()
}

pub(super) fn operations(
    workspace: &CustomerIo,
    event: &LifecycleEvent,
    telling: &Telling,
    identifier: &Identifier,
) -> Operations {
    let person = Identifiers::from(identifier);
    let mut operations = match telling.profile {
        Profile::Untold => Vec::new(),
        Profile::Whole | Profile::Listed => {
            vec![json(&identify(event, telling, identifier, event.distinct_second))]
        }
    };
    if event.event_type == EventType::CustomerMerged {
        let former = merged(workspace.audience.anonymous, event, identifier);
        operations.extend(former.into_iter().map(|id| {
            let (primary, secondary) = (person, Identifiers::Id(id));
            json(&Merge { r#type: "person", action: "merge", primary, secondary })
        }));
    }
    if let Some(told) = &telling.event {
        operations.push(json(&Operation {
            name: Some(shortened(&told.name, EVENT_NAME_LIMIT)),
            id: Some(ulid::of(&event.event_id, event.occurred_at)),
            timestamp: Some(event.occurred_at.seconds()),
            attributes: Some(event_attributes(&told.facts)),
            ..Operation::on(person, "event")
        }));
    }
    if workspace.suppresses(event) {
        operations.push(json(&Operation::on(person, "suppress")));
    }
    Operations(operations)
}

/// The identify alone.
pub(super) fn refresh(
    snapshot: &LifecycleEvent,
    telling: &Telling,
    identifier: &Identifier,
) -> Operations {
    let identify = identify(snapshot, telling, identifier, second_of_refresh(snapshot));
    Operations(vec![json(&identify)])
}

/// The second of a refresh.
///
/// It must be later than whatever else was written on the person since the latest event, or Customer.io leaves the
/// refresh out without a word; the application identifies people too. And it must be earlier than the next event,
/// which may have happened already and be on its way: hence a minute before the snapshot. Who is several
/// subscribers at once shows the one of the latest event, in whatever order they are refreshed: the longer ago that
/// event, the earlier the second, by at most four minutes more.
fn second_of_refresh(snapshot: &LifecycleEvent) -> i64 {
    let settled = snapshot.occurred_at.seconds().saturating_sub(SETTLED_AFTER);
    let age = snapshot.occurred_at.seconds().saturating_sub(snapshot.distinct_second).max(1);
    settled.saturating_sub(magnitude(age)).max(snapshot.distinct_second)
}

/// Grows with `number` (at least 1) by eight for each time it doubles: 240 for the seconds of 34 years.
fn magnitude(number: i64) -> i64 {
    let doublings = number.ilog2();
    let eighths = number.saturating_mul(8) >> doublings;
    i64::from(doublings) * 8 + eighths - 8
}

fn identify<'a>(
    event: &'a LifecycleEvent,
    telling: &Telling,
    identifier: &'a Identifier,
    second: i64,
) -> Operation<'a> {
    let (finder, mut attributes) = introduction(event, telling, identifier);
    for Said { name, shown, .. } in &telling.attributes {
        match shown {
            Shown::Unsaid => {}
            // An empty value removes an attribute.
            Shown::Cleared => {
                attributes.insert(name.clone(), Value::from(""));
            }
            // The currency is an attribute of its own, which can be renamed by itself.
            Shown::Is(Fact::Money(money)) => {
                attributes.insert(name.clone(), number(&money.major()));
            }
            Shown::Is(fact) => insert(&mut attributes, name, name, fact),
        }
    }
    if telling.profile == Profile::Whole {
        keep_what_the_provider_keeps(event, &mut attributes);
    }
    Operation {
        timestamp: Some(second),
        attributes: Some(attributes),
        ..Operation::on(finder, "identify")
    }
}

/// By what the person is found, and what of it the person is given besides.
fn introduction<'a>(
    event: &'a LifecycleEvent,
    telling: &Telling,
    identifier: &'a Identifier,
) -> (Identifiers<'a>, Map<String, Value>) {
    // With the address, and the currency that comes with an amount.
    let mut given = Map::with_capacity(telling.attributes.len() + 2);
    let Identifier::Id(id) = identifier else { return (identifier.into(), given) };
    match &event.subscriber.email {
        Some(email) if telling.recipient == Recipient::ProvidersIdFoundByEmail => {
            given.insert("id".to_owned(), Value::from(id.as_str()));
            return (Identifiers::Email(email), given);
        }
        Some(email) if telling.profile == Profile::Whole => {
            let email = shortened(email, ATTRIBUTE_VALUE_LIMIT);
            given.insert("email".to_owned(), Value::from(email));
        }
        Some(_) | None => {}
    }
    (identifier.into(), given)
}

/// What is called like something of ours or of Customer.io's own is left out, and what would not fit.
fn keep_what_the_provider_keeps(event: &LifecycleEvent, attributes: &mut Map<String, Value>) {
    if event.subscriber.attributes.is_empty() {
        return;
    }
    let mut size = serde_json::to_string(attributes).map_or(0, |text| text.len()) + 1_000;
    for (name, value) in &event.subscriber.attributes {
        let taken = RESERVED.contains(&name.as_str()) || attributes.contains_key(name);
        size += name.len() + value.len().min(ATTRIBUTE_VALUE_LIMIT) * 2 + 6;
        if taken || name.is_empty() || name.len() > ATTRIBUTE_NAME_LIMIT {
            continue;
        }
        if attributes.len() >= ATTRIBUTES_LIMIT || size > ITEM_LIMIT {
            break;
        }
        let value = shortened(value, ATTRIBUTE_VALUE_LIMIT);
        attributes.insert(name.clone(), Value::from(value));
    }
}

/// RevenueCat's ids for people who have not told theirs.
const ANONYMOUS: &str = "$RCAnonymousID:";

/// Everybody else who this person is, by their ids: whoever the event says was moved here, and the other
/// ids that the provider knows the person by. Those are people here only if the person is one by such an
/// id as well; where the application says who somebody is, its ids may belong to others. An anonymous id
/// is somebody only where anonymous people are sent. Who is nobody here is merged without effect.
fn merged<'a>(
    anonymous: Anonymous,
    event: &'a LifecycleEvent,
    identifier: &Identifier,
) -> Vec<&'a String> {
    let Identifier::Id(primary) = identifier else { return Vec::new() };
    let subscriber = &event.subscriber;
    let known = || subscriber.aliases.iter().chain([&subscriber.id]);
    let others = known().filter(|_| known().any(|id| id == primary));
    let moved = event.transfer.iter().flat_map(|transfer| &transfer.from);
    let mut former: Vec<&String> = Vec::new();
    for id in moved.chain(others) {
        let is_somebody = anonymous == Anonymous::Send || !id.starts_with(ANONYMOUS);
        if is_somebody && id != primary && is_usable(id, IDENTIFIER_LIMIT) && !former.contains(&id)
        {
            former.push(id);
        }
    }
    former
}

fn event_attributes(facts: &[Said]) -> Map<String, Value> {
    // An amount is three.
    let mut attributes = Map::with_capacity(facts.len() + 4);
    for Said { key, name, shown } in facts {
        match shown {
            Shown::Unsaid => {}
            Shown::Cleared => {
                attributes.insert(name.clone(), Value::Null);
            }
            Shown::Is(fact) => insert(&mut attributes, key, name, fact),
        }
    }
    attributes
}

/// Money becomes three keys: major units for people, minor units for sums, and the currency.
fn insert(attributes: &mut Map<String, Value>, key: &str, name: &str, fact: &Fact) {
    let value = match fact {
        Fact::Text(text) => Value::from(shortened(text, ATTRIBUTE_VALUE_LIMIT)),
        Fact::Number(count) => Value::from(*count),
        Fact::Flag(flag) => Value::from(*flag),
        Fact::Moment(moment) => Value::from(moment.seconds()),
        Fact::Decimal(decimal) => number(decimal),
        Fact::List(texts) => Value::from(fitting(texts)),
        Fact::Money(money) => {
            attributes.insert(name.to_owned(), number(&money.major()));
            attributes.insert(format!("{name}_minor"), Value::from(money.amount));
            let currency = if key == "amount" { "currency" } else { "total_spent_currency" };
            attributes.insert(currency.to_owned(), Value::from(money.currency.as_str()));
            return;
        }
    };
    attributes.insert(name.to_owned(), value);
}

/// As many of the texts as fit into one value.
fn fitting(texts: &[String]) -> Vec<&str> {
    let mut left = ATTRIBUTE_VALUE_LIMIT;
    let fits = texts.iter().map(String::as_str).take_while(|text| {
        let taken = text.len() + 3;
        let fits = taken <= left;
        left = left.saturating_sub(taken);
        fits
    });
    fits.collect()
}

/// Exact decimal text as a JSON number, never by way of a float.
fn number(decimal: &str) -> Value {
    decimal.parse::<Number>().map_or_else(|_| Value::from(decimal), Value::Number)
}
