//! Partitions that are being taken over, on a thread beside the worker's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use super::Shared;
use super::failure::WorkerError;
use super::restore::{Restorer, TakenOver};
use crate::state::DiskStore;

/// How long the thread that had a partition's store before may take to let it go: it is in the middle of
/// a call to the cluster at most.
const PATIENCE: Duration = Duration::from_mins(2);

type Arrival = (i32, Result<TakenOver<DiskStore>, WorkerError>);

/// One after the other, in the order given. Dropping it abandons the rest.
#[derive(Debug)]
pub(super) struct Takeover {
    arrivals: Receiver<Arrival>,
    outstanding: usize,
    abandoned: Arc<AtomicBool>,
}

impl Takeover {
    /// Begins to take over these partitions.
    pub(super) fn begin(shared: Shared, partitions: Vec<i32>) -> Result<Self, WorkerError> {
        // A place for each: the thread never waits for the worker.
        let (sender, arrivals) = sync_channel(partitions.len());
        let abandoned = Arc::new(AtomicBool::new(false));
        let outstanding = partitions.len();
        let until = Arc::clone(&abandoned);
        std::thread::Builder::new()
            .name("takeover".to_owned())
            .spawn(move || take_over_all(shared, partitions, until, &sender))
            .map_err(WorkerError::Thread)?;
        Ok(Self { arrivals, outstanding, abandoned })
    }

    /// How many have not arrived yet.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// The next partition that is ready, if one is by now.
    pub(super) fn arrived(&mut self) -> Result<Option<(i32, TakenOver<DiskStore>)>, WorkerError> {
        match self.arrivals.try_recv() {
            Ok((partition, taken)) => {
                self.outstanding = self.outstanding.saturating_sub(1);
                Ok(Some((partition, taken?)))
            }
            Err(TryRecvError::Disconnected) if self.outstanding > 0 => Err(WorkerError::Abandoned),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(None),
        }
    }
}

impl Drop for Takeover {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Release);
    }
}

fn take_over_all(
    shared: Shared,
    partitions: Vec<i32>,
    abandoned: Arc<AtomicBool>,
    to: &SyncSender<Arrival>,
) {
    let first = partitions.first().copied().unwrap_or_default();
    let stores = Arc::clone(&shared.stores);
    let restorer = match Restorer::open(shared, partitions.len(), abandoned) {
        Ok(restorer) => restorer,
        // Nobody listens any more where sending fails.
        Err(error) => return drop(to.send((first, Err(error)))),
    };
    for partition in partitions {
        let taken =
            stores.take(partition, PATIENCE).map_err(WorkerError::Store).and_then(|store| {
                restorer.count_damage(&store);
                restorer.take_over(partition, store)
            });
        let failed = taken.is_err();
        if to.send((partition, taken)).is_err() || failed {
            return;
        }
    }
}
