//! The partitions in a worker's hands, and which of them may go on.
//!
//! A partition flows as soon as it has been taken over. One whose next record cannot be judged yet is
//! set aside: it keeps its memory and its place, gets no ticks and gives nothing up, because its input
//! has not been read to its end, and the others go on without it.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::state::PartitionRecord;

use crate::line::Line;
use crate::metrics::Standing;
use crate::state::Store;

/// A partition in this worker's hands.
#[derive(Debug)]
pub(super) struct Held<S> {
    pub(super) line: Line<S>,
    pub(super) record: PartitionRecord,
    /// The open transaction has something of this partition.
    pub(super) touched: bool,
    /// How it stood when its last transaction committed.
    pub(super) shown: Standing,
    /// Until when it is set aside.
    aside_until: Option<Duration>,
}

impl<S> Held<S> {
    pub(super) fn is_aside(&self) -> bool {
        self.aside_until.is_some()
    }
}

/// All of them, by number.
#[derive(Debug)]
pub(super) struct Holdings<S> {
    held: BTreeMap<i32, Held<S>>,
}

impl<S> Default for Holdings<S> {
    fn default() -> Self {
        Self { held: BTreeMap::new() }
    }
}

impl<S: Store> Holdings<S> {
    pub(super) fn take_over(&mut self, partition: i32, line: Line<S>, record: PartitionRecord) {
        let shown = line.standing();
        let held = Held { line, record, touched: false, shown, aside_until: None };
        self.held.insert(partition, held);
    }

    /// Lets go of all memory: this is what was held.
    pub(super) fn let_go(&mut self) -> BTreeMap<i32, Held<S>> {
        std::mem::take(&mut self.held)
    }

    pub(super) fn get(&self, partition: i32) -> Option<&Held<S>> {
        self.held.get(&partition)
    }

    pub(super) fn get_mut(&mut self, partition: i32) -> Option<&mut Held<S>> {
        self.held.get_mut(&partition)
    }

