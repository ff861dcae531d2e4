//! RevenueCat's page "Customer.io": the names of its page on Intercom and two more, with more said, in
//! text where Intercom gets numbers, for the person that `$customerioId` names.

use deliver::destinations::Change;
use schemas::Provider;
use serde_json::{Value, json};

use crate::stage::{AtCustomerio, Setting, Webhooks};

const AT: i64 = 1_780_000_000_000;

fn event(event_type: &str, different: &Value) -> Value {
    let mut event = json!({
        "id": format!("{event_type}-1"),
        "type": event_type,
        "event_timestamp_ms": AT,
        "app_id": "app_weekly",
        "app_user_id": "u_ada",
        "original_app_user_id": "u_ada",
        "aliases": ["u_ada", "$RCAnonymousID:0f1e"],
        "product_id": "plus_weekly",
        "entitlement_ids": ["plus"],
        "period_type": "NORMAL",
        "purchased_at_ms": AT,
        "expiration_at_ms": AT + 604_800_000,
        "environment": "PRODUCTION",
        "store": "APP_STORE",
        "transaction_id": "101",
        "original_transaction_id": "100",
        "price": 3.99,
        "price_in_purchased_currency": 3.99,
        "currency": "USD",
        "offer_code": null
    });
    for (key, value) in different.as_object().unwrap() {
        event[key] = value.clone();
    }
    json!({"api_version": "1.0", "event": event})
}

#[tokio::test]
async fn a_purchase_is_sent_with_its_revenue_and_the_person_shows_its_status() {
    let mut revenuecat = Webhooks::of(Provider::Revenuecat);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let body = event("INITIAL_PURCHASE", &json!({}));
    let events = revenuecat.events("u_ada", "INITIAL_PURCHASE", &body);
    let (items, skipped) = destination.get(&events).await;
    assert_eq!(skipped, ["told_by_first"]);
    assert_eq!(
        items[0]["attributes"],
        json!({
            "aliases": ["$RCAnonymousID:0f1e"],
            "app_id": "app_weekly",
            "app_user_id": "u_ada",
            "entitlement_ids": ["plus"],
            "original_app_user_id": "u_ada",
            "rc_subscription_status": "active"
        })
    );
    assert_eq!(
        (&items[1]["name"], &items[1]["timestamp"]),
        (&json!("rc_initial_purchase_event"), &json!(AT / 1_000))
    );
    // Read anew, because an amount is written digit by digit and compared by its value.
    let said: Value = serde_json::from_str(&items[1]["attributes"].to_string()).unwrap();
    assert_eq!(said["revenue"].to_string(), "3.99");
    let mut said = said;
    said.as_object_mut().unwrap().remove("revenue");
    assert_eq!(
        said,
        json!({
            "aliases": ["$RCAnonymousID:0f1e"],
            "app_id": "app_weekly",
            "app_user_id": "u_ada",
            "currency": "USD",
            "entitlement_ids": ["plus"],
            "expiration_at": "2026-06-04T20:26:40Z",
            "offer_code": null,
            "original_app_user_id": "u_ada",
            "original_transaction_id": "100",
            "period_type": "NORMAL",
            "product_id": "plus_weekly",
            "purchased_at": "2026-05-28T20:26:40Z",
            "rc_subscription_status": "active",
            "store": "APP_STORE",
            "transaction_id": "101"
        })
    );
}

#[tokio::test]
async fn the_person_is_the_one_that_the_attribute_names() {
    let mut revenuecat = Webhooks::of(Provider::Revenuecat);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let named = json!({
        "subscriber_attributes": {"$customerioId": {"value": "person_7", "updated_at_ms": AT}}
    });
    let events = revenuecat.events("u_ada", "INITIAL_PURCHASE", &event("INITIAL_PURCHASE", &named));
    let (items, _) = destination.get(&events).await;
    assert!(items.iter().all(|item| item["identifiers"] == json!({"id": "person_7"})));
}

#[tokio::test]
async fn money_in_another_currency_has_no_revenue_and_a_reason_is_called_otherwise_than_at_intercom()
 {
    let mut revenuecat = Webhooks::of(Provider::Revenuecat);
    let on =
        ["rc_uncancellation_event", "rc_subscription_paused_event"].map(|name| (name, Change::On));
    let setting = Setting { events: on.to_vec(), ..Setting::default() };
    let destination = AtCustomerio::with(&setting).await;
    let mut said = Vec::new();
    for (event_type, different) in [
        ("INITIAL_PURCHASE", json!({"currency": "EUR"})),
        ("CANCELLATION", json!({"cancel_reason": "UNSUBSCRIBE"})),
        ("UNCANCELLATION", json!({})),
        ("SUBSCRIPTION_PAUSED", json!({"auto_resume_at_ms": AT + 9_000_000_000_i64})),
        ("EXPIRATION", json!({"expiration_reason": "UNSUBSCRIBE"})),
    ] {
        let events = revenuecat.events("u_ada", event_type, &event(event_type, &different));
        let (items, _) = destination.get(&events).await;
        let told = items.get(1).map(|item| {
            let attributes = &item["attributes"];
            assert!(attributes.get("revenue").is_none(), "not in US dollars");
            (item["name"].clone(), attributes.get("cancel_reason").cloned())
        });
        said.push(told);
    }
    let told = |name: &str, reason: Option<&str>| Some((json!(name), reason.map(|why| json!(why))));
    assert_eq!(
        said,
        [
            told("rc_initial_purchase_event", None),
            told("rc_cancellation_event", Some("UNSUBSCRIBE")),
            told("rc_uncancellation_event", None),
            told("rc_subscription_paused_event", None),
            None,
        ]
    );
}
