//! One partition of one topic while it is being read.

use std::collections::BTreeMap;

use schemas::Timestamp;

use super::{Footprint, Identity};
use crate::marks::Marks;

#[derive(Clone, Debug)]
struct Undone {
    identity: Option<Identity>,
    footprint: Footprint,
}

/// What was read of one partition of one topic, and what of it is undone.
#[derive(Clone, Debug)]
pub struct Log {
    position: i64,
    undone: BTreeMap<i64, Undone>,
    undone_bytes: usize,
    restored: Marks,
}

impl Log {
    /// Goes on where the committed marks left off.
    pub fn restored(marks: Marks) -> Self {
        Self { position: marks.next(), undone: BTreeMap::new(), undone_bytes: 0, restored: marks }
    }

    /// Takes in the record at `offset`, which is undone unless the committed marks say otherwise:
    /// `false` then. A record
    /// that cannot be read has no identity. Offsets that are never read (control records) count as done.
    #[must_use = "a record that is done must not be processed"]
    pub fn read(&mut self, offset: i64, identity: Option<Identity>, footprint: Footprint) -> bool {
        self.position = self.position.max(offset.saturating_add(1));
        let undone = !self.restored.is_done(offset);
        if undone {
            self.undone_bytes += footprint.bytes;
            let before = self.undone.insert(offset, Undone { identity, footprint });
            self.forget(before);
        }
        undone
    }

    /// The record at `offset` is delivered, or it moves or parks in the transaction that commits these
    /// very marks.
    pub fn finish(&mut self, offset: i64) {
        let finished = self.undone.remove(&offset);
        self.forget(finished);
    }

    fn forget(&mut self, undone: Option<Undone>) {
        self.undone_bytes -= undone.map_or(0, |undone| undone.footprint.bytes);
    }

    /// How many records are undone.
    pub fn undone_count(&self) -> usize {
        self.undone.len()
    }

    /// How much memory they take.
    pub fn undone_bytes(&self) -> usize {
        self.undone_bytes
    }

    /// The undone records that can be read, oldest first, and when each was appended.
    pub fn undone(&self) -> impl Iterator<Item = (&Identity, Timestamp)> {
        self.undone
            .values()
            .filter_map(|undone| Some((undone.identity.as_ref()?, undone.footprint.appended)))
    }

    /// What to commit now.
    pub fn marks(&self) -> Marks {
        Marks::of(self.position, self.undone.keys().copied(), &self.restored)
    }
}
