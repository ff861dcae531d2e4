//! What transformation code makes of a webhook. A message is the webhook's body; its head says whose destination it is
//! (`!destination`) and which event of the webhook is told (`!ordinal`). The code is the same each time and returns what
//! the body says under `changes`, so that what is returned may be anything; `script/tests/random.rs` has any code.

use std::fmt::Debug;

use deliver::destinations::customerio::{self, CustomerIo};
use deliver::destinations::intercom::{self, Intercom};
use deliver::destinations::webhook::Webhook;
use deliver::destinations::{
    Anonymous, Audience, Destination, Elsewhere, Identity, Method, Names, Plan, Request, Verdict,
};
use deliver::failure::Reason;
use deliver::preview::{Rehearse, Untold};
use deliver::transformation::{Counts, Handler, Handlers, Reach, Transformable, Transformed};
use schemas::samples::full_event;
use schemas::{Environment, LifecycleEvent};
use script::{Limits, Script};
use serde_json::Value;

use crate::input::{Message, messages};
use crate::promise::{discreet_in_logs, keep, ok, some};

const CODE: &str = "function handler(webhook) {
  const { changes } = webhook.payload;
  console.log(JSON.stringify(changes));
  const changed = (one) => Object(one) === one && !Array.isArray(one) ? { ...webhook, ...one } : one;
  return Array.isArray(changes) ? changes.map(changed) : changed(changes);
}";

const OWN: &str = "own.example.com";
const ALLOWED: &str = "https://hooks.example.com";

/// Documented limits of the Track API.
const LONGEST_OPERATION: usize = 32_000;
const LONGEST_NAME: usize = 100;
const LONGEST_BATCH: usize = 500_000;

pub(super) fn check(input: &[u8]) {
    for message in messages(input, 4) {
        match message.said("destination") {
            Some("intercom") => {
                let deleted = intercom::OnCustomerDeleted::Archive;
                told(Intercom::new(audience(), Names::default(), deleted), &message, contact);
            }
            Some("webhook") => {
                let (audience, names, path) = (audience(), Names::default(), "/in".to_owned());
                told(Webhook { audience, names, path }, &message, |_| {});
            }
            _ => {
                let (audience, names) = (audience(), Names::default());
                let on_customer_deleted = customerio::OnCustomerDeleted::Suppress;
                let workspace = CustomerIo { audience, names, on_customer_deleted };
                told(workspace, &message, batch);
            }
        }
    }
}

fn audience() -> Audience {
    Audience {
        identify_by: vec![Identity::UserId],
        anonymous: Anonymous::Skip,
        environments: vec![Environment::Production],
    }
}

/// The event is sent, not sent, or parked for what the code returned; and the same when it is told again.
fn told<D>(inner: D, message: &Message<'_>, own: fn(&Request))
where
    D: Transformable,
    D::Delivery: Debug,
{
    let script = ok(Script::read("fixed.js", CODE, Limits::default()), "the code can be read");
    let handlers = Handlers { all: Some(Handler::here(script).into()), ..Handlers::default() };
    let reach = Reach {
        url: format!("https://{OWN}/in"),
        path: "/in".to_owned(),
        own: vec![OWN.to_owned()],
        allowed: vec!["hooks.example.com".to_owned()],
    };
    let to = Transformed::new(inner, handlers, reach, Counts::default());
    let ordinal = message.number("ordinal").and_then(|ordinal| i32::try_from(ordinal).ok());
    let payload = Some(message.body.to_vec());
    let event = LifecycleEvent { ordinal: ordinal.unwrap_or_default(), payload, ..full_event() };
    let considered = to.consider(&event);
    discreet_in_logs(&considered);
    if let Plan::End(verdict) = &considered.plan {
        parked(verdict);
    }
    let requests = || {
        // A contact that was met before is not looked for again.
        to.forget();
        to.requests(&event)
    };
    let (first, again) = (requests(), requests());
    match (first, again) {
        (Ok(first), Ok(again)) => {
            keep(first == again, "a repetition is the same to the byte");
            for request in &first {
                discreet_in_logs(request);
                sound(request, own);
            }
        }
        (Err(Untold::Skip(first)), Err(Untold::Skip(again))) => {
            keep(first == again, "what is skipped is skipped again");
        }
        (Err(Untold::End(first)), Err(Untold::End(again))) => {
            keep(first == again, "what is parked is parked again");
        }
        (first, again) => {
            drop((first, again));
            keep(false, "a repetition ends as the first");
        }
    }
}

fn parked(verdict: &Verdict) {
    match verdict {
        Verdict::Park(failure) => keep(
            [Reason::TransformationFailed, Reason::TooLarge].contains(&failure.reason),
            "an event is parked for what the code did",
        ),
        Verdict::Delivered
        | Verdict::DeliveredWithoutAttributes(_)
        | Verdict::Outdated
        | Verdict::Retry(_)
        | Verdict::Pause { .. } => keep(false, "nothing else becomes of it before it is sent"),
    }
}

/// A request goes to the destination or to the host that is allowed.
fn sound(request: &Request, own: fn(&Request)) {
    keep(request.path.starts_with('/'), "a path is one");
    keep(!request.path.bytes().any(|byte| byte <= b' ' || byte == b'#'), "and nothing behind it");
    match &request.elsewhere {
        None => own(request),
        Some(Elsewhere { origin, headers }) => {
            keep(origin == ALLOWED, "no other host is called");
            keep(request.message_id.is_some(), "another host can recognise a repetition");
            let taken = ["authorization-of-ours", "host", "idempotency-key", "content-length"];
            let is_ours = |name: &str| taken.contains(&name);
            keep(!headers.iter().any(|(name, _)| is_ours(name)), "what is ours to say is ours");
            let is_line = |text: &str| text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
            keep(
                headers.iter().all(|(_, value)| is_line(value)),
                "nothing of a header becomes another",
            );
        }
    }
}

/// Operations that the Track API takes, each of which a repetition repeats.
fn batch(request: &Request) {
    keep(request.method == Method::Post && request.path == "/api/v2/batch", "one kind of request");
    let body = request.body.as_deref().unwrap_or_default();
    keep(body.len() <= LONGEST_BATCH, "a batch is not too long");
    let body: Value = ok(serde_json::from_slice(body), "a batch is JSON");
    for operation in some(body["batch"].as_array(), "a batch has operations") {
        keep(operation.to_string().len() <= LONGEST_OPERATION, "no operation is too long");
        keep(operation["type"] == "person", "an operation is on a person");
        let one = operation["identifiers"].as_object().is_some_and(|all| {
            all.len() == 1 && all.values().all(|id| id.as_str().is_some_and(|id| !id.is_empty()))
        });
        keep(one || operation["action"] == "merge", "a person is said in one way");
        if operation["action"] == "event" {
            keep(operation["id"].as_str().is_some_and(|id| id.len() == 26), "an event has an id");
            keep(operation["timestamp"].is_i64(), "an event has a time");
            let name = operation["name"].as_str().unwrap_or_default();
            keep((1..=LONGEST_NAME).contains(&name.len()), "an event has a name");
        }
    }
}

/// Requests of which a repetition shows nothing twice.
fn contact(request: &Request) {
    let path = request.path.as_str();
    let is_known = match request.method {
        Method::Get => path.starts_with("/contacts"),
        Method::Post => ["/events", "/contacts", "/contacts/search"].contains(&path),
        Method::Put => path.strip_prefix("/contacts/").is_some_and(|id| !id.contains('/')),
    };
    keep(is_known, "requests that are known to be harmless twice");
}
