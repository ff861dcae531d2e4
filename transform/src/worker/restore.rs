//! Taking over a partition: carries out what [`Opening`] decides, on a store and the topics.
//!
//! Everything here may take long, above all when a store was lost and the whole changelog is read. It
//! therefore runs beside the worker, which stays in its group and goes on with what it has; progress is
//! told in the log and as a metric, and the work ends early when the partition goes elsewhere.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schemas::Timestamp;
use schemas::codec::{Codec, Framing};
use schemas::headers::is_waiting;
use schemas::state::PartitionRecord;
use stream::{Reader, Received};

use super::Shared;
use super::failure::WorkerError;
use super::progress::Progress;
use crate::metrics::DAMAGED;
use crate::rules::LINK_LIFE;
use crate::state::{
    Batch, Bounds, Change, Disagreement, DiskStore, FORMAT, Followed, Link, Opening, PARTITION_KEY,
    StateError, Step, Store, StoreError, Stored, judge_notes,
};

/// Pause between two looks at an offset and a state that do not agree yet.
const PAUSE: Duration = Duration::from_millis(200);

/// Records that are put into the store at a time, and bytes.
const SLICE: (usize, usize) = (1_000, 1024 * 1024);

/// Links that are looked at in one go.
const PURGED: usize = 10_000;

/// A tombstone may be gone a little before its time by our clock.
const TOMBSTONE_MARGIN: Duration = Duration::from_hours(1);

/// A partition ready to be processed.
#[derive(Debug)]
pub(super) struct TakenOver<S> {
    /// Its states and links.
    pub(super) store: S,
    /// Its own record; of a new partition the one to commit first.
    pub(super) record: PartitionRecord,
    /// Whether anybody owned the partition before.
    pub(super) tenure: Tenure,
}

/// Whether anybody owned the partition before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenure {
    First,
    Continued,
}

/// What taking over needs.
pub(super) struct Restorer {
    shared: Shared,
    reader: Reader,
    /// Partitions of raw.
    partitions: i32,
    /// Other partitions were worked on when there were fewer.
    grown: Option<Disagreement>,
    records: Codec<PartitionRecord>,
    /// How far all of them have come.
    progress: RefCell<Progress>,
    /// The partitions went elsewhere: end early.
    abandoned: Arc<AtomicBool>,
}

impl Restorer {
    /// To take over so many partitions.
    pub(super) fn open(
        shared: Shared,
        partitions_to_take: usize,
        abandoned: Arc<AtomicBool>,
    ) -> Result<Self, WorkerError> {
        let reader = Reader::open(&shared.cluster, &shared.names.group)?;
        let partitions = reader.partitions(&shared.names.raw)?;
        let notes = reader.notes(&shared.names.raw, partitions)?;
        let grown = judge_notes(notes.iter().map(String::as_str), partitions).err();
        let records = Codec::new(Framing::SingleObject)?;
        let progress = RefCell::new(Progress::of(partitions_to_take, shared.clock.elapsed()));
        Ok(Self { shared, reader, partitions, grown, records, progress, abandoned })
    }

    /// Counts a store that could not be used as it was found.
    pub(super) fn count_damage(&self, store: &DiskStore) {
        if store.was_damaged() {
            self.shared.metrics.store_discarded(DAMAGED);
        }
    }

    /// Takes over one partition of raw, or says why it cannot be. A store that fails on the way is
    /// cleared and filled again.
    pub(super) fn take_over<S: Store>(
        &self,
        partition: i32,
        mut store: S,
    ) -> Result<TakenOver<S>, WorkerError> {
        if let Some(grown) = &self.grown {
            return Err(WorkerError::Refused { partition, cause: grown.clone().into() });
        }
        let began = self.now();
        self.progress.borrow_mut().next_partition();
        let taken = match self.walk(partition, &mut store) {
            Err(WorkerError::State(StateError::Store(error))) => {
                self.discard(partition, &error.to_string(), DAMAGED);
                clear(&mut store)?;
                self.walk(partition, &mut store)
            }
            taken => taken,
        };
        self.shared.metrics.restoring(partition, None);
        let (record, tenure) = taken?;
        let took = self.now().saturating_sub(began);
        self.shared.metrics.restored(took);
        let offset = record.next_raw_offset;
        tracing::info!(partition, offset, ?took, ?tenure, "partition taken over");
        Ok(TakenOver { store, record, tenure })
    }

