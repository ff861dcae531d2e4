//! What is known to have gone back of one charge, where only totals tell.
//!
//! A total says how much had gone back at one moment, less what had failed to arrive by then. So the
//! latest total is the truth, but for the refunds that failed after it; and what moves with an event is
//! the difference between that truth and what has been told so far. Taken in any order, totals and
//! failures come to the same sum. Where the payload itself says how much is new, that is told instead,
//! and the ledger only follows.

use schemas::Timestamp;
use serde::{Deserialize, Serialize};

/// Most failures after the latest total that are remembered; a charge seldom has one.
const MOST_FAILURES: usize = 16;

/// The refunds of one charge, in minor units. Kept as text among what is told of a subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// What has gone back according to the events told so far.
    told: i64,
    /// The latest total.
    total: i64,
    /// When the latest total held, in milliseconds.
    at: Option<i64>,
    /// Failures that are not in the latest total: when, and how much.
    failed: Vec<(i64, i64)>,
    /// Some of what was told was worked out from a total, so that failures before it are in it.
    by_totals: bool,
}

impl Ledger {
    /// The ledger that was written down, or a new one.
    pub(super) fn read(written: Option<&String>) -> Self {
        written.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The text to keep.
    pub(super) fn write(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// A refund of which the payload says how much it added.
    pub(super) fn added(&mut self, amount: i64, total: i64, at: Timestamp) {
        self.observe(total, at.millis());
        self.told = self.told.saturating_add(amount);
    }

    /// A refund of which only the total is said. Gives how much went back that was not told.
    pub(super) fn reached(&mut self, total: i64, at: Timestamp) -> i64 {
        self.observe(total, at.millis());
        self.by_totals = true;
        let new = self.truth().saturating_sub(self.told).max(0);
        self.told = self.told.saturating_add(new);
        new
    }

    /// A refund that failed. Gives how much of it comes back that was told to have gone.
    pub(super) fn failed(&mut self, amount: i64, at: Timestamp) -> i64 {
        if self.at.is_none_or(|latest| at.millis() >= latest) {
            self.failed.push((at.millis(), amount));
            if self.failed.len() > MOST_FAILURES {
                let (_, amount) = self.failed.remove(0);
                self.total = self.total.saturating_sub(amount);
            }
        }
        let back = if self.by_totals {
            self.told.saturating_sub(self.truth()).clamp(0, amount.max(0))
        } else {
            amount
        };
        self.told = self.told.saturating_sub(back);
        back
    }

    fn observe(&mut self, total: i64, at: i64) {
        if self.at.is_none_or(|latest| at >= latest) {
            self.total = total;
            self.at = Some(at);
            self.failed.retain(|(failed_at, _)| *failed_at >= at);
        }
    }

    fn truth(&self) -> i64 {
        self.failed.iter().fold(self.total, |left, (_, amount)| left.saturating_sub(*amount))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Told {
        Total(i64),
        Failed(i64),
    }

    fn at(place: usize) -> Timestamp {
        Timestamp::from_millis(i64::try_from(place).unwrap())
    }

    /// What is told to have gone back when these are taken in this order.
    fn sum(events: &[(usize, Told)]) -> i64 {
        let mut ledger = Ledger::default();
        let mut sum = 0;
        for (place, told) in events {
            ledger = Ledger::read(ledger.write().as_ref());
            sum += match told {
                Told::Total(total) => ledger.reached(*total, at(*place)),
                Told::Failed(amount) => -ledger.failed(*amount, at(*place)),
            };
        }
        sum
    }

    proptest! {
        #[test]
        fn totals_and_failures_come_to_the_same_sum_in_any_order(
            refunds in prop::collection::vec((1_i64..1000, any::<bool>()), 1..8),
            order in any::<prop::sample::Index>(),
            shuffle in prop::collection::vec(any::<prop::sample::Index>(), 16),
        ) {
            let mut left = 0;
            let mut events = Vec::new();
            for (amount, fails) in refunds {
                left += amount;
                events.push((events.len(), Told::Total(left)));
                if fails {
                    left -= amount;
                    events.push((events.len(), Told::Failed(amount)));
                }
            }
            prop_assert_eq!(sum(&events), left);
            let from = order.index(events.len());
            events.rotate_left(from);
            for (place, other) in shuffle.iter().enumerate().take(events.len()) {
                let other = other.index(events.len());
                events.swap(place, other);
            }
            prop_assert_eq!(sum(&events), left, "{:?}", events);
        }
    }

    #[test]
    fn what_says_how_much_is_new_needs_no_total_and_is_followed() {
        let mut ledger = Ledger::default();
        ledger.added(700, 700, at(1));
        assert_eq!(ledger.reached(1000, at(2)), 300);
        ledger.added(200, 1200, at(3));
        assert_eq!(ledger.reached(1300, at(4)), 100);
        assert_eq!(ledger.failed(100, at(5)), 100);
    }

    #[test]
    fn a_failure_before_the_latest_total_is_in_it_unless_nothing_was_worked_out_from_totals() {
        let mut ledger = Ledger::default();
        ledger.added(700, 700, at(1));
        ledger.added(500, 900, at(3));
        assert_eq!(ledger.failed(300, at(2)), 300);
        let mut ledger = Ledger::default();
        assert_eq!(ledger.reached(700, at(1)), 700);
        assert_eq!(ledger.reached(900, at(3)), 200);
        assert_eq!(ledger.failed(300, at(2)), 0);
    }

    #[test]
    fn what_cannot_be_read_is_a_new_ledger() {
        assert_eq!(Ledger::read(Some(&"1000".to_owned())), Ledger::default());
        assert_eq!(Ledger::read(None), Ledger::default());
    }
}
