//! From what an import says of a subscription to the state that events would have left.

use std::collections::BTreeMap;

use schemas::event::Subscription;
use schemas::state::{ImportedSubscription, SubscriptionState};
use schemas::vocabulary::PeriodType;
use schemas::{Status, Timestamp};

/// The subscription as of a moment: what hangs over it follows from its status.
pub(super) fn state(told: &ImportedSubscription, as_of: Timestamp) -> SubscriptionState {
    let ImportedSubscription {
        environment,
        shown,
        provider_status,
        collection_paused,
        in_billing_retry,
        pending_product,
    } = told.clone();
    let status = shown.status.unwrap_or(Status::Unknown);
    let current = completed(shown, status);
    let ended = matches!(status, Status::Expired | Status::ExpiredPromotional) && !in_billing_retry;
    SubscriptionState {
        environment,
        provider_status,
        cancel_scheduled: matches!(status, Status::Cancelled | Status::CancelledTrial),
        collection_paused,
        trial_open: matches!(
            status,
            Status::Trial | Status::CancelledTrial | Status::GracePeriodTrial
        ),
        intro_open: !ended && current.period_type == Some(PeriodType::Intro),
        in_grace: matches!(status, Status::GracePeriod | Status::GracePeriodTrial),
        in_billing_retry,
        paused: status == Status::Paused,
        ended,
        pending_product,
        told: BTreeMap::new(),
        facts_at: as_of,
        owned_since: as_of,
        current,
    }
}

/// With the kind of period, and whether it renews, where the status says so.
fn completed(shown: Subscription, status: Status) -> Subscription {
    let (period_type, renews) = match status {
        Status::Trial | Status::GracePeriodTrial => (Some(PeriodType::Trial), true),
        Status::CancelledTrial => (Some(PeriodType::Trial), false),
        Status::Intro => (Some(PeriodType::Intro), true),
        Status::Active | Status::GracePeriod => (Some(PeriodType::Normal), true),
        Status::Cancelled => (Some(PeriodType::Normal), false),
        Status::Promotional | Status::ExpiredPromotional => (Some(PeriodType::Promotional), false),
        Status::Paused => (None, true),
        Status::Expired | Status::Unknown => (None, false),
    };
    Subscription {
        period_type: shown.period_type.or(period_type),
        auto_renew: shown.auto_renew.or(Some(renews)),
        ..shown
    }
}
