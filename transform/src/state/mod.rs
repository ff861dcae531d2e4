//! The state of one partition's subscribers, as it was when the last transaction committed.
//!
//! The changelog is the truth; a store is a cache of it that says up to where it has followed. It is
//! written only after the transaction that produced a batch has committed, whole batch and position as
//! one, so that it can be older than the truth and never newer.

mod memory;
mod overlay;
mod restore;

use std::borrow::Cow;

pub use memory::MemoryStore;
pub use overlay::{Open, Overlay, StateError};
pub use restore::{Disagreement, Standing, compare};

/// The key of the partition's own record. Not text, so that it can be no subscriber's.
pub const PARTITION_KEY: &[u8] = b"\xFFpartition";

/// Format of the state records that this version writes.
pub const FORMAT: i32 = 1;

/// A key's new value, as the changelog has it: absolute, never a difference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// The encoded value; none where the key is gone.
    pub value: Option<Vec<u8>>,
}

/// Keys and states name people, hence only sizes are shown.
impl std::fmt::Debug for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Change")
            .field("bytes", &self.value.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// What one transaction wrote to the changelog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What changed.
    pub changes: Vec<Change>,
    /// Offset of the changelog after the batch's last record.
    pub checkpoint: i64,
}

/// A store that cannot be read or written any more; the partition has to be rebuilt.
#[derive(Debug, thiserror::Error)]
#[error("the store of partition {partition} cannot be used: {problem}")]
pub struct StoreError {
    /// Whose store.
    pub partition: i32,
    /// What is wrong with it.
    pub problem: String,
}

/// The store of one partition. It has one writer.
pub trait Store {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, StoreError>;

    /// Takes in a committed batch, whole or not at all.
    fn apply(&mut self, batch: Batch) -> Result<(), StoreError>;

    /// Offset of the changelog up to which the store has followed; 0 when it is empty.
    fn checkpoint(&self) -> i64;

    /// Shows every entry, in no particular order.
    fn scan(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;
}
