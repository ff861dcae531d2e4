//! Invoices, checkout sessions, refunds and disputes.

use schemas::Money;
use serde_json::json;

use super::*;

#[test]
fn an_invoice_is_read_in_both_shapes() {
    for fixture in [INVOICE, INVOICE_BEFORE_BASIL] {
        let mut story = story();
        story.tell(CREATED, &shown(T, &json!({})));
        assert_eq!(
            story.tell("invoice.paid", &event(fixture, &json!({}))),
            "subscription_renewed, transaction_processed 12.00 EUR => active"
        );
    }
}

#[test]
fn what_a_paid_invoice_means_hangs_on_why_it_was_made() {
    for (reason, paid, answer) in [
        ("subscription_create", 1200, "transaction_processed 12.00 EUR"),
        ("subscription_create", 0, "(zero_amount)"),
        ("subscription_cycle", 0, "subscription_renewed"),
        ("subscription_update", 350, "transaction_processed 3.50 EUR"),
        ("subscription_threshold", 350, "transaction_processed 3.50 EUR"),
        ("automatic_pending_invoice_item_invoice", 350, "transaction_processed 3.50 EUR"),
    ] {
        let mut story = story();
        story.tell(CREATED, &shown(T, &json!({})));
        let paid = invoice(T + 1, &json!({"billing_reason": reason, "amount_paid": paid}));
        assert_eq!(story.tell("invoice.paid", &paid), format!("{answer} => active"), "{reason}");
    }
}

#[test]
fn an_invoice_without_a_subscription_is_a_purchase() {
    let manual = invoice(T, &json!({"billing_reason": "manual", "parent": null}));
    assert_eq!(
        story().tell("invoice.paid", &manual),
        "purchase_completed, transaction_processed 12.00 EUR"
    );
}

#[test]
fn an_invoice_of_an_unknown_subscription_does_not_date_what_is_known_of_it() {
    let decision = story().decision("invoice.paid", &invoice(T + 9, &json!({})));
    let state = decision.subscription.unwrap();
    assert_eq!((state.facts_at.millis(), state.current.status), (0, None));
    assert_eq!(state.current.id, "sub_Harbor");
}

#[test]
fn failures_and_announcements_speak_of_what_is_due() {
    for (event_type, answer) in [
        ("invoice.payment_failed", "payment_failed"),
        ("invoice.payment_action_required", "payment_action_required"),
        ("invoice.upcoming", "renewal_upcoming"),
    ] {
        let due = invoice(T, &json!({"amount_paid": 0, "id": null}));
        let decision = story().decision(event_type, &due);
        assert_eq!(decision.events[0].event_type.name(), answer);
        assert_eq!(decision.events[0].money, Some(Money::minor(1200, "EUR")));
    }
}

#[test]
fn a_plan_changed_during_a_trial_converts_it_only_when_the_trial_is_over() {
    let mut story = story();
    let trial = json!({"status": "trialing", "trial_end": T + 1000});
    story.tell(CREATED, &shown(T, &trial));
    let prorated = invoice(T + 1, &json!({"billing_reason": "subscription_update"}));
    assert_eq!(story.tell("invoice.paid", &prorated), "transaction_processed 12.00 EUR => trial");
    story.tell(
        UPDATED,
        &update(T + 2, &json!({"status": "active"}), &json!({"status": "trialing"})),
    );
    assert_eq!(
        story.tell("invoice.paid", &prorated),
        "trial_converted, transaction_processed 12.00 EUR => active"
    );
}

#[test]
fn a_conversion_keeps_a_cancellation() {
    let mut story = story();
    let cancelled = json!({"status": "active", "cancel_at_period_end": true});
    story.tell(UPDATED, &update(T, &cancelled, &json!({"status": "trialing"})));
    assert_eq!(
        story.tell("invoice.paid", &invoice(T + 1, &json!({}))),
        "trial_converted, transaction_processed 12.00 EUR => cancelled"
    );
}

#[test]
fn a_checkout_is_a_purchase_only_when_nothing_else_tells_it() {
    let completed = "checkout.session.completed";
    for (event_type, object, answer) in [
        (completed, json!({}), "purchase_completed, transaction_processed 4.250 KWD"),
        (
            "checkout.session.async_payment_succeeded",
            json!({}),
            "purchase_completed, transaction_processed 4.250 KWD",
        ),
        (completed, json!({"amount_total": 0}), "purchase_completed"),
        (completed, json!({"payment_status": "unpaid"}), "(link_only)"),
        (completed, json!({"invoice": "in_1"}), "(link_only)"),
        (completed, json!({"mode": "subscription", "subscription": "sub_Harbor"}), "(link_only)"),
        ("checkout.session.expired", json!({"payment_status": "unpaid"}), "checkout_abandoned"),
        (
            "checkout.session.async_payment_failed",
            json!({"payment_status": "unpaid"}),
            "payment_failed",
        ),
    ] {
        assert_eq!(story().tell(event_type, &event(CHECKOUT, &object)), answer);
    }
}

#[test]
fn a_refund_is_what_was_added_to_the_total() {
    let mut partial = event(CHARGE, &json!({}));
    let refunded = |body: &_| story().tell("charge.refunded", body);
    assert_eq!(refunded(&partial), "payment_refunded, transaction_processed -3.00 EUR");
    partial["data"]["previous_attributes"] = json!(null);
    assert_eq!(refunded(&partial), "payment_refunded, transaction_processed -5.00 EUR");
    partial["data"]["object"]["refunds"] = json!({"data": [{"amount": 120, "currency": "eur"}]});
    assert_eq!(refunded(&partial), "payment_refunded, transaction_processed -1.20 EUR");
    let same = event(CHARGE, &json!({"amount_refunded": 200}));
    assert_eq!(refunded(&same), "(zero_amount)");
}

#[test]
fn a_refund_that_fails_brings_the_money_back() {
    assert_eq!(
        story().tell("refund.failed", &event(REFUND, &json!({}))),
        "refund_reversed, transaction_processed 3.00 EUR"
    );
    assert_eq!(
        story().tell("refund.updated", &event(REFUND, &json!({}))),
        "ignored: told_by_charge_refunded"
    );
}

#[test]
fn a_dispute_is_told_at_its_beginning_and_its_verdict() {
    for (name, status, answer) in [
        ("created", "needs_response", "dispute_opened"),
        ("closed", "won", "dispute_won"),
        ("closed", "lost", "dispute_lost"),
        ("closed", "warning_closed", "(dispute_without_verdict)"),
        ("updated", "under_review", "ignored: dispute_without_verdict"),
        ("funds_withdrawn", "needs_response", "transaction_processed -12.00 EUR"),
        ("funds_reinstated", "won", "transaction_processed 12.00 EUR"),
    ] {
        let dispute = event(DISPUTE, &json!({"status": status}));
        assert_eq!(story().tell(&format!("charge.dispute.{name}"), &dispute), answer);
    }
}
