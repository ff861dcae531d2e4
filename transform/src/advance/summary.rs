//! The status of a subscriber: that of the best subscription, never merely of the last event.

use schemas::state::SubscriptionState;
use schemas::{Environment, Status, Timestamp};

/// The summary over the subscriptions of one environment; `None` when none has a status.
pub(super) fn status(
    subscriptions: &[SubscriptionState],
    environment: Environment,
) -> Option<Status> {
    let shown = subscriptions.iter().filter(|subscription| {
        subscription.environment == environment && subscription.current.status.is_some()
    });
    best(shown)?.current.status
}

/// The subscription that says most about a person.
pub(super) fn best<'a>(
    subscriptions: impl IntoIterator<Item = &'a SubscriptionState>,
) -> Option<&'a SubscriptionState> {
    subscriptions.into_iter().max_by_key(|subscription| {
        (subscription.current.status.map(rank), lasts_until(subscription))
    })
}

/// Between equals the one that expires last wins; one without an end lasts longest.
fn lasts_until(subscription: &SubscriptionState) -> Timestamp {
    let current = &subscription.current;
    current.expires_at.or(current.period_end).unwrap_or(Timestamp::from_millis(i64::MAX))
}

const fn rank(status: Status) -> u8 {
    match status {
        Status::Active | Status::Intro => 7,
        Status::Trial => 6,
        Status::GracePeriod | Status::GracePeriodTrial => 5,
        Status::Promotional => 4,
        Status::Cancelled | Status::CancelledTrial => 3,
        Status::Paused => 2,
        Status::Expired | Status::ExpiredPromotional => 1,
        Status::Unknown => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::subscription;
    use schemas::Environment::{Production, Sandbox};

    fn ending(status: Status, expires: Option<i64>) -> SubscriptionState {
        let mut one = subscription("sub", status);
        one.current.expires_at = expires.map(Timestamp::from_millis);
        one
    }

    #[test]
    fn the_better_status_wins_whichever_ends_later() {
        let falling = [
            Status::Active,
            Status::Trial,
            Status::GracePeriod,
            Status::Promotional,
            Status::Cancelled,
            Status::Paused,
            Status::Expired,
        ];
        for pair in falling.windows(2) {
            let all = [ending(pair[1], None), ending(pair[0], Some(1))];
            assert_eq!(status(&all, Production), Some(pair[0]), "{pair:?}");
        }
    }

    #[test]
    fn between_equals_the_one_that_expires_last_wins() {
        for (one, other) in [
            (Status::Active, Status::Intro),
            (Status::GracePeriod, Status::GracePeriodTrial),
            (Status::Cancelled, Status::CancelledTrial),
            (Status::Expired, Status::ExpiredPromotional),
        ] {
            for (longer, shorter) in [(one, other), (other, one)] {
                let all = [ending(shorter, Some(1)), ending(longer, Some(2))];
                assert_eq!(status(&all, Production), Some(longer));
                let all = [ending(longer, None), ending(shorter, Some(2))];
                assert_eq!(status(&all, Production), Some(longer), "no end is the last end");
            }
        }
    }

    #[test]
    fn environments_do_not_mix() {
        let mut test_purchase = ending(Status::Active, None);
        test_purchase.environment = Sandbox;
        let all = [test_purchase, ending(Status::Expired, None)];
        assert_eq!(status(&all, Production), Some(Status::Expired));
        assert_eq!(status(&all, Sandbox), Some(Status::Active));
        assert_eq!(status(&[], Production), None);
    }
}
