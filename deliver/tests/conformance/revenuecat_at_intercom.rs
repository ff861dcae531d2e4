//! RevenueCat's page "Intercom": ten events, four of them optional, sample requests for eight, and the
//! eleven values of `subscription_status`.

use deliver::destinations::{Anonymous, Change};
use schemas::{Environment, Provider};
use serde_json::{Value, json};

use crate::stage::{AtIntercom, Sent, Setting, Webhooks};

const ANONYMOUS: &str = "$RCAnonymousID:0f1e2d3c4b5a";
const PURCHASED_AT: i64 = 1_780_000_000_000;
const EXPIRES_AT: i64 = 1_780_604_800_000;

/// As the samples: RevenueCat sends also people nobody has named.
fn setting() -> Setting {
    let on = |name| (name, Change::On);
    Setting {
        anonymous: Anonymous::Send,
        events: vec![
            on("rc_non_subscription_purchase_event"),
            on("rc_expiration_event"),
            on("rc_billing_issue_event"),
            on("rc_product_change_event"),
        ],
        ..Setting::default()
    }
}

/// An event of a weekly subscription with what is different about it.
fn event(event_type: &str, at: i64, different: &Value) -> Value {
    let mut event = json!({
        "id": format!("{event_type}-{at}"),
        "type": event_type,
        "event_timestamp_ms": at,
        "app_id": "app_weekly",
        "app_user_id": ANONYMOUS,
        "original_app_user_id": ANONYMOUS,
        "aliases": [ANONYMOUS],
        "product_id": "plus_weekly",
        "entitlement_id": null,
        "entitlement_ids": ["plus"],
        "period_type": "NORMAL",
        "purchased_at_ms": PURCHASED_AT,
        "expiration_at_ms": EXPIRES_AT,
        "environment": "PRODUCTION",
        "store": "APP_STORE",
        "transaction_id": "100",
        "original_transaction_id": "100",
        "price": 0.0,
        "price_in_purchased_currency": 0.0,
        "currency": "EUR"
    });
    for (key, value) in different.as_object().unwrap() {
        event[key] = value.clone();
    }
    json!({"api_version": "1.0", "event": event})
}

/// What the page puts into `event_payload` and `user_payload`; the rest of its samples is RevenueCat's
/// own envelope around the two requests.
fn payloads(sent: &[Sent]) -> (Value, Value) {
    let recorded = sent.iter().find(|sent| sent.path == "/events").unwrap();
    let mut event_payload = recorded.body.clone();
    let contact = event_payload.as_object_mut().unwrap().remove("id").unwrap();
    assert!(contact.is_string(), "the contact is named by Intercom's own id");
    let mut user_payload = sent.iter().find(|sent| sent.path != "/events").unwrap().body.clone();
    let user = user_payload.as_object_mut().unwrap();
    user.remove("role");
    let custom = user["custom_attributes"].as_object_mut().unwrap();
    assert!(custom.remove("tributary_sequence_revenuecat").is_some(), "the guard of the order");
    (event_payload, user_payload)
}

fn metadata(more: &Value) -> Value {
    let mut metadata = json!({
        "app_id": "app_weekly",
        "entitlement": "plus",
        "environment": "production",
        "expires_at": EXPIRES_AT / 1_000,
        "product_identifier": "plus_weekly",
        "store": "APP_STORE"
    });
    for (key, value) in more.as_object().unwrap() {
        metadata[key] = value.clone();
    }
    metadata
}

fn attributes(status: &str) -> Value {
    json!({
        "latest_store": "APP_STORE",
        "latest_entitlement": "plus",
        "expires_at": EXPIRES_AT / 1_000,
        "subscription_status": status
    })
}

