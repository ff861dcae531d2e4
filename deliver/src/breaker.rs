//! The breaker of one destination: whether it may be called at all.
//!
//! Closed, calls go through. It opens at once when the destination says that the fault is its own (bad
//! credentials, too many requests, no connection), and after several failures in a row of the kind
//! that one bad event could also cause. Open, nothing is called until the wait is over, which is what the
//! destination asked for, or else fifteen seconds at most; then a probe without effect decides. So an outage
//! ends by itself, and so do refused credentials once they are corrected.
//!
//! A probe that succeeds does not prove that real calls do, and who asks for no time at all may do so for
//! ever. So the waits that the destination leaves to us grow as long as no call succeeded since.

use std::time::Duration;

/// Failures in a row that open it.
const FAILURES_TO_OPEN: u32 = 5;

/// The first wait, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Times are those of a stopwatch, not of the wall.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    failures: u32,
    wait: Duration,
    /// When it opened last.
    opened: Duration,
    /// How long it was not closed, before it opened last.
    before: Duration,
}

/// Where the breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls go through.
    Closed,
    /// Nothing is called before this time.
    Open {
        /// Then a probe is due.
        until: Duration,
    },
    /// A probe is under way.
    HalfOpen,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed,
            failures: 0,
            wait: FIRST_WAIT,
            opened: Duration::ZERO,
            before: Duration::ZERO,
        }
    }
}

impl Breaker {
    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether calls go through.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// A call was answered as it should be, or refused for what it said.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        if self.is_closed() {
            self.wait = FIRST_WAIT;
        }
    }

    /// A call failed in a way that may or may not be the event's own.
    pub fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        if self.is_closed() && self.failures >= FAILURES_TO_OPEN {
            self.open(now, None);
        }
    }

    /// The destination is not to be called, for as long as it asked or until a probe says otherwise.
    /// An answer that arrives when it is open already can only make the wait longer.
    pub fn pause(&mut self, now: Duration, asked: Option<Duration>) {
        match self.state {
            State::Closed | State::HalfOpen => self.open(now, asked),
            State::Open { until } => {
                let until = until.max(now + asked.unwrap_or_default());
                self.state = State::Open { until };
            }
        }
    }

    /// Whether a probe is to be sent now; says so once.
    pub fn begin_probe(&mut self, now: Duration) -> bool {
        let due = matches!(self.state, State::Open { until } if until <= now);
        if due {
            self.state = State::HalfOpen;
        }
        due
    }

    /// The probe found the destination well.
    pub fn probe_succeeded(&mut self, now: Duration) {
        if self.state == State::HalfOpen {
            self.before = self.out_of_service(now);
            self.state = State::Closed;
            self.failures = 0;
        }
    }

    /// How long it was not closed, in all: no time that an event is to answer for.
    pub fn out_of_service(&self, now: Duration) -> Duration {
        match self.state {
            State::Closed => self.before,
            State::Open { .. } | State::HalfOpen => self.before + now.saturating_sub(self.opened),
        }
    }

    fn open(&mut self, now: Duration, asked: Option<Duration>) {
        if self.is_closed() {
            self.opened = now;
        }
        let wait = asked.filter(|asked| *asked >= FIRST_WAIT).unwrap_or(self.wait);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.state = State::Open { until: now + wait };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn opens_after_failures_in_a_row_and_not_before() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_TO_OPEN - 1 {
            breaker.failed(at(0));
        }
        breaker.succeeded();
        for _ in 0..FAILURES_TO_OPEN - 1 {
            breaker.failed(at(0));
        }
        assert!(breaker.is_closed());
        breaker.failed(at(0));
        assert_eq!(breaker.state(), State::Open { until: FIRST_WAIT });
    }

    #[test]
    fn waits_as_long_as_the_destination_asked() {
        let mut breaker = Breaker::default();
        breaker.pause(at(10), Some(at(30)));
        assert!(!breaker.begin_probe(at(39)));
        assert!(breaker.begin_probe(at(40)));
        assert!(!breaker.begin_probe(at(40)), "one probe at a time");
        breaker.probe_succeeded(at(0));
        assert!(breaker.is_closed());
    }

    #[test]
    fn time_out_of_service_counts_from_opening_to_the_probe_that_succeeds() {
        let mut breaker = Breaker::default();
        breaker.pause(at(10), Some(at(5)));
        assert_eq!(breaker.out_of_service(at(12)), at(2));
        assert!(breaker.begin_probe(at(15)));
        breaker.pause(at(16), Some(at(4)));
        assert!(breaker.begin_probe(at(20)));
        breaker.probe_succeeded(at(21));
        assert_eq!(breaker.out_of_service(at(100)), at(11));
        breaker.pause(at(100), None);
        assert_eq!(breaker.out_of_service(at(101)), at(12));
    }

    #[test]
    fn a_later_answer_prolongs_the_wait_and_never_shortens_it() {
        let mut breaker = Breaker::default();
        breaker.pause(at(0), Some(at(10)));
        breaker.pause(at(1), Some(at(2)));
        assert_eq!(breaker.state(), State::Open { until: at(10) });
        breaker.pause(at(1), Some(at(20)));
        assert_eq!(breaker.state(), State::Open { until: at(21) });
    }

    #[test]
    fn probes_at_least_every_fifteen_seconds() {
        let mut breaker = Breaker::default();
        let mut now = at(0);
        breaker.pause(now, None);
        for _ in 0..20 {
            let State::Open { until } = breaker.state() else { panic!("not open") };
            assert!(until <= now + LONGEST_WAIT);
            now = until;
            assert!(breaker.begin_probe(now));
            breaker.pause(now, None);
        }
    }

    #[test]
    fn who_asks_for_no_time_at_all_is_asked_less_and_less_often() {
        let mut breaker = Breaker::default();
        let mut waits = Vec::new();
        let mut now = at(0);
        for _ in 0..7 {
            breaker.pause(now, Some(Duration::ZERO));
            let State::Open { until } = breaker.state() else { panic!("not open") };
            waits.push(until.saturating_sub(now).as_millis());
            now = until;
            assert!(breaker.begin_probe(now));
        }
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    }

    #[test]
    fn waits_grow_until_a_real_call_succeeds() {
        let mut breaker = Breaker::default();
        let wait = |breaker: &mut Breaker| {
            breaker.pause(at(0), None);
            let State::Open { until } = breaker.state() else { panic!("not open") };
            assert!(breaker.begin_probe(until));
            breaker.probe_succeeded(until);
            until
        };
        assert_eq!(wait(&mut breaker), FIRST_WAIT);
        assert_eq!(wait(&mut breaker), FIRST_WAIT * 2);
        breaker.succeeded();
        assert_eq!(wait(&mut breaker), FIRST_WAIT);
    }
}
