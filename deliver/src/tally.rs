//! What became of a line's records, so that none vanishes unseen: what was taken in is at any moment what has a
//! fate, and what still waits.
//!
//! Counted where records come and go, and shown all at once: numbers that belong together are of one moment.

use std::collections::BTreeMap;

use strum::{EnumIter, IntoStaticStr};

/// What became of a record of the event topic or of the retry topic, as far as this process is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Fate {
    /// The destination took the event.
    Delivered,
    /// It is not for the destination.
    Skipped,
    /// A refresh that was sent or need not be.
    Refreshed,
    /// What would have been sent is noted.
    Shadowed,
    /// It lies in the dead letters.
    Parked,
    /// It lies at the end of the retry topic, where it is taken in again.
    Moved,
    /// Another record says the same.
    Duplicate,
    /// A refresh that a later one makes superfluous.
    Outdone,
    /// It is somebody else's: in shadow, what is in the retry topic.
    Passed,
    /// It was undone when its partition was let go of.
    HandedOver,
}

impl Fate {
    /// The label.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// Counts since they were last shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records taken in: read, and not done before.
    pub consumed: u64,
    /// Those whose fate was decided, which may have been taken in long before.
    pub settled: BTreeMap<Fate, u64>,
}

impl Tally {
    /// A record was taken in.
    pub fn take(&mut self) {
        self.consumed += 1;
    }

    /// A record waits no longer: this became of it.
    pub fn settle(&mut self, fate: Fate) {
        self.settle_all(fate, 1);
    }

    /// The same of so many.
    pub fn settle_all(&mut self, fate: Fate, records: usize) {
        *self.settled.entry(fate).or_default() += records as u64;
    }
}
