//! Timers of the reorder window: who is due when the stream's time moves, and when a tick is needed to
//! move it.
//!
//! Only a record's append time ever releases anything, never this machine's clock: so the same raw
//! topic gives the same events in the same order again. When no record comes, somebody has to write
//! one: a *tick*. The local clock decides no more than when that is worthwhile; writing one too early
//! or twice costs a record and changes nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;

/// The earliest deadline of every subscriber of one partition that has something held.
#[derive(Clone, Debug, Default)]
pub struct DueIndex {
    in_order: BTreeSet<(Timestamp, Arc<str>)>,
    of_subscriber: HashMap<Arc<str>, Timestamp>,
}

impl DueIndex {
    /// Notes the subscriber's earliest deadline, or that it has none any more.
    pub fn set(&mut self, key: &str, deadline: Option<Timestamp>) {
        let known = self.of_subscriber.get_key_value(key);
        if known.map(|(_, before)| *before) == deadline {
            return;
        }
        let shared = known.map_or_else(|| Arc::from(key), |(shared, _)| Arc::clone(shared));
        if let Some(before) = self.of_subscriber.remove(&shared) {
            self.in_order.remove(&(before, Arc::clone(&shared)));
        }
        if let Some(deadline) = deadline {
            self.in_order.insert((deadline, Arc::clone(&shared)));
            self.of_subscriber.insert(shared, deadline);
        }
    }

    /// The subscriber that has been due the longest when the stream's time is `now`.
    pub fn next_due(&self, now: Timestamp) -> Option<Arc<str>> {
        let (deadline, key) = self.in_order.first()?;
        (*deadline <= now).then(|| Arc::clone(key))
    }

    /// The earliest deadline of all.
    pub fn earliest(&self) -> Option<Timestamp> {
        self.in_order.first().map(|(deadline, _)| *deadline)
    }

    /// How many subscribers have something held.
    pub fn len(&self) -> usize {
        self.of_subscriber.len()
    }

    /// Whether nobody has anything held.
    pub fn is_empty(&self) -> bool {
        self.of_subscriber.is_empty()
    }
}

/// When a tick that was written does not come back, another is written after this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Estimates the stream's time between two records, to know when a tick is worthwhile.
///
/// The last record read is the anchor: its append time was "now" when it was read. After a restore
/// there is none, and the window starts anew.
#[derive(Clone, Debug)]
pub struct Quiet {
    anchor: (Timestamp, Duration),
    asked: Option<Duration>,
}

impl Quiet {
    /// The stream stood at `stream` when this machine's stopwatch showed `local`.
    pub fn since(stream: Timestamp, local: Duration) -> Self {
        Self { anchor: (stream, local), asked: None }
    }

    /// How long to wait, from `local` on, until a tick is needed to release what is due at `deadline`;
    /// zero when it is needed now.
    pub fn until_tick(&self, deadline: Timestamp, local: Duration) -> Duration {
        let (stream, read_at) = self.anchor;
        let overdue_at = read_at + deadline.since(stream);
        let wanted_at = self.asked.map_or(overdue_at, |asked| overdue_at.max(asked + PATIENCE));
        wanted_at.saturating_sub(local)
    }

    /// A tick has been written.
    pub fn asked(&mut self, local: Duration) {
        self.asked = Some(local);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_longest_due_comes_first_and_each_subscriber_once() {
        let mut due = DueIndex::default();
        due.set("a", Some(at(5)));
        due.set("b", Some(at(3)));
        due.set("a", Some(at(2)));
        assert_eq!((due.len(), due.earliest()), (2, Some(at(2))));
        assert_eq!(due.next_due(at(1)), None);
        assert_eq!(due.next_due(at(2)).as_deref(), Some("a"));
        due.set("a", None);
        assert_eq!(due.next_due(at(9)).as_deref(), Some("b"));
        due.set("b", None);
        due.set("never", None);
        assert!(due.is_empty() && due.earliest().is_none());
    }

    #[test]
    fn a_tick_is_wanted_once_the_stream_should_have_passed_the_deadline() {
        let mut quiet = Quiet::since(at(1_000), ms(50));
        assert_eq!(quiet.until_tick(at(3_000), ms(50)), ms(2_000));
        assert_eq!(quiet.until_tick(at(3_000), ms(1_050)), ms(1_000));
        assert_eq!(quiet.until_tick(at(3_000), ms(9_000)), Duration::ZERO);
        assert_eq!(quiet.until_tick(at(500), ms(50)), Duration::ZERO);
        quiet.asked(ms(9_000));
        assert_eq!(quiet.until_tick(at(3_000), ms(9_000)), PATIENCE, "not twice");
    }

    #[test]
    fn a_tick_that_came_too_early_by_the_brokers_clock_is_repeated_when_the_rest_has_passed() {
        let quiet = Quiet::since(at(2_900), ms(2_050));
        assert_eq!(quiet.until_tick(at(3_000), ms(2_050)), ms(100));
    }
}
