//! Calls of Intercom's API that a handler makes: those of which a repetition shows nothing twice.
//!
//! An event is recognised by contact, name and second, so that it is given the second that our event has for itself. A
//! contact is updated by its id at Intercom. Everything else (creating contacts, tags, conversations) would be doubled by
//! a retry, or needs what only the mapping knows: let the mapping tell the event as well, which makes the contact.

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
        for one in told {
            match one {
                Told::AsMapped => match self.plan(event) {
                    Plan::Send(message) => understood.delivery = Some(message),
                    Plan::Skip(skip) => understood.skipped = Some(skip),
                    Plan::End(_) => {}
                },
                Told::Call(call) => {
                    let request = request(event, call, &mut understood.corrections)
                        .map_err(|text| Failure::new(Reason::TransformationFailed, text))?;
                    understood.calls.push(request);
                }
            }
        }
        Ok(understood)
    }
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
            if !fields.get("created_at").is_some_and(Value::is_i64) {
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
