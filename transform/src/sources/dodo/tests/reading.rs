//! What is read, learned, ignored and parked; and the money.

use std::collections::HashSet;

use schemas::Environment;
use schemas::state::Facts;
use serde_json::{Value, json};

use super::super::catalogue::TREATMENTS;
use super::*;
use crate::sources::{Reading, SourceSettings, Treatment};

fn facts(story: &Story, event_type: &str, body: &Value) -> Facts {
    let Reading::Facts(facts) = story.read(event_type, body) else { panic!("no facts") };
    *facts
}

#[test]
fn a_subscription_is_read() {
    let facts = facts(&story(), "subscription.active", &event(SUBSCRIPTION, &json!({})));
    let shown = facts.subscription.unwrap().shown;
    assert_eq!(facts.occurred_at.to_string(), "2026-05-01T08:00:00.250Z");
    assert_eq!(shown.id, "sub_Keel");
    assert_eq!(shown.product_id.as_deref(), Some("pdt_lantern"));
    assert_eq!(shown.price.unwrap().major(), "9.00");
    assert_eq!(shown.period_end.unwrap().to_string(), "2026-06-01T08:00:00.000Z");
    assert_eq!(shown.trial_ends_at, None);
    assert_eq!(facts.person.email.as_deref(), Some("tove@example.org"));
    assert_eq!(facts.person.attributes["name"], "Tove Lind");
    assert_eq!(facts.person.attributes["phone"], "+4515550177");
    assert_eq!(facts.person.attributes["crew"], "day");
}

#[test]
fn the_source_says_the_environment_and_where_the_user_id_is() {
    let settings = SourceSettings {
        environment: Some(Environment::Sandbox),
        user_id: vec!["/data/metadata/user_id".to_owned()],
        ..SourceSettings::default()
    };
    let body = event(SUBSCRIPTION, &json!({}));
    let told = facts(&story().with_settings(settings), "subscription.active", &body);
    assert_eq!(told.environment, Environment::Sandbox);
    assert_eq!(told.person.user_id.as_deref(), Some("u-99"));
    let untold = facts(&story(), "subscription.active", &body);
    assert_eq!(untold.environment, Environment::Production);
}

#[test]
fn a_payment_is_exact_in_every_currency() {
    for (currency, amount, answer) in
        [("USD", 1999, "19.99 USD"), ("JPY", 1500, "1500 JPY"), ("KWD", 12_345, "12.345 KWD")]
    {
        let payment = event(PAYMENT, &json!({"currency": currency, "total_amount": amount}));
        assert_eq!(
            story().tell("payment.succeeded", &payment),
            format!("transaction_processed {answer} => no status")
        );
    }
}

#[test]
fn a_payment_without_any_subscription_is_a_purchase() {
    for (data, answer) in [
        (
            json!({"subscription_id": null, "subscription_ids": null}),
            "purchase_completed, transaction_processed 10.71 EUR",
        ),
        (
            json!({"subscription_id": null, "subscription_ids": ["sub_a", "sub_b"]}),
            "transaction_processed 10.71 EUR",
        ),
        (json!({"total_amount": 0}), "(zero_amount) => no status"),
    ] {
        assert_eq!(story().tell("payment.succeeded", &event(PAYMENT, &data)), answer);
    }
}

#[test]
fn a_failed_payment_says_why() {
    let failed = event(PAYMENT, &json!({"error_code": "INSUFFICIENT_FUNDS"}));
    let decision = story().decision("payment.failed", &failed);
    assert_eq!(decision.events[0].event_type.name(), "payment_failed");
    assert_eq!(decision.events[0].reason.as_deref(), Some("INSUFFICIENT_FUNDS"));
}

#[test]
fn a_refund_takes_back_what_is_known() {
    for (data, answer) in [
        (json!({}), "payment_refunded, transaction_processed -5.00 EUR"),
        (json!({"amount": null}), "payment_refunded"),
        (json!({"amount": 0}), "(zero_amount)"),
    ] {
        assert_eq!(story().tell("refund.succeeded", &event(REFUND, &data)), answer);
    }
}

#[test]
fn a_dispute_takes_the_money_when_it_is_lost() {
    for amount in [json!("1071"), json!(1071)] {
        for (verdict, answer) in [
            ("opened", "dispute_opened"),
            ("won", "dispute_won"),
            ("cancelled", "dispute_won"),
            ("lost", "dispute_lost, transaction_processed -10.71 EUR"),
            ("accepted", "dispute_lost, transaction_processed -10.71 EUR"),
            ("expired", "dispute_lost, transaction_processed -10.71 EUR"),
            ("challenged", "ignored: dispute_without_verdict"),
        ] {
            let dispute = event(DISPUTE, &json!({"amount": amount}));
            assert_eq!(story().tell(&format!("dispute.{verdict}"), &dispute), answer);
        }
    }
}

