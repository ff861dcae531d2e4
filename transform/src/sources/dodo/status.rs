//! The status of a subscription, from `data.status` and the flag that it will not renew.

use schemas::state::{SubscriptionFacts, SubscriptionState};
use schemas::{Status, Timestamp};

/// The status at `now`. A word of a later API version leaves the status as it is; one that has ended
/// stays expired whatever newer data an older event carries.
pub(super) fn status(
    state: &SubscriptionState,
    shown: &SubscriptionFacts,
    now: Timestamp,
) -> Option<Status> {
    let word = shown.provider_status.as_deref();
    if state.ended && word != Some("failed") {
        return Some(Status::Expired);
    }
    let scheduled = shown.cancel_scheduled == Some(true);
    let running = state.current.period_end.is_some_and(|end| end > now);
    let cancelled = if state.trial_open { Status::CancelledTrial } else { Status::Cancelled };
    match word {
        Some("active") if scheduled => Some(cancelled),
        Some("active") if state.trial_open => Some(Status::Trial),
        Some("active") if state.intro_open => Some(Status::Intro),
        Some("active") => Some(Status::Active),
        Some("past_due") if state.trial_open => Some(Status::GracePeriodTrial),
        Some("past_due") => Some(Status::GracePeriod),
        Some("cancelled") if scheduled && running => Some(cancelled),
        Some("on_hold" | "cancelled" | "expired") => Some(Status::Expired),
        Some("paused") => Some(Status::Paused),
        Some("pending" | "failed") => None,
        Some(_) | None => state.current.status,
    }
}
