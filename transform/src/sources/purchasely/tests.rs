//! Every row of the table, the status that comes with it, and the traps of the payloads.

use proptest::prelude::*;
use schemas::vocabulary::{OfferKind, Store};
use schemas::{Environment, Money, Timestamp};
use serde_json::{Map, Value, json};

use super::super::fold::Story;
use super::super::{Mapper, SourceSettings, Treatment};
use super::Purchasely;

const SUBSCRIBER: &str = "reader-77";

macro_rules! fixtures {
    ($($name:literal),+ $(,)?) => {
        const FIXTURES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("fixtures/", $name, ".json")))),+];
    };
}
fixtures!(
    "grace_period_started",
    "one_time_purchase_received",
    "subscription_received",
    "subscription_started",
    "subscription_started_consumable",
    "subscription_transferred",
    "transaction_processed",
    "transaction_processed_refund",
    "trial_started",
    "version_2",
);

/// A fixture with some fields replaced.
fn payload(fixture: &str, changes: &Value) -> Value {
    let (_, text) = FIXTURES.iter().find(|(known, _)| *known == fixture).unwrap();
    let mut payload: Value = serde_json::from_str(text).unwrap();
    for (field, value) in changes.as_object().unwrap_or(&Map::new()) {
        payload[field] = value.clone();
    }
    payload
}

/// An event of the subscription by its name, with its status and the kind of offer it is in.
fn event(name: &str, status: &str, offer_type: &str) -> Value {
    payload(
        "subscription_started",
        &json!({"event_name": name, "subscription_status": status, "offer_type": offer_type}),
    )
}

fn event_type(payload: &Value) -> &str {
    payload["event_name"].as_str().unwrap_or_default()
}

fn story() -> Story {
    Story::new(&Purchasely, SUBSCRIBER)
}

#[track_caller]
fn expect(chapters: &[(Value, &str)]) {
    let mut story = story();
    for (payload, expected) in chapters {
        let answer = story.tell(event_type(payload), payload);
        assert_eq!(answer, *expected, "{}", event_type(payload));
    }
}

