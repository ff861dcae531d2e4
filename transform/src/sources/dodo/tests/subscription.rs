//! What becomes of a subscription.

use serde_json::{Value, json};

use super::*;
use crate::sources::SourceSettings;

fn status(word: &str) -> Value {
    json!({"status": word})
}

fn active() -> Story {
    let mut story = story();
    let started = story.tell("subscription.active", &on(1, &json!({})));
    assert_eq!(started, "subscription_started => active");
    story
}

fn trialing() -> Story {
    let mut story = story();
    let started = story.tell("subscription.active", &on(1, &json!({"trial_period_days": 14})));
    assert_eq!(started, "subscription_started, trial_started => trial");
    story
}

#[test]
fn a_second_activation_without_a_reason_is_no_news() {
    let answer = active().tell("subscription.active", &on(2, &json!({})));
    assert_eq!(answer, "(no_lifecycle_change) => active");
}

#[test]
fn a_trial_is_converted_by_the_first_renewal() {
    let mut story = trialing();
    let renewed = |day| on(day, &json!({"trial_period_days": 14}));
    assert_eq!(story.tell("subscription.renewed", &renewed(15)), "trial_converted => active");
    assert_eq!(story.tell("subscription.renewed", &renewed(28)), "subscription_renewed => active");
}

#[test]
fn a_trial_that_is_paid_for_is_an_introductory_offer() {
    let paid = json!({"trial_period_days": 7, "trial_amount": 100});
    let mut story = story();
    assert_eq!(
        story.tell("subscription.active", &on(1, &paid)),
        "subscription_started, intro_offer_started => intro"
    );
    let mut other = self::story();
    other.tell("subscription.active", &on(1, &paid));
    assert_eq!(
        other.tell("subscription.expired", &on(8, &status("expired"))),
        "intro_offer_not_converted, subscription_expired => expired"
    );
    assert_eq!(
        story.tell("subscription.renewed", &on(8, &paid)),
        "intro_offer_converted => active"
    );
}

#[test]
fn trouble_with_a_payment_ends_by_an_activation_or_a_renewal() {
    for (trouble, told, recovered) in [
        ("past_due", "grace_period_started => grace_period", "recovered_from_grace_period"),
        ("on_hold", "billing_retry_started => expired", "recovered_from_billing_retry"),
    ] {
        let event_type = format!("subscription.{trouble}");
        let mut story = active();
        assert_eq!(story.tell(&event_type, &on(2, &status(trouble))), told);
        assert_eq!(
            story.tell(&event_type, &on(2, &status(trouble))).split(" => ").next(),
            Some("(no_lifecycle_change)")
        );
        assert_eq!(
            story.tell("subscription.active", &on(3, &json!({}))),
            format!("{recovered} => active")
        );
        story.tell(&event_type, &on(4, &status(trouble)));
        assert_eq!(
            story.tell("subscription.renewed", &on(5, &json!({}))),
            format!("subscription_renewed, {recovered} => active")
        );
    }
}

#[test]
fn grace_that_runs_out_is_followed_by_a_hold() {
    let mut story = trialing();
    assert_eq!(
        story.tell("subscription.past_due", &on(15, &status("past_due"))),
        "grace_period_started => grace_period_trial"
    );
    assert_eq!(
        story.tell("subscription.on_hold", &on(18, &status("on_hold"))),
        "grace_period_ended, billing_retry_started => expired"
    );
}

#[test]
fn a_pause_ends_by_being_lifted_or_by_an_activation() {
    let mut story = active();
    let paused = on(2, &status("paused"));
    assert_eq!(story.tell("subscription.paused", &paused), "subscription_paused => paused");
    assert_eq!(
        story.tell("subscription.unpaused", &on(3, &json!({}))),
        "subscription_resumed => active"
    );
    assert_eq!(
        story.tell("subscription.active", &on(3, &json!({}))),
        "(no_lifecycle_change) => active"
    );
    story.tell("subscription.paused", &on(4, &status("paused")));
    assert_eq!(
        story.tell("subscription.active", &on(5, &json!({}))),
        "subscription_resumed => active"
    );
}

