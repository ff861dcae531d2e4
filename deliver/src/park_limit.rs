//! Stops the line before it empties itself into the dead letters.
//!
//! After a bad deploy, or when an account changed under us, everything is refused. Parking all of it
//! would be obedient and useless. So more parked than the limit allows, and more than half of all that
//! was processed in the same time, means: stop, and let somebody look.

use std::collections::VecDeque;
use std::time::Duration;

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Parked.
    Parked,
    /// Anything else.
    Otherwise,
}

/// Counts in a sliding window. Times are those of a stopwatch.
#[derive(Debug)]
pub struct ParkLimit {
    most: u32,
    window: Duration,
    /// The window in slices of a sixtieth, oldest first: when each began, and its counts.
    slices: VecDeque<(Duration, u32, u32)>,
    stopped: bool,
}

impl ParkLimit {
    /// At most `most` in a `window`.
    pub fn new(most: u32, window: Duration) -> Self {
        Self { most, window, slices: VecDeque::new(), stopped: false }
    }

    /// Whether the line stands still.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Goes on, with a clean record.
    pub fn resume(&mut self) {
        self.stopped = false;
        self.slices.clear();
    }

    /// A record is about to end so. `false`, and the line is stopped, when it must not be parked.
    #[must_use = "a record that must not be parked has to wait"]
    pub fn admits(&mut self, ending: Ending, now: Duration) -> bool {
        self.advance(now);
        if let Some((_, parked, others)) = self.slices.back_mut() {
            match ending {
                Ending::Parked => *parked += 1,
                Ending::Otherwise => *others += 1,
            }
        }
        let parked: u32 = self.slices.iter().map(|slice| slice.1).sum();
        let others: u32 = self.slices.iter().map(|slice| slice.2).sum();
        if ending == Ending::Parked && parked > self.most && parked > others {
            self.stopped = true;
        }
        !(self.stopped && ending == Ending::Parked)
    }

    fn advance(&mut self, now: Duration) {
        while self.slices.front().is_some_and(|slice| slice.0 + self.window <= now) {
            self.slices.pop_front();
        }
        let slice = self.window / 60;
        if self.slices.back().is_none_or(|last| last.0 + slice <= now) {
            self.slices.push_back((now, 0, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn stops_when_nearly_everything_is_parked() {
        let mut limit = ParkLimit::new(3, MINUTE);
        for _ in 0..3 {
            assert!(limit.admits(Ending::Parked, at(1)));
        }
        assert!(!limit.admits(Ending::Parked, at(2)));
        assert!(limit.is_stopped());
        limit.resume();
        assert!(limit.admits(Ending::Parked, at(3)));
    }

    #[test]
    fn goes_on_while_most_are_delivered() {
        let mut limit = ParkLimit::new(3, MINUTE);
        for _ in 0..100 {
            assert!(limit.admits(Ending::Otherwise, at(1)));
            assert!(limit.admits(Ending::Parked, at(1)));
        }
        assert!(!limit.is_stopped());
    }

    #[test]
    fn forgets_what_is_longer_ago_than_the_window() {
        let mut limit = ParkLimit::new(3, MINUTE);
        for second in 0..100 {
            assert!(limit.admits(Ending::Parked, at(second * 20)), "{second}");
        }
    }
}
