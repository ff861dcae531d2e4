//! A worker: one thread with a consumer, a transactional producer and the partitions it holds.
//!
//! Everything that is written about a partition, and the partition's offset, commit together. There is
//! one way to fail: the tenure ends, its memory goes, and the next begins with a new producer and the
//! whole start order. What to do with a record is [`crate::line`]'s to say, what to do next
//! [`agenda`]'s; this module carries it out.

pub mod agenda;
pub mod failure;
mod holdings;
pub mod outgoing;
mod progress;
mod recovery;
mod restore;
mod takeover;
mod tenure;

use std::sync::Arc;
use std::time::Duration;

use schemas::headers::{Correlation, Header};
use service::admin::Condition;
use service::clock::Clock;
use service::traces::Tracer;
use stream::Cluster;
use tokio_util::sync::CancellationToken;

use self::agenda::Bounds;
use self::failure::WorkerError;
use self::outgoing::{Names, Outgoing};
use self::recovery::{Next, Recovery};
use self::tenure::Tenure;
use crate::framing::teacher::Teacher;
use crate::line_switch::LineSwitch;
use crate::metrics::Metrics;
use crate::parking::Parking;
use crate::rules::Rules;
use crate::state::DiskStores;

/// What all workers of a process share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The cluster.
    pub cluster: Cluster,
    /// Topics and group.
    pub names: Names,
    /// Bounds of a transaction.
    pub bounds: Bounds,
    /// Who asks what producers of one's own wrote with.
    pub teacher: Teacher,
    /// Where the states of this process's partitions lie.
    pub stores: Arc<DiskStores>,
    /// How long the changelog keeps a tombstone.
    pub tombstones_kept: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the line runs.
    pub switch: Arc<LineSwitch>,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
    /// Tells what became of webhooks, and when.
    pub tracer: Tracer,
}

/// One worker slot.
#[derive(Debug)]
pub struct Worker {
    shared: Shared,
    name: String,
    rules: Rules,
    outgoing: Outgoing,
    joined: Condition,
}

impl Worker {
    /// A worker whose transactional id and name in the group is `name`. `joined` holds while it is a
    /// member.
    pub fn new(
        shared: Shared,
        name: String,
        rules: Rules,
        outgoing: Outgoing,
        joined: Condition,
    ) -> Self {
        Self { shared, name, rules, outgoing, joined }
    }

    /// Works until told to end. Fails only where beginning again does not help.
    pub fn run(self) -> Result<(), WorkerError> {
        let mut recovery = Recovery::new();
        loop {
            let began = self.shared.clock.elapsed();
            let Err(error) = self.serve() else { return Ok(()) };
            let now = self.shared.clock.elapsed();
            self.joined.fails("beginning again after a failure");
            if self.shared.shutdown.is_cancelled() {
                tracing::warn!(worker = self.name, %error, "failed while ending");
                return Ok(());
            }
            let pause = match recovery.after(error.cure(), (began, now)) {
                Next::Again(pause) => pause,
                Next::Stop => return Err(error),
                Next::StopForShared => return Err(WorkerError::SharedIdentity),
            };
            self.shared.metrics.in_doubt();
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(worker = self.name, %error, cause, "beginning again");
            std::thread::sleep(pause);
        }
    }

    fn serve(&self) -> Result<(), WorkerError> {
        Tenure::begin(self)?.serve()
    }
}

/// A parked record is told with its position and never with its content.
fn tell_parked((partition, offset): (i32, i64), headers: &[Header], parking: &Parking) {
    let found = Correlation::of(headers);
    let (event_id, trace_id) = (found.event_id, found.trace_id());
    let (reason, why) = (parking.reason.name(), &parking.message);
    tracing::warn!(partition, offset, reason, why, event_id, trace_id, "record parked");
}
