//! Stories of Stripe's events, told to the mapping one after the other.

mod money;
mod properties;
mod reading;
mod subscription;

use serde_json::{Value, json};

use super::super::fold::Story;
use super::Stripe;

const SUBSCRIPTION: &str = include_str!("fixtures/subscription.json");
const SUBSCRIPTION_BEFORE_BASIL: &str = include_str!("fixtures/subscription_before_basil.json");
const INVOICE: &str = include_str!("fixtures/invoice.json");
const INVOICE_BEFORE_BASIL: &str = include_str!("fixtures/invoice_before_basil.json");
const CUSTOMER: &str = include_str!("fixtures/customer.json");
const CHARGE: &str = include_str!("fixtures/charge.json");
const REFUND: &str = include_str!("fixtures/refund.json");
const DISPUTE: &str = include_str!("fixtures/dispute.json");
const CHECKOUT: &str = include_str!("fixtures/checkout.json");
const SCHEDULE: &str = include_str!("fixtures/schedule.json");
const THIN: &str = include_str!("fixtures/thin.json");
const FIXTURES: [&str; 11] = [
    SUBSCRIPTION,
    SUBSCRIPTION_BEFORE_BASIL,
    INVOICE,
    INVOICE_BEFORE_BASIL,
    CUSTOMER,
    CHARGE,
    REFUND,
    DISPUTE,
    CHECKOUT,
    SCHEDULE,
    THIN,
];

fn story() -> Story {
    Story::new(&Stripe, "cus_Harbor")
}

/// A fixture whose object is changed in these fields (null stays null).
fn event(fixture: &str, object: &Value) -> Value {
    let mut event: Value = serde_json::from_str(fixture).unwrap();
    lay_over(&mut event["data"]["object"], object);
    event
}

/// The same at another time, with what it says was before.
fn update(at: i64, object: &Value, previous: &Value) -> Value {
    let mut event = event(SUBSCRIPTION, object);
    event["created"] = json!(at);
    event["data"]["previous_attributes"] = previous.clone();
    event
}

/// A subscription event that says nothing of before.
fn shown(at: i64, object: &Value) -> Value {
    let mut event = event(SUBSCRIPTION, object);
    event["created"] = json!(at);
    event
}

fn invoice(at: i64, object: &Value) -> Value {
    let mut event = event(INVOICE, object);
    event["created"] = json!(at);
    event
}

fn items(price: &str, amount: i64, interval: &str, quantity: i64) -> Value {
    json!({"data": [{
        "id": "si_Harbor", "quantity": quantity,
        "current_period_start": 1_770_000_000, "current_period_end": 1_772_419_200,
        "price": {"id": price, "currency": "eur", "product": format!("prod_of_{price}"),
            "unit_amount": amount, "recurring": {"interval": interval, "interval_count": 1}}
    }]})
}

fn lay_over(value: &mut Value, patch: &Value) {
    match (value, patch) {
        (Value::Object(value), Value::Object(patch)) => {
            for (name, patch) in patch {
                lay_over(value.entry(name.clone()).or_insert(Value::Null), patch);
            }
        }
        (value, patch) => *value = patch.clone(),
    }
}

const T: i64 = 1_770_000_000;
const CREATED: &str = "customer.subscription.created";
const UPDATED: &str = "customer.subscription.updated";
const DELETED: &str = "customer.subscription.deleted";
