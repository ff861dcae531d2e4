//! Every mapped row of the table, and the traps of the payloads.

use proptest::prelude::*;
use schemas::Environment;
use schemas::vocabulary::OfferKind;
use serde_json::{Map, Value, json};

use super::super::fold::Story;
use super::super::{Mapper, SourceSettings, Treatment};
use super::RevenueCat;

const SUBSCRIBER: &str = "$RCAnonymousID:5d0e7a41b0c94f0fb1f6a3c2d9e80b17";
const START: i64 = 1_780_000_000_000;
const DAY: i64 = 86_400_000;

macro_rules! fixtures {
    ($($name:literal),+ $(,)?) => {
        const FIXTURES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("fixtures/", $name, ".json")))),+];
    };
}
fixtures!(
    "billing_issue",
    "cancellation",
    "cancellation_billing_error",
    "cancellation_refund",
    "expiration",
    "initial_purchase",
    "initial_purchase_intro",
    "initial_purchase_prepaid",
    "initial_purchase_promotional",
    "initial_purchase_trial",
    "non_renewing_purchase",
    "non_renewing_purchase_promotional",
    "price_increase_consent_approved",
    "price_increase_consent_required",
    "product_change",
    "refund_reversed",
    "renewal",
    "renewal_trial_conversion",
    "subscriber_alias",
    "subscription_extended",
    "subscription_paused",
    "temporary_entitlement_grant",
    "test",
    "transfer",
    "uncancellation",
);

/// A fixture with some fields of its event replaced.
fn payload(name: &str, changes: &Value) -> Value {
    let (_, text) = FIXTURES.iter().find(|(known, _)| *known == name).unwrap();
    let mut payload: Value = serde_json::from_str(text).unwrap();
    for (field, value) in changes.as_object().unwrap_or(&Map::new()) {
        payload["event"][field] = value.clone();
    }
    payload
}

fn event_type(payload: &Value) -> &str {
    payload["event"]["type"].as_str().unwrap_or_default()
}

fn story() -> Story {
    Story::new(&RevenueCat, SUBSCRIBER)
}

/// Tells a story of fixtures with changes and expects what is answered to each.
#[track_caller]
fn expect(chapters: &[(&str, Value, &str)]) {
    expect_of(story(), chapters);
}

#[track_caller]
fn expect_of(mut story: Story, chapters: &[(&str, Value, &str)]) {
    for (index, (name, changes, expected)) in chapters.iter().enumerate() {
        let payload = payload(name, changes);
        let answer = story.tell(event_type(&payload), &payload);
        assert_eq!(answer, *expected, "chapter {index}: {name}");
    }
}

const NONE: Value = Value::Null;

#[test]
fn an_initial_purchase_is_told_by_its_period() {
    for (name, expected) in [
        ("initial_purchase", "subscription_started, transaction_processed 109.00 SEK => active"),
        ("initial_purchase_trial", "subscription_started, trial_started => trial"),
        (
            "initial_purchase_intro",
            "subscription_started, intro_offer_started, transaction_processed 10.00 SEK => intro",
        ),
        (
            "initial_purchase_prepaid",
            "subscription_started, transaction_processed 109.00 SEK => active",
        ),
        ("initial_purchase_promotional", "entitlement_granted => promotional"),
        ("non_renewing_purchase", "purchase_completed, transaction_processed 49.00 SEK"),
        ("non_renewing_purchase_promotional", "entitlement_granted => promotional"),
    ] {
        expect(&[(name, NONE, expected)]);
    }
}