/// Name, status word, kind of offer, and what is told.
const ROWS: &[(&str, &str, &str, &str)] = &[
    ("SUBSCRIPTION_STARTED", "AUTO_RENEWING", "NONE", "subscription_started => active"),
    ("TRIAL_STARTED", "AUTO_RENEWING", "FREE_TRIAL", "trial_started => trial"),
    ("TRIAL_CONVERTED", "AUTO_RENEWING", "NONE", "trial_converted => active"),
    ("TRIAL_NOT_CONVERTED", "DEACTIVATED", "FREE_TRIAL", "trial_not_converted => expired"),
    ("INTRO_OFFER_STARTED", "AUTO_RENEWING", "INTRO_OFFER", "intro_offer_started => intro"),
    ("INTRO_OFFER_CONVERTED", "AUTO_RENEWING", "NONE", "intro_offer_converted => active"),
    (
        "INTRO_OFFER_NOT_CONVERTED",
        "DEACTIVATED",
        "INTRO_OFFER",
        "intro_offer_not_converted => expired",
    ),
    ("PROMO_CODE_STARTED", "AUTO_RENEWING", "PROMO_CODE", "promo_code_started => intro"),
    ("PROMO_CODE_CONVERTED", "AUTO_RENEWING", "NONE", "promo_code_converted => active"),
    (
        "PROMO_CODE_NOT_CONVERTED",
        "DEACTIVATED",
        "PROMO_CODE",
        "promo_code_not_converted => expired",
    ),
    (
        "PROMOTIONAL_OFFER_STARTED",
        "AUTO_RENEWING",
        "PROMOTIONAL_OFFER",
        "promotional_offer_started => intro",
    ),
    (
        "PROMOTIONAL_OFFER_CONVERTED",
        "AUTO_RENEWING",
        "NONE",
        "promotional_offer_converted => active",
    ),
    (
        "PROMOTIONAL_OFFER_NOT_CONVERTED",
        "DEACTIVATED",
        "PROMOTIONAL_OFFER",
        "promotional_offer_not_converted => expired",
    ),
    ("SUBSCRIPTION_RENEWED", "AUTO_RENEWING", "NONE", "subscription_renewed => active"),
    ("SUBSCRIPTION_REACTIVATED", "AUTO_RENEWING", "NONE", "subscription_reactivated => active"),
    ("SUBSCRIPTION_DEFERRED", "AUTO_RENEWING", "NONE", "subscription_deferred => active"),
    ("SUBSCRIPTION_UPGRADED", "AUTO_RENEWING", "NONE", "subscription_upgraded => active"),
    ("SUBSCRIPTION_DOWNGRADED", "AUTO_RENEWING", "NONE", "subscription_downgraded => active"),
    ("SUBSCRIPTION_CROSSGRADED", "AUTO_RENEWING", "NONE", "subscription_crossgraded => active"),
    ("SUBSCRIPTION_TERMINATED", "DEACTIVATED", "NONE", "subscription_expired => expired"),
    ("SUBSCRIPTION_EXPIRED", "DEACTIVATED", "NONE", "subscription_expired => expired"),
    ("RENEWAL_DISABLED", "AUTO_RENEWING_CANCELED", "NONE", "renewal_disabled => cancelled"),
    (
        "RENEWAL_DISABLED",
        "AUTO_RENEWING_CANCELED",
        "FREE_TRIAL",
        "renewal_disabled => cancelled_trial",
    ),
    ("RENEWAL_ENABLED", "AUTO_RENEWING", "FREE_TRIAL", "renewal_enabled => trial"),
    ("GRACE_PERIOD_STARTED", "IN_GRACE_PERIOD", "NONE", "grace_period_started => grace_period"),
    (
        "GRACE_PERIOD_STARTED",
        "IN_GRACE_PERIOD",
        "FREE_TRIAL",
        "grace_period_started => grace_period_trial",
    ),
    ("GRACE_PERIOD_TERMINATED", "ON_HOLD", "NONE", "grace_period_ended => expired"),
    ("ENTERED_BILLING_RETRY", "UNPAID", "NONE", "billing_retry_started => expired"),
    (
        "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD",
        "DEACTIVATED",
        "NONE",
        "cancelled_during_grace_period => expired",
    ),
    (
        "SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD",
        "AUTO_RENEWING",
        "NONE",
        "recovered_from_grace_period => active",
    ),
    (
        "SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY",
        "AUTO_RENEWING",
        "NONE",
        "recovered_from_billing_retry => active",
    ),
    ("SUBSCRIPTION_WILL_PAUSE", "AUTO_RENEWING", "NONE", "pause_scheduled => active"),
    ("SUBSCRIPTION_PAUSED", "PAUSED", "NONE", "subscription_paused => paused"),
    ("SUBSCRIPTION_UNPAUSED", "AUTO_RENEWING", "NONE", "subscription_resumed => active"),
    (
        "SUBSCRIPTION_CANCELLED_DURING_PAUSE",
        "DEACTIVATED",
        "NONE",
        "cancelled_during_pause => expired",
    ),
    ("SUBSCRIPTION_WILL_NOT_PAUSE", "AUTO_RENEWING", "NONE", "pause_cancelled => active"),
    ("SUBSCRIPTION_RECEIVED", "AUTO_RENEWING", "NONE", "subscription_received => active"),
    ("SUBSCRIPTION_TRANSFERRED", "AUTO_RENEWING", "NONE", "subscription_transferred => expired"),
    ("ONE_TIME_PURCHASE_TRANSFERRED", "", "NONE", "purchase_transferred"),
    ("ONE_TIME_PURCHASE_RECEIVED", "", "NONE", "purchase_received"),
    ("SUBSCRIPTION_REFUNDED_REVOKED", "REVOKED", "NONE", "subscription_refunded => expired"),
    ("SUBSCRIPTION_REFUNDED", "REVOKED", "NONE", "subscription_refunded => expired"),
    ("FAMILY_SHARED_REVOKED", "REVOKED", "NONE", "family_sharing_revoked => expired"),
    ("ACTIVATE", "AUTO_RENEWING", "NONE", "entitlement_granted => active"),
    ("DEACTIVATE", "DEACTIVATED", "NONE", "entitlement_revoked => expired"),
    ("RETENTION_MESSAGE_REQUESTED", "AUTO_RENEWING", "NONE", "ignored: no_lifecycle_change"),
    ("INVENTED_IN_2031", "AUTO_RENEWING", "NONE", "ignored: unknown_event_type"),
];