#[tokio::test]
async fn each_sample_of_revenuecats_page_is_sent_field_by_field() {
    let trial = json!({"period_type": "TRIAL"});
    let unsubscribed = json!({"cancel_reason": "UNSUBSCRIBE"});
    let trial_unsubscribed = json!({"period_type": "TRIAL", "cancel_reason": "UNSUBSCRIBE"});
    let converted = json!({"is_trial_conversion": true, "price_in_purchased_currency": 3.99});
    let expired = json!({"expiration_reason": "UNSUBSCRIBE"});
    let reason = |key: &str| json!({key: "UNSUBSCRIBE"});
    let before = ("INITIAL_PURCHASE", json!({"period_type": "NORMAL"}));
    let in_trial = ("INITIAL_PURCHASE", trial.clone());
    let samples = [
        (None, "INITIAL_PURCHASE", json!({}), "rc_initial_purchase_event", json!({}), "active"),
        (None, "INITIAL_PURCHASE", trial, "rc_trial_started_event", json!({}), "trial"),
        (Some(&in_trial), "RENEWAL", converted, "rc_trial_converted_event", json!({}), "active"),
        (
            Some(&in_trial),
            "CANCELLATION",
            trial_unsubscribed,
            "rc_trial_cancelled_event",
            reason("cancellation_reason"),
            "cancelled_trial",
        ),
        (Some(&before), "RENEWAL", json!({}), "rc_renewal_event", json!({}), "active"),
        (
            Some(&before),
            "CANCELLATION",
            unsubscribed,
            "rc_cancellation_event",
            reason("cancellation_reason"),
            "cancelled",
        ),
        (
            Some(&before),
            "EXPIRATION",
            expired,
            "rc_expiration_event",
            reason("expiration_reason"),
            "expired",
        ),
    ];
    for (before, event_type, different, name, more, status) in samples {
        let mut revenuecat = Webhooks::of(Provider::Revenuecat);
        let destination = AtIntercom::with(&setting(), Provider::Revenuecat).await;
        if let Some((event_type, different)) = before {
            let body = event(event_type, PURCHASED_AT, different);
            destination.get(&revenuecat.events(ANONYMOUS, event_type, &body)).await;
        }
        let at = PURCHASED_AT + 90_000;
        let body = event(event_type, at, &different);
        let events = revenuecat.events(ANONYMOUS, event_type, &body);
        let (sent, _) = destination.get(&events).await;
        let (event_payload, user_payload) = payloads(&sent);
        let expected = json!({
            "event_name": name,
            "created_at": at / 1_000,
            "metadata": metadata(&more)
        });
        assert_eq!(event_payload, expected, "{name}");
        assert_eq!(user_payload["custom_attributes"], attributes(status), "{name}");
        let contact = destination.emulator.person(ANONYMOUS).unwrap();
        assert_eq!(contact.id.as_deref(), Some(ANONYMOUS), "`user_id` of the samples");
    }
}

#[tokio::test]
async fn a_one_time_purchase_clears_what_the_page_shows_as_null() {
    let mut revenuecat = Webhooks::of(Provider::Revenuecat);
    let destination = AtIntercom::with(&setting(), Provider::Revenuecat).await;
    let tokens = json!({
        "product_id": "tokens_100",
        "entitlement_ids": null,
        "expiration_at_ms": null,
        "store": "PLAY_STORE",
        "price_in_purchased_currency": 4.99
    });
    let body = event("NON_RENEWING_PURCHASE", PURCHASED_AT, &tokens);
    let events = revenuecat.events(ANONYMOUS, "NON_RENEWING_PURCHASE", &body);
    let (event_payload, user_payload) = payloads(&destination.get(&events).await.0);
    // Metadata know no null at Intercom: what the sample shows so is left out.
    let metadata = json!({
        "app_id": "app_weekly",
        "environment": "production",
        "product_identifier": "tokens_100",
        "store": "PLAY_STORE"
    });
    assert_eq!(event_payload["event_name"], "rc_non_subscription_purchase_event");
    assert_eq!(event_payload["metadata"], metadata);
    assert_eq!(
        user_payload["custom_attributes"],
        json!({"latest_store": "PLAY_STORE", "latest_entitlement": null, "expires_at": null})
    );
}

