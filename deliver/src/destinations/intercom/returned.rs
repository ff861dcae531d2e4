//! Calls of Intercom's API that a handler makes: those of which a repetition shows nothing twice.
//!
//! An event is recognised by contact, name and second, so that it is given the second that our event has for itself;
//! two of the same name would be one. A contact is updated by its id at Intercom. What the mapping tells goes first,
//! because it makes the contact; then the calls, in their order. Everything else (creating contacts, tags,
//! conversations) would be doubled by a retry, or needs what only the mapping knows: let the mapping tell the event as
//! well, which makes the contact.

use std::ops::RangeInclusive;

use schemas::LifecycleEvent;
use serde_json::Value;

use super::{Intercom, Message};
use crate::destinations::{Audience, Destination, Method, Plan, Request};
use crate::failure::{Failure, Reason};
use crate::transformation::{Corrected, Correction, OwnCall, Told, Transformable, Understood};

impl Transformable for Intercom {
    fn audience(&self) -> &Audience {
        &self.audience
    }

    fn understand(
        &self,
        event: &LifecycleEvent,
        told: Vec<Told>,
    ) -> Result<Understood<Message>, Failure> {
        let mut understood = Understood::nothing();
        let wrong = |text: String| Failure::new(Reason::TransformationFailed, text);
        for one in told {
            match one {
                Told::AsMapped => match self.plan(event) {
                    Plan::Send(message) => understood.delivery = Some(message),
                    Plan::Skip(skip) => understood.skipped = Some(skip),
                    Plan::End(_) => {}
                },
                Told::Call(call) => {
                    let request =
                        request(event, call, &mut understood.corrections).map_err(wrong)?;
                    if is_event(&request)
                        && understood.calls.iter().any(|one| is_same(one, &request))
                    {
                        return Err(wrong(TWICE.to_owned()));
                    }
                    understood.calls.push(request);
                }
            }
        }
        let is_mapped = |message: &Message| {
            understood.calls.iter().any(|request| is_told(message, event, request))
        };
        if understood.delivery.as_ref().is_some_and(is_mapped) {
            return Err(wrong(TWICE.to_owned()));
        }
        Ok(understood)
    }
}

/// Why two events cannot both be told.
const TWICE: &str =
    "two events have the same contact, `event_name` and `created_at`, which are one to Intercom";

/// Unix seconds have ten digits from 2001 to 2286.
const UNIX_SECONDS: RangeInclusive<i64> = 1_000_000_000..=9_999_999_999;

/// What an event is recognised by.
const RECOGNISED_BY: [&str; 6] =
    ["event_name", "created_at", "id", "user_id", "email", "intercom_user_id"];

fn is_event(request: &Request) -> bool {
    request.path == "/events"
}

fn body(request: &Request) -> Value {
    let body = request.body.as_deref().unwrap_or_default();
    serde_json::from_slice(body).unwrap_or_default()
}

fn is_same(one: &Request, other: &Request) -> bool {
    let (left, right) = (body(one), body(other));
    is_event(one) && RECOGNISED_BY.iter().all(|name| left.get(name) == right.get(name))
}

/// Whether a call is the event that the mapping tells of the person.
fn is_told(message: &Message, event: &LifecycleEvent, call: &Request) -> bool {
    let (Some(told), said) = (&message.event, body(call)) else { return false };
    let is_same = |name: &str| told.get(name) == said.get(name);
    let person = &event.subscriber;
    let names = |name: &str, known: Option<&str>| {
        known.is_some() && said.get(name).and_then(Value::as_str) == known
    };
    let is_person =
        names("user_id", person.user_id.as_deref()) || names("email", person.email.as_deref());
    is_event(call) && is_same("event_name") && is_same("created_at") && is_person
}

fn request(
    event: &LifecycleEvent,
    call: OwnCall,
    corrections: &mut Vec<Correction>,
) -> Result<Request, String> {
    let OwnCall { method, path, payload } = call;
    match (method, &*path, payload) {
        (Method::Post, "/events", Value::Object(mut fields)) => {
            if !fields.get("event_name").is_some_and(Value::is_string) {
                return Err("an event has no `event_name`".to_owned());
            }
            let second = fields.get("created_at").and_then(Value::as_i64);
            if !second.is_some_and(|second| UNIX_SECONDS.contains(&second)) {
                if fields.contains_key("created_at") {
                    let text = "`created_at` was not in seconds since 1970 and is the event's now";
                    corrections.push(Correction::new(Corrected::Timestamp, text));
                }
                fields.insert("created_at".to_owned(), Value::from(event.distinct_second));
            }
            Ok(Request::post("/events", &Value::Object(fields)))
        }
        (Method::Put, contact, payload @ Value::Object(_)) if is_contact(contact) => {
            Ok(Request::put(contact, &payload))
        }
        (Method::Get | Method::Post | Method::Put, _, _) => Err(
            "of Intercom's API only POST to /events and PUT to /contacts/<id> are understood here"
                .to_owned(),
        ),
    }
}

fn is_contact(path: &str) -> bool {
    let id = path.strip_prefix("/contacts/").unwrap_or_default();
    !id.is_empty() && id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

#[cfg(test)]
mod tests {
    use schemas::{Environment, EventType};
    use serde_json::json;

    use super::*;
    use crate::destinations::intercom::OnCustomerDeleted;
    use crate::destinations::{Anonymous, Identity, Names, samples};

    fn understood(payloads: &[Value]) -> Result<Understood<Message>, Failure> {
        let call = |payload: &Value| {
            let (method, path) = (Method::Post, "/events".to_owned());
            Told::Call(OwnCall { method, path, payload: payload.clone() })
        };
        understand(payloads.iter().map(call).collect())
    }

    fn understand(told: Vec<Told>) -> Result<Understood<Message>, Failure> {
        let audience = Audience {
            identify_by: vec![Identity::UserId],
            anonymous: Anonymous::Skip,
            environments: vec![Environment::Production],
        };
        let workspace = Intercom::new(audience, Names::default(), OnCustomerDeleted::Archive);
        workspace.understand(&samples::event(EventType::TransactionProcessed), told)
    }

    #[test]
    fn an_event_that_the_mapping_tells_as_well_is_refused() {
        let with = |name: &str, person: &str| {
            let payload = json!({"event_name": name, "user_id": person});
            let (method, path) = (Method::Post, "/events".to_owned());
            understand(vec![Told::AsMapped, Told::Call(OwnCall { method, path, payload })])
        };
        assert_eq!(with("transaction_processed", "u_42").unwrap_err().message, TWICE);
        assert!(with("transaction_processed", "another").is_ok());
        assert!(with("Paid", "u_42").is_ok());
    }

    #[test]
    fn events_that_are_one_to_intercom_are_refused() {
        let event = |name: &str, person: &str| json!({"event_name": name, "user_id": person});
        let failure = understood(&[event("a", "u"), event("b", "u"), event("a", "u")]).unwrap_err();
        assert_eq!(failure.message, TWICE);
        let told = understood(&[event("a", "u"), event("a", "v"), event("b", "u")]).unwrap();
        assert_eq!(told.calls.len(), 3);
    }

    #[test]
    fn a_time_in_milliseconds_is_replaced() {
        let told = understood(&[
            json!({"event_name": "a", "created_at": 1_780_000_000_123_i64}),
            json!({"event_name": "b", "created_at": 1_780_000_000}),
        ]);
        let told = told.unwrap();
        let what: Vec<_> = told.corrections.iter().map(|correction| correction.what).collect();
        assert_eq!(what, [Corrected::Timestamp]);
    }
}
