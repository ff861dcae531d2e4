//! Every event type Dodo is known to send (48 in the official JavaScript library 2.52.0), and how it is
//! treated.

use super::super::Treatment::{self, Ignored, Mapped};

/// The treatment of a type; `None` for one that is not known.
pub(super) fn treatment(event_type: &str) -> Option<Treatment> {
    TREATMENTS.iter().find(|(name, _)| *name == event_type).map(|(_, treatment)| *treatment)
}

pub(super) const TREATMENTS: &[(&str, Treatment)] = &[
    ("subscription.active", Mapped),
    ("subscription.renewed", Mapped),
    ("subscription.past_due", Mapped),
    ("subscription.on_hold", Mapped),
    ("subscription.paused", Mapped),
    ("subscription.unpaused", Mapped),
    ("subscription.plan_changed", Mapped),
    ("subscription.cancelled", Mapped),
    ("subscription.expired", Mapped),
    ("subscription.failed", Mapped),
    ("subscription.updated", Mapped),
    ("payment.succeeded", Mapped),
    ("payment.failed", Mapped),
    ("refund.succeeded", Mapped),
    ("dispute.opened", Mapped),
    ("dispute.won", Mapped),
    ("dispute.cancelled", Mapped),
    ("dispute.lost", Mapped),
    ("dispute.accepted", Mapped),
    ("dispute.expired", Mapped),
    ("entitlement_grant.created", Mapped),
    ("entitlement_grant.revoked", Mapped),
    ("abandoned_checkout.detected", Mapped),
    ("abandoned_checkout.recovered", Mapped),
    ("subscription.update_payment_method", Ignored("payment_method_bookkeeping")),
    ("payment.processing", Ignored("payment_without_result")),
    ("payment.cancelled", Ignored("payment_without_result")),
    ("refund.failed", Ignored("refund_without_effect")),
    ("dispute.challenged", Ignored("dispute_without_verdict")),
    ("dunning.started", Ignored("told_by_subscription")),
    ("dunning.recovered", Ignored("told_by_subscription")),
    ("entitlement_grant.delivered", Ignored("entitlement_bookkeeping")),
    ("entitlement_grant.failed", Ignored("entitlement_bookkeeping")),
    ("license_key.created", Ignored("told_by_entitlement_grant")),
    ("credit.added", Ignored("credit_bookkeeping")),
    ("credit.deducted", Ignored("credit_bookkeeping")),
    ("credit.expired", Ignored("credit_bookkeeping")),
    ("credit.rolled_over", Ignored("credit_bookkeeping")),
    ("credit.rollover_forfeited", Ignored("credit_bookkeeping")),
    ("credit.overage_charged", Ignored("credit_bookkeeping")),
    ("credit.overage_reset", Ignored("credit_bookkeeping")),
    ("credit.manual_adjustment", Ignored("credit_bookkeeping")),
    ("credit.balance_low", Ignored("credit_bookkeeping")),
    ("payout.created", Ignored("not_about_subscribers")),
    ("payout.not_initiated", Ignored("not_about_subscribers")),
    ("payout.on_hold", Ignored("not_about_subscribers")),
    ("payout.in_progress", Ignored("not_about_subscribers")),
    ("payout.failed", Ignored("not_about_subscribers")),
    ("payout.success", Ignored("not_about_subscribers")),
];