    pub(super) fn numbers(&self) -> Vec<i32> {
        self.held.keys().copied().collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (i32, &Held<S>)> {
        self.held.iter().map(|(partition, held)| (*partition, held))
    }

    /// Those that are not set aside.
    pub(super) fn flowing(&self) -> impl Iterator<Item = (i32, &Held<S>)> {
        self.all().filter(|(_, held)| !held.is_aside())
    }

    /// Those of which the open transaction has something.
    pub(super) fn touched(&mut self) -> impl Iterator<Item = (i32, &mut Held<S>)> {
        let all = self.held.iter_mut().map(|(partition, held)| (*partition, held));
        all.filter(|(_, held)| held.touched)
    }

    pub(super) fn touch(&mut self, partition: i32) {
        if let Some(held) = self.held.get_mut(&partition) {
            held.touched = true;
        }
    }

    /// The partition that needs a tick first, and in how long.
    pub(super) fn first_tick(&self, now: Duration) -> Option<(i32, Duration)> {
        let waits = self.flowing().filter_map(|(partition, held)| {
            let wait = held.line.until_tick(now)?;
            Some((partition, wait))
        });
        waits.min_by_key(|(_, wait)| *wait)
    }

    /// Where something has waited for a link for as long as it may.
    pub(super) fn out_of_patience(&self, now: Duration) -> Vec<i32> {
        let over = |held: &Held<S>| held.line.until_expiry(now) == Some(Duration::ZERO);
        self.flowing().filter(|(_, held)| over(held)).map(|(partition, _)| partition).collect()
    }

    /// Everything that waits for a link gets its whole time again: while the line stood, nobody read
    /// what it waits for.
    pub(super) fn wait_anew(&mut self, now: Duration) {
        for held in self.held.values_mut() {
            held.line.wait_anew(now);
        }
    }

    /// Lets the others go on without this partition until then.
    pub(super) fn set_aside(&mut self, partition: i32, until: Duration) {
        if let Some(held) = self.held.get_mut(&partition) {
            held.aside_until = Some(until);
        }
    }

    /// Whether a partition that was set aside is to flow again from now on.
    pub(super) fn recall(&mut self, now: Duration) -> bool {
        let mut recalled = false;
        for held in self.held.values_mut() {
            if held.aside_until.is_some_and(|until| until <= now) {
                held.aside_until = None;
                // Meanwhile its input was not read.
                held.line.wait_anew(now);
                recalled = true;
            }
        }
        recalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Raw;
    use crate::rules::{Rules, Times};
    use crate::state::MemoryStore;
    use crate::testing::{raw_headers, sources};
    use crate::worker::agenda::{Agenda, Bounds};
    use schemas::Timestamp;

    const BOUNDS: Bounds =
        Bounds { interval: Duration::from_millis(25), records: 100, bytes: 1_000_000 };

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn rules() -> Rules {
        let times = Times {
            reorder_window: seconds(2),
            dedup_window: Duration::from_hours(35 * 24),
            link_timeout: seconds(60),
        };
        Rules::new(sources(), times, 1 << 20).unwrap()
    }

    /// Two partitions: in each something is held and a dispute waits, since second 0.
    fn waiting() -> Holdings<MemoryStore> {
        let rules = rules();
        let mut holdings = Holdings::default();
        for partition in 0..2 {
            let store = MemoryStore::default();
            let mut line = Line::restored(store, partition, 0, Duration::ZERO, &rules).unwrap();
            for (offset, key, id) in [(0, "shop/cus_1", "paid"), (1, "shop/charge/ch_1", "lost")] {
                let raw = Raw {
                    offset,
                    appended_at: Timestamp::from_millis(0),
                    key: Some(key.as_bytes()),
                    value: Some(b"5 0 dispute_opened"),
                    headers: &raw_headers(id, "shop", "stripe.x"),
                };
                let taken = line.take(&raw, Duration::ZERO, &rules).unwrap();
                assert!(taken.events.is_empty() && taken.parked.is_none(), "both wait");
            }
            let record = PartitionRecord {
                incarnation: "one".to_owned(),
                next_raw_offset: 2,
                format: 1,
                partitions: 2,
            };
            holdings.take_over(partition, line, record);
        }
        holdings
    }

    #[test]
    fn a_line_that_stood_reads_on_before_it_gives_anything_up() {
        let mut holdings = waiting();
        let mut agenda = Agenda::new(BOUNDS);
        agenda.stand();
        agenda.ran_dry();
        agenda.ran_dry();
        let resumed = seconds(3_600);
        assert!(!agenda.is_dry(), "nobody knows what lies unread while the line stands");
        agenda.go_on();
        holdings.wait_anew(resumed);
        assert!(!agenda.is_dry(), "nothing has been read yet");
        agenda.ran_dry();
        agenda.ran_dry();
        assert!(agenda.is_dry());
        assert!(holdings.out_of_patience(resumed).is_empty(), "other partitions may be behind");
        assert_eq!(holdings.out_of_patience(resumed + seconds(60)), [0, 1]);
    }

    #[test]
    fn what_is_set_aside_stands_still_and_the_others_go_on() {
        let mut holdings = waiting();
        holdings.set_aside(0, seconds(100));
        let flowing: Vec<_> = holdings.flowing().map(|(partition, _)| partition).collect();
        assert_eq!((flowing, holdings.numbers()), (vec![1], vec![0, 1]));
        assert_eq!(holdings.first_tick(seconds(99)), Some((1, Duration::ZERO)));
        assert_eq!(holdings.out_of_patience(seconds(99)), [1]);
        assert!(!holdings.recall(seconds(99)));
        assert!(holdings.recall(seconds(100)));
        assert_eq!(holdings.out_of_patience(seconds(100)), [1], "its time begins again");
        assert!(!holdings.recall(seconds(101)), "once");
    }
}
