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
mod restore;
mod takeover;
mod tenure;

use std::sync::Arc;
use std::time::Duration;

use service::admin::Condition;
use service::clock::Clock;
use stream::Cluster;
use tokio_util::sync::CancellationToken;

use self::agenda::Bounds;
use self::failure::{Cure, WorkerError};
use self::outgoing::{Names, Outgoing};
use self::tenure::Tenure;
use crate::framing::teacher::Teacher;
use crate::line_switch::LineSwitch;
use crate::metrics::Metrics;
use crate::parking::Parking;
use crate::rules::Rules;
use crate::state::DiskStores;

/// Pause before a worker begins again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A tenure that lasted this long was a good one: failures before it no longer count.
const GOOD: Duration = Duration::from_mins(1);

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
        let mut pause = PAUSES.0;
        let mut fenced_at: Option<Duration> = None;
        loop {
            let began = self.shared.clock.elapsed();
            let Err(error) = self.serve() else { return Ok(()) };
            let now = self.shared.clock.elapsed();
            self.joined.fails("beginning again after a failure");
            if self.shared.shutdown.is_cancelled() {
                tracing::warn!(worker = self.name, %error, "failed while ending");
                return Ok(());
            }
            match error.cure() {
                Cure::Stop => return Err(error),
                Cure::StartAgainOnce => {
                    if fenced_at.is_some_and(|before| now.saturating_sub(before) < GOOD) {
                        return Err(WorkerError::SharedIdentity);
                    }
                    fenced_at = Some(now);
                }
                Cure::StartAgain => {}
            }
            self.shared.metrics.in_doubt();
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(worker = self.name, %error, cause, "beginning again");
            if now.saturating_sub(began) >= GOOD {
                pause = PAUSES.0;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn serve(&self) -> Result<(), WorkerError> {
        Tenure::begin(self)?.serve()
    }
}

/// A parked record is told with its position and never with its content.
fn tell_parked(partition: i32, offset: i64, parking: &Parking) {
    let reason = parking.reason.name();
    tracing::warn!(partition, offset, reason, message = parking.message, "record parked");
}