#[test]
fn every_event_about_an_unknown_subscription_is_news() {
    for (name, expected) in [
        ("renewal", "subscription_renewed, transaction_processed 109.00 SEK => active"),
        ("renewal_trial_conversion", "trial_converted, transaction_processed 109.00 SEK => active"),
        ("cancellation", "renewal_disabled => cancelled"),
        (
            "cancellation_refund",
            "payment_refunded, transaction_processed -109.00 SEK, subscription_refunded => expired",
        ),
        ("cancellation_billing_error", "provider_event => active"),
        ("uncancellation", "renewal_enabled => active"),
        ("billing_issue", "payment_failed, grace_period_started => grace_period"),
        ("expiration", "subscription_expired => expired"),
        ("subscription_paused", "pause_scheduled => active"),
        ("product_change", "plan_change_scheduled => active"),
        ("subscription_extended", "subscription_deferred => active"),
        ("temporary_entitlement_grant", "entitlement_granted => no status"),
        ("refund_reversed", "refund_reversed, transaction_processed 109.00 SEK => active"),
        ("subscriber_alias", "customer_merged"),
        ("price_increase_consent_required", "price_consent_required => active"),
        ("price_increase_consent_approved", "price_consent_given => active"),
    ] {
        expect(&[(name, NONE, expected)]);
    }
}

#[test]
fn a_trial_is_converted_or_not_and_may_come_back() {
    let trial = ("initial_purchase_trial", NONE, "subscription_started, trial_started => trial");
    expect(&[
        trial.clone(),
        (
            "renewal_trial_conversion",
            NONE,
            "trial_converted, transaction_processed 109.00 SEK => active",
        ),
        ("renewal", NONE, "subscription_renewed, transaction_processed 109.00 SEK => active"),
    ]);
    let ended = json!({"period_type": "TRIAL", "event_timestamp_ms": START + 7 * DAY});
    expect(&[
        trial.clone(),
        ("cancellation", json!({"period_type": "TRIAL"}), "renewal_disabled => cancelled_trial"),
        ("expiration", ended, "trial_not_converted, subscription_expired => expired"),
        (
            "renewal_trial_conversion",
            NONE,
            "trial_converted, subscription_reactivated, transaction_processed 109.00 SEK => active",
        ),
    ]);
    expect(&[
        trial,
        (
            "billing_issue",
            json!({"period_type": "TRIAL"}),
            "payment_failed, grace_period_started => grace_period_trial",
        ),
    ]);
}

#[test]
fn the_first_renewal_at_full_price_converts_an_introductory_offer() {
    let started =
        "subscription_started, intro_offer_started, transaction_processed 10.00 SEK => intro";
    let renewed = "subscription_renewed, transaction_processed 109.00 SEK => active";
    expect(&[
        ("initial_purchase_intro", NONE, started),
        (
            "renewal",
            json!({"period_type": "INTRO", "price_in_purchased_currency": 10}),
            "subscription_renewed, transaction_processed 10.00 SEK => intro",
        ),
        ("renewal", NONE, "intro_offer_converted, transaction_processed 109.00 SEK => active"),
        ("renewal", NONE, renewed),
    ]);
    expect(&[
        ("initial_purchase_intro", NONE, started),
        (
            "expiration",
            json!({"period_type": "INTRO"}),
            "intro_offer_not_converted, subscription_expired => expired",
        ),
        ("renewal", NONE, "subscription_reactivated, transaction_processed 109.00 SEK => active"),
    ]);
    expect(&[
        ("cancellation", json!({"period_type": "INTRO"}), "renewal_disabled => cancelled"),
        ("renewal", NONE, "intro_offer_converted, transaction_processed 109.00 SEK => active"),
    ]);
}