#[test]
fn every_name_keeps_its_meaning_and_brings_its_status() {
    for &(name, status, offer, expected) in ROWS {
        let status = if status.is_empty() { Value::Null } else { json!(status) };
        let changes =
            json!({"event_name": name, "subscription_status": status, "offer_type": offer});
        expect(&[(payload("subscription_started", &changes), expected)]);
    }
}

#[test]
fn every_mapped_name_is_read_and_every_other_ignored_with_its_reason() {
    for (name, treatment) in Purchasely.treatments() {
        let answer = story().tell(name, &event(name, "AUTO_RENEWING", "NONE"));
        match treatment {
            Treatment::Mapped => assert!(!answer.starts_with("ignored"), "{name}: {answer}"),
            Treatment::Ignored(reason) => assert_eq!(answer, format!("ignored: {reason}")),
        }
    }
}

#[test]
fn access_is_granted_once_until_it_is_taken() {
    expect(&[
        (event("ACTIVATE", "AUTO_RENEWING", "NONE"), "entitlement_granted => active"),
        (event("SUBSCRIPTION_STARTED", "AUTO_RENEWING", "NONE"), "subscription_started => active"),
        (event("ACTIVATE", "AUTO_RENEWING", "NONE"), "(no_lifecycle_change) => active"),
        (event("SUBSCRIPTION_RENEWED", "AUTO_RENEWING", "NONE"), "subscription_renewed => active"),
        (event("DEACTIVATE", "DEACTIVATED", "NONE"), "entitlement_revoked => expired"),
        (event("ACTIVATE", "AUTO_RENEWING", "NONE"), "entitlement_granted => active"),
        // The end takes it, also where its own event got lost.
        (
            event("SUBSCRIPTION_TERMINATED", "DEACTIVATED", "NONE"),
            "subscription_expired => expired",
        ),
        (event("ACTIVATE", "AUTO_RENEWING", "NONE"), "entitlement_granted => active"),
    ]);
    let mut story = story();
    let granted = event("ACTIVATE", "AUTO_RENEWING", "NONE");
    assert_eq!(story.tell_late("ACTIVATE", &granted), "entitlement_granted => active");
    story.tell("ACTIVATE", &granted);
    assert_eq!(story.tell_late("ACTIVATE", &granted), "(no_lifecycle_change) => active");
}

#[test]
fn a_purchase_that_does_not_renew_has_no_subscription() {
    for kind in ["CONSUMABLE", "NON_CONSUMABLE", "NON_RENEWING_SUBSCRIPTION"] {
        let of_kind = |name: &str, kind: &str| json!({"event_name": name, "purchase_type": kind});
        let bought = |name: &str| payload("subscription_started_consumable", &of_kind(name, kind));
        expect(&[
            (bought("ACTIVATE"), "entitlement_granted"),
            (bought("SUBSCRIPTION_STARTED"), "purchase_completed"),
            (bought("ACTIVATE"), "entitlement_granted"),
        ]);
    }
    expect(&[(payload("one_time_purchase_received", &Value::Null), "purchase_received")]);
}

