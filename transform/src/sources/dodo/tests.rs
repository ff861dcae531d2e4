//! Stories of Dodo's events, told to the mapping one after the other.

mod properties;
mod reading;
mod subscription;

use serde_json::{Value, json};

use super::super::fold::Story;
use super::Dodo;

const SUBSCRIPTION: &str = include_str!("fixtures/subscription.json");
const PAYMENT: &str = include_str!("fixtures/payment.json");
const REFUND: &str = include_str!("fixtures/refund.json");
const DISPUTE: &str = include_str!("fixtures/dispute.json");
const GRANT: &str = include_str!("fixtures/grant.json");
const CHECKOUT: &str = include_str!("fixtures/checkout.json");
const FIXTURES: [&str; 6] = [SUBSCRIPTION, PAYMENT, REFUND, DISPUTE, GRANT, CHECKOUT];

fn story() -> Story {
    Story::new(&Dodo, "cus_Keel")
}

/// A fixture whose data are changed in these fields.
fn event(fixture: &str, data: &Value) -> Value {
    let mut event: Value = serde_json::from_str(fixture).unwrap();
    for (name, value) in data.as_object().unwrap() {
        event["data"][name] = value.clone();
    }
    event
}

/// A subscription event of a day in May 2026.
fn on(day: u32, data: &Value) -> Value {
    let mut event = event(SUBSCRIPTION, data);
    event["timestamp"] = json!(format!("2026-05-{day:02}T12:00:00Z"));
    event
}
