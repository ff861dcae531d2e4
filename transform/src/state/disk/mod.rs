//! Stores on disk: one folder a partition, beneath one that this process has locked.
//!
//! The changelog is the write-ahead log. A store therefore keeps no journal of its own: it collects what
//! was committed, writes it as a whole now and then, and after a crash begins at the position of the last
//! whole that it wrote (`docs/adr/0007-state-on-disk-without-a-journal.md`). Whatever is damaged is
//! thrown away and filled again from the topics: nothing here is worth repairing.
//!
//! Two threads of the process share the cache, the bound on memory and the work in the background; a
//! partition belongs to one of them at a time.

mod background;
mod layout;
mod manifest;
mod memory;
mod store;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lsm_tree::{Cache, DescriptorTable};

use super::StoreError;
use background::Background;
use memory::Shares;
use tree::Shared;

pub use store::DiskStore;

const LOCK: &str = "lock";

/// Files kept open for reading, of all partitions.
const OPEN_FILES: usize = 256;

/// Why there are no stores.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or locked.
    #[error("cannot use {folder} for the store")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Another process has it.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// The threads that write and merge cannot be started.
    #[error("cannot start the threads that write the store")]
    Threads(#[source] std::io::Error),
}

/// Why a partition's store cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Whoever had it has not let it go in time.
    #[error("the store of partition {0} is still in use by another worker of this process")]
    Held(i32),
    /// It can neither be opened nor made anew.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The stores of all partitions that this process may come to own. Clones are the same stores.
#[derive(Clone)]
pub struct DiskStores {
    house: Arc<House>,
}

impl std::fmt::Debug for DiskStores {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DiskStores")
            .field("root", &self.house.root)
            .field("taken", &self.house.taken)
            .finish_non_exhaustive()
    }
}

struct House {
    root: PathBuf,
    taken: Mutex<BTreeSet<i32>>,
    /// Partitions whose store has failed since it was last filled from nothing.
    distrusted: Mutex<BTreeSet<i32>>,
    returned: Condvar,
    /// Before the threads, which wait until nobody can send to them any more.
    shared: Shared,
    _background: Background,
    /// Last: nothing may be written any more when another process can lock the folder.
    _lock: File,
}

impl DiskStores {
    /// Uses `folder`, made if need be, with about `memory` bytes for up to `partitions`.
    pub fn open(folder: &Path, memory: usize, partitions: usize) -> Result<Self, OpenError> {
        let unusable = |cause| OpenError::Folder { folder: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(unusable)?;
        let lock = OpenOptions::new().create(true).append(true).open(folder.join(LOCK));
        let lock = lock.map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(folder.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
        }
        let Shares { cached, collected } = Shares::of(memory, partitions);
        let (to_write, background) = Background::start(partitions).map_err(OpenError::Threads)?;
        let shared = Shared {
            cache: Arc::new(Cache::with_capacity_bytes(cached as u64)),
            files: Arc::new(DescriptorTable::new(OPEN_FILES)),
            collected: collected as u64,
            to_write,
        };
        let house = House {
            root: folder.to_owned(),
            taken: Mutex::default(),
            distrusted: Mutex::default(),
            returned: Condvar::new(),
            shared,
            _background: background,
            _lock: lock,
        };
        Ok(Self { house: Arc::new(house) })
    }

    /// The store of a partition, for one owner: waits up to `patience` for the one before to drop it.
    ///
    /// A damaged store, and one that has failed its owner before, is logged, thrown away and comes back
    /// empty.
    pub fn take(&self, partition: i32, patience: Duration) -> Result<DiskStore, TakeError> {
        let lease = Lease::take(&self.house, partition, patience)?;
        Ok(DiskStore::open(lease)?)
    }
}

/// The right to a partition's folder.
struct Lease {
    house: Arc<House>,
    partition: i32,
}

impl Lease {
    fn take(house: &Arc<House>, partition: i32, patience: Duration) -> Result<Self, TakeError> {
        let until = Instant::now() + patience;
        let mut taken = house.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while !taken.insert(partition) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TakeError::Held(partition));
            }
            let waited = house.returned.wait_timeout(taken, left);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(Self { house: Arc::clone(house), partition })
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn folder(&self) -> PathBuf {
        self.house.root.join(self.partition.to_string())
    }

    /// The store has failed: whoever takes it next begins with an empty one.
    fn distrust(&self) {
        self.distrusted().insert(self.partition);
    }

    /// The store is empty, and everything in it from now on is good.
    fn trust(&self) {
        self.distrusted().remove(&self.partition);
    }

    fn is_distrusted(&self) -> bool {
        self.distrusted().contains(&self.partition)
    }

    fn distrusted(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.house.distrusted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> &Shared {
        &self.house.shared
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut taken = self.house.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.partition);
        self.house.returned.notify_all();
    }
}
