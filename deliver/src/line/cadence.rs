//! How far commits are apart.
//!
//! The interval counts from the end of one to the beginning of the next. A transaction that holds progress alone, which
//! those of a line usually are, waits until the one before it is surely marked, and the thread that reads records waits
//! with it: where the next began by the clock, it began ever sooner after the end of the one before, until the thread did
//! nothing but wait.

use std::time::Duration;

use stream::PROGRESS_APART;

/// When the last commit ended, or was found needless. Times are those of a stopwatch.
#[derive(Debug, Default)]
pub(super) struct Cadence {
    ended: Duration,
}

impl Cadence {
    pub(super) fn ended(&mut self, at: Duration) {
        self.ended = at;
    }

    /// How long until the next, if nothing is urgent.
    pub(super) fn wait(&self, now: Duration, interval: Duration) -> Duration {
        (self.ended + interval.max(PROGRESS_APART)).saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_interval_counts_from_the_end_of_a_commit() {
        let mut cadence = Cadence::default();
        cadence.ended(at(1_040));
        assert_eq!(cadence.wait(at(1_100), at(150)), at(90));
        assert_eq!(cadence.wait(at(1_190), at(150)), at(0));
    }

    /// Asked to commit whenever that is due, the thread never has to wait for the transaction before, however long commits
    /// take and whatever the interval is.
    #[test]
    fn no_commit_waits_for_the_one_before_it() {
        for (interval, takes) in [(100, 30), (100, 90), (100, 400), (10, 5), (2_000, 30)] {
            let mut cadence = Cadence::default();
            let mut now = at(0);
            for _ in 0..100 {
                let ended = now;
                cadence.ended(ended);
                now += cadence.wait(now, at(interval));
                let apart = now.saturating_sub(ended);
                assert!(apart >= PROGRESS_APART, "every {interval} ms, each {takes} ms");
                now += at(takes);
            }
        }
    }
}
