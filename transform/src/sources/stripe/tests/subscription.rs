//! What the subscription object shows.

use serde_json::{Value, json};

use super::*;
use crate::sources::SourceSettings;

fn to(status: &str) -> Value {
    json!({"status": status})
}

/// A story that knows an active subscription.
fn active() -> Story {
    let mut story = story();
    assert_eq!(story.tell(CREATED, &shown(T, &json!({}))), "subscription_started => active");
    story
}

/// A story that knows a subscription on trial.
fn trialing() -> Story {
    let mut story = story();
    let trial = json!({"status": "trialing", "trial_end": T + 1000});
    assert_eq!(
        story.tell(CREATED, &shown(T, &trial)),
        "subscription_started, trial_started => trial"
    );
    story
}

#[test]
fn a_subscription_awaits_its_first_payment() {
    let mut story = story();
    assert_eq!(
        story.tell(CREATED, &shown(T, &to("incomplete"))),
        "(awaiting_first_payment) => no status"
    );
    let paid = update(T + 1, &to("active"), &to("incomplete"));
    assert_eq!(story.tell(UPDATED, &paid), "subscription_started => active");
    assert_eq!(story.tell(UPDATED, &paid), "(no_lifecycle_change) => active");
}

#[test]
fn a_sign_up_that_is_never_completed_fails_once() {
    for (event_type, end) in [(UPDATED, "incomplete_expired"), (DELETED, "canceled")] {
        let mut story = story();
        story.tell(CREATED, &shown(T, &to("incomplete")));
        let over = update(T + 9, &to(end), &to("incomplete"));
        assert_eq!(story.tell(event_type, &over), "subscription_start_failed => expired");
        assert_eq!(story.tell(DELETED, &shown(T + 9, &to(end))), "(already_ended) => expired");
    }
}

#[test]
fn a_trial_is_converted_by_its_first_paid_cycle_and_not_by_the_clock() {
    let mut story = trialing();
    let trial_invoice =
        invoice(T, &json!({"billing_reason": "subscription_create", "amount_paid": 0}));
    assert_eq!(story.tell("invoice.paid", &trial_invoice), "(zero_amount) => trial");
    let over = json!({"status": "active", "trial_end": T + 1000});
    assert_eq!(
        story.tell(UPDATED, &update(T + 1000, &over, &to("trialing"))),
        "(awaiting_first_invoice) => trial"
    );
    assert_eq!(
        story.tell("invoice.paid", &invoice(T + 4600, &json!({}))),
        "trial_converted, transaction_processed 12.00 EUR => active"
    );
    assert_eq!(
        story.tell("invoice.paid", &invoice(T + 9000, &json!({}))),
        "subscription_renewed, transaction_processed 12.00 EUR => active"
    );
}

#[test]
fn a_trial_that_falls_due_and_is_cancelled_was_not_converted() {
    let mut story = trialing();
    let due = update(T + 1001, &to("past_due"), &to("trialing"));
    assert_eq!(story.tell(UPDATED, &due), "grace_period_started => grace_period_trial");
    assert_eq!(
        story.tell(DELETED, &shown(T + 2000, &to("canceled"))),
        "trial_not_converted, grace_period_ended, subscription_expired => expired"
    );
}

#[test]
fn a_trial_without_a_card_pauses_and_is_resumed() {
    let mut story = trialing();
    let paused = json!({"status": "paused", "trial_end": T + 1000});
    assert_eq!(
        story.tell(UPDATED, &update(T + 1000, &paused, &to("trialing"))),
        "trial_not_converted, subscription_paused => paused"
    );
    assert_eq!(
        story.tell("customer.subscription.paused", &shown(T + 1000, &paused)),
        "(no_lifecycle_change) => paused",
        "told by the update"
    );
    assert_eq!(
        story.tell("customer.subscription.resumed", &shown(T + 1500, &to("active"))),
        "subscription_resumed => active"
    );
    assert_eq!(
        story.tell(UPDATED, &update(T + 1500, &to("active"), &to("paused"))),
        "(no_lifecycle_change) => active",
        "told by the resumption"
    );
}