#[test]
fn a_cancellation_within_the_period_leaves_access() {
    let mut story = active();
    let flag =
        json!({"cancel_at_next_billing_date": true, "cancellation_feedback": "too_expensive"});
    let decision = story.decision("subscription.cancelled", &on(2, &flag));
    assert_eq!(decision.events[0].reason.as_deref(), Some("too_expensive"));
    assert_eq!(
        story.tell("subscription.cancelled", &on(2, &flag)),
        "renewal_disabled => cancelled"
    );
    assert_eq!(
        story.tell("subscription.updated", &on(2, &flag)),
        "(no_lifecycle_change) => cancelled",
        "it fires beside the specific ones"
    );
    let both = json!({"cancel_at_next_billing_date": true, "status": "cancelled",
        "next_billing_date": "2026-05-20T00:00:00Z"});
    assert_eq!(
        story.tell("subscription.updated", &on(3, &both)),
        "(no_lifecycle_change) => cancelled",
        "the status may say so although the period still runs"
    );
    assert_eq!(
        story.tell("subscription.cancelled", &on(25, &both)),
        "subscription_expired => expired"
    );
    assert_eq!(
        story.tell("subscription.expired", &on(26, &status("expired"))),
        "(already_ended) => expired"
    );
}

#[test]
fn a_cancelled_trial_and_its_end() {
    let mut story = trialing();
    let flag = json!({"trial_period_days": 14, "cancel_at_next_billing_date": true});
    assert_eq!(
        story.tell("subscription.updated", &on(2, &flag)),
        "renewal_disabled => cancelled_trial"
    );
    assert_eq!(
        story.tell("subscription.updated", &on(3, &json!({"trial_period_days": 14}))),
        "renewal_enabled => trial"
    );
    assert_eq!(
        story.tell("subscription.expired", &on(15, &status("expired"))),
        "trial_not_converted, subscription_expired => expired"
    );
}

#[test]
fn the_end_while_past_due_names_who_ended_it() {
    let gone = json!({"status": "cancelled", "cancelled_at": "2026-05-03T12:00:00Z"});
    for (event_type, data, answer) in [
        ("subscription.cancelled", gone, "cancelled_during_grace_period"),
        ("subscription.expired", status("expired"), "grace_period_ended"),
    ] {
        let mut story = active();
        story.tell("subscription.past_due", &on(2, &status("past_due")));
        assert_eq!(
            story.tell(event_type, &on(3, &data)),
            format!("{answer}, subscription_expired => expired")
        );
    }
}

#[test]
fn an_ended_subscription_comes_back_only_by_an_activation() {
    let mut story = active();
    story.tell("subscription.expired", &on(2, &status("expired")));
    for event_type in ["subscription.updated", "subscription.past_due", "subscription.unpaused"] {
        assert_eq!(story.tell(event_type, &on(3, &json!({}))), "(already_ended) => expired");
    }
    assert_eq!(
        story.tell("subscription.active", &on(4, &json!({}))),
        "subscription_reactivated => active"
    );
}

#[test]
fn a_type_that_contradicts_newer_data_still_says_what_happened() {
    let stale = json!({"status": "cancelled", "cancelled_at": "2026-05-02T10:00:00Z"});
    let mut first = story();
    assert_eq!(
        first.tell("subscription.active", &on(1, &stale)),
        "subscription_started => expired"
    );
    assert_eq!(
        first.tell("subscription.cancelled", &on(2, &stale)),
        "subscription_expired => expired",
        "the data of the activation did not end it"
    );
    let taken_back = active().tell("subscription.cancelled", &on(2, &json!({})));
    assert_eq!(taken_back, "renewal_disabled => active", "living, and never cancelled");
    let mut flagged = active();
    let newer = json!({"cancel_at_next_billing_date": true});
    assert_eq!(
        flagged.tell("subscription.active", &on(2, &newer)),
        "(no_lifecycle_change) => cancelled"
    );
    assert_eq!(
        flagged.tell("subscription.updated", &on(3, &newer)),
        "renewal_disabled => cancelled",
        "what was only shown is still to be told"
    );
}

