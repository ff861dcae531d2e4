//! The state of one partition's subscribers, as it was when the last transaction committed.
//!
//! The changelog is the truth; a store is a cache of it that says up to where it has followed. It is
//! written only after the transaction that produced a batch has committed, whole batch and position as
//! one, so that it can be older than the truth and never newer. Beside the states a store keeps the
//! links of its partition, with a position of their own.

mod disk;
mod memory;
mod note;
mod opening;
mod overlay;
mod restore;

use std::borrow::Cow;

pub use disk::{DiskStore, DiskStores, OpenError, TakeError};
pub use memory::MemoryStore;
pub use note::{judge_notes, note};
pub use opening::{Bounds, Cause, Followed, Opening, Refusal, Step, Stored};
pub use overlay::{Open, Overlay, StateError};
pub use restore::{Disagreement, Standing, compare};
use schemas::Timestamp;

/// The key of the partition's own record. Not text, so that it can be no subscriber's.
pub const PARTITION_KEY: &[u8] = b"\xFFpartition";

/// Format of the state records that this version writes.
pub const FORMAT: i32 = 2;

/// A key's new value, as the changelog has it: absolute, never a difference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// The encoded value; none where the key is gone.
    pub value: Option<Vec<u8>>,
    /// Whether something in the value waits, for its time or for a link, and has to be found again when
    /// the partition is taken over.
    pub waits: bool,
}

/// Keys and states name people, hence only sizes are shown.
impl std::fmt::Debug for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Change")
            .field("bytes", &self.value.as_ref().map(Vec::len))
            .field("waits", &self.waits)
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

/// Whose a thing is: a record of `subscriptions.links`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The key of the records that need it.
    pub key: Vec<u8>,
    /// The key of the subscriber they belong to.
    pub subscriber: String,
    /// When it was appended, by the broker's clock.
    pub appended_at: Timestamp,
}

/// Both keys name people, hence only the time is shown.
impl std::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Link")
            .field("appended_at", &self.appended_at)
            .finish_non_exhaustive()
    }
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
///
/// An error means that nothing in it is to be believed any more: whoever meets one clears the store and
/// fills it again from the topics.
pub trait Store {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, StoreError>;

    /// Takes in a committed batch with its checkpoint, whole or not at all.
    fn apply(&mut self, batch: Batch) -> Result<(), StoreError>;

    /// Offset of the changelog up to which the store has followed; 0 when it is empty.
    fn checkpoint(&self) -> i64;

    /// Shows every entry whose latest change said that something in it waits, in no particular order.
    fn waiting(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;

    /// Bytes it takes on disk.
    fn bytes(&self) -> u64;

    /// The link of a key, however old.
    fn link(&self, key: &[u8]) -> Result<Option<Link>, StoreError>;

    /// Takes in links, and the offset of the links topic after the last of them, as one.
    fn learn(&mut self, links: Vec<Link>, position: i64) -> Result<(), StoreError>;

    /// Offset of the links topic up to which the store has followed; 0 when it is empty.
    fn links_position(&self) -> i64;

    /// Forgets links appended before `older_than`, after looking at no more than `at_most`. Says how many
    /// it looked at: fewer than `at_most` when none is left.
    fn purge_links(&mut self, older_than: Timestamp, at_most: usize) -> Result<usize, StoreError>;

    /// Forgets everything: states, links, and both positions.
    fn clear(&mut self) -> Result<(), StoreError>;
}
