//! What is read, learned, ignored and parked.

use std::collections::HashSet;

use schemas::Environment;
use schemas::state::Facts;
use schemas::vocabulary::Store;
use serde_json::{Value, json};

use super::super::catalogue::TREATMENTS;
use super::*;
use crate::sources::{Reading, SourceSettings, Treatment};

fn facts(event_type: &str, body: &Value) -> Facts {
    let Reading::Facts(facts) = story().read(event_type, body) else { panic!("no facts") };
    *facts
}

#[test]
fn a_subscription_is_read_in_its_present_shape() {
    let facts = facts(CREATED, &event(SUBSCRIPTION, &json!({})));
    let shown = facts.subscription.unwrap().shown;
    assert_eq!(facts.occurred_at.seconds(), T);
    assert_eq!(facts.environment, Environment::Production);
    assert_eq!(shown.id, "sub_Harbor");
    assert_eq!(shown.product_id.as_deref(), Some("prod_lantern"));
    assert_eq!(shown.plan_id.as_deref(), Some("price_lantern"));
    assert_eq!(shown.price.unwrap().major(), "12.00");
    assert_eq!(shown.period_end.unwrap().seconds(), 1_772_419_200);
    assert_eq!(shown.expires_at, shown.period_end);
    assert_eq!((shown.store, shown.auto_renew), (Some(Store::Stripe), Some(true)));
}

#[test]
fn a_subscription_is_read_in_its_shape_before_basil() {
    let facts = facts(CREATED, &event(SUBSCRIPTION_BEFORE_BASIL, &json!({})));
    let told = facts.subscription.unwrap();
    assert_eq!(told.cancel_scheduled, Some(true));
    assert_eq!(told.shown.plan_id.as_deref(), Some("plan_beacon"));
    assert_eq!(told.shown.product_id.as_deref(), Some("prod_beacon"), "expanded");
    assert_eq!(told.shown.price.unwrap().major(), "5000", "yen have no minor unit");
    assert_eq!(told.shown.quantity, Some(3));
    assert_eq!(told.shown.period_end.unwrap().seconds(), 1_801_536_000);
    assert_eq!(facts.person.email.as_deref(), Some("ines@example.org"), "expanded customer");
    assert_eq!(facts.person.attributes["team"], "north");
}

#[test]
fn of_several_items_the_one_that_ends_last_dates_the_period() {
    let items = json!({"data": [
        {"id": "si_1", "current_period_start": T, "current_period_end": T + 10},
        {"id": "si_2", "current_period_start": T + 5, "current_period_end": T + 90},
    ]});
    let shown =
        facts(CREATED, &event(SUBSCRIPTION, &json!({"items": items}))).subscription.unwrap().shown;
    assert_eq!(shown.period_start.unwrap().seconds(), T + 5);
    assert_eq!(shown.period_end.unwrap().seconds(), T + 90);
}

#[test]
fn the_person_is_learned_and_the_card_holder_is_not() {
    let person = facts("customer.created", &event(CUSTOMER, &json!({}))).person;
    assert_eq!(person.id, "cus_Harbor");
    assert_eq!(person.email.as_deref(), Some("maren@example.org"));
    assert_eq!(person.attributes["name"], "Maren Holt");
    assert_eq!(person.attributes["crew"], "night");
    let payer = facts("invoice.paid", &event(INVOICE, &json!({}))).person;
    assert_eq!(payer.email.as_deref(), Some("maren@example.org"));
    assert_eq!(payer.attributes["name"], "Maren Holt");
    assert_eq!(facts("charge.refunded", &event(CHARGE, &json!({}))).person.email, None);
    let bare = facts("customer.created", &event(CUSTOMER, &json!({"email": null, "name": null})));
    assert_eq!(bare.person.email, None);
}

#[test]
fn the_user_id_is_where_the_source_says_even_in_what_gives_no_event() {
    let settings = SourceSettings {
        user_id: vec!["/data/object/client_reference_id".to_owned()],
        ..SourceSettings::default()
    };
    let story = story().with_settings(settings);
    let body = event(CHECKOUT, &json!({"mode": "subscription"}));
    for event_type in ["checkout.session.completed", "charge.succeeded"] {
        let Reading::Facts(facts) = story.read(event_type, &body) else { panic!("no facts") };
        assert_eq!(facts.person.user_id.as_deref(), Some("u-17"));
    }
}

#[test]
fn a_customer_update_counts_only_when_it_changes_what_is_told() {
    for (previous, answer) in [
        (json!({"email": "old@example.org"}), "customer_updated"),
        (json!({"metadata": {"crew": "day"}}), "customer_updated"),
        (json!({"balance": 500}), "(no_lifecycle_change)"),
    ] {
        let mut body = event(CUSTOMER, &json!({}));
        body["data"]["previous_attributes"] = previous;
        assert_eq!(story().tell("customer.updated", &body), answer);
    }
    assert_eq!(story().tell("customer.deleted", &event(CUSTOMER, &json!({}))), "customer_deleted");
    assert_eq!(story().tell("customer.created", &event(CUSTOMER, &json!({}))), "customer_created");
}

