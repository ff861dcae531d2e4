//! The status of a subscription, from the subscription object alone.

use schemas::Status;
use schemas::state::SubscriptionState;

/// The status that `state.provider_status` means. A word of a later API version leaves the status as
/// it is.
pub(super) fn status(state: &SubscriptionState) -> Option<Status> {
    let scheduled = state.current.auto_renew == Some(false);
    match state.provider_status.as_deref() {
        Some("canceled" | "incomplete_expired" | "unpaid") => Some(Status::Expired),
        Some("paused") => Some(Status::Paused),
        Some("past_due") if state.trial_open => Some(Status::GracePeriodTrial),
        Some("past_due") => Some(Status::GracePeriod),
        Some("trialing") if scheduled => Some(Status::CancelledTrial),
        Some("trialing") => Some(Status::Trial),
        Some("active") if scheduled => Some(Status::Cancelled),
        Some("active") if state.trial_open => Some(Status::Trial),
        Some("active") => Some(Status::Active),
        Some("incomplete") => None,
        Some(_) | None => state.current.status,
    }
}

/// The word for the status of a subscription of which Stripe's own is not known.
pub(super) fn word(state: &SubscriptionState) -> &'static str {
    match state {
        SubscriptionState { ended: true, .. } => "canceled",
        SubscriptionState { in_billing_retry: true, .. } => "unpaid",
        SubscriptionState { paused: true, .. } => "paused",
        SubscriptionState { in_grace: true, .. } => "past_due",
        SubscriptionState { trial_open: true, .. } => "trialing",
        _ => "active",
    }
}

/// Whether a word is the end of the subscription: nothing brings the same id back.
pub(super) fn is_terminal(word: &str) -> bool {
    matches!(word, "canceled" | "incomplete_expired")
}
