//! Carries a plan out: copies and the record that says so in one transaction, batch by batch.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use schemas::headers::{Disposal, ParkedHeaders, restored};
use service::clock::Clock;
use stream::{Reader, Received, Record, Transactions};
use tokio_util::sync::CancellationToken;

use crate::Stage;
use crate::error::DeadError;
use crate::ledger;
use crate::letter::Letter;
use crate::pace::Pace;

/// Bytes in one transaction, unless one letter is larger.
const LARGEST_TRANSACTION: usize = 8 * 1024 * 1024;

/// What deals with letters.
pub struct Disposer<'a> {
    /// Whose letters they are.
    pub stage: &'a dyn Stage,
    /// Reads them.
    pub reader: &'a Reader,
    /// Opened before the letters were surveyed, or what another operator did would not be seen.
    pub transactions: Transactions,
    /// Tells the time.
    pub clock: &'a dyn Clock,
    /// How fast.
    pub pace: Pace,
    /// Cancelled when the process is asked to end.
    pub shutdown: &'a CancellationToken,
}

impl std::fmt::Debug for Disposer<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Disposer")
            .field("topic", &self.stage.topic())
            .finish_non_exhaustive()
    }
}

/// What goes in one transaction: letters of one partition.
#[derive(Default)]
struct Batch {
    offsets: Vec<i64>,
    copies: Vec<Record>,
    bytes: usize,
}

impl Disposer<'_> {
    /// Redrives or discards these letters, those of a partition in the order in which they lie there.
    /// `progress` hears how many are done; so many are returned. Fewer than all when the process was
    /// asked to end meanwhile, or when letters are gone by the time they are read.
    pub fn dispose(
        &mut self,
        disposal: Disposal,
        letters: &[Letter],
        progress: &dyn Fn(usize),
    ) -> Result<usize, DeadError> {
        let begun = self.clock.elapsed();
        let mut done = 0;
        for (partition, chosen) in by_partition(letters) {
            let mut after = None;
            while let Some((batch, last)) = self.next_batch(disposal, partition, &chosen, after)? {
                self.wait(self.pace.wait(done, self.clock.elapsed().saturating_sub(begun)));
                if self.shutdown.is_cancelled() {
                    return Ok(done);
                }
                done += batch.offsets.len();
                self.commit(disposal, partition, &batch)?;
                progress(done);
                after = Some(last);
            }
        }
        Ok(done)
    }

    /// The next letters of the partition behind `after`, and the last offset that was looked at.
    fn next_batch(
        &self,
        disposal: Disposal,
        partition: i32,
        chosen: &BTreeSet<i64>,
        after: Option<i64>,
    ) -> Result<Option<(Batch, i64)>, DeadError> {
        let from = after.map_or(i64::MIN, |after| after + 1);
        let offsets: Vec<i64> = chosen.range(from..).take(self.pace.batch()).copied().collect();
        let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else {
            return Ok(None);
        };
        if disposal == Disposal::Discarded {
            return Ok(Some((Batch { offsets, ..Batch::default() }, last)));
        }
        let wanted: BTreeSet<i64> = offsets.into_iter().collect();
        let mut batch = Batch::default();
        let mut looked_at = last;
        self.reader.read_to(self.stage.topic(), partition, (first, last + 1), |received| {
            let offset = received.offset;
            if !wanted.contains(&offset) {
                return ControlFlow::Continue(());
            }
            if let Some(copy) = self.copy(received) {
                batch.bytes += copy.size();
                batch.copies.push(copy);
                batch.offsets.push(offset);
            }
            if batch.bytes < LARGEST_TRANSACTION {
                return ControlFlow::Continue(());
            }
            looked_at = offset;
            ControlFlow::Break(())
        })?;
        Ok(Some((batch, looked_at)))
    }

    /// The plan has excluded what cannot be copied.
    fn copy(&self, received: Received) -> Option<Record> {
        let end = ParkedHeaders::from_headers(&received.headers).ok()?;
        let headers = restored(&received.headers).ok()?;
        Some(self.stage.redriven(received, end.partition, headers))
    }

    fn commit(
        &mut self,
        disposal: Disposal,
        partition: i32,
        batch: &Batch,
    ) -> Result<(), DeadError> {
        if batch.offsets.is_empty() {
            return Ok(());
        }
        let topic = self.stage.topic();
        let entry = ledger::entry(topic, partition, disposal, &batch.offsets);
        let failed = |cause| DeadError::transaction(topic, cause);
        self.transactions.begin().map_err(failed)?;
        for record in batch.copies.iter().cloned().chain([entry]) {
            self.transactions.send(record).map_err(failed)?;
        }
        self.transactions.commit_records().map_err(failed)?;
        Ok(())
    }

    /// Ends early when the process is asked to end.
    fn wait(&self, pause: Duration) {
        if pause.is_zero() {
            return;
        }
        let ended = self.shutdown.cancelled();
        // Whether it was the time or the end is asked for afterwards.
        drop(tokio::runtime::Handle::current().block_on(tokio::time::timeout(pause, ended)));
    }
}

fn by_partition(letters: &[Letter]) -> BTreeMap<i32, BTreeSet<i64>> {
    let mut partitions: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
    for letter in letters {
        partitions.entry(letter.position.partition).or_default().insert(letter.position.offset);
    }
    partitions
}
