//! The store of one partition, on disk.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use schemas::Timestamp;
use tracing::warn;

use super::Lease;
use super::layout::{self, POSITIONS, Positions};
use super::tree::{Proceed, Tree, TreeError, Write};
use crate::state::{Batch, Change, Link, Store, StoreError};

/// The store of one partition, which nobody else has for as long as this lives.
///
/// Dropping it writes what it has collected to disk, so that the next owner has little to read again.
pub struct DiskStore {
    tree: Arc<Tree>,
    positions: Positions,
    lease: Lease,
    was_damaged: bool,
}

/// What it holds names people, hence only the positions are shown.
impl std::fmt::Debug for DiskStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DiskStore")
            .field("partition", &self.lease.partition())
            .field("positions", &self.positions)
            .finish_non_exhaustive()
    }
}

impl DiskStore {
    /// Opens the partition's store, or begins with an empty one where it is damaged, or was when it was
    /// last used.
    pub(super) fn open(lease: Lease) -> Result<Self, StoreError> {
        let partition = lease.partition();
        let opened = if lease.is_distrusted() {
            warn!(partition, "the store failed when it was last used: it is filled again");
            None
        } else {
            let damaged = |problem: &TreeError| {
                warn!(partition, %problem, "the store is damaged: it is filled again from its topics");
            };
            open(&lease).inspect_err(damaged).ok()
        };
        let was_damaged = opened.is_none();
        let opened = opened.map_or_else(|| open_empty(&lease), Ok);
        let (tree, positions) = opened.map_err(|error| failed(&lease, &error))?;
        Ok(Self { tree, positions, lease, was_damaged })
    }

    /// Whether what was there before had to be thrown away.
    pub fn was_damaged(&self) -> bool {
        self.was_damaged
    }

    /// Writes a batch together with the positions it leads to, which count from then on.
    fn write(&mut self, mut writes: Vec<Write>, positions: Positions) -> Result<(), StoreError> {
        writes.push(Write::Put(POSITIONS.to_vec(), positions.encode()));
        self.tree.insert(writes).map_err(|error| failed(&self.lease, &error))?;
        self.positions = positions;
        Ok(())
    }

    fn writes_of(&self, Change { key, value, waits }: Change) -> Result<Vec<Write>, TreeError> {
        let mut writes = Vec::with_capacity(2);
        let index = layout::waiting_key(&key);
        if waits {
            writes.push(Write::Put(index, Vec::new()));
        } else if self.tree.get(&index)?.is_some() {
            // Looking is cheaper than a removal for each of the many that never waited.
            writes.push(Write::Remove(index));
        }
        let key = layout::state_key(&key);
        writes.push(match value {
            Some(value) => Write::Put(key, value),
            None => Write::Remove(key),
        });
        Ok(writes)
    }

    fn find_link(&self, key: &[u8]) -> Result<Option<Link>, TreeError> {
        let value = self.tree.get(&layout::link_key(key))?;
        Ok(value.map(|value| layout::decode_link(key, &value)).transpose()?)
    }

    fn show_waiting(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), TreeError> {
        let (from, until) = layout::waiting_keys();
        self.tree.scan(&from, &until, &mut |index| {
            let key = layout::waiting_of(index);
            if let Some(value) = self.tree.get(&layout::state_key(key))? {
                each(key, &value);
            }
            Ok(Proceed::Further)
        })
    }

    /// Removals of links older than that, and how many entries these came from.
    fn old_links(
        &self,
        older_than: Timestamp,
        at_most: usize,
    ) -> Result<(Vec<Write>, usize), TreeError> {
        let mut writes = Vec::new();
        let mut seen = 0;
        let (from, until) = layout::link_times_before(older_than);
        self.tree.scan(&from, &until, &mut |index| {
            if seen == at_most {
                return Ok(Proceed::Enough);
            }
            seen += 1;
            let key = layout::linked_of(index)?;
            // A link that was learned again since is not old, and has another entry.
            if self.find_link(key)?.is_some_and(|link| link.appended_at < older_than) {
                writes.push(Write::Remove(layout::link_key(key)));
            }
            writes.push(Write::Remove(index.to_vec()));
            Ok(Proceed::Further)
        })?;
        Ok((writes, seen))
    }
}

impl Store for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, StoreError> {
        let value =
            self.tree.get(&layout::state_key(key)).map_err(|error| failed(&self.lease, &error))?;
        Ok(value.map(Cow::Owned))
    }

    fn apply(&mut self, batch: Batch) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(batch.changes.len() + 1);
        for change in latest(batch.changes, |change| change.key.clone()) {
            writes.extend(self.writes_of(change).map_err(|error| failed(&self.lease, &error))?);
        }
        self.write(writes, Positions { changelog: batch.checkpoint, ..self.positions })
    }

    fn checkpoint(&self) -> i64 {
        self.positions.changelog
    }

    fn waiting(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.show_waiting(each).map_err(|error| failed(&self.lease, &error))
    }

    fn bytes(&self) -> u64 {
        self.tree.bytes()
    }

    fn link(&self, key: &[u8]) -> Result<Option<Link>, StoreError> {
        self.find_link(key).map_err(|error| failed(&self.lease, &error))
    }

    fn learn(&mut self, links: Vec<Link>, position: i64) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(links.len() * 2 + 1);
        for link in latest(links, |link| link.key.clone()) {
            let time = layout::link_time_key(link.appended_at, &link.key);
            writes.push(Write::Put(time, Vec::new()));
            writes.push(Write::Put(layout::link_key(&link.key), layout::encode_link(&link)));
        }
        self.write(writes, Positions { links: position, ..self.positions })
    }

    fn links_position(&self) -> i64 {
        self.positions.links
    }

    fn purge_links(&mut self, older_than: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        let old = self.old_links(older_than, at_most);
        let (writes, seen) = old.map_err(|error| failed(&self.lease, &error))?;
        if seen > 0 {
            self.write(writes, self.positions)?;
        }
        Ok(seen)
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        self.tree.abandon();
        let emptied = open_empty(&self.lease).map_err(|error| failed(&self.lease, &error));
        (self.tree, self.positions) = emptied?;
        Ok(())
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if let Err(problem) = self.tree.close() {
            let partition = self.lease.partition();
            warn!(partition, %problem, "the store could not be written when it was closed");
        }
    }
}

fn open(lease: &Lease) -> Result<(Arc<Tree>, Positions), TreeError> {
    let tree = Tree::open(&lease.folder(), lease.shared().clone())?;
    let positions = match tree.get(POSITIONS)? {
        Some(value) => Positions::decode(&value)?,
        None if tree.is_empty()? => Positions::default(),
        None => return Err(layout::Damage::Layout.into()),
    };
    Ok((Arc::new(tree), positions))
}

fn open_empty(lease: &Lease) -> Result<(Arc<Tree>, Positions), TreeError> {
    Tree::remove(&lease.folder())?;
    let opened = open(lease)?;
    lease.trust();
    Ok(opened)
}

/// Only the last of those with the same key: the others never were, once the batch is in.
fn latest<T>(all: Vec<T>, key: impl Fn(&T) -> Vec<u8>) -> impl Iterator<Item = T> {
    let latest: HashMap<_, _> = all.into_iter().map(|one| (key(&one), one)).collect();
    latest.into_values()
}

/// Whatever failed may fail again, hence the store is not used once more.
fn failed(lease: &Lease, error: &TreeError) -> StoreError {
    lease.distrust();
    StoreError { partition: lease.partition(), problem: error.to_string() }
}