#[test]
fn a_cancellation_is_told_once_and_cleared_by_a_renewal() {
    let started = "subscription_started, transaction_processed 109.00 SEK => active";
    expect(&[
        ("initial_purchase", NONE, started),
        ("cancellation", NONE, "renewal_disabled => cancelled"),
        ("cancellation", json!({"cancel_reason": "UNKNOWN"}), "(no_lifecycle_change) => cancelled"),
        ("uncancellation", NONE, "renewal_enabled => active"),
        ("uncancellation", NONE, "(no_lifecycle_change) => active"),
        (
            "cancellation",
            json!({"cancel_reason": "PRICE_INCREASE"}),
            "renewal_disabled => cancelled",
        ),
        ("renewal", NONE, "subscription_renewed, transaction_processed 109.00 SEK => active"),
        ("uncancellation", NONE, "(no_lifecycle_change) => active"),
    ]);
    expect(&[
        ("initial_purchase", NONE, started),
        // Told after the end: nothing is left that could be called cancelled.
        ("cancellation", json!({"expiration_at_ms": START}), "renewal_disabled => active"),
    ]);
    expect(&[
        ("initial_purchase_promotional", NONE, "entitlement_granted => promotional"),
        (
            "cancellation",
            json!({"store": "PROMOTIONAL", "period_type": "PROMOTIONAL"}),
            "renewal_disabled => promotional",
        ),
        (
            "expiration",
            json!({"store": "PROMOTIONAL", "period_type": "PROMOTIONAL"}),
            "subscription_expired => expired_promotional",
        ),
    ]);
}

#[test]
fn a_refund_that_is_taken_back_takes_its_reasons_with_it() {
    let mut story = story();
    for name in ["initial_purchase", "cancellation_refund", "expiration"] {
        let payload = payload(name, &NONE);
        story.tell(event_type(&payload), &payload);
    }
    let known = &story.subscriber.subscriptions[0].current;
    assert!(known.cancel_reason.is_some() && known.expiration_reason.is_some());
    let reversed = payload("refund_reversed", &NONE);
    let back = story.decision(event_type(&reversed), &reversed).subscription.unwrap().current;
    assert_eq!((back.cancel_reason, back.expiration_reason), (None, None));
}

#[test]
fn a_refund_takes_access_only_when_it_moved_the_end_to_the_past() {
    let started = "subscription_started, transaction_processed 109.00 SEK => active";
    expect(&[
        ("initial_purchase", NONE, started),
        (
            "cancellation_refund",
            json!({"expiration_at_ms": START + 30 * DAY}),
            "payment_refunded, transaction_processed -109.00 SEK => active",
        ),
        (
            "cancellation_refund",
            // Some stores show the price that was paid, without the sign.
            json!({"price_in_purchased_currency": 109.0}),
            "payment_refunded, transaction_processed -109.00 SEK, subscription_refunded => expired",
        ),
        ("cancellation", NONE, "(already_ended) => expired"),
        ("expiration", NONE, "subscription_expired => expired"),
        ("expiration", NONE, "(no_lifecycle_change) => expired"),
        ("refund_reversed", NONE, "refund_reversed, transaction_processed 109.00 SEK => active"),
    ]);
    expect(&[
        ("non_renewing_purchase", NONE, "purchase_completed, transaction_processed 49.00 SEK"),
        (
            "cancellation_refund",
            json!({"expiration_at_ms": null, "original_transaction_id": "470009999900001"}),
            "payment_refunded, transaction_processed -109.00 SEK",
        ),
    ]);
}

#[test]
fn billing_trouble_keeps_access_in_grace_loses_it_after_and_recovers() {
    let started = "subscription_started, transaction_processed 109.00 SEK => active";
    let trouble = "payment_failed, grace_period_started => grace_period";
    let lapsed = json!({"expiration_reason": "BILLING_ERROR"});
    expect(&[
        ("initial_purchase", NONE, started),
        ("billing_issue", NONE, trouble),
        ("cancellation_billing_error", NONE, "provider_event => grace_period"),
        ("billing_issue", NONE, "payment_failed => grace_period"),
        (
            "renewal",
            NONE,
            "subscription_renewed, recovered_from_grace_period, transaction_processed 109.00 SEK \
             => active",
        ),
    ]);
    expect(&[
        ("initial_purchase", NONE, started),
        ("billing_issue", NONE, trouble),
        ("expiration", lapsed.clone(), "grace_period_ended, subscription_expired => expired"),
        // It was delayed; the subscription is not revived.
        ("billing_issue", NONE, "payment_failed => expired"),
        (
            "renewal",
            NONE,
            "subscription_renewed, recovered_from_billing_retry, transaction_processed 109.00 SEK \
             => active",
        ),
        ("expiration", lapsed, "subscription_expired => expired"),
        ("expiration", NONE, "(no_lifecycle_change) => expired"),
        ("renewal", NONE, "subscription_reactivated, transaction_processed 109.00 SEK => active"),
    ]);
    expect(&[
        ("initial_purchase", NONE, started),
        (
            "billing_issue",
            json!({"grace_period_expiration_at_ms": null}),
            "payment_failed => active",
        ),
        (
            "billing_issue",
            json!({"grace_period_expiration_at_ms": START + 29 * DAY}),
            "payment_failed => active",
        ),
    ]);
}