    fn walk<S: Store>(
        &self,
        partition: i32,
        store: &mut S,
    ) -> Result<(PartitionRecord, Tenure), WorkerError> {
        let names = &self.shared.names;
        let mut opening = Opening::new(self.stored(store)?, self.partitions);
        let mut waits_for = None;
        loop {
            if self.is_abandoned() {
                return Err(WorkerError::Abandoned);
            }
            match opening.step() {
                Step::AskCommitted => {
                    opening.committed(self.reader.committed(&names.raw, partition)?);
                }
                Step::AskChangelog => {
                    let bounds = self.bounds(&names.state, partition)?;
                    opening.changelog(bounds, self.tombstones_kept_since(partition)?);
                }
                Step::Clear(cause) => {
                    self.discard(partition, &cause.to_string(), cause.into());
                    clear(store)?;
                    opening.cleared();
                }
                Step::Follow { from, until } => {
                    let followed = self.follow(partition, store, (from, until))?;
                    opening.followed(followed, store.checkpoint(), self.now());
                }
                Step::Wait(disagreement) => {
                    if waits_for.as_ref() != Some(&disagreement) {
                        tracing::info!(partition, why = %disagreement, "waiting for offset and state");
                        waits_for = Some(disagreement);
                    }
                    std::thread::sleep(PAUSE);
                    opening.waited();
                }
                Step::AskLinks => opening.links(self.bounds(&names.links, partition)?),
                Step::FollowLinks { from, until } => {
                    self.follow_links(partition, store, (from, until))?;
                    opening.linked();
                }
                Step::AskRaw => opening.raw(self.bounds(&names.raw, partition)?),
                Step::Begin(offset) => return Ok((self.first_record(offset), Tenure::First)),
                Step::Continue(_) => {
                    let record = self.record(store)?.ok_or(WorkerError::Abandoned)?;
                    return Ok((record, Tenure::Continued));
                }
                Step::Refuse(cause) => return Err(WorkerError::Refused { partition, cause }),
            }
        }
    }

    /// Nobody was here before.
    fn first_record(&self, next_raw_offset: i64) -> PartitionRecord {
        PartitionRecord {
            incarnation: format!("{:016x}", rand::random::<u64>()),
            next_raw_offset,
            format: FORMAT,
            partitions: self.partitions,
        }
    }

    fn stored<S: Store>(&self, store: &S) -> Result<Stored, WorkerError> {
        Ok(Stored {
            checkpoint: store.checkpoint(),
            links_position: store.links_position(),
            record: self.record(store)?,
        })
    }

    fn record<S: Store>(&self, store: &S) -> Result<Option<PartitionRecord>, WorkerError> {
        let value = store.get(PARTITION_KEY).map_err(StateError::from)?;
        Ok(value.map(|value| self.records.decode(&value)).transpose()?)
    }

    /// Reads a part of the changelog into the store. What was read so far stays there when it ends
    /// early: the checkpoint is always that of what the store has.
    fn follow<S: Store>(
        &self,
        partition: i32,
        store: &mut S,
        (from, until): (i64, i64),
    ) -> Result<Followed, WorkerError> {
        let known = self.record(store)?.map(|record| record.incarnation);
        let mut followed = Followed::default();
        let mut slice = Slice::new(store.checkpoint());
        let mut progress = self.progress.borrow_mut();
        progress.reads((from, until));
        let mut failed = None;
        if store.checkpoint() == 0 && until > from {
            let offsets = until - from;
            tracing::info!(
                partition,
                offsets,
                "the partition has no local state: reading its changelog"
            );
        }
        let topic = &self.shared.names.state;
        self.reader.read_to(topic, partition, (from, until), |received| {
            followed.records += 1;
            if let Some(news) = progress.at(received.offset, self.now()) {
                news.tell(partition, &self.shared.metrics);
            }
            let taken = self.take_change(received, &mut slice).and_then(|record| {
                if let Some(record) = record {
                    let another = known.as_ref().is_some_and(|known| *known != record.incarnation);
                    followed.another_incarnation |= another;
                }
                if slice.is_full() { slice.flush(store) } else { Ok(()) }
            });
            failed = taken.err();
            self.go_on_unless(failed.is_some())
        })?;
        failed.map_or(Ok(()), Err)?;
        slice.flush(store)?;
        if self.is_abandoned() {
            return Err(WorkerError::Abandoned);
        }
        followed.record = self.record(store)?;
        Ok(followed)
    }