#[test]
fn a_late_pause_that_was_told_is_left_out_and_another_is_not() {
    let mut story = active();
    story.tell(UPDATED, &update(T + 500, &to("paused"), &to("active")));
    let late = |at| shown(at, &to("paused"));
    assert_eq!(
        story.tell_late("customer.subscription.paused", &late(T + 500)),
        "(no_lifecycle_change) => paused"
    );
    assert_eq!(
        story.tell_late("customer.subscription.paused", &late(T + 100)),
        "subscription_paused => paused"
    );
}

#[test]
fn billing_trouble_and_recovery() {
    let mut story = active();
    for (before, after, answer) in [
        ("active", "past_due", "grace_period_started => grace_period"),
        ("past_due", "active", "recovered_from_grace_period => active"),
        ("active", "past_due", "grace_period_started => grace_period"),
        ("past_due", "unpaid", "grace_period_ended, billing_retry_started => expired"),
        ("unpaid", "active", "recovered_from_billing_retry => active"),
        ("active", "unpaid", "billing_retry_started => expired"),
    ] {
        assert_eq!(story.tell(UPDATED, &update(T + 1, &to(after), &to(before))), answer);
    }
}

#[test]
fn a_paid_subscription_set_back_into_a_trial_is_deferred() {
    let mut story = active();
    let trial = json!({"status": "trialing", "trial_end": T + 5000});
    assert_eq!(
        story
            .tell(UPDATED, &update(T + 9, &trial, &json!({"status": "active", "trial_end": null}))),
        "subscription_deferred => trial"
    );
}

#[test]
fn a_cancellation_is_seen_in_either_of_its_forms() {
    let flag = |on: bool| json!({"cancel_at_period_end": on});
    let date = |at: Value| json!({"cancel_at": at});
    let mut story = active();
    assert_eq!(
        story.tell(UPDATED, &update(T + 1, &date(json!(T + 9)), &date(Value::Null))),
        "renewal_disabled => cancelled"
    );
    assert_eq!(
        story.tell(UPDATED, &update(T + 2, &date(json!(T + 8)), &date(json!(T + 9)))),
        "(no_lifecycle_change) => cancelled",
        "a moved date is neither"
    );
    assert_eq!(
        story.tell(UPDATED, &update(T + 3, &date(Value::Null), &date(json!(T + 8)))),
        "renewal_enabled => active"
    );
    assert_eq!(
        story.tell(UPDATED, &update(T + 4, &flag(true), &flag(false))),
        "renewal_disabled => cancelled"
    );
    assert_eq!(
        story.tell(UPDATED, &update(T + 4, &flag(true), &flag(false))),
        "(no_lifecycle_change) => cancelled",
        "a second Event of the same change"
    );
}

#[test]
fn a_trial_with_a_cancellation_is_a_cancelled_trial() {
    let mut story = trialing();
    let flag = json!({"status": "trialing", "trial_end": T + 1000, "cancel_at_period_end": true});
    assert_eq!(
        story.tell(UPDATED, &update(T + 1, &flag, &json!({"cancel_at_period_end": false}))),
        "renewal_disabled => cancelled_trial"
    );
}

#[test]
fn events_of_one_second_are_told_whatever_their_order() {
    let mut story = active();
    let both = json!({"status": "past_due", "metadata": {"x": "1"}});
    assert_eq!(
        story.tell(UPDATED, &update(T + 5, &both, &json!({"metadata": {"x": null}}))),
        "(no_lifecycle_change) => grace_period",
        "it shows what another event will tell"
    );
    assert_eq!(
        story.tell(UPDATED, &update(T + 5, &to("past_due"), &to("active"))),
        "grace_period_started => grace_period"
    );
}

#[test]
fn a_change_that_never_arrived_does_not_hide_the_next() {
    let flag = |on: bool| json!({"cancel_at_period_end": on});
    let mut story = active();
    assert_eq!(
        story.tell(UPDATED, &update(T + 1, &flag(true), &json!({"metadata": {}}))),
        "(no_lifecycle_change) => cancelled",
        "shown, not told"
    );
    assert_eq!(
        story.tell(UPDATED, &update(T + 2, &flag(false), &flag(true))),
        "renewal_enabled => active"
    );
}

