//! What a worker does next: take a record, commit, append a tick, or wait. Pure, so that the choice can
//! be tested and searched without a broker.
//!
//! A transaction is committed as soon as the input runs dry, so that a quiet pipeline is fast; under
//! load it is bounded in time, records and bytes, because nobody sees anything of it before its end.

use std::time::Duration;

/// Bounds of one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long it may stay open while there is input.
    pub interval: Duration,
    /// How many records it may take in.
    pub records: usize,
    /// How many bytes it may take in.
    pub bytes: usize,
}

/// The longest wait for input, so that a request to end is heard.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The end of one partition is reported like an empty input; only a second time in a row, nothing is
/// left in the others either.
const DRY: u32 = 2;

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Commit the open transaction.
    Commit,
    /// Append a tick to this partition of raw.
    Tick(i32),
    /// Ask for input, waiting up to this long.
    Poll(Duration),
}

/// What is open, and how much of it.
#[derive(Debug)]
pub struct Agenda {
    bounds: Bounds,
    opened: Option<Duration>,
    records: usize,
    bytes: usize,
    empty: u32,
    stands: bool,
}

impl Agenda {
    /// Nothing is open.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, opened: None, records: 0, bytes: 0, empty: 0, stands: false }
    }

    /// Since when a transaction is open.
    pub fn opened(&self) -> Option<Duration> {
        self.opened
    }

    /// A transaction was begun.
    pub fn begun(&mut self, now: Duration) {
        *self = Self { opened: Some(now), stands: self.stands, ..Self::new(self.bounds) };
    }

    /// It took in a record.
    pub fn took(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
        self.empty = 0;
    }

    /// There was no input.
    pub fn ran_dry(&mut self) {
        self.empty += 1;
    }

    /// Whether nothing is open and the input has been read to its end. Of a line that stands nobody
    /// knows: nothing comes because nothing is read.
    pub fn is_dry(&self) -> bool {
        !self.stands && self.opened.is_none() && self.empty >= DRY
    }

    /// Nothing is read from now on.
    pub fn stand(&mut self) {
        self.stands = true;
    }

    /// Whether nothing is to be read.
    pub fn stands(&self) -> bool {
        self.stands
    }

    /// Input flows, again or from other places than before: whether there is any has yet to be seen.
    pub fn go_on(&mut self) {
        self.stands = false;
        self.empty = 0;
    }

    /// It was committed.
    pub fn committed(&mut self) {
        *self = Self { stands: self.stands, ..Self::new(self.bounds) };
    }

    /// What to do at `now`. `tick` names the partition that needs a tick first, and in how long.
    pub fn next(&self, now: Duration, tick: Option<(i32, Duration)>) -> Step {
        let Bounds { interval, records, bytes } = self.bounds;
        match (self.opened, tick) {
            (Some(opened), _) => {
                let full = self.records >= records || self.bytes >= bytes;
                let due = now.saturating_sub(opened) >= interval;
                if full || due || self.empty >= DRY {
                    Step::Commit
                } else {
                    Step::Poll(Duration::ZERO)
                }
            }
            (None, Some((partition, Duration::ZERO))) => Step::Tick(partition),
            (None, Some((_, wait))) => Step::Poll(wait.min(LONGEST_WAIT)),
            (None, None) => Step::Poll(LONGEST_WAIT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { interval: Duration::from_millis(25), records: 3, bytes: 1_000 };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn opened() -> Agenda {
        let mut agenda = Agenda::new(BOUNDS);
        agenda.begun(ms(100));
        agenda.took(10);
        agenda
    }

    #[test]
    fn commits_when_the_input_runs_dry() {
        let mut agenda = opened();
        assert_eq!(agenda.next(ms(101), None), Step::Poll(Duration::ZERO));
        agenda.ran_dry();
        assert_eq!(agenda.next(ms(101), None), Step::Poll(Duration::ZERO), "one partition's end");
        agenda.ran_dry();
        assert_eq!(agenda.next(ms(101), None), Step::Commit);
        agenda.committed();
        assert_eq!(agenda.next(ms(101), None), Step::Poll(LONGEST_WAIT));
    }

    #[test]
    fn the_input_is_dry_when_nothing_is_open_and_nothing_came_twice() {
        let mut agenda = opened();
        agenda.ran_dry();
        agenda.ran_dry();
        assert!(!agenda.is_dry(), "something is open");
        agenda.committed();
        assert!(!agenda.is_dry());
        agenda.ran_dry();
        agenda.ran_dry();
        assert!(agenda.is_dry());
    }

    #[test]
    fn commits_at_the_interval_and_at_each_bound_while_there_is_input() {
        let agenda = opened();
        assert_eq!(agenda.next(ms(124), None), Step::Poll(Duration::ZERO));
        assert_eq!(agenda.next(ms(125), None), Step::Commit);
        let mut many = opened();
        many.took(1);
        many.took(1);
        assert_eq!(many.next(ms(100), None), Step::Commit);
        let mut large = opened();
        large.took(990);
        assert_eq!(large.next(ms(100), None), Step::Commit);
    }

    #[test]
    fn a_tick_is_a_transaction_of_its_own() {
        let needed = Some((3, Duration::ZERO));
        assert_eq!(opened().next(ms(101), needed), Step::Poll(Duration::ZERO));
        assert_eq!(Agenda::new(BOUNDS).next(ms(101), needed), Step::Tick(3));
        assert_eq!(Agenda::new(BOUNDS).next(ms(0), Some((3, ms(40)))), Step::Poll(ms(40)));
        assert_eq!(Agenda::new(BOUNDS).next(ms(0), Some((3, ms(900)))), Step::Poll(LONGEST_WAIT));
    }
}
