//! Subscriptions as a provider's own API lists them: pages of a list, a JSON array, or one object after the
//! other.
//!
//! An object is what the provider's webhooks carry as well. So it is read and judged by the same mapping, as an
//! update that is the first thing ever heard of it, and what the mapping makes of it is what is imported.

use std::io;

use schemas::state::{Facts, Identity, Role, SubscriberState, SubscriptionState};
use schemas::{Provider, Timestamp};
use serde_json::{Map, Value, json};

use super::told::{FileError, Piece, Read, Refusal};
use crate::sources::{Known, RawView, Reading, Source};

/// Reads the whole file; `as_of` is when it was written.
pub(super) fn read(
    mut file: impl io::Read,
    source: &Source,
    as_of: Timestamp,
    each: &mut dyn FnMut(Read),
) -> Result<(), FileError> {
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(FileError::Unreadable)?;
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let mut lines = Lines { text: &text, counted: 0, line: 1 };
    loop {
        let line = lines.of_what_follows(values.byte_offset());
        match values.next() {
            None => return Ok(()),
            Some(Err(_)) => {
                each(Read::Refused(Refusal::row(line, "from here on it is no JSON"), None));
                return Ok(());
            }
            Some(Ok(value)) => {
                members(value, &mut |object| each(of_object(line, object, source, as_of)));
            }
        }
    }
}

/// Counts lines as far as has been read.
struct Lines<'a> {
    text: &'a str,
    counted: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line on which the first thing at or after `offset` stands.
    fn of_what_follows(&mut self, offset: usize) -> u64 {
        let rest = self.text.get(offset..).unwrap_or_default();
        let next = offset + (rest.len() - rest.trim_start().len());
        let passed = self.text.get(self.counted..next).unwrap_or_default();
        self.line += passed.bytes().map(|byte| u64::from(byte == b'\n')).sum::<u64>();
        self.counted = next;
        self.line
    }
}

/// The objects of a page (`data` at Stripe, `items` at Dodo), of an array, or the object itself.
fn members(mut value: Value, each: &mut dyn FnMut(&Value)) {
    // A subscription of Stripe's has items as well, but not as a list of its own.
    let page =
        ["data", "items"].into_iter().find(|name| value.get(name).is_some_and(Value::is_array));
    let listed = page.map(|name| value[name].take());
    match listed.as_ref().unwrap_or(&value).as_array() {
        Some(members) => members.iter().for_each(each),
        None => each(&value),
    }
}

fn of_object(line: u64, object: &Value, source: &Source, as_of: Timestamp) -> Read {
    let Some(subscriber) = subscriber(object, source.provider) else {
        return Read::Refused(Refusal::new(line, "customer", "missing"), None);
    };
    let refused = |place: &str, problem: &str| {
        Read::Refused(Refusal::new(line, place, problem), Some(subscriber.clone()))
    };
    let (event_type, body) = event(object, source.provider, as_of);
    let bytes = body.to_string();
    let raw = RawView {
        body: bytes.as_bytes(),
        event_id: "",
        event_type,
        subscriber_id: &subscriber,
        received_at: as_of,
        traceparent: None,
        role: Role::Own,
    };
    let facts = match source.mapper.read(&raw, &source.settings) {
        Reading::Facts(facts) => facts,
        Reading::Parked(unreadable) => {
            let place = unreadable.path.trim_start_matches("/data/object/");
            let place = place.trim_start_matches("/data/").trim_start_matches('/');
            return refused(place, unreadable.problem);
        }
        Reading::Ignored(_) | Reading::KeyMismatch => return refused("row", "no subscription"),
    };
    let state = SubscriberState::default();
    let known = Known { subscription: None, subscriber: &state, settings: &source.settings };
    match source.mapper.decide(&facts, &known).subscription {
        Some(told) if told.current.status.is_some() => {
            Read::Piece(Box::new(piece(line, &subscriber, &facts, &told)))
        }
        // Its first payment is outstanding, or failed.
        Some(_) => Read::LeftOut,
        None => refused("row", "no subscription"),
    }
}

fn subscriber(object: &Value, provider: Provider) -> Option<String> {
    let pointers: &[&str] = match provider {
        Provider::Dodo => &["/customer/customer_id", "/customer_id"],
        Provider::Stripe
        | Provider::Revenuecat
        | Provider::Purchasely
        | Provider::Native
        | Provider::Unknown => &["/customer/id", "/customer", "/customer_account"],
    };
    let found = pointers.iter().find_map(|pointer| object.pointer(pointer)?.as_str());
    found.filter(|id| !id.is_empty()).map(str::to_owned)
}

/// The webhook that would carry the object.
fn event(object: &Value, provider: Provider, as_of: Timestamp) -> (&'static str, Value) {
    if provider == Provider::Dodo {
        let body = json!({
            "type": "subscription.updated", "timestamp": as_of.to_string(), "data": object,
        });
        return ("subscription.updated", body);
    }
    let body = json!({
        "object": "event", "created": as_of.seconds(), "livemode": object.get("livemode"),
        "data": {"object": object},
    });
    ("customer.subscription.updated", body)
}

fn piece(line: u64, subscriber: &str, facts: &Facts, told: &SubscriptionState) -> Piece {
    Piece {
        line,
        subscriber: subscriber.to_owned(),
        person: person(&facts.person),
        subscriptions: vec![subscription(told)],
        ..Piece::default()
    }
}

fn person(known: &Identity) -> Map<String, Value> {
    let mut told = Map::new();
    for (name, value) in [("user_id", &known.user_id), ("email", &known.email)] {
        if let Some(value) = value {
            told.insert(name.to_owned(), value.as_str().into());
        }
    }
    if !known.attributes.is_empty() {
        told.insert("attributes".to_owned(), json!(known.attributes));
    }
    told
}

/// A state in the words of the record's body.
fn subscription(known: &SubscriptionState) -> Value {
    let mut told = json!(known.current);
    told["environment"] = known.environment.name().into();
    told["provider_status"] = json!(known.provider_status);
    told["pending_product_id"] = json!(known.pending_product);
    told["collection_paused"] = known.collection_paused.into();
    told["in_billing_retry"] = known.in_billing_retry.into();
    if let Some(fields) = told.as_object_mut() {
        fields.retain(|name, value| {
            !value.is_null() && name != "previous_status" && name != "previous_product_id"
        });
    }
    told
}