#[test]
fn only_a_different_price_is_a_change_of_plan() {
    let change = |price, amount, interval, quantity, before: Value| {
        update(
            T + 3,
            &json!({"items": items(price, amount, interval, quantity)}),
            &json!({"items": before}),
        )
    };
    let lantern = items("price_lantern", 1200, "month", 1);
    for (after, answer) in [
        (change("price_beacon", 3000, "month", 1, lantern.clone()), "subscription_upgraded"),
        (change("price_spark", 500, "month", 1, lantern.clone()), "subscription_downgraded"),
        (change("price_yearly", 14_400, "year", 1, lantern.clone()), "subscription_crossgraded"),
        (change("price_lantern", 1200, "month", 4, lantern.clone()), "quantity_changed"),
        (change("price_lantern", 1200, "month", 1, lantern.clone()), "(no_lifecycle_change)"),
        (
            change("price_lantern", 1200, "month", 1, json!({"data": [{"current_period_end": T}]})),
            "(no_lifecycle_change)",
        ),
    ] {
        assert_eq!(active().tell(UPDATED, &after), format!("{answer} => active"));
    }
}

#[test]
fn a_change_of_plan_names_the_product_before() {
    let story = active();
    let change = update(
        T + 3,
        &json!({"items": items("price_beacon", 3000, "month", 1)}),
        &json!({"items": items("price_lantern", 1200, "month", 1)}),
    );
    let after = story.decision(UPDATED, &change).subscription.unwrap().current;
    assert_eq!(after.previous_product_id.as_deref(), Some("prod_of_price_lantern"));
    assert_eq!(after.plan_id.as_deref(), Some("price_beacon"));
}

#[test]
fn a_ranking_of_plans_wins_over_the_price() {
    let settings = SourceSettings {
        plans: vec!["price_beacon".to_owned(), "price_lantern".to_owned()],
        ..SourceSettings::default()
    };
    let mut story = story().with_settings(settings);
    story.tell(CREATED, &shown(T, &json!({})));
    let change = update(
        T + 3,
        &json!({"items": items("price_beacon", 3000, "month", 1)}),
        &json!({"items": items("price_lantern", 1200, "month", 1)}),
    );
    assert_eq!(story.tell(UPDATED, &change), "subscription_downgraded => active");
}

#[test]
fn several_changes_at_once_are_all_told_in_order() {
    let mut story = active();
    let object = json!({
        "status": "past_due", "cancel_at_period_end": true, "pause_collection": {"behavior": "void"},
        "items": items("price_beacon", 3000, "month", 1),
    });
    let previous = json!({
        "status": "active", "cancel_at_period_end": false, "pause_collection": null,
        "items": items("price_lantern", 1200, "month", 1),
    });
    assert_eq!(
        story.tell(UPDATED, &update(T + 1, &object, &previous)),
        "grace_period_started, renewal_disabled, subscription_upgraded, payment_collection_paused \
         => grace_period"
    );
}

#[test]
fn collection_is_paused_and_resumed_without_a_change_of_status() {
    let mut story = active();
    let void = json!({"pause_collection": {"behavior": "void", "resumes_at": T + 900}});
    let none = json!({"pause_collection": null});
    assert_eq!(
        story.tell(UPDATED, &update(T + 1, &void, &none)),
        "payment_collection_paused => active"
    );
    assert_eq!(
        story.tell(UPDATED, &update(T + 2, &none, &void)),
        "payment_collection_resumed => active"
    );
}

#[test]
fn a_trial_is_announced_to_end_and_may_be_extended() {
    let mut story = trialing();
    let ends = |at| json!({"status": "trialing", "trial_end": at});
    let will_end = "customer.subscription.trial_will_end";
    assert_eq!(story.tell(will_end, &shown(T + 700, &ends(T + 1000))), "trial_ending => trial");
    assert_eq!(
        story.tell(UPDATED, &update(T + 800, &ends(T + 3000), &json!({"trial_end": T + 1000}))),
        "trial_extended => trial"
    );
    assert_eq!(
        story.tell(UPDATED, &update(T + 810, &ends(T + 2000), &json!({"trial_end": T + 3000}))),
        "(no_lifecycle_change) => trial",
        "shortened is not extended"
    );
}

