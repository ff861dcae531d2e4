//! Reads the events as `deliver` does, beside it, and notes when each became readable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use schemas::codec::{Codec, Framing};
use schemas::{LifecycleEvent, Timestamp};
use stream::{Cluster, Group, Membership, Polled, Received};

const JOINS_WITHIN: Duration = Duration::from_mins(1);
/// A record wakes it at once; this only bounds how late it hears of its end.
const POLL: Duration = Duration::from_millis(100);

/// An event that it read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// The provider's id of its webhook.
    pub(crate) id: String,
    pub(crate) name: &'static str,
    /// When `transform` handed it to its producer, by the record's own timestamp.
    pub(crate) written: Timestamp,
    /// When it had been committed and came here.
    pub(crate) readable: Instant,
}

/// A reader of its own, which ends when this is dropped.
pub(crate) struct Follower {
    over: Arc<AtomicBool>,
    following: Option<JoinHandle<Result<Vec<Read>>>>,
}

impl Follower {
    /// Returns when it has joined: nothing that is written from then on escapes it.
    pub(crate) fn start(cluster: Cluster, topic: String) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (joined, joins) = sync_channel(1);
        let ends = Arc::clone(&over);
        let following = std::thread::spawn(move || follow(&cluster, &topic, &ends, &joined));
        let mut follower = Self { over, following: Some(following) };
        match joins.recv_timeout(JOINS_WITHIN) {
            Ok(()) => Ok(follower),
            // Whatever it ended with says more than that it did not join.
            Err(_) => Err(follower.end().err().unwrap_or_else(|| anyhow!("it does not join"))),
        }
        .context("following the events")
    }

    /// All that it has read.
    pub(crate) fn end(&mut self) -> Result<Vec<Read>> {
        self.over.store(true, Ordering::Relaxed);
        let following = self.following.take().context("it has ended before")?;
        following.join().map_err(|_| anyhow!("it broke off"))?
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn follow(
    cluster: &Cluster,
    topic: &str,
    over: &AtomicBool,
    joined: &SyncSender<()>,
) -> Result<Vec<Read>> {
    let codec: Codec<LifecycleEvent> = Codec::new(Framing::SingleObject)?;
    let name = format!("{topic}-follower");
    let mut group = Group::join(cluster, &name, &[topic], &Membership::default())?;
    let mut all = Vec::new();
    while !over.load(Ordering::Relaxed) {
        match group.poll(POLL)? {
            Polled::Record(record) => all.push(note(&codec, record, Instant::now())?),
            Polled::Idle => {}
            Polled::Assigned(partitions) => {
                let positions: Vec<_> = partitions.into_iter().map(|at| (at, 0)).collect();
                group.start(&positions)?;
                // Once is enough, and nobody may listen any more.
                joined.try_send(()).ok();
            }
            Polled::Revoked(_) | Polled::Lost(_) => group.release()?,
        }
    }
    Ok(all)
}

fn note(codec: &Codec<LifecycleEvent>, record: Received, readable: Instant) -> Result<Read> {
    let event = codec.decode(&record.value.unwrap_or_default())?;
    let (id, name) = (event.provider_event_id, event.event_type.name());
    Ok(Read { id, name, written: record.timestamp, readable })
}
