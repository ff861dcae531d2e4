//! The end of a subscription, by whichever event shows it first.

use schemas::EventType;
use schemas::state::SubscriptionState;

use super::subscription::{Change, close_trial};

/// Ends it, and says how.
pub(super) fn end(change: &Change<'_>, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
    next.ended = true;
    next.pending_product = None;
    if change.before == Some("incomplete") || change.word == "incomplete_expired" {
        rows.push(EventType::SubscriptionStartFailed);
        return;
    }
    if next.trial_open {
        close_trial(next);
        rows.push(EventType::TrialNotConverted);
    }
    if change.before == Some("past_due") {
        let by_customer = change.facts.reason.as_deref() == Some("cancellation_requested");
        rows.push(if by_customer {
            EventType::CancelledDuringGracePeriod
        } else {
            EventType::GracePeriodEnded
        });
    }
    rows.push(EventType::SubscriptionExpired);
}
