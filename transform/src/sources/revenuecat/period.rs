//! What the kind and the bounds of a period say: the status of a subscription, and what it costs.

use schemas::event::Subscription;
use schemas::state::SubscriptionState;
use schemas::vocabulary::{PeriodType, Store};
use schemas::{Status, Timestamp};

use super::super::price::{Period, Rate};

/// Whether it was given away instead of sold: by the store's name or by the period's.
pub(super) fn is_promotional(subscription: &Subscription) -> bool {
    subscription.store == Some(Store::Promotional)
        || subscription.period_type == Some(PeriodType::Promotional)
}

/// Whether the period is a free trial.
pub(super) fn is_trial(subscription: &Subscription) -> bool {
    subscription.period_type == Some(PeriodType::Trial)
}

/// Whether access had ended by `moment`; false where no end is known.
pub(super) fn is_past_its_end(subscription: &Subscription, moment: Timestamp) -> bool {
    subscription.expires_at.is_some_and(|end| end <= moment)
}

/// The status of a running subscription about which nothing else is known than its period.
pub(super) fn by_period(subscription: &Subscription) -> Status {
    if is_promotional(subscription) {
        return Status::Promotional;
    }
    match subscription.period_type {
        Some(PeriodType::Trial) => Status::Trial,
        Some(PeriodType::Intro) => Status::Intro,
        Some(PeriodType::Promotional) => Status::Promotional,
        Some(PeriodType::Normal | PeriodType::Prepaid | PeriodType::Unknown) | None => {
            Status::Active
        }
    }
}

/// The status that all that is known gives at `moment`. What has ended, or is suspended until it
/// recovers, stays so; grace and cancellation count only while their time runs.
pub(super) fn standing(state: &SubscriptionState, moment: Timestamp) -> Status {
    let current = &state.current;
    let runs_until = |end: Option<Timestamp>| end.is_some_and(|end| end > moment);
    let trial = is_trial(current);
    if state.ended && is_promotional(current) {
        Status::ExpiredPromotional
    } else if state.ended || state.in_billing_retry {
        Status::Expired
    } else if state.paused {
        Status::Paused
    } else if is_promotional(current) {
        Status::Promotional
    } else if state.in_grace && runs_until(current.grace_expires_at) {
        if trial { Status::GracePeriodTrial } else { Status::GracePeriod }
    } else if state.cancel_scheduled && runs_until(current.expires_at) {
        if trial { Status::CancelledTrial } else { Status::Cancelled }
    } else {
        by_period(current)
    }
}

/// What the period costs a month; unknown for what is free (it has no price) or has no bounds.
pub(super) fn rate(subscription: &Subscription) -> Option<Rate> {
    let price = subscription.price.as_ref()?;
    let period = Period::between(subscription.period_start?, subscription.period_end?)?;
    Some(Rate::of(price, 1, period))
}