#[test]
fn a_pause_is_announced_begins_with_an_expiration_and_ends_with_a_renewal() {
    let expired = json!({"expiration_reason": "SUBSCRIPTION_PAUSED"});
    expect(&[
        (
            "initial_purchase",
            NONE,
            "subscription_started, transaction_processed 109.00 SEK => active",
        ),
        ("subscription_paused", NONE, "pause_scheduled => active"),
        ("subscription_paused", NONE, "(no_lifecycle_change) => active"),
        ("expiration", expired.clone(), "subscription_paused => paused"),
        ("expiration", expired, "(no_lifecycle_change) => paused"),
        (
            "renewal",
            NONE,
            "subscription_renewed, subscription_resumed, transaction_processed 109.00 SEK => active",
        ),
    ]);
}

#[test]
fn a_change_of_product_is_scheduled_and_then_carried_out() {
    let started = "subscription_started, transaction_processed 109.00 SEK => active";
    let yearly = json!({"product_id": "studio.yearly", "price_in_purchased_currency": 990,
        "expiration_at_ms": START + 395 * DAY});
    expect(&[
        ("initial_purchase", NONE, started),
        ("product_change", NONE, "plan_change_scheduled => active"),
        ("product_change", NONE, "(no_lifecycle_change) => active"),
        (
            "renewal",
            yearly.clone(),
            "subscription_renewed, subscription_downgraded, transaction_processed 990.00 SEK \
             => active",
        ),
        ("product_change", NONE, "(already_in_effect) => active"),
    ]);
    let ranked = SourceSettings {
        plans: vec!["studio.monthly".to_owned(), "studio.yearly".to_owned()],
        ..SourceSettings::default()
    };
    expect_of(
        story().with_settings(ranked),
        &[
            ("initial_purchase", NONE, started),
            (
                "renewal",
                yearly,
                "subscription_renewed, subscription_upgraded, transaction_processed 990.00 SEK \
                 => active",
            ),
        ],
    );
}

#[test]
fn a_free_period_is_not_compared_with_a_price() {
    expect(&[
        ("initial_purchase_trial", NONE, "subscription_started, trial_started => trial"),
        (
            "renewal_trial_conversion",
            json!({"product_id": "studio.yearly"}),
            "trial_converted, subscription_crossgraded, transaction_processed 109.00 SEK => active",
        ),
    ]);
}

#[test]
fn a_change_at_google_is_a_purchase_of_its_own_and_counts_once() {
    let bought = |transaction: &str| {
        json!({"product_id": "studio.yearly", "original_transaction_id": transaction,
            "event_timestamp_ms": START + 11 * DAY, "currency": "EUR",
            "price_in_purchased_currency": 99.5})
    };
    let started = "subscription_started, transaction_processed 109.00 SEK => active";
    expect(&[
        ("initial_purchase", NONE, started),
        ("product_change", NONE, "plan_change_scheduled => active"),
        (
            "initial_purchase",
            bought("GPA.2"),
            "subscription_crossgraded, transaction_processed 99.50 EUR => active",
        ),
        (
            "initial_purchase",
            bought("GPA.3"),
            "subscription_started, transaction_processed 99.50 EUR => active",
        ),
        (
            "product_change",
            json!({"event_timestamp_ms": START + 12 * DAY}),
            "(already_in_effect) => active",
        ),
    ]);
}

