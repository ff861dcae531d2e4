//! Handlers of the shape that integrations with transformation code are written in: they run as they are, and what they
//! return is taken by a Customer.io that refuses what the vendor refuses, once however often it is sent.

use deliver::destinations::Identity;
use deliver::transformation::{Counts, Handler, Handlers, Reach, Transformed};
use schemas::{LifecycleEvent, Provider};
use script::{Limits, Script};
use serde_json::{Value, json};

use crate::stage::{AtCustomerio, Setting, Webhooks};

const PAYMENTS: &str = include_str!("handlers/payments.js");
const SUBSCRIPTIONS: &str = include_str!("handlers/subscriptions.js");
const PEOPLE: &str = include_str!("handlers/people.js");

/// What a story in Dodo's webhooks comes to at the workspace, told twice.
async fn told(code: &str, story: &[Value]) -> Vec<Value> {
    let setting = Setting { identify_by: vec![Identity::ProviderId], ..Setting::default() };
    let workspace = AtCustomerio::with(&setting).await;
    let script = Script::read("handler.js", code, Limits::default()).unwrap();
    let handlers = Handlers { all: Some(Handler::here(script).into()), ..Handlers::default() };
    let reach = Reach {
        url: "https://track.customer.io/api/v2/entity".to_owned(),
        path: "/api/v2/entity".to_owned(),
        own: vec!["track.customer.io".to_owned()],
        allowed: Vec::new(),
    };
    let destination =
        Transformed::new(workspace.destination.clone(), handlers, reach, Counts::default());
    let mut webhooks = Webhooks::of(Provider::Dodo);
    let events = story.iter().flat_map(|body| {
        let event_type = body["type"].as_str().unwrap();
        let carries = |event| LifecycleEvent { payload: Some(body.to_string().into()), ..event };
        let events = webhooks.events("cus_Keel", event_type, body);
        events.into_iter().map(carries).collect::<Vec<_>>()
    });
    let events: Vec<_> = events.collect();
    let items = workspace.get_by(&destination, &events).await;
    assert_eq!(workspace.get_by(&destination, &events).await, items, "to the byte");
    items
}

fn payment() -> Value {
    let text = include_str!("../../../transform/src/sources/dodo/fixtures/payment.json");
    serde_json::from_str(text).unwrap()
}

fn subscription(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The names of events, or the actions of what is none, with the attributes.
fn shown(items: &[Value]) -> Vec<(&str, &Value)> {
    let shown = items.iter().map(|item| {
        let name = item["name"].as_str().or(item["action"].as_str());
        (name.unwrap_or_default(), &item["attributes"])
    });
    shown.collect()
}

#[tokio::test]
async fn a_payment_is_told_with_the_amount_that_the_handler_computed() {
    let items = told(PAYMENTS, &[payment()]).await;
    let attributes = json!({
        "email": "tove@example.org", "paid": "10.71", "method": "unknown", "currency": "EUR",
    });
    let introduced = json!({"email": "tove@example.org"});
    assert_eq!(shown(&items), [("identify", &introduced), ("Order Paid", &attributes)]);
    assert_eq!(items[1]["identifiers"], json!({"id": "cus_Keel"}));
}

#[tokio::test]
async fn the_life_of_a_subscription_is_told_by_the_switch_and_the_rest_as_without_it() {
    let story = [
        subscription(include_str!(
            "../../../transform/src/sources/dodo/fixtures/subscription.json"
        )),
        payment(),
        subscription(include_str!(
            "../../../transform/src/sources/dodo/fixtures/subscription_cancelled.json"
        )),
    ];
    let items = told(SUBSCRIPTIONS, &story).await;
    let names: Vec<_> = shown(&items).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.get(1), Some(&"Plan Began"), "{names:?}");
    assert_eq!(names.last(), Some(&"Plan Ended"), "{names:?}");
    assert!(names.len() > 4, "the payment between them is told by the mapping: {names:?}");
    assert_eq!(items[1]["attributes"]["price"], "9.00");
}

#[tokio::test]
async fn a_payer_is_brought_up_to_date() {
    let items = told(PEOPLE, &[payment()]).await;
    let attributes = json!({
        "email": "tove@example.org", "spent": "10.71", "seen_on": "2026-05-01T08:00:01Z",
    });
    assert_eq!(shown(&items), [("identify", &attributes)]);
}