#[tokio::test]
async fn billing_issues_and_product_changes_have_their_names_though_the_page_shows_no_sample() {
    let mut revenuecat = Webhooks::of(Provider::Revenuecat);
    let destination = AtIntercom::with(&setting(), Provider::Revenuecat).await;
    let bought = event("INITIAL_PURCHASE", PURCHASED_AT, &json!({}));
    destination.get(&revenuecat.events(ANONYMOUS, "INITIAL_PURCHASE", &bought)).await;
    for (event_type, different, name, status) in [
        (
            "BILLING_ISSUE",
            json!({"grace_period_expiration_at_ms": EXPIRES_AT + 9_000_000}),
            "rc_billing_issue_event",
            "grace_period",
        ),
        (
            "PRODUCT_CHANGE",
            json!({"new_product_id": "plus_yearly"}),
            "rc_product_change_event",
            "grace_period",
        ),
    ] {
        let body = event(event_type, PURCHASED_AT + 60_000, &different);
        let (sent, _) = destination.get(&revenuecat.events(ANONYMOUS, event_type, &body)).await;
        let (event_payload, user_payload) = payloads(&sent);
        assert_eq!(event_payload["event_name"], name);
        assert_eq!(event_payload["metadata"], metadata(&json!({})));
        assert_eq!(user_payload["custom_attributes"], attributes(status));
    }
}

#[tokio::test]
async fn optional_events_are_off_until_they_are_listed_and_leave_no_attributes_then() {
    let by_default = Setting { anonymous: Anonymous::Send, ..Setting::default() };
    let destination = AtIntercom::with(&by_default, Provider::Revenuecat).await;
    let mut revenuecat = Webhooks::of(Provider::Revenuecat);
    for (event_type, different) in [
        ("NON_RENEWING_PURCHASE", json!({"product_id": "tokens", "expiration_at_ms": null})),
        ("BILLING_ISSUE", json!({})),
        ("PRODUCT_CHANGE", json!({"new_product_id": "plus_yearly"})),
        ("EXPIRATION", json!({"expiration_reason": "UNSUBSCRIBE"})),
    ] {
        let body = event(event_type, PURCHASED_AT, &different);
        let events = revenuecat.events(ANONYMOUS, event_type, &body);
        let (sent, skipped) = destination.get(&events).await;
        assert_eq!((sent, skipped[0]), (Vec::new(), "disabled"), "{event_type}");
    }
    assert!(destination.emulator.people().is_empty());
}

#[tokio::test]
async fn what_has_no_name_on_the_page_is_not_sent_nor_what_its_table_denies_a_store() {
    let destination = AtIntercom::with(&setting(), Provider::Revenuecat).await;
    let granted = json!({"store": "PROMOTIONAL", "period_type": "PROMOTIONAL"});
    for (event_type, different) in [
        ("UNCANCELLATION", json!({})),
        ("SUBSCRIPTION_PAUSED", json!({"auto_resume_at_ms": EXPIRES_AT + 1})),
        ("SUBSCRIPTION_EXTENDED", json!({})),
        ("REFUND_REVERSED", json!({})),
        ("TEMPORARY_ENTITLEMENT_GRANT", json!({})),
        ("SUBSCRIBER_ALIAS", json!({})),
        ("INITIAL_PURCHASE", granted),
        ("PRODUCT_CHANGE", json!({"store": "AMAZON", "new_product_id": "plus_yearly"})),
    ] {
        let mut revenuecat = Webhooks::of(Provider::Revenuecat);
        let body = event(event_type, PURCHASED_AT, &different);
        let events = revenuecat.events(ANONYMOUS, event_type, &body);
        let (sent, skipped) = destination.get(&events).await;
        assert_eq!((sent, skipped[0]), (Vec::new(), "not_in_integration"), "{event_type}");
    }
}

#[tokio::test]
async fn a_failed_payment_that_cancels_keeps_its_reason() {
    let mut revenuecat = Webhooks::of(Provider::Revenuecat);
    let destination = AtIntercom::with(&setting(), Provider::Revenuecat).await;
    let bought = event("INITIAL_PURCHASE", PURCHASED_AT, &json!({}));
    destination.get(&revenuecat.events(ANONYMOUS, "INITIAL_PURCHASE", &bought)).await;
    let failed =
        event("CANCELLATION", PURCHASED_AT + 60_000, &json!({"cancel_reason": "BILLING_ERROR"}));
    let (sent, _) = destination.get(&revenuecat.events(ANONYMOUS, "CANCELLATION", &failed)).await;
    let (event_payload, _) = payloads(&sent);
    assert_eq!(event_payload["event_name"], "rc_cancellation_event");
    assert_eq!(event_payload["metadata"]["cancellation_reason"], "BILLING_ERROR");
}

