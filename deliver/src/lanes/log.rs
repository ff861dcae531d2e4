//! One partition of one topic while it is being read.

use std::collections::BTreeMap;

use super::Identity;
use crate::marks::Marks;

/// What was read of one partition of one topic, and what of it is undone.
#[derive(Clone, Debug)]
pub struct Log {
    position: i64,
    undone: BTreeMap<i64, Option<Identity>>,
    restored: Marks,
}

impl Log {
    /// Goes on where the committed marks left off.
    pub fn restored(marks: Marks) -> Self {
        Self { position: marks.next(), undone: BTreeMap::new(), restored: marks }
    }

    /// Takes in the record at `offset`, which is undone unless the committed marks say otherwise:
    /// `false` then. A record
    /// that cannot be read has no identity. Offsets that are never read (control records) count as done.
    #[must_use = "a record that is done must not be processed"]
    pub fn read(&mut self, offset: i64, identity: Option<Identity>) -> bool {
        self.position = self.position.max(offset.saturating_add(1));
        let undone = !self.restored.is_done(offset);
        if undone {
            self.undone.insert(offset, identity);
        }
        undone
    }

    /// The record at `offset` is delivered, or it moves or parks in the transaction that commits these
    /// very marks.
    pub fn finish(&mut self, offset: i64) {
        self.undone.remove(&offset);
    }

    /// How many records are undone.
    pub fn undone_count(&self) -> usize {
        self.undone.len()
    }

    /// The undone records, oldest first.
    pub fn undone(&self) -> impl Iterator<Item = (i64, Option<&Identity>)> {
        self.undone.iter().map(|(offset, identity)| (*offset, identity.as_ref()))
    }

    /// What to commit now.
    pub fn marks(&self) -> Marks {
        Marks::of(self.position, self.undone.keys().copied(), &self.restored)
    }
}
