//! One partition's entries on disk: a log-structured merge tree without a journal.
//!
//! What is inserted is collected in memory and written as a whole, with the position it stands for, when
//! there is enough of it. A crash loses what was collected and nothing else: what is left is the tree
//! after an earlier batch, and the changelog has the rest. A batch is never torn, because what is
//! collected is handed over only between two batches.
//!
//! Memory stays bounded because whoever inserts is held back: while what was collected before is still
//! being written, and while more small tables lie on disk than compaction has merged.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use lsm_tree::config::{CompressionPolicy, PartitioningPolicy, PinningPolicy};
use lsm_tree::{
    AbstractTree, AnyTree, Cache, CompressionType, Config, DescriptorTable, Guard, SeqNo,
    SequenceNumberCounter, Slice,
};

use super::layout::{Damage, seal, unseal};
use super::manifest;

/// Small tables before they are merged into the larger ones.
const MERGED_FROM: u8 = 4;
/// Small tables at which inserting waits for the merge. Each costs every read a look.
const HELD_BACK_FROM: usize = 12;
/// Size of the tables that merging makes. Small, so that one merge is short.
const TABLE: u64 = 8 * 1024 * 1024;
/// How often a waiting writer looks whether it was missed.
const LOOK: Duration = Duration::from_millis(100);