#[test]
fn money_moves_by_its_own_event_and_a_refund_is_told_with_it() {
    let moved = |amount: &str, source: Value| {
        let amount: Value = serde_json::from_str(amount).unwrap();
        payload(
            "transaction_processed",
            &json!({"amount_in_customer_currency": amount, "source_event_name": source}),
        )
    };
    expect(&[
        (
            payload("transaction_processed", &Value::Null),
            "transaction_processed 24.50 CHF => active",
        ),
        (
            payload("transaction_processed_refund", &Value::Null),
            "payment_refunded, transaction_processed -24.50 CHF => expired",
        ),
        (
            moved("-1.005", Value::Null),
            "payment_refunded, transaction_processed -1.01 CHF => active",
        ),
        // The rest of a period is settled when the plan changes: nobody asked for money back.
        (
            moved("-7.25", json!("SUBSCRIPTION_UPGRADED")),
            "transaction_processed -7.25 CHF => active",
        ),
        (moved("0.0", json!("SUBSCRIPTION_RENEWED")), "(zero_amount) => active"),
        (
            // Without the customer's currency, the app's is known by the name of the field.
            moved("null", json!("SUBSCRIPTION_RENEWED")),
            "transaction_processed 25.99 EUR => active",
        ),
        (
            payload(
                "transaction_processed",
                &json!({"customer_currency": "JPY", "amount_in_customer_currency": 3800}),
            ),
            "transaction_processed 3800 JPY => active",
        ),
        (
            payload(
                "transaction_processed",
                &json!({"customer_currency": null, "amount_in_eur": null, "amount_in_usd": 28.75}),
            ),
            "transaction_processed 28.75 USD => active",
        ),
        (
            payload(
                "transaction_processed",
                &json!({"customer_currency": null, "amount_in_eur": null}),
            ),
            "(unknown_amount) => active",
        ),
    ]);
}

#[test]
fn status_follows_the_payload_and_a_new_word_changes_nothing() {
    expect(&[
        (event("SUBSCRIPTION_STARTED", "AUTO_RENEWING", "NONE"), "subscription_started => active"),
        (
            event("RENEWAL_DISABLED", "AUTO_RENEWING_CANCELED", "NONE"),
            "renewal_disabled => cancelled",
        ),
        (event("SUBSCRIPTION_RENEWED", "HIBERNATING", "NONE"), "subscription_renewed => cancelled"),
        (event("RENEWAL_ENABLED", "AUTO_RENEWING", "NEW_OFFER"), "renewal_enabled => active"),
        (
            payload(
                "subscription_started",
                &json!({"event_name": "SUBSCRIPTION_TERMINATED", "subscription_status": null}),
            ),
            "subscription_expired => expired",
        ),
    ]);
}

#[test]
fn each_side_of_a_transfer_names_the_other() {
    let transfer = |fixture: &str| {
        let payload = payload(fixture, &Value::Null);
        let decision = story().decision(event_type(&payload), &payload);
        decision.events[0].transfer.clone().unwrap()
    };
    let sent = transfer("subscription_transferred");
    assert_eq!((sent.from, sent.to), (vec![SUBSCRIBER.to_owned()], vec!["reader-88".to_owned()]));
    let received = transfer("subscription_received");
    assert_eq!(received.from, ["reader-77"]);
}

#[test]
fn facts_are_read_from_either_spelling() {
    let facts = |changes: Value| {
        story().facts("GRACE_PERIOD_STARTED", &payload("grace_period_started", &changes))
    };
    let told = facts(Value::Null);
    assert_eq!(facts(json!({"event_created_at_ms": null})).occurred_at, told.occurred_at);
    let shown = told.subscription.unwrap().shown;
    assert_eq!(shown.id, "subs_Q7atlas01");
    assert_eq!(shown.plan_id.as_deref(), Some("quarterly"));
    assert_eq!(shown.price, Some(Money::minor(2450, "CHF")));
    assert_eq!(shown.grace_expires_at, Some(Timestamp::from_millis(1_781_482_400_000)));
    let of_store = facts(json!({"purchasely_subscription_id": null})).subscription.unwrap().shown;
    assert_eq!(of_store.id, "570000111100001");
    for (word, store) in [
        ("AMAZON_APPSTORE", Store::Amazon),
        ("AMAZON_APP_STORE", Store::Amazon),
        ("HUAWEI_APPGALLERY", Store::HuaweiAppGallery),
        ("HUAWEI_APP_GALLERY", Store::HuaweiAppGallery),
        ("MOON_STORE", Store::Unknown),
    ] {
        let shown = facts(json!({"store": word})).subscription.unwrap().shown;
        assert_eq!(shown.store, Some(store));
    }
    assert_eq!(facts(json!({"environment": "SANDBOX"})).environment, Environment::Sandbox);
}