#[test]
fn a_cancelled_subscription_has_ended_whoever_says_it_first() {
    let canceled = json!({"status": "canceled", "ended_at": T + 50,
        "cancellation_details": {"reason": "cancellation_requested"}});
    let by_update = update(T + 50, &canceled, &to("active"));
    let by_deletion = shown(T + 50, &canceled);
    for order in [
        [(UPDATED, &by_update), (DELETED, &by_deletion)],
        [(DELETED, &by_deletion), (UPDATED, &by_update)],
    ] {
        let mut story = active();
        assert_eq!(story.tell(order[0].0, order[0].1), "subscription_expired => expired");
        assert_eq!(story.tell(order[1].0, order[1].1), "(already_ended) => expired");
        assert_eq!(story.tell_late(order[1].0, order[1].1), "(already_ended)");
    }
    let decision = active().decision(DELETED, &by_deletion);
    assert_eq!(decision.events[0].reason.as_deref(), Some("cancellation_requested"));
    let after = decision.subscription.unwrap().current;
    assert_eq!(after.expiration_reason.as_deref(), Some("cancellation_requested"));
}

#[test]
fn nothing_resurrects_a_cancelled_subscription() {
    let mut story = active();
    story.tell(DELETED, &shown(T + 50, &to("canceled")));
    let stale = update(T + 51, &to("active"), &to("past_due"));
    assert_eq!(story.tell(UPDATED, &stale), "(already_ended) => expired");
    assert_eq!(
        story.tell("invoice.paid", &invoice(T + 52, &json!({}))),
        "transaction_processed 12.00 EUR => expired"
    );
}

#[test]
fn a_cancellation_by_the_customer_in_grace_is_told_as_such() {
    for (reason, answer) in [
        ("cancellation_requested", "cancelled_during_grace_period"),
        ("payment_failed", "grace_period_ended"),
    ] {
        let mut story = active();
        story.tell(UPDATED, &update(T + 1, &to("past_due"), &to("active")));
        let over = json!({"status": "canceled", "cancellation_details": {"reason": reason}});
        assert_eq!(
            story.tell(DELETED, &shown(T + 2, &over)),
            format!("{answer}, subscription_expired => expired")
        );
    }
}

#[test]
fn about_an_unknown_subscription_an_update_stands_alone() {
    for (before, after, answer) in [
        ("past_due", "active", "recovered_from_grace_period => active"),
        ("trialing", "past_due", "grace_period_started => grace_period_trial"),
        ("past_due", "canceled", "grace_period_ended, subscription_expired => expired"),
        ("trialing", "canceled", "trial_not_converted, subscription_expired => expired"),
    ] {
        let answered = story().tell(UPDATED, &update(T, &to(after), &to(before)));
        assert_eq!(answered, answer);
    }
}

#[test]
fn a_start_that_was_told_is_not_told_again_by_a_late_creation() {
    let mut story = active();
    assert_eq!(
        story.tell_late(CREATED, &shown(T - 9, &json!({}))),
        "(no_lifecycle_change) => active"
    );
}

#[test]
fn a_status_of_a_later_api_version_changes_nothing() {
    let mut story = active();
    assert_eq!(
        story.tell(UPDATED, &update(T + 1, &to("hibernating"), &to("active"))),
        "(no_lifecycle_change) => active"
    );
}

#[test]
fn a_plan_change_is_announced_once_and_may_be_withdrawn() {
    let mut story = active();
    let created = event(SCHEDULE, &json!({}));
    assert_eq!(
        story.tell("subscription_schedule.created", &created),
        "plan_change_scheduled => active"
    );
    assert_eq!(
        story.tell("subscription_schedule.updated", &created),
        "(no_lifecycle_change) => active"
    );
    let pending = &story.subscriber.subscriptions[0].pending_product;
    assert_eq!(pending.as_deref(), Some("price_beacon"));
    let withdrawn = event(SCHEDULE, &json!({"phases": []}));
    assert_eq!(
        story.tell("subscription_schedule.updated", &withdrawn),
        "(no_lifecycle_change) => active"
    );
    assert_eq!(
        story.tell("subscription_schedule.updated", &created),
        "plan_change_scheduled => active"
    );
}

#[test]
fn a_phase_with_the_same_items_announces_nothing() {
    let same = json!([{"price": "price_lantern", "quantity": 1}]);
    let phases = json!([{"start_date": T, "items": same}, {"start_date": T + 9999, "items": same}]);
    let schedule = event(SCHEDULE, &json!({"phases": phases}));
    assert_eq!(
        active().tell("subscription_schedule.created", &schedule),
        "(no_lifecycle_change) => active"
    );
}
