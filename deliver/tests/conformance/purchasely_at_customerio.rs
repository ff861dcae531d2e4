//! Purchasely's page "Customer.io": ten events by name, each of which can be switched on and renamed, as
//! can the attributes of the user.

use deliver::destinations::Change;
use schemas::Provider;
use serde_json::{Value, json};

use crate::stage::{AtCustomerio, Setting, Webhooks};

const AT: i64 = 1_780_000_000_000;

/// A webhook about a monthly plan, with what is different about it.
pub(crate) fn webhook(event_name: &str, at: i64, different: &Value) -> Value {
    let mut body = json!({
        "api_version": 3,
        "event_name": event_name,
        "event_id": format!("{event_name}-{at}"),
        "event_created_at_ms": at,
        "user_id": "u_ada",
        "environment": "PRODUCTION",
        "store": "APPLE_APP_STORE",
        "product": "PLUS",
        "plan": "plus_monthly",
        "store_product_id": "com.example.plus.monthly",
        "purchasely_subscription_id": "subs_1",
        "store_transaction_id": "t_2",
        "store_original_transaction_id": "t_1",
        "purchase_type": "RENEWING_SUBSCRIPTION",
        "offer_type": "NONE",
        "subscription_status": "AUTO_RENEWING",
        "purchased_at_ms": AT,
        "original_purchased_at_ms": AT,
        "next_renewal_at_ms": AT + 2_592_000_000_i64,
        "effective_next_renewal_at_ms": AT + 2_592_000_000_i64,
        "customer_currency": "EUR",
        "plan_price_in_customer_currency": 9.99
    });
    for (key, value) in different.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn each_event_of_purchaselys_page_arrives_under_its_name_there() {
    let free = json!({"offer_type": "FREE_TRIAL"});
    let over = json!({"subscription_status": "DEACTIVATED"});
    let off = json!({"subscription_status": "AUTO_RENEWING_CANCELED"});
    let events = [
        ("SUBSCRIPTION_STARTED", "SUBSCRIPTION_STARTED", json!({}), "active"),
        ("SUBSCRIPTION_RENEWED", "SUBSCRIPTION_RENEWED", json!({}), "active"),
        ("SUBSCRIPTION_TERMINATED", "SUBSCRIPTION_EXPIRED", over.clone(), "expired"),
        ("SUBSCRIPTION_EXPIRED", "SUBSCRIPTION_EXPIRED", over, "expired"),
        ("SUBSCRIPTION_REACTIVATED", "SUBSCRIPTION_REACTIVATED", json!({}), "active"),
        (
            "SUBSCRIPTION_REFUNDED_REVOKED",
            "SUBSCRIPTION_REFUNDED_REVOKED",
            json!({"subscription_status": "REVOKED"}),
            "expired",
        ),
        ("RENEWAL_DISABLED", "RENEWAL_DISABLED", off, "cancelled"),
        ("RENEWAL_ENABLED", "RENEWAL_ENABLED", json!({}), "active"),
        ("TRIAL_STARTED", "TRIAL_STARTED", free.clone(), "trial"),
        ("TRIAL_CONVERTED", "TRIAL_CONVERTED", json!({}), "active"),
        (
            "TRIAL_NOT_CONVERTED",
            "TRIAL_NOT_CONVERTED",
            json!({"offer_type": "FREE_TRIAL", "subscription_status": "DEACTIVATED"}),
            "expired",
        ),
    ];
    for (event_name, name, different, status) in events {
        let mut purchasely = Webhooks::of(Provider::Purchasely);
        let destination = AtCustomerio::with(&Setting::default()).await;
        let body = webhook(event_name, AT, &different);
        let (items, skipped) =
            destination.get(&purchasely.events("u_ada", event_name, &body)).await;
        assert!(skipped.is_empty(), "{event_name}");
        assert_eq!(items.len(), 2, "{event_name}: an identify and the event");
        let person = json!({"id": "u_ada"});
        assert_eq!((&items[0]["action"], &items[0]["identifiers"]), (&json!("identify"), &person));
        let shown = &items[0]["attributes"];
        assert_eq!(shown["subscription_status"], status, "{event_name}");
        assert_eq!(
            (&shown["product_id"], &shown["plan_id"]),
            (&json!("PLUS"), &json!("plus_monthly"))
        );
        assert_eq!(shown["expires_at"], (AT + 2_592_000_000) / 1_000);
        assert_eq!((&items[1]["action"], &items[1]["identifiers"]), (&json!("event"), &person));
        assert_eq!((&items[1]["name"], &items[1]["timestamp"]), (&json!(name), &json!(AT / 1_000)));
        assert_eq!(items[1]["attributes"]["provider_event_type"], event_name);
    }
}

/// The page explains a start also as "a regular purchase of a consumable product".
#[tokio::test]
async fn a_consumable_that_is_bought_is_a_start_as_well() {
    let mut purchasely = Webhooks::of(Provider::Purchasely);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let consumable = json!({
        "purchase_type": "CONSUMABLE",
        "purchasely_subscription_id": null,
        "purchasely_one_time_purchase_id": "otp_1",
        "subscription_status": null
    });
    let body = webhook("SUBSCRIPTION_STARTED", AT, &consumable);
    let events = purchasely.events("u_ada", "SUBSCRIPTION_STARTED", &body);
    let (items, _) = destination.get(&events).await;
    assert_eq!(items[1]["name"], "SUBSCRIPTION_STARTED");
    assert_eq!(items[1]["attributes"]["type"], "purchase_completed");
}

#[tokio::test]
async fn events_and_attributes_can_be_switched_off_and_renamed() {
    let renamed = |name: &str| Change::Renamed(name.to_owned());
    let setting = Setting {
        events: vec![
            ("SUBSCRIPTION_STARTED", renamed("Became a member")),
            ("SUBSCRIPTION_RENEWED", renamed("")),
            ("SUBSCRIPTION_EXPIRED", Change::Off),
        ],
        attributes: vec![("plan_id", renamed("plan")), ("store", Change::Off)],
        ..Setting::default()
    };
    let mut purchasely = Webhooks::of(Provider::Purchasely);
    let destination = AtCustomerio::with(&setting).await;
    let mut got = Vec::new();
    for (place, event_name) in
        ["SUBSCRIPTION_STARTED", "SUBSCRIPTION_RENEWED", "SUBSCRIPTION_TERMINATED"]
            .into_iter()
            .enumerate()
    {
        let body = webhook(event_name, AT + i64::try_from(place).unwrap() * 60_000, &json!({}));
        let (items, skipped) =
            destination.get(&purchasely.events("u_ada", event_name, &body)).await;
        for item in &items {
            let said = &item["attributes"];
            assert_eq!(said["plan"], "plus_monthly");
            assert!(said.get("plan_id").is_none() && said.get("store").is_none());
        }
        got.push((items.get(1).map(|item| item["name"].clone()), skipped));
    }
    let none = Vec::<&str>::new;
    assert_eq!(
        got,
        [
            (Some(json!("Became a member")), none()),
            (Some(json!("SUBSCRIPTION_RENEWED")), none()),
            (None, vec!["disabled"]),
        ]
    );
}