#[test]
fn an_entitlement_is_granted_once_and_revoked() {
    let mut story = story();
    story.tell("subscription.active", &on(1, &json!({})));
    let grant = event(GRANT, &json!({}));
    let created = "entitlement_grant.created";
    assert_eq!(story.tell(created, &grant), "entitlement_granted => active");
    assert_eq!(story.subscriber.subscriptions[0].current.entitlements, ["ent_night_mode"]);
    assert_eq!(story.tell(created, &grant), "(no_lifecycle_change) => active");
    assert_eq!(story.tell("entitlement_grant.revoked", &grant), "entitlement_revoked => active");
    let elsewhere = event(GRANT, &json!({"subscription_id": null}));
    assert_eq!(story.tell(created, &elsewhere), "entitlement_granted");
}

#[test]
fn a_checkout_is_abandoned_and_recovered() {
    for (event_type, answer) in [
        ("abandoned_checkout.detected", "checkout_abandoned"),
        ("abandoned_checkout.recovered", "checkout_recovered"),
    ] {
        assert_eq!(story().tell(event_type, &event(CHECKOUT, &json!({}))), answer);
    }
}

#[test]
fn what_means_nothing_is_passed_on_only_when_asked_for() {
    let body = event(SUBSCRIPTION, &json!({}));
    for (event_type, reason) in [
        ("subscription.update_payment_method", "payment_method_bookkeeping"),
        ("dunning.started", "told_by_subscription"),
        ("moon.phase_changed", "unknown_event_type"),
    ] {
        assert_eq!(story().tell(event_type, &body), format!("ignored: {reason}"));
        let settings =
            SourceSettings { also: vec![event_type.to_owned()], ..SourceSettings::default() };
        assert_eq!(story().with_settings(settings).tell(event_type, &body), "provider_event");
    }
}

#[test]
fn a_damaged_body_is_parked_although_its_type_is_not_known() {
    for body in [&b"{\"type\": \"customer.subscr"[..], b"[]", b"", b"\xff"] {
        assert!(matches!(story().read_bytes("unknown", body), Reading::Parked(_)));
    }
}

#[test]
fn what_a_row_hangs_on_must_be_there() {
    let active = "subscription.active";
    for (event_type, fixture, pointer, value, answer) in [
        (active, SUBSCRIPTION, "/timestamp", json!("yesterday"), "/timestamp: not a time"),
        (active, SUBSCRIPTION, "/data", json!(null), "/data: missing or not an object"),
        (
            active,
            SUBSCRIPTION,
            "/data/subscription_id",
            json!(null),
            "/data/subscription_id: missing",
        ),
        (active, SUBSCRIPTION, "/data/status", json!(false), "/data/status: not a string"),
        (
            active,
            SUBSCRIPTION,
            "/data/trial_period_days",
            json!(-14),
            "/data/trial_period_days: an absurd number",
        ),
        (
            active,
            SUBSCRIPTION,
            "/data/next_billing_date",
            json!("1999-12-31T23:59:59Z"),
            "/data/next_billing_date: the end of a negative period",
        ),
        (
            "payment.succeeded",
            PAYMENT,
            "/data/subscription_ids",
            json!(vec!["sub_x"; 10_000]),
            "/data/subscription_ids: an absurdly long list",
        ),
        (
            "payment.succeeded",
            PAYMENT,
            "/data/total_amount",
            json!(-1),
            "/data/total_amount: a negative amount",
        ),
        (
            "payment.succeeded",
            PAYMENT,
            "/data/total_amount",
            json!(9.99),
            "/data/total_amount: not a whole number of minor units",
        ),
        ("payment.succeeded", PAYMENT, "/data/currency", json!(null), "/data/currency: missing"),
        (
            "dispute.lost",
            DISPUTE,
            "/data/amount",
            json!("10.71"),
            "/data/amount: not a whole number of minor units",
        ),
    ] {
        let mut body = event(fixture, &json!({}));
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(story().tell(event_type, &body), format!("parked: {answer}"));
    }
}

#[test]
fn an_unknown_status_never_parks() {
    let mut story = story();
    story.tell("subscription.active", &on(1, &json!({})));
    let odd = on(2, &json!({"status": "hibernating", "payment_frequency_interval": "Moon"}));
    assert_eq!(story.tell("subscription.renewed", &odd), "subscription_renewed => active");
}

#[test]
fn every_known_type_is_listed_once_and_treated_as_listed() {
    let names: HashSet<_> = TREATMENTS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), TREATMENTS.len());
    for (name, treatment) in TREATMENTS {
        match (treatment, story().read(name, &json!({}))) {
            (Treatment::Mapped, Reading::Parked(_)) => {}
            (Treatment::Ignored(reason), Reading::Ignored(read)) => assert_eq!(*reason, read),
            (treatment, reading) => panic!("{name}: {treatment:?} and {reading:?}"),
        }
    }
}
