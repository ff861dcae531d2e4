//! The events of a run, written one after the other at a steady rate, as they would happen: who is behind is behind an
//! open line, and has more to do than to empty a topic.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::ledger::Told;
use crate::ground::Ground;
use crate::lifecycle::{Lifecycle, event_id, key};
use crate::topics::Filler;

/// A second.
const RATE: u32 = 100;
/// Each is told something about once a second, so that whoever holds an event back for longer has a later one to mind.
const SUBSCRIBERS: usize = 100;
/// Between two looks at the clock.
const STEP: Duration = Duration::from_millis(5);

/// What is written in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Each run has people of its own.
    pub(crate) run: usize,
    pub(crate) length: Duration,
    /// So many events, the first of all, are of somebody whom the destination never takes.
    pub(crate) never_taken: usize,
}

impl Load {
    pub(crate) fn never_taken_key(self) -> String {
        key(&self.never_taken_person())
    }

    fn never_taken_person(self) -> String {
        format!("person-{}-never", self.run)
    }

    /// How many events are due after so long.
    fn due(self, after: Duration) -> usize {
        let due = after.min(self.length).as_secs_f64() * f64::from(RATE);
        // Far below 2^52, and never negative.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let due = due as usize;
        self.never_taken + due
    }

    /// Whose the event at this place is, and which of theirs, from 1.
    fn event(self, place: usize) -> (String, usize) {
        match place.checked_sub(self.never_taken) {
            None => (self.never_taken_person(), place + 1),
            Some(place) => {
                let (who, sequence) = (place % SUBSCRIBERS, place / SUBSCRIBERS + 1);
                (format!("person-{}-{who}", self.run), sequence)
            }
        }
    }
}

/// Writes them.
pub(crate) struct Sender {
    filler: Filler,
    pub(crate) events: Lifecycle,
}

impl Sender {
    pub(crate) fn open(ground: &Ground, events: Lifecycle) -> Result<Self> {
        let filler = Filler::open(&ground.cluster())?;
        filler.warm(&events.topic)?;
        Ok(Self { filler, events })
    }

    /// Returns when all of them are acknowledged.
    pub(crate) fn send(&self, load: &Load) -> Result<Vec<Told>> {
        let (began, all) = (Instant::now(), load.due(load.length));
        let mut told = Vec::with_capacity(all);
        while told.len() < all {
            let due = load.due(began.elapsed());
            let mut records = Vec::with_capacity(due - told.len());
            for place in told.len()..due {
                let (person, sequence) = load.event(place);
                records.push(self.events.record(&person, sequence)?);
                let (event_id, key) = (event_id(&person, sequence), key(&person));
                told.push(Told { event_id, key, at: Instant::now() });
            }
            self.filler.fill(records)?;
            std::thread::sleep(STEP);
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_at_a_steady_rate_and_somebody_who_is_never_taken_begins() {
        let load = Load { run: 1, length: Duration::from_secs(10), never_taken: 2 };
        assert_eq!(load.due(Duration::ZERO), 2);
        assert_eq!(load.due(Duration::from_secs(1)), 102);
        assert_eq!(load.due(Duration::from_mins(1)), 1_002);
        assert_eq!(load.event(1), ("person-1-never".to_owned(), 2));
        assert_eq!(load.event(2), ("person-1-0".to_owned(), 1));
        assert_eq!(load.event(103), ("person-1-1".to_owned(), 2));
        assert_eq!(load.never_taken_key(), "revenuecat/person-1-never");
    }
}
