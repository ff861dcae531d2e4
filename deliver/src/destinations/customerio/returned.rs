//! Calls of the Track API that a handler makes, as operations of a batch.
//!
//! `/api/v2/entity` takes one operation and `/api/v2/batch` several; both become items of our own batches. An operation
//! is put right where it is clear what was meant, because handlers that were written for senders which do not look at
//! the answer say things that the API refuses: an action that there is none of is an event of that name. What makes a
//! repetition harmless is added where the handler does not say it: the event's id, and the time by which updates are
//! ordered.

use schemas::LifecycleEvent;
use serde_json::{Map, Value, json};

use super::plan::{ATTRIBUTE_VALUE_LIMIT, EVENT_NAME_LIMIT, Operations};
use super::{BATCH_PATH, CustomerIo, ITEM_LIMIT, ulid};
use crate::destinations::{Audience, Destination, Method, Plan};
use crate::failure::{Failure, Reason, shortened};
use crate::transformation::{Corrected, Correction, Ids, OwnCall, Told, Transformable, Understood};

/// The path that takes one operation.
pub(crate) const ENTITY_PATH: &str = "/api/v2/entity";

/// Operations that one event may become: what one conversation carries.
const MOST_OPERATIONS: usize = 100;

/// Unix seconds have ten digits from 2001 to 2286.
const UNIX_SECONDS: std::ops::RangeInclusive<i64> = 1_000_000_000..=9_999_999_999;

type Fields = Map<String, Value>;

impl Transformable for CustomerIo {
    fn audience(&self) -> &Audience {
        &self.audience
    }

    fn understand(
        &self,
        event: &LifecycleEvent,
        told: Vec<Told>,
    ) -> Result<Understood<Operations>, Failure> {
        let mut understood = Understood::nothing();
        let mut items: Vec<String> = Vec::new();
        let ids = Ids::of(&event.event_id);
        let mut reader = Reader { event, ids, introduced: Vec::new(), corrections: Vec::new() };
        for one in told {
            match one {
                Told::AsMapped => match self.plan(event) {
                    Plan::Send(operations) => items.extend_from_slice(operations.items()),
                    Plan::Skip(skip) => understood.skipped = Some(skip),
                    Plan::End(_) => {}
                },
                Told::Call(call) => {
                    for operation in operations(call).map_err(wrong)? {
                        items.extend(reader.operation(operation)?);
                    }
                }
            }
        }
        if items.len() > MOST_OPERATIONS {
            let message = format!("{} operations, and {MOST_OPERATIONS} are allowed", items.len());
            return Err(wrong(message));
        }
        let bytes: usize = items.iter().map(|item| item.len() + 1).sum();
        let most = self.grouping().bytes;
        if bytes > most {
            let message = format!("the operations have {bytes} bytes, and {most} are allowed");
            return Err(Failure::new(Reason::TooLarge, message));
        }
        understood.corrections = reader.corrections;
        understood.delivery = (!items.is_empty()).then(|| Operations::of(items));
        Ok(understood)
    }
}

fn wrong(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::TransformationFailed, message)
}

/// The operations of a call.
fn operations(call: OwnCall) -> Result<Vec<Value>, String> {
    let OwnCall { method, path, payload } = call;
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    match (method, path, payload) {
        (Method::Post, ENTITY_PATH, operation) => Ok(vec![operation]),
        (Method::Post, BATCH_PATH, Value::Object(mut fields)) => match fields.remove("batch") {
            Some(Value::Array(batch)) if !batch.is_empty() => Ok(batch),
            _ => Err("a batch is `{ batch: [ … ] }` with at least one operation".to_owned()),
        },
        (Method::Post | Method::Put | Method::Get, _, _) => Err(format!(
            "of Customer.io's API only POST to {ENTITY_PATH} and {BATCH_PATH} is understood here"
        )),
    }
}

/// Puts the operations of one event right.
struct Reader<'a> {
    event: &'a LifecycleEvent,
    /// Each event has an id of its own.
    ids: Ids<'a>,
    /// Whom the handler identifies or who was identified for it.
    introduced: Vec<Value>,
    corrections: Vec<Correction>,
}

