//! Taking over a partition, in the one order that is safe:
//!
//! committed offset (stable) → high watermark of the changelog, open transactions included → the
//! changelog read to it → offset and partition record compared → timers rebuilt → process.
//!
//! Any other order can pair the state of one transaction with the offset of another, and then a
//! sequence is given twice.

use std::ops::ControlFlow;
use std::time::Duration;

use schemas::headers::is_waiting;
use schemas::state::PartitionRecord;
use stream::{Group, Reader, TopicPartition};

use super::failure::WorkerError;
use super::outgoing::Outgoing;
use crate::state::{
    Batch, Change, MemoryStore, PARTITION_KEY, Standing, StateError, Store, compare,
};

/// How long offset and state may disagree: longer than an open transaction of a dead worker lives.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Changes that are put into the store at a time.
const SLICE: usize = 1_000;

/// A partition ready to be processed.
#[derive(Debug)]
pub(super) struct TakenOver {
    /// Its states.
    pub(super) store: MemoryStore,
    /// Its own record; of a new partition the one to commit first.
    pub(super) record: PartitionRecord,
    /// Whether the group begins here for the first time.
    pub(super) tenure: Tenure,
}

/// Whether anybody owned the partition before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenure {
    First,
    Continued,
}

/// What taking over needs.
pub(super) struct Restorer<'a> {
    pub(super) group: &'a Group,
    pub(super) reader: &'a Reader,
    pub(super) outgoing: &'a Outgoing,
    /// Partitions of raw.
    pub(super) partitions: i32,
    /// The stopwatch.
    pub(super) elapsed: &'a dyn Fn() -> Duration,
}

impl Restorer<'_> {
    /// Takes over one partition of raw, or says why it cannot be.
    pub(super) fn take_over(&self, at: &TopicPartition) -> Result<TakenOver, WorkerError> {
        let partition = at.partition;
        let began = (self.elapsed)();
        let mut store = MemoryStore::default();
        loop {
            let committed = self.group.committed(std::slice::from_ref(at))?;
            let committed = committed.into_iter().find_map(|entry| entry.next_offset);
            self.follow(partition, &mut store)?;
            let record = self.record(&store)?;
            match (compare(committed, record.as_ref(), self.partitions), record) {
                (Standing::New, _) => return self.begin(at, store),
                (Standing::Agreed(offset), Some(record)) => {
                    self.raw_holds(at, offset)?;
                    let took = (self.elapsed)().saturating_sub(began);
                    tracing::info!(partition, offset, ?took, "partition restored");
                    return Ok(TakenOver { store, record, tenure: Tenure::Continued });
                }
                (Standing::Agreed(_), None) => {}
                (Standing::Disagree(cause), _) => {
                    let waited = (self.elapsed)().saturating_sub(began);
                    if !cause.may_pass() || waited >= PATIENCE {
                        return Err(WorkerError::Restored { partition, cause });
                    }
                    tracing::debug!(partition, %cause, "waiting for offset and state to agree");
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Reads the changelog from where the store stands to its true end.
    fn follow(&self, partition: i32, store: &mut MemoryStore) -> Result<(), WorkerError> {
        let topic = &self.outgoing.names.state;
        let (low, high) = self.reader.low_and_high(topic, partition)?;
        let from = store.checkpoint().max(low);
        let mut batch = Batch { changes: Vec::new(), checkpoint: from };
        let mut failed = None;
        self.reader.read_to(topic, partition, (from, high), |received| {
            batch.checkpoint = received.offset + 1;
            let key = received.key.unwrap_or_default();
            let waits = is_waiting(&received.headers);
            batch.changes.push(Change { key, value: received.value, waits });
            if batch.changes.len() >= SLICE {
                let next = Batch { changes: Vec::new(), checkpoint: batch.checkpoint };
                if let Err(error) = store.apply(std::mem::replace(&mut batch, next)) {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        if let Some(error) = failed {
            return Err(StateError::from(error).into());
        }
        store.apply(batch).map_err(StateError::from)?;
        Ok(())
    }

    fn record(&self, store: &MemoryStore) -> Result<Option<PartitionRecord>, WorkerError> {
        let value = store.get(PARTITION_KEY).map_err(StateError::from)?;
        Ok(value.map(|value| self.outgoing.read_partition_record(&value)).transpose()?)
    }

    /// Nobody was here before: begin with the oldest record there is.
    fn begin(&self, at: &TopicPartition, store: MemoryStore) -> Result<TakenOver, WorkerError> {
        let (low, _) = self.reader.low_and_high(&at.topic, at.partition)?;
        let record = PartitionRecord {
            incarnation: format!("{:016x}", rand::random::<u64>()),
            next_raw_offset: low,
            format: crate::state::FORMAT,
            partitions: self.partitions,
        };
        tracing::info!(
            partition = at.partition,
            offset = low,
            "partition taken for the first time"
        );
        Ok(TakenOver { store, record, tenure: Tenure::First })
    }

    fn raw_holds(&self, at: &TopicPartition, committed: i64) -> Result<(), WorkerError> {
        let (low, high) = self.reader.low_and_high(&at.topic, at.partition)?;
        if (low..=high).contains(&committed) {
            return Ok(());
        }
        Err(WorkerError::RawGone { partition: at.partition, committed, low, high })
    }
}