#[test]
fn a_sign_up_that_fails_never_was_a_subscription() {
    let mut story = story();
    assert_eq!(
        story.tell("subscription.failed", &on(1, &status("failed"))),
        "subscription_start_failed => no status"
    );
    assert_eq!(
        story.tell("subscription.failed", &on(1, &status("failed"))),
        "(already_ended) => no status"
    );
}

#[test]
fn a_plan_changes_by_what_it_costs_or_by_rank() {
    let change = |product: &str, amount: i64, interval: &str| {
        json!({"product_id": product, "recurring_pre_tax_amount": amount,
            "payment_frequency_interval": interval})
    };
    for (to, answer) in [
        (change("pdt_beacon", 1900, "Month"), "subscription_upgraded"),
        (change("pdt_spark", 300, "Month"), "subscription_downgraded"),
        (change("pdt_yearly", 10_800, "Year"), "subscription_crossgraded"),
        (change("pdt_lantern", 900, "Month"), "(no_lifecycle_change)"),
    ] {
        let answered = active().tell("subscription.plan_changed", &on(2, &to));
        assert_eq!(answered, format!("{answer} => active"));
    }
    let settings = SourceSettings {
        plans: vec!["pdt_beacon".to_owned(), "pdt_lantern".to_owned()],
        ..SourceSettings::default()
    };
    let mut ranked = story().with_settings(settings);
    ranked.tell("subscription.active", &on(1, &json!({})));
    assert_eq!(
        ranked.tell("subscription.plan_changed", &on(2, &change("pdt_beacon", 1900, "Month"))),
        "subscription_downgraded => active"
    );
}

#[test]
fn a_plan_moves_only_by_its_own_event() {
    let mut story = active();
    let newer = json!({"product_id": "pdt_beacon", "recurring_pre_tax_amount": 1900});
    story.tell("subscription.renewed", &on(2, &newer));
    let product = |story: &Story| story.subscriber.subscriptions[0].current.product_id.clone();
    assert_eq!(product(&story).as_deref(), Some("pdt_lantern"));
    assert_eq!(
        story.tell("subscription.plan_changed", &on(3, &newer)),
        "subscription_upgraded => active"
    );
    assert_eq!(product(&story).as_deref(), Some("pdt_beacon"));
}

#[test]
fn a_scheduled_change_is_announced_once() {
    let mut story = active();
    let scheduled = json!({"scheduled_change": {"id": "sch_1", "product_id": "pdt_spark"}});
    assert_eq!(
        story.tell("subscription.updated", &on(2, &scheduled)),
        "plan_change_scheduled => active"
    );
    assert_eq!(
        story.tell("subscription.updated", &on(3, &scheduled)),
        "(no_lifecycle_change) => active"
    );
    let pending = &story.subscriber.subscriptions[0].pending_product;
    assert_eq!(pending.as_deref(), Some("pdt_spark"));
}

#[test]
fn a_late_event_is_told_unless_the_same_fact_was() {
    let mut story = active();
    story.tell("subscription.paused", &on(4, &status("paused")));
    assert_eq!(
        story.tell_late("subscription.active", &on(1, &json!({}))),
        "(no_lifecycle_change) => active"
    );
    assert_eq!(
        story.tell_late("subscription.paused", &on(4, &status("paused"))),
        "(no_lifecycle_change) => paused"
    );
    assert_eq!(
        story.tell_late("subscription.past_due", &on(2, &status("past_due"))),
        "grace_period_started => grace_period"
    );
    let mut ended = active();
    ended.tell("subscription.expired", &on(9, &status("expired")));
    assert_eq!(
        ended.tell_late("subscription.expired", &on(8, &status("expired"))),
        "(already_ended)"
    );
}

#[test]
fn a_start_that_comes_after_the_first_renewal_is_still_told() {
    let mut story = story();
    assert_eq!(
        story.tell("subscription.renewed", &on(9, &json!({}))),
        "subscription_renewed => active"
    );
    assert_eq!(
        story.tell_late("subscription.active", &on(1, &json!({}))),
        "subscription_started => active"
    );
    assert_eq!(
        story.tell("subscription.active", &on(10, &json!({}))),
        "(no_lifecycle_change) => active"
    );
}