impl Reader<'_> {
    /// The operation, behind what introduces the person where nothing else did: an event of somebody who is not known
    /// makes an empty profile.
    fn operation(&mut self, operation: Value) -> Result<Vec<String>, Failure> {
        let Value::Object(mut fields) = operation else {
            return Err(wrong(
                "an operation is no object: was the payload meant for somebody else?",
            ));
        };
        self.type_of(&mut fields).map_err(wrong)?;
        let action = self.action(&mut fields).map_err(wrong)?;
        if action != "merge" {
            self.identifiers(&mut fields).map_err(wrong)?;
        }
        match action.as_str() {
            "identify" => {
                self.keep(&mut fields, &["timestamp", "attributes", "cio_relationships"]);
                self.timestamp(&mut fields, self.event.distinct_second);
            }
            "event" | "screen" | "page" => {
                self.keep(&mut fields, &["name", "id", "timestamp", "attributes"]);
                self.name(&mut fields).map_err(wrong)?;
                self.id(&mut fields);
                self.timestamp(&mut fields, self.event.occurred_at.seconds());
            }
            _ => {}
        }
        self.shorten(&mut fields);
        let introduction = self.introduction(&action, &fields);
        let item = Value::Object(fields).to_string();
        if item.len() > ITEM_LIMIT {
            let message =
                format!("an operation has {} bytes, and {ITEM_LIMIT} are allowed", item.len());
            return Err(Failure::new(Reason::TooLarge, message));
        }
        Ok(introduction.into_iter().chain([item]).collect())
    }

    /// An identify of the person of an event, with the address that the event tells of them.
    fn introduction(&mut self, action: &str, fields: &Fields) -> Option<String> {
        let person = fields.get("identifiers")?;
        let is_known = self.introduced.contains(person);
        if !is_known {
            self.introduced.push(person.clone());
        }
        if is_known || !["event", "screen", "page"].contains(&action) {
            return None;
        }
        let address = fields.get("attributes").and_then(|all| all.get("email"));
        let address = address.and_then(Value::as_str).filter(|text| text.contains('@'));
        let mut attributes = Map::new();
        if let (Some(address), None) = (address, person.get("email")) {
            attributes.insert("email".to_owned(), Value::from(address));
        }
        let identify = json!({
            "type": "person",
            "identifiers": person,
            "action": "identify",
            "timestamp": self.event.distinct_second,
            "attributes": attributes,
        });
        Some(identify.to_string())
    }

    fn correct(&mut self, what: Corrected, text: impl Into<String>) {
        self.corrections.push(Correction::new(what, text));
    }

    fn type_of(&mut self, fields: &mut Fields) -> Result<(), String> {
        match fields.get("type").map(Value::as_str) {
            Some(Some("person")) => Ok(()),
            None => {
                fields.insert("type".to_owned(), Value::from("person"));
                self.correct(Corrected::Type, "`type: \"person\"` was added");
                Ok(())
            }
            Some(_) => {
                Err("only operations on people are understood (`type: \"person\"`)".to_owned())
            }
        }
    }

    /// The action, which is an event where there is none of that name.
    fn action(&mut self, fields: &mut Fields) -> Result<String, String> {
        let action = fields.get("action").and_then(Value::as_str).unwrap_or_default().to_owned();
        match action.as_str() {
            "" => Err("an operation has no `action`".to_owned()),
            "identify"
            | "event"
            | "screen"
            | "page"
            | "merge"
            | "delete"
            | "suppress"
            | "unsuppress"
            | "add_device"
            | "delete_device"
            | "add_relationships"
            | "delete_relationships" => Ok(action),
            other => {
                let name =
                    fields.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
                let name = name.unwrap_or(other).to_owned();
                let text = format!(
                    "there is no action `{other}`: sent as the event `{name}` (`action: \"event\"`)"
                );
                self.correct(Corrected::Action, text);
                fields.insert("action".to_owned(), Value::from("event"));
                fields.insert("name".to_owned(), Value::from(name));
                Ok("event".to_owned())
            }
        }
    }

    /// Exactly one, and text.
    fn identifiers(&mut self, fields: &mut Fields) -> Result<(), String> {
        let one_of = "`identifiers` has to have exactly one of id, email, phone and cio_id";
        let Some(Value::Object(identifiers)) = fields.get_mut("identifiers") else {
            return Err(one_of.to_owned());
        };
        let mut entries = identifiers.iter_mut();
        let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
            return Err(one_of.to_owned());
        };
        if !["id", "email", "phone", "cio_id"].contains(&kind.as_str()) {
            return Err(one_of.to_owned());
        }
        match value {
            Value::String(text) if text.is_empty() => Err(format!("`identifiers.{kind}` is empty")),
            Value::String(_) => Ok(()),
            Value::Number(number) => {
                let text = format!("`identifiers.{kind}` was a number and is sent as text");
                *value = Value::from(number.to_string());
                self.correct(Corrected::Identifier, text);
                Ok(())
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(format!("`identifiers.{kind}` is no text"))
            }
        }
    }

    fn keep(&mut self, fields: &mut Fields, known: &[&str]) {
        let is_known =
            |name: &str| ["type", "action", "identifiers"].contains(&name) || known.contains(&name);
        let unknown: Vec<String> = fields.keys().filter(|name| !is_known(name)).cloned().collect();
        for name in unknown {
            fields.remove(&name);
            let action = fields.get("action").and_then(Value::as_str).unwrap_or_default();
            let text = format!("`{name}` was left out: an operation `{action}` has no such field");
            self.correct(Corrected::Field, text);
        }
    }

    fn name(&mut self, fields: &mut Fields) -> Result<(), String> {
        let Some(name) = fields.get("name").and_then(Value::as_str) else {
            return Err("an event has no `name`".to_owned());
        };
        let fits = shortened(name.trim(), EVENT_NAME_LIMIT).trim_end().to_owned();
        if fits.is_empty() {
            return Err("the `name` of an event is empty".to_owned());
        }
        if fits != name {
            fields.insert("name".to_owned(), Value::from(fits));
            self.correct(Corrected::Length, "the `name` of an event was cut to what is taken");
        }
        Ok(())
    }

    /// A ULID of the handler's own is kept, so that it may recognise events by something else than ours.
    fn id(&mut self, fields: &mut Fields) {
        let said = |name: &str| fields.get(name).map(Value::to_string).unwrap_or_default();
        let own = self.ids.next(&[&said("identifiers"), &said("action"), &said("name")]);
        match fields.get("id") {
            Some(Value::String(id)) if ulid::is_one(id) => return,
            Some(_) => {
                self.correct(Corrected::Id, "the `id` of an event was no ULID and is ours now");
            }
            None => {}
        }
        let id = ulid::of(&own, self.event.occurred_at);
        fields.insert("id".to_owned(), Value::from(id));
    }

    fn timestamp(&mut self, fields: &mut Fields, seconds: i64) {
        let given = fields.get("timestamp");
        if given.and_then(Value::as_i64).is_some_and(|given| UNIX_SECONDS.contains(&given)) {
            return;
        }
        if given.is_some() {
            let text = "`timestamp` was not in seconds since 1970 and is the event's now";
            self.correct(Corrected::Timestamp, text);
        }
        fields.insert("timestamp".to_owned(), Value::from(seconds));
    }

    fn shorten(&mut self, fields: &mut Fields) {
        let Some(Value::Object(attributes)) = fields.get_mut("attributes") else { return };
        let mut cut = Vec::new();
        for (name, value) in attributes {
            if let Value::String(text) = value
                && text.len() > ATTRIBUTE_VALUE_LIMIT
            {
                text.truncate(text.floor_char_boundary(ATTRIBUTE_VALUE_LIMIT));
                cut.push(format!("`attributes.{name}` was cut to {ATTRIBUTE_VALUE_LIMIT} bytes"));
            }
        }
        for text in cut {
            self.correct(Corrected::Length, text);
        }
    }
}
