//! The only place that reads the system's clocks.
//!
//! Everything that decides by time takes a [`Clock`] or a time, so that tests can stand at any
//! moment and move on at will, and replays give what the first run gave.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Tells the time, twice: as people do, and as a stopwatch does.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Wall time. May jump, also backwards, when the machine is corrected.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment in the life of this clock; never goes backwards. For measuring
    /// how long something takes and for deadlines.
    fn elapsed(&self) -> Duration;

    /// Wall time in milliseconds since 1970, as Kafka and the events carry it.
    fn now_millis(&self) -> i64 {
        self.now().as_millisecond()
    }
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose [`Clock::elapsed`] counts from now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn now(&self) -> Timestamp {
        // A machine set before 1970 or beyond the year 9999 gets an end of the scale.
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos() / 1_000)
                .ok()
                .and_then(|micros| Timestamp::from_microsecond(micros).ok())
                .unwrap_or(Timestamp::MAX),
            Err(_) => Timestamp::UNIX_EPOCH,
        }
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    times: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// Stands at this wall time, with nothing elapsed.
    pub fn at(now: Timestamp) -> Self {
        Self { times: Mutex::new((now, Duration::ZERO)) }
    }

    /// Moves both times on.
    pub fn advance(&self, by: Duration) {
        let mut times = self.lock();
        times.0 = times.0.checked_add(by).unwrap_or(Timestamp::MAX);
        times.1 += by;
    }

    /// Moves only the wall time, in either direction, as a correction of the machine would.
    pub fn set(&self, now: Timestamp) {
        self.lock().0 = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn elapsed(&self) -> Duration {
        self.lock().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        assert_eq!((clock.now_millis(), clock.elapsed()), (0, Duration::ZERO));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!((clock.now_millis(), clock.elapsed()), (1_500, Duration::from_millis(1_500)));
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!((clock.now_millis(), clock.elapsed()), (0, Duration::from_millis(1_500)));
    }

    #[test]
    fn the_system_clock_does_not_go_backwards() {
        let clock = SystemClock::new();
        let before = clock.elapsed();
        assert!(clock.elapsed() >= before);
        assert!(clock.now() > Timestamp::UNIX_EPOCH);
    }
}
