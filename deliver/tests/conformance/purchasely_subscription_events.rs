//! Purchasely's page "Subscription events": the full list, which is "also broadcast" to its integrations.

use schemas::Provider;
use serde_json::{Value, json};

use crate::purchasely_at_customerio::webhook;
use crate::stage::{AtCustomerio, Setting, Webhooks};
use deliver::destinations::Change;

const AT: i64 = 1_780_000_000_000;

/// The list, section by section.
const LISTED: [&str; 35] = [
    "SUBSCRIPTION_STARTED",
    "TRIAL_STARTED",
    "INTRO_OFFER_STARTED",
    "PROMO_CODE_STARTED",
    "TRIAL_CONVERTED",
    "INTRO_OFFER_CONVERTED",
    "PROMO_CODE_CONVERTED",
    "TRIAL_NOT_CONVERTED",
    "INTRO_OFFER_NOT_CONVERTED",
    "PROMO_CODE_NOT_CONVERTED",
    "SUBSCRIPTION_CROSSGRADED",
    "SUBSCRIPTION_DOWNGRADED",
    "SUBSCRIPTION_UPGRADED",
    "SUBSCRIPTION_RENEWED",
    "SUBSCRIPTION_DEFERRED",
    "RENEWAL_DISABLED",
    "RENEWAL_ENABLED",
    "SUBSCRIPTION_TERMINATED",
    "FAMILY_SHARED_REVOKED",
    "SUBSCRIPTION_REACTIVATED",
    "TRANSACTION_PROCESSED",
    "GRACE_PERIOD_STARTED",
    "GRACE_PERIOD_TERMINATED",
    "ENTERED_BILLING_RETRY",
    "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD",
    "SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD",
    "SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY",
    "SUBSCRIPTION_WILL_PAUSE",
    "SUBSCRIPTION_PAUSED",
    "SUBSCRIPTION_UNPAUSED",
    "SUBSCRIPTION_CANCELLED_DURING_PAUSE",
    "SUBSCRIPTION_WILL_NOT_PAUSE",
    "SUBSCRIPTION_TRANSFERRED",
    "SUBSCRIPTION_RECEIVED",
    "SUBSCRIPTION_REFUNDED_REVOKED",
];

/// And of purchases that do not renew.
const ONE_TIME: [&str; 2] = ["ONE_TIME_PURCHASE_TRANSFERRED", "ONE_TIME_PURCHASE_RECEIVED"];

fn different(event_name: &str) -> Value {
    match event_name {
        "SUBSCRIPTION_TRANSFERRED" => json!({"transferred_to_user_id": "u_grace"}),
        "SUBSCRIPTION_RECEIVED" => json!({"transferred_from_user_id": "u_grace"}),
        "TRANSACTION_PROCESSED" => {
            json!({"amount_in_customer_currency": 9.99, "source_event_name": "SUBSCRIPTION_RENEWED"})
        }
        name if ONE_TIME.contains(&name) => json!({
            "purchase_type": "NON_CONSUMABLE",
            "purchasely_subscription_id": null,
            "purchasely_one_time_purchase_id": "otp_1",
            "subscription_status": null,
            "transferred_from_user_id": "u_grace"
        }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn every_listed_event_is_sent_once_under_its_own_name() {
    let destination = AtCustomerio::with(&Setting::default()).await;
    for event_name in LISTED.into_iter().chain(ONE_TIME) {
        let mut purchasely = Webhooks::of(Provider::Purchasely);
        let body = webhook(event_name, AT, &different(event_name));
        let user = format!("u_{}", event_name.to_lowercase());
        let mut events = purchasely.events(&user, event_name, &body);
        for event in &mut events {
            event.subscriber.user_id = Some(user.clone());
            event.event_id = format!("{event_name}-{}", event.ordinal);
        }
        let (items, skipped) = destination.get(&events).await;
        assert!(skipped.is_empty(), "{event_name}");
        let names: Vec<_> = items.iter().filter_map(|item| item["name"].as_str()).collect();
        // The page about Customer.io calls the end of a subscription otherwise, and it counts there.
        let expected = match event_name {
            "SUBSCRIPTION_TERMINATED" => "SUBSCRIPTION_EXPIRED",
            name => name,
        };
        assert_eq!(names, [expected]);
    }
}

#[tokio::test]
async fn a_free_extension_says_when_it_ends_as_the_list_names_it() {
    let mut purchasely = Webhooks::of(Provider::Purchasely);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let longer = json!({"defer_end_at_ms": AT + 864_000_000});
    let body = webhook("SUBSCRIPTION_DEFERRED", AT, &longer);
    let events = purchasely.events("u_ada", "SUBSCRIPTION_DEFERRED", &body);
    let (items, _) = destination.get(&events).await;
    assert_eq!(items[1]["attributes"]["defer_end_at"], "2026-06-07T20:26:40.000Z");
}

/// "A positive balance (initial payment, renewal) or negative (refund)."
#[tokio::test]
async fn a_transaction_says_what_moved_with_its_sign_and_what_was_spent_in_all() {
    let mut purchasely = Webhooks::of(Provider::Purchasely);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let mut moved = Vec::new();
    for (place, (amount, cause)) in
        [(9.99, "SUBSCRIPTION_RENEWED"), (-9.99, "SUBSCRIPTION_REFUNDED_REVOKED")]
            .into_iter()
            .enumerate()
    {
        let money = json!({"amount_in_customer_currency": amount, "source_event_name": cause});
        let at = AT + i64::try_from(place).unwrap() * 60_000;
        let body = webhook("TRANSACTION_PROCESSED", at, &money);
        let events = purchasely.events("u_ada", "TRANSACTION_PROCESSED", &body);
        let (items, _) = destination.get(&events).await;
        let said = &items[1]["attributes"];
        moved.push((said["amount"].to_string(), said["total_spent"].to_string()));
    }
    let expected = [("9.99", "9.99"), ("-9.99", "0.00")];
    assert_eq!(moved, expected.map(|(amount, total)| (amount.to_owned(), total.to_owned())));
}

/// The list tells them apart from what switches access, which it calls transactional.
#[tokio::test]
async fn what_switches_access_is_sent_only_to_whoever_asks() {
    let asking = Setting { events: vec![("ACTIVATE", Change::On)], ..Setting::default() };
    for (setting, expected) in [(Setting::default(), None), (asking, Some(json!("ACTIVATE")))] {
        let mut purchasely = Webhooks::of(Provider::Purchasely);
        let destination = AtCustomerio::with(&setting).await;
        let body = webhook("ACTIVATE", AT, &json!({}));
        let (items, _) = destination.get(&purchasely.events("u_ada", "ACTIVATE", &body)).await;
        assert_eq!(items.get(1).map(|item| item["name"].clone()), expected);
    }
}