/// What is wrong with a tree. Nothing in it is to be believed any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum TreeError {
    /// The engine or the disk says so.
    #[error("the engine: {0}")]
    Engine(#[from] lsm_tree::Error),
    /// An entry says so.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// The list of tables says so.
    #[error("the list of tables: {0}")]
    Manifest(#[from] manifest::ManifestError),
    /// The directory cannot be used.
    #[error("the directory: {0}")]
    Folder(#[from] std::io::Error),
    /// The engine met something that it held for impossible. What it says of it could name people.
    #[error("the engine gave up")]
    GaveUp,
    /// Writing or merging in the background failed.
    #[error("in the background: {0}")]
    Background(String),
}

/// What all trees of a process share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) cache: Arc<Cache>,
    pub(super) files: Arc<DescriptorTable>,
    pub(super) collected: u64,
    pub(super) to_write: SyncSender<Arc<Tree>>,
}

/// The tree of one partition, from opening to closing.
pub(super) struct Tree {
    engine: AnyTree,
    next: SequenceNumberCounter,
    visible: SequenceNumberCounter,
    shared: Shared,
    /// Held while what was collected is written.
    writing: Mutex<()>,
    /// Held while tables are merged.
    merging: Mutex<()>,
    /// It is in the queue of those to be merged.
    merge_asked: AtomicBool,
    /// Nothing is done in the background any more: another tree may lie in this folder.
    closed: AtomicBool,
    /// What went wrong in the background.
    failure: OnceLock<String>,
    progress: (Mutex<()>, Condvar),
}

/// One change of an entry.
pub(super) enum Write {
    /// Key and value.
    Put(Vec<u8>, Vec<u8>),
    /// Key.
    Remove(Vec<u8>),
}

impl Tree {
    /// Opens the tree in `folder`, making it if there is none.
    pub(super) fn open(folder: &Path, shared: Shared) -> Result<Self, TreeError> {
        if !manifest::holds_a_tree(folder)? {
            // What a crash left of clearing, or of a tree that was never finished.
            Self::remove(folder)?;
        }
        let engine = guarded(|| open_engine(folder, &shared))?;
        let (engine, next, visible) = engine;
        Ok(Self {
            engine,
            next,
            visible,
            shared,
            writing: Mutex::new(()),
            merging: Mutex::new(()),
            merge_asked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            failure: OnceLock::new(),
            progress: (Mutex::new(()), Condvar::new()),
        })
    }

    /// The value of a key, if it is what was written.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TreeError> {
        self.works()?;
        let Some(sealed) = guarded(|| Ok(self.engine.get(key, SeqNo::MAX)?))? else {
            return Ok(None);
        };
        Ok(Some(unseal(key, &sealed)?.to_vec()))
    }

    /// Bytes it takes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.engine.disk_space()
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> Result<bool, TreeError> {
        guarded(|| Ok(self.engine.is_empty(SeqNo::MAX, None)?))
    }

    /// Shows the entries from one key up to before another, in order, for as long as `each` says so.
    pub(super) fn scan(
        &self,
        from: &[u8],
        until: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<Proceed, TreeError>,
    ) -> Result<(), TreeError> {
        self.works()?;
        let mut entries = guarded(|| Ok(self.engine.range(from..until, SeqNo::MAX, None)))?;
        while let Some((key, sealed)) = guarded(|| next_of(&mut entries))? {
            unseal(&key, &sealed)?;
            match each(&key)? {
                Proceed::Further => {}
                Proceed::Enough => break,
            }
        }
        Ok(())
    }

    /// Takes in a batch, whole. Waits while too much is not on disk yet.
    pub(super) fn insert(self: &Arc<Self>, batch: Vec<Write>) -> Result<(), TreeError> {
        self.works()?;
        let number = self.next.next();
        let inserted = guarded(|| {
            for write in batch {
                match write {
                    Write::Put(key, value) => {
                        let sealed = seal(&key, value);
                        self.engine.insert(key, sealed, number);
                    }
                    Write::Remove(key) => {
                        self.engine.remove(key, number);
                    }
                }
            }
            self.visible.fetch_max(number + 1);
            Ok(self.engine.active_memtable().size())
        });
        // Half a batch must never reach the disk, not even when the tree is closed.
        let collected = inserted.inspect_err(|error| self.fail(error))?;
        if collected >= self.shared.collected {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Lets what was collected be written, once what was handed over before is.
    fn hand_over(self: &Arc<Self>) -> Result<(), TreeError> {
        let (lock, changed) = &self.progress;
        let mut guard = held(lock);
        while self.is_behind()? {
            self.works()?;
            let waited = changed.wait_timeout(guard, LOOK);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(guard);
        guarded(|| Ok(self.engine.rotate_memtable()))?;
        self.shared
            .to_write
            .send(Arc::clone(self))
            .map_err(|_| TreeError::Background("the writer has ended".to_owned()))
    }

    fn is_behind(&self) -> Result<bool, TreeError> {
        guarded(|| {
            Ok(self.engine.sealed_memtable_count() > 0
                || self.engine.l0_run_count() >= HELD_BACK_FROM)
        })
    }

    /// Writes what was handed over. Called in the background.
    pub(super) fn write(&self) {
        let lock = held(&self.writing);
        self.in_background(|| self.flush());
        drop(lock);
    }

    fn flush(&self) -> Result<(), TreeError> {
        let lock = self.engine.get_flush_lock();
        self.engine.flush(&lock, self.visible.get())?;
        self.forget_replaced()
    }

    /// Lets go of what was collected and is on disk, and of tables that were merged. The engine itself
    /// keeps them until the next time.
    fn forget_replaced(&self) -> Result<(), TreeError> {
        let folder = &self.engine.tree_config().path;
        Ok(self.engine.get_version_history_lock().maintenance(folder, self.visible.get())?)
    }

    /// Whether it has to be put into the queue of those to be merged.
    pub(super) fn asks_for_merge(&self) -> bool {
        !self.merge_asked.swap(true, Ordering::AcqRel)
    }

    /// Merges small tables into larger ones, as far as needed. Called in the background.
    pub(super) fn merge(&self) {
        self.merge_asked.store(false, Ordering::Release);
        let lock = held(&self.merging);
        // A merge can make the next level too large, and so on: one step a level.
        for _level in 0..3 {
            self.in_background(|| {
                let strategy = lsm_tree::compaction::Leveled::default()
                    .with_l0_threshold(MERGED_FROM)
                    .with_table_target_size(TABLE);
                self.engine.compact(Arc::new(strategy), self.visible.get())?;
                self.forget_replaced()
            });
        }
        drop(lock);
    }

    fn in_background(&self, work: impl FnOnce() -> Result<(), TreeError>) {
        if !self.closed.load(Ordering::Acquire)
            && let Err(error) = guarded(work)
        {
            self.fail(&error);
        }
        let (lock, changed) = &self.progress;
        drop(held(lock));
        changed.notify_all();
    }

    /// The first reason is the telling one.
    fn fail(&self, error: &TreeError) {
        let _reason = self.failure.get_or_init(|| error.to_string());
    }

    fn works(&self) -> Result<(), TreeError> {
        match self.failure.get() {
            Some(failure) => Err(TreeError::Background(failure.clone())),
            None => Ok(()),
        }
    }

    /// Writes everything and ends all work on the folder. What was collected is lost if it cannot be
    /// written, which is as after a crash.
    pub(super) fn close(&self) -> Result<(), TreeError> {
        let works = self.works();
        let result = works.and_then(|()| {
            let lock = held(&self.writing);
            let result = guarded(|| {
                self.engine.rotate_memtable();
                self.flush()
            });
            drop(lock);
            result
        });
        self.abandon();
        result
    }

    /// Ends all work on the folder and waits until it has ended.
    pub(super) fn abandon(&self) {
        self.closed.store(true, Ordering::Release);
        drop(held(&self.writing));
        drop(held(&self.merging));
    }

    /// Removes a folder in which no tree is open, or open and abandoned. The list of tables goes
    /// first, so that whatever a crash leaves is no tree.
    pub(super) fn remove(folder: &Path) -> Result<(), TreeError> {
        manifest::remove(folder)?;
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Whether a scan goes on.
pub(super) enum Proceed {
    /// The next entry is to be shown.
    Further,
    /// No more.
    Enough,
}

fn next_of(
    entries: &mut impl Iterator<Item = impl Guard>,
) -> Result<Option<(Slice, Slice)>, TreeError> {
    Ok(entries.next().map(Guard::into_inner).transpose()?)
}

type Engine = (AnyTree, SequenceNumberCounter, SequenceNumberCounter);

fn open_engine(folder: &Path, shared: &Shared) -> Result<Engine, TreeError> {
    let next = SequenceNumberCounter::default();
    let visible = SequenceNumberCounter::default();
    let engine = Config::new(folder, next.clone(), visible.clone())
        .use_cache(Arc::clone(&shared.cache))
        .use_descriptor_table(Some(Arc::clone(&shared.files)))
        // Small tables are few; the index and the filters of all others come and go with the blocks,
        // so that the bound covers them.
        .index_block_partitioning_policy(PartitioningPolicy::new([false, true]))
        .filter_block_partitioning_policy(PartitioningPolicy::new([false, true]))
        .index_block_pinning_policy(PinningPolicy::new([true, false]))
        .filter_block_pinning_policy(PinningPolicy::new([true, false]))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
        .open()?;
    let after_last = engine.get_highest_persisted_seqno().map_or(0, |number| number + 1);
    next.fetch_max(after_last);
    visible.fetch_max(after_last);
    Ok((engine, next, visible))
}

/// The engine asserts much; what is damaged must cost a rebuild and not the process.
fn guarded<T>(work: impl FnOnce() -> Result<T, TreeError>) -> Result<T, TreeError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(TreeError::GaveUp))
}

/// These locks guard no data, only order; one that a panic left behind orders as well.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