#[tokio::test]
async fn sandbox_events_are_sent_when_they_are_toggled_on_and_say_so() {
    let sandbox = event("INITIAL_PURCHASE", PURCHASED_AT, &json!({"environment": "SANDBOX"}));
    let both = vec![Environment::Production, Environment::Sandbox];
    for (environments, told) in [(vec![Environment::Production], 0), (both, 1)] {
        let setting = Setting { environments, ..setting() };
        let destination = AtIntercom::with(&setting, Provider::Revenuecat).await;
        let mut revenuecat = Webhooks::of(Provider::Revenuecat);
        let events = revenuecat.events(ANONYMOUS, "INITIAL_PURCHASE", &sandbox);
        let (sent, _) = destination.get(&events).await;
        let recorded: Vec<_> = sent.iter().filter(|sent| sent.path == "/events").collect();
        assert_eq!(recorded.len(), told);
        let environments = recorded.iter().map(|sent| &sent.body["metadata"]["environment"]);
        assert!(environments.clone().all(|environment| environment == "sandbox"));
    }
}

#[tokio::test]
async fn names_can_be_set_and_a_blank_one_is_the_default() {
    let mut setting = setting();
    let renamed = |name: &str| Change::Renamed(name.to_owned());
    setting.events = vec![
        ("rc_initial_purchase_event", renamed("Bought")),
        ("rc_renewal_event", renamed("  ")),
        ("rc_expiration_event", Change::Off),
    ];
    setting.attributes =
        vec![("latest_store", renamed("shop")), ("product_identifier", Change::Off)];
    let destination = AtIntercom::with(&setting, Provider::Revenuecat).await;
    let mut revenuecat = Webhooks::of(Provider::Revenuecat);
    let mut names = Vec::new();
    for (place, event_type) in ["INITIAL_PURCHASE", "RENEWAL", "EXPIRATION"].into_iter().enumerate()
    {
        let at = PURCHASED_AT + i64::try_from(place).unwrap() * 60_000;
        let body = event(event_type, at, &json!({}));
        let (sent, _) = destination.get(&revenuecat.events(ANONYMOUS, event_type, &body)).await;
        if let Some(recorded) = sent.iter().find(|sent| sent.path == "/events") {
            names.push(recorded.body["event_name"].clone());
            assert!(recorded.body["metadata"].get("product_identifier").is_none());
        }
    }
    assert_eq!(names, ["Bought", "rc_renewal_event"]);
    let contact = destination.emulator.person(ANONYMOUS).unwrap();
    let custom = &contact.attributes["custom_attributes"];
    assert_eq!((custom.get("shop"), custom.get("latest_store")), (Some(&json!("APP_STORE")), None));
}

/// With several subscriptions the page shows the status of the one the latest event spoke of.
#[tokio::test]
async fn the_status_is_that_of_the_events_own_subscription() {
    let mut revenuecat = Webhooks::of(Provider::Revenuecat);
    let destination = AtIntercom::with(&setting(), Provider::Revenuecat).await;
    let second = json!({"original_transaction_id": "200", "product_id": "extra_weekly"});
    for (event_type, different) in [("INITIAL_PURCHASE", json!({})), ("INITIAL_PURCHASE", second)] {
        let body = event(event_type, PURCHASED_AT, &different);
        destination.get(&revenuecat.events(ANONYMOUS, event_type, &body)).await;
    }
    let ended = json!({
        "original_transaction_id": "200",
        "product_id": "extra_weekly",
        "expiration_reason": "UNSUBSCRIBE"
    });
    let body = event("EXPIRATION", EXPIRES_AT, &ended);
    let events = revenuecat.events(ANONYMOUS, "EXPIRATION", &body);
    let summary = events[0].subscriber.status.map(schemas::Status::name);
    let (_, user_payload) = payloads(&destination.get(&events).await.0);
    assert_eq!(summary, Some("active"), "the person has another one");
    assert_eq!(user_payload["custom_attributes"]["subscription_status"], "expired");
}