#[test]
fn test_mode_is_the_sandbox() {
    let mut body = event(CUSTOMER, &json!({}));
    body["livemode"] = json!(false);
    assert_eq!(facts("customer.created", &body).environment, Environment::Sandbox);
}

#[test]
fn thin_events_are_ignored_whatever_they_are_called() {
    let thin: Value = serde_json::from_str(THIN).unwrap();
    for event_type in
        ["v1.customer.subscription.past_due", "v2.core.event_destination.ping", UPDATED]
    {
        assert_eq!(story().tell(event_type, &thin), "ignored: thin_event");
    }
}

#[test]
fn what_means_nothing_is_passed_on_only_when_asked_for() {
    let body = event(CHARGE, &json!({}));
    let types = ["some.future.event", "product.updated", "charge.captured"];
    let reasons = ["unknown_event_type", "catalogue_bookkeeping", "charge_bookkeeping"];
    for (event_type, reason) in types.into_iter().zip(reasons) {
        assert_eq!(story().tell(event_type, &body), format!("ignored: {reason}"));
        let settings =
            SourceSettings { also: vec![event_type.to_owned()], ..SourceSettings::default() };
        let mut story = story().with_settings(settings);
        assert_eq!(story.tell(event_type, &body), "provider_event");
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
    for (event_type, fixture, pointer, value, answer) in [
        (CREATED, SUBSCRIPTION, "/created", json!("soon"), "/created: not a whole number"),
        (CREATED, SUBSCRIPTION, "/created", json!(-5), "/created: an absurd time"),
        (CREATED, SUBSCRIPTION, "/livemode", json!(null), "/livemode: missing"),
        (
            CREATED,
            SUBSCRIPTION,
            "/data/object",
            json!([]),
            "/data/object: missing or not an object",
        ),
        (CREATED, SUBSCRIPTION, "/data/object/id", json!(null), "/data/object/id: missing"),
        (
            CREATED,
            SUBSCRIPTION,
            "/data/object/status",
            json!(7),
            "/data/object/status: not a string",
        ),
        (
            "invoice.paid",
            INVOICE,
            "/data/object/amount_paid",
            json!(12.5),
            "/data/object/amount_paid: not a whole number of minor units",
        ),
        (
            "invoice.paid",
            INVOICE,
            "/data/object/currency",
            json!("€"),
            "/data/object/currency: not a currency code",
        ),
        (
            "refund.failed",
            REFUND,
            "/data/object/amount",
            json!(null),
            "/data/object/amount: missing",
        ),
    ] {
        let mut body = event(fixture, &json!({}));
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(story().tell(event_type, &body), format!("parked: {answer}"));
    }
}

#[test]
fn what_is_absurd_is_parked_with_its_place() {
    for (event_type, fixture, pointer, value, answer) in [
        (
            "invoice.paid",
            INVOICE,
            "/data/object/amount_paid",
            json!(-1),
            "/data/object/amount_paid: a negative amount",
        ),
        (
            CREATED,
            SUBSCRIPTION,
            "/data/object/items/data/0/current_period_end",
            json!(1),
            "/data/object/items/data/0/current_period_end: the end of a negative period",
        ),
        (
            CREATED,
            SUBSCRIPTION,
            "/data/object/items/data/0/price/recurring/interval_count",
            json!(-1),
            "/data/object/items/data/0/price/recurring/interval_count: an absurd number",
        ),
        (
            CREATED,
            SUBSCRIPTION,
            "/data/object/items/data",
            json!(vec![json!({}); 10_000]),
            "/data/object/items/data: an absurdly long list",
        ),
        (
            CREATED,
            SUBSCRIPTION,
            "/data/object/items/data",
            json!("none"),
            "/data/object/items/data: not a list",
        ),
    ] {
        let mut body = event(fixture, &json!({}));
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(story().tell(event_type, &body), format!("parked: {answer}"));
    }
}

#[test]
fn every_known_type_is_listed_once_and_treated_as_listed() {
    let names: HashSet<_> = TREATMENTS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), TREATMENTS.len());
    for (name, treatment) in TREATMENTS {
        match (treatment, story().read(name, &json!({}))) {
            (Treatment::Mapped | Treatment::Ignored("link_only"), Reading::Parked(_)) => {}
            (Treatment::Ignored(reason), Reading::Ignored(read)) => assert_eq!(*reason, read),
            (treatment, reading) => panic!("{name}: {treatment:?} and {reading:?}"),
        }
    }
}