    fn take_change(
        &self,
        received: Received,
        slice: &mut Slice,
    ) -> Result<Option<PartitionRecord>, WorkerError> {
        let waits = is_waiting(&received.headers);
        let key = received.key.unwrap_or_default();
        let record = match (&received.value, key == PARTITION_KEY) {
            (Some(value), true) => Some(self.records.decode(value)?),
            _ => None,
        };
        slice.push(Change { key, value: received.value, waits }, received.offset);
        Ok(record)
    }

    fn follow_links<S: Store>(
        &self,
        partition: i32,
        store: &mut S,
        (from, until): (i64, i64),
    ) -> Result<(), WorkerError> {
        let mut links = Vec::new();
        // Behind what the store has seen, where the topic was made anew.
        let mut position = from;
        let mut failed: Option<StoreError> = None;
        self.reader.read_to(&self.shared.names.links, partition, (from, until), |received| {
            position = received.offset + 1;
            links.extend(link_of(received));
            if links.len() >= SLICE.0 {
                failed = store.learn(std::mem::take(&mut links), position).err();
            }
            self.go_on_unless(failed.is_some())
        })?;
        failed.map_or(Ok(()), Err).map_err(StateError::from)?;
        store.learn(links, position).map_err(StateError::from)?;
        self.purge(store)
    }

    /// Drops links that are no longer believed anyway.
    fn purge<S: Store>(&self, store: &mut S) -> Result<(), WorkerError> {
        let life = i64::try_from(LINK_LIFE.as_millis()).unwrap_or(i64::MAX);
        let dead = Timestamp::from_millis(self.shared.clock.now_millis().saturating_sub(life));
        while !self.is_abandoned() {
            let seen = store.purge_links(dead, PURGED).map_err(StateError::from)?;
            if seen < PURGED {
                break;
            }
        }
        Ok(())
    }

    /// The first offset of the changelog from which on every tombstone is surely still there.
    fn tombstones_kept_since(&self, partition: i32) -> Result<i64, WorkerError> {
        let kept = self.shared.tombstones_kept;
        let sure = kept.saturating_sub(TOMBSTONE_MARGIN.min(kept / 2));
        let back = i64::try_from(sure.as_millis()).unwrap_or(i64::MAX);
        let moment = self.shared.clock.now_millis().saturating_sub(back);
        let moment = Timestamp::from_millis(moment);
        Ok(self.reader.offset_at(&self.shared.names.state, partition, moment)?)
    }

    fn bounds(&self, topic: &str, partition: i32) -> Result<Bounds, WorkerError> {
        let (low, high) = self.reader.low_and_high(topic, partition)?;
        Ok(Bounds { low, high })
    }

    fn discard(&self, partition: i32, problem: &str, cause: &'static str) {
        tracing::warn!(
            partition,
            problem,
            "the local store is discarded and rebuilt from the changelog"
        );
        self.shared.metrics.store_discarded(cause);
    }

    fn go_on_unless(&self, failed: bool) -> ControlFlow<()> {
        if failed || self.is_abandoned() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire) || self.shared.shutdown.is_cancelled()
    }

    fn now(&self) -> Duration {
        self.shared.clock.elapsed()
    }
}

/// A link as the topic has it; none for a record that is not ours.
pub(super) fn link_of(received: Received) -> Option<Link> {
    let subscriber = String::from_utf8(received.value?).ok()?;
    Some(Link { key: received.key?, subscriber, appended_at: received.timestamp })
}

fn clear<S: Store>(store: &mut S) -> Result<(), WorkerError> {
    Ok(store.clear().map_err(StateError::from)?)
}

/// Changes on their way into the store.
struct Slice {
    batch: Batch,
    bytes: usize,
}

impl Slice {
    fn new(checkpoint: i64) -> Self {
        Self { batch: Batch { changes: Vec::new(), checkpoint }, bytes: 0 }
    }

    fn push(&mut self, change: Change, offset: i64) {
        self.bytes += change.key.len() + change.value.as_ref().map_or(0, Vec::len);
        self.batch.checkpoint = offset + 1;
        self.batch.changes.push(change);
    }

    fn is_full(&self) -> bool {
        self.batch.changes.len() >= SLICE.0 || self.bytes >= SLICE.1
    }

    fn flush<S: Store>(&mut self, store: &mut S) -> Result<(), WorkerError> {
        if self.batch.changes.is_empty() {
            return Ok(());
        }
        let next = Self::new(self.batch.checkpoint);
        let full = std::mem::replace(self, next);
        Ok(store.apply(full.batch).map_err(StateError::from)?)
    }
}