#[test]
fn buying_again_what_had_ended_is_a_reactivation() {
    let again = json!({"original_transaction_id": "470007777700001",
        "event_timestamp_ms": START + 40 * DAY});
    let back = "subscription_reactivated, transaction_processed 109.00 SEK => active";
    let other = json!({"original_transaction_id": "470007777700002",
        "product_id": "studio.team", "event_timestamp_ms": START + 41 * DAY});
    expect(&[
        (
            "initial_purchase",
            NONE,
            "subscription_started, transaction_processed 109.00 SEK => active",
        ),
        ("expiration", NONE, "subscription_expired => expired"),
        ("uncancellation", NONE, "(already_ended) => expired"),
        ("initial_purchase", again, back),
        (
            "initial_purchase",
            other,
            "subscription_started, transaction_processed 109.00 SEK => active",
        ),
        ("initial_purchase", NONE, back),
    ]);
}

#[test]
fn a_temporary_grant_is_revoked_unless_a_purchase_follows() {
    let granted = ("temporary_entitlement_grant", NONE, "entitlement_granted => no status");
    expect(&[granted.clone(), ("expiration", NONE, "entitlement_revoked => no status")]);
    expect(&[
        granted.clone(),
        (
            "expiration",
            json!({"original_transaction_id": null}),
            "entitlement_revoked => no status",
        ),
    ]);
    expect(&[
        granted,
        (
            "initial_purchase",
            NONE,
            "subscription_started, transaction_processed 109.00 SEK => active",
        ),
        ("expiration", NONE, "subscription_expired => expired"),
    ]);
}

#[test]
fn an_extension_is_told_only_when_the_end_moves_later() {
    expect(&[
        (
            "initial_purchase",
            NONE,
            "subscription_started, transaction_processed 109.00 SEK => active",
        ),
        ("subscription_extended", NONE, "subscription_deferred => active"),
        ("subscription_extended", NONE, "(no_lifecycle_change) => active"),
    ]);
}

#[test]
fn nobody_pays_for_a_family_share_and_free_periods_move_no_money() {
    expect(&[
        ("initial_purchase", json!({"is_family_share": true}), "subscription_started => active"),
        ("renewal", json!({"price_in_purchased_currency": 0.0}), "subscription_renewed => active"),
        ("renewal", json!({"price_in_purchased_currency": null}), "subscription_renewed => active"),
        ("renewal", json!({"currency": null}), "subscription_renewed => active"),
    ]);
}

#[test]
fn amounts_are_exact_in_every_currency() {
    for (currency, price, expected) in [
        ("JPY", "1200", "1200 JPY"),
        ("KWD", "1.995", "1.995 KWD"),
        ("USD", "4.989999771118164", "4.99 USD"),
        ("EUR", "0.1", "0.10 EUR"),
    ] {
        let number: Value = serde_json::from_str(price).unwrap();
        let changes = json!({"currency": currency, "price_in_purchased_currency": number});
        let expected = format!("subscription_renewed, transaction_processed {expected} => active");
        expect(&[("renewal", changes, &expected)]);
    }
}

#[test]
fn sandbox_and_production_are_different_subscriptions() {
    expect(&[
        (
            "initial_purchase",
            NONE,
            "subscription_started, transaction_processed 109.00 SEK => active",
        ),
        ("expiration", json!({"environment": "SANDBOX"}), "subscription_expired => expired"),
        ("renewal", NONE, "subscription_renewed, transaction_processed 109.00 SEK => active"),
    ]);
}