#[test]
fn somebody_logged_in_is_known_and_somebody_else_is_anonymous() {
    let person = |fixture: &str| {
        let payload = payload(fixture, &Value::Null);
        story().facts(event_type(&payload), &payload).person
    };
    let known = person("subscription_started");
    assert_eq!((known.user_id.as_deref(), known.anonymous), (Some("reader-77"), false));
    let nobody = person("subscription_received");
    assert_eq!((nobody.user_id, nobody.anonymous), (None, true));
}

#[test]
fn an_offer_event_names_its_offer_although_the_period_no_longer_does() {
    let converted = event("TRIAL_CONVERTED", "AUTO_RENEWING", "NONE");
    let decision = story().decision("TRIAL_CONVERTED", &converted);
    assert_eq!(decision.events[0].offer.as_ref().unwrap().kind, OfferKind::FreeTrial);
    let started = payload("trial_started", &Value::Null);
    let decision = story().decision("TRIAL_STARTED", &started);
    assert_eq!(decision.events[0].offer.as_ref().unwrap().id.as_deref(), Some("atlas-14-days"));
}

#[test]
fn what_cannot_be_read_is_parked_and_another_version_ignored() {
    for (changes, expected) in [
        (
            json!({"event_created_at_ms": null, "event_created_at": null}),
            "parked: /event_created_at_ms: missing",
        ),
        (
            json!({"event_created_at_ms": "soon"}),
            "parked: /event_created_at_ms: not a whole number",
        ),
        (
            json!({"purchasely_subscription_id": null, "store_original_transaction_id": null}),
            "parked: /purchasely_subscription_id: missing, and no transaction of the store either",
        ),
        (
            json!({"next_renewal_at_ms": 1}),
            "parked: /next_renewal_at: the end of a negative period",
        ),
        (json!({"api_version": 4}), "ignored: unsupported_api_version"),
    ] {
        expect(&[(payload("subscription_started", &changes), expected)]);
    }
    let old = payload("version_2", &Value::Null);
    assert_eq!(story().tell("PURCHASE_VALIDATED", &old), "ignored: unsupported_api_version");
}

#[test]
fn what_has_no_meaning_is_passed_on_when_asked_for() {
    let also = SourceSettings {
        also: vec!["RETENTION_MESSAGE_REQUESTED".to_owned()],
        ..SourceSettings::default()
    };
    let asked = event("RETENTION_MESSAGE_REQUESTED", "AUTO_RENEWING", "NONE");
    let answer = story().with_settings(also).tell("RETENTION_MESSAGE_REQUESTED", &asked);
    assert_eq!(answer, "provider_event");
}

#[test]
fn the_end_of_a_pause_is_forgotten_with_the_pause() {
    let mut story = story();
    let mut announced = event("SUBSCRIPTION_WILL_PAUSE", "AUTO_RENEWING", "NONE");
    announced["auto_resume_at_ms"] = json!(1_790_000_000_000_i64);
    story.tell(event_type(&announced), &announced);
    let paused = event("SUBSCRIPTION_PAUSED", "PAUSED", "NONE");
    story.tell(event_type(&paused), &paused);
    assert!(story.subscriber.subscriptions[0].current.auto_resume_at.is_some());
    let resumed = event("SUBSCRIPTION_UNPAUSED", "AUTO_RENEWING", "NONE");
    let running = story.decision(event_type(&resumed), &resumed).subscription.unwrap();
    assert_eq!(running.current.auto_resume_at, None);
}

fn absurd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([1])),
        Just(json!({"id": {}})),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn mutated_payloads_never_panic_and_always_get_an_answer(
        chapters in proptest::collection::vec(
            (
                any::<proptest::sample::Index>(),
                0..FIXTURES.len(),
                any::<proptest::sample::Index>(),
                absurd(),
                any::<bool>(),
            ),
            1..12,
        ),
    ) {
        let mut story = story();
        for (name, fixture, field, value, intact) in chapters {
            let (name, _) = *name.get(Purchasely.treatments());
            let mut payload = payload(FIXTURES[fixture].0, &json!({"event_name": name}));
            let fields = payload.as_object_mut().unwrap();
            let field = field.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
            if !intact {
                fields.insert(field, value);
            }
            story.tell(name, &payload);
            story.tell_late(name, &payload);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (event_type, _) in Purchasely.treatments() {
            story().read_bytes(event_type, &body);
        }
    }
}
