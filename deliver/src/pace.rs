//! How fast a destination is called: a ceiling for all instances together, of which each takes the share
//! that its partitions are of all.

use std::time::Duration;

/// What may go at once after a pause, as time.
const BURST: Duration = Duration::from_millis(100);

/// Spaces calls evenly (the generic cell rate algorithm). Times are those of a stopwatch.
#[derive(Debug)]
pub struct Pace {
    ceiling: f64,
    interval: Duration,
    next: Duration,
}

impl Pace {
    /// At most `ceiling` calls a second, for all instances together.
    pub fn new(ceiling: f64) -> Self {
        let mut pace = Self { ceiling, interval: Duration::ZERO, next: Duration::ZERO };
        pace.share(1.0);
        pace
    }

    /// This instance's part of the ceiling, from 0 to 1.
    pub fn share(&mut self, part: f64) {
        let rate = (self.ceiling * part.clamp(0.0, 1.0)).max(0.01);
        self.interval = Duration::from_secs_f64(1.0 / rate);
    }

    /// How long the next call would have to wait.
    pub fn wait(&self, now: Duration) -> Duration {
        self.next.saturating_sub(now)
    }

    /// Takes the next place: how long to wait before the call.
    #[must_use = "the call must wait that long"]
    pub fn reserve(&mut self, now: Duration) -> Duration {
        let place = self.next.max(now.saturating_sub(BURST));
        self.next = place + self.interval;
        place.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that go within a second when there is always another.
    fn calls_in_a_second(pace: &mut Pace, from: Duration) -> u32 {
        let mut now = from;
        let mut calls = 0;
        while now < from + Duration::from_secs(1) {
            now += pace.reserve(now);
            calls += 1;
        }
        calls
    }

    #[test]
    fn keeps_to_the_ceiling_with_a_small_burst() {
        let mut pace = Pace::new(100.0);
        let calls = calls_in_a_second(&mut pace, Duration::from_mins(1));
        assert!((100..=112).contains(&calls), "{calls}");
        let calls = calls_in_a_second(&mut pace, Duration::from_secs(61));
        assert!((99..=101).contains(&calls), "{calls}");
    }

    #[test]
    fn an_instance_keeps_to_its_share() {
        let mut pace = Pace::new(100.0);
        pace.share(0.25);
        let calls = calls_in_a_second(&mut pace, Duration::from_mins(1));
        assert!((25..=29).contains(&calls), "{calls}");
    }

    #[test]
    fn an_instance_without_partitions_does_not_divide_by_zero() {
        let mut pace = Pace::new(1.0);
        pace.share(0.0);
        assert_eq!(pace.reserve(Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(pace.wait(Duration::from_secs(1)), Duration::from_millis(99_900));
    }
}