#[test]
fn null_entitlements_never_mean_all_or_none() {
    let mut story = story();
    for name in ["initial_purchase", "expiration"] {
        let payload = payload(name, &NONE);
        story.tell(event_type(&payload), &payload);
    }
    assert_eq!(story.subscriber.subscriptions[0].current.entitlements, ["studio"]);
}

#[test]
fn a_late_event_is_judged_alone_and_told_once() {
    let mut story = story();
    for name in ["initial_purchase", "cancellation", "expiration"] {
        let payload = payload(name, &NONE);
        story.tell(event_type(&payload), &payload);
    }
    let mut late = |name: &str, changes: Value| {
        let payload = payload(name, &changes);
        story.tell_late(event_type(&payload), &payload)
    };
    assert_eq!(late("expiration", NONE), "(no_lifecycle_change) => expired");
    assert_eq!(
        late("expiration", json!({"expiration_at_ms": START})),
        "subscription_expired => expired"
    );
    assert_eq!(late("uncancellation", NONE), "renewal_enabled => active");
    assert_eq!(
        late("initial_purchase", NONE),
        "subscription_started, transaction_processed 109.00 SEK => active"
    );
}

#[test]
fn the_first_event_and_the_movement_carry_the_amount_and_the_offer_is_named() {
    let renewal = payload("renewal", &NONE);
    let decision = story().decision("RENEWAL", &renewal);
    assert!(decision.events.iter().all(|draft| draft.money.is_some()));
    let cancelled = payload("cancellation", &json!({"period_type": "TRIAL"}));
    let decision = story().decision("CANCELLATION", &cancelled);
    assert_eq!(decision.events[0].offer.as_ref().unwrap().kind, OfferKind::FreeTrial);
    assert_eq!(decision.events[0].reason.as_deref(), Some("UNSUBSCRIBE"));
    let converted = payload("renewal_trial_conversion", &NONE);
    let decision = story().decision("RENEWAL", &converted);
    assert_eq!(decision.events[0].offer.as_ref().unwrap().kind, OfferKind::FreeTrial);
}

#[test]
fn the_person_is_the_first_id_that_was_not_made_up() {
    let person = |changes: Value| story().facts("RENEWAL", &payload("renewal", &changes)).person;
    let known = person(NONE);
    assert_eq!(known.user_id.as_deref(), Some("member-3301"));
    assert_eq!((known.id.as_str(), known.anonymous), (SUBSCRIBER, false));
    assert_eq!(known.aliases, ["member-3301"]);
    assert_eq!(known.email.as_deref(), Some("ines@studio.example"));
    assert_eq!(known.attributes["favourite_tool"], "pencil");
    let by_alias = person(json!({"app_user_id": SUBSCRIBER}));
    assert_eq!(by_alias.user_id.as_deref(), Some("member-3301"));
    let nobody = person(json!({"app_user_id": SUBSCRIBER, "aliases": null}));
    assert_eq!((nobody.user_id, nobody.anonymous), (None, true));
}

#[test]
fn what_cannot_be_read_is_parked_with_its_place_and_what_is_missing_is_not() {
    let parked = |name: &str, changes: Value, expected: &str| {
        expect(&[(name, changes, &format!("parked: {expected}"))]);
    };
    parked("renewal", json!({"event_timestamp_ms": null}), "/event/event_timestamp_ms: missing");
    parked(
        "renewal",
        json!({"event_timestamp_ms": -1}),
        "/event/event_timestamp_ms: an absurd time",
    );
    parked("renewal", json!({"product_id": 7}), "/event/product_id: not a string");
    parked(
        "expiration",
        json!({"original_transaction_id": null, "product_id": null}),
        "/event/original_transaction_id: missing, and no product either",
    );
    parked(
        "renewal",
        json!({"price_in_purchased_currency": "much"}),
        "/event/price_in_purchased_currency: not an amount",
    );
    parked(
        "initial_purchase",
        json!({"expiration_at_ms": START - 1, "purchased_at_ms": START}),
        "/event/expiration_at_ms: the end of a negative period",
    );
    parked(
        "renewal",
        json!({"aliases": vec!["x"; 10_000]}),
        "/event/aliases: an absurdly long list",
    );
    parked("renewal", json!({"entitlement_ids": "pro"}), "/event/entitlement_ids: not a list");
    parked("transfer", json!({"transferred_to": []}), "/event/transferred_to: missing or empty");
    parked("transfer", json!({"transferred_from": [7]}), "/event/transferred_from/0: not a string");
    let bare = json!({"event": {"event_timestamp_ms": START, "product_id": "studio.monthly"}});
    assert_eq!(story().tell("RENEWAL", &bare), "subscription_renewed => active");
    assert_eq!(story().tell("RENEWAL", &json!({})), "parked: /event: missing or not an object");
}

#[test]
fn words_of_a_later_version_never_park() {
    let changes = json!({"store": "MOON_STORE", "period_type": "LUNAR", "environment": "STAGING",
        "cancel_reason": "BOREDOM", "currency": "MOONS", "presented_offering_id": "",
        "offer_code": "", "new_field": {"deep": []}});
    expect(&[("cancellation", changes.clone(), "renewal_disabled => cancelled")]);
    let facts = story().facts("CANCELLATION", &payload("cancellation", &changes));
    assert_eq!(facts.environment, Environment::Unknown);
}

#[test]
fn a_damaged_body_is_parked_although_its_type_is_not_known() {
    for body in [&b"{\"type\": \"customer.subscr"[..], b"[]", b"", b"\xff"] {
        assert!(matches!(story().read_bytes("unknown", body), crate::sources::Reading::Parked(_)));
    }
}

#[test]
fn types_without_a_meaning_are_ignored_unless_asked_for() {
    expect(&[("test", NONE, "ignored: test_event")]);
    let body = payload("test", &json!({"type": "my_paywall_opened"}));
    assert_eq!(story().tell("my_paywall_opened", &body), "ignored: unknown_event_type");
    let also = SourceSettings {
        also: vec!["TEST".to_owned(), "my_paywall_opened".to_owned()],
        ..SourceSettings::default()
    };
    let mut story = story().with_settings(also);
    assert_eq!(story.tell("TEST", &payload("test", &NONE)), "provider_event");
    assert_eq!(story.tell("my_paywall_opened", &body), "provider_event");
}

#[test]
fn every_mapped_type_has_a_fixture_that_is_read() {
    for (name, treatment) in RevenueCat.treatments() {
        let told = FIXTURES
            .iter()
            .map(|(fixture, _)| payload(fixture, &NONE))
            .find(|payload| event_type(payload) == *name);
        match treatment {
            Treatment::Mapped => {
                let answer = story().tell(name, &told.unwrap());
                assert!(!answer.starts_with("ignored"), "{name}: {answer}");
            }
            Treatment::Ignored(reason) => {
                let answer = story().tell(name, &json!({"event": {"type": name}}));
                assert_eq!(answer, format!("ignored: {reason}"));
            }
        }
    }
}

fn absurd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({"id": [1]})),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn mutated_payloads_never_panic_and_always_get_an_answer(
        chapters in proptest::collection::vec(
            (0..FIXTURES.len(), any::<proptest::sample::Index>(), absurd(), any::<bool>()),
            1..12,
        ),
    ) {
        let mut story = story();
        for (fixture, field, value, intact) in chapters {
            let mut payload = payload(FIXTURES[fixture].0, &NONE);
            let told_type = event_type(&payload).to_owned();
            let event = payload["event"].as_object_mut().unwrap();
            let name = field.get(&event.keys().cloned().collect::<Vec<_>>()).clone();
            if !intact {
                event.insert(name, value);
            }
            story.tell(&told_type, &payload);
            story.tell_late(&told_type, &payload);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (event_type, _) in RevenueCat.treatments() {
            story().read_bytes(event_type, &body);
        }
    }
}
