//! One destination's waits, told and heard as long as the process works.
//!
//! Neither waits for the group: a commit takes its time, and during a rebalance nothing is polled, but a limit is broken
//! within milliseconds. So a wait is appended by a producer without transactions, and heard on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;
use service::clock::Clock;
use stream::{AppendError, Appender, Cluster, Follower, ReadError, Reader, TopicPartition};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::gate::Gate;
use crate::waits::{self, PARTITION};

/// How long ending may have to wait for the thread.
const POLL: Duration = Duration::from_millis(200);

/// How long to wait before listening again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// A wait that is told later than this is of no use any more.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// Why the others cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The producer.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The machine gives no thread.
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    /// The thread ended before it had heard anything.
    #[error("what other instances were asked was not heard")]
    Deaf,
}

/// Where the waits of a destination are told.
#[derive(Clone, Debug)]
pub struct Place {
    /// The cluster.
    pub cluster: Cluster,
    /// Named to the broker and never joined.
    pub group: String,
    /// The topic.
    pub topic: String,
}

/// Tells and hears until it is ended.
#[derive(Debug)]
pub struct Exchange {
    ended: DropGuard,
    telling: JoinHandle<()>,
}

impl Exchange {
    /// Begins to tell and to hear, and returns when the gate knows what was asked so far. That takes as long as the
    /// cluster is away.
    pub async fn start(
        place: Place,
        gate: Arc<Gate>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ExchangeError> {
        let appender = Appender::open(&place.cluster, TOLD_WITHIN)?;
        let ended = CancellationToken::new();
        let (has_heard, heard) = oneshot::channel();
        let listener = Listener {
            place: place.clone(),
            gate: gate.clone(),
            clock: clock.clone(),
            ended: ended.clone(),
            has_heard: Some(has_heard),
        };
        // One that is given up ends its thread and its task, too, be it before it has heard or after.
        let guard = ended.clone().drop_guard();
        std::thread::Builder::new()
            .name(place.topic.clone())
            .spawn(move || listener.listen_until_ended())?;
        heard.await.map_err(|_| ExchangeError::Deaf)?;
        let telling = tokio::spawn(tell_until_ended(appender, place, (gate, clock), ended));
        Ok(Self { ended: guard, telling })
    }

    /// Ends, when what was asked last has been told.
    pub async fn end(self) {
        drop(self.ended);
        if let Err(error) = self.telling.await {
            tracing::error!(panicked = error.is_panic(), "telling of waits ended unexpectedly");
        }
    }
}

async fn tell_until_ended(
    mut appender: Appender,
    place: Place,
    (gate, clock): (Arc<Gate>, Arc<dyn Clock>),
    ended: CancellationToken,
) {
    loop {
        let is_last = ended.run_until_cancelled(gate.asked_to_wait()).await.is_none();
        if let Some(wait) = gate.take_untold(clock.elapsed()) {
            let until = now(&*clock).plus(wait);
            if let Err(error) = appender.append(waits::record(&place.topic, until)).await {
                tracing::warn!(%error, topic = place.topic, "other instances were not told to wait");
                // One that failed for good would fail again.
                match Appender::open(&place.cluster, TOLD_WITHIN) {
                    Ok(another) => appender = another,
                    Err(error) => tracing::warn!(%error, "no other producer can be had"),
                }
            }
        }
        if is_last {
            return;
        }
    }
}

struct Listener {
    place: Place,
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    ended: CancellationToken,
    has_heard: Option<oneshot::Sender<()>>,
}

impl Listener {
    fn listen_until_ended(mut self) {
        while let Err(error) = self.listen() {
            tracing::warn!(%error, topic = self.place.topic, "listening again for waits");
            std::thread::sleep(LISTEN_AGAIN);
        }
    }

    /// Hears what was asked last, and then what is asked.
    fn listen(&mut self) -> Result<(), ReadError> {
        let Place { cluster, group, topic } = &self.place;
        let (latest, high) = waits::latest(&Reader::open(cluster, group)?, topic)?;
        if let Some(until) = latest {
            self.heed(until);
        }
        let mut follower = Follower::open(cluster, group)?;
        let at = TopicPartition { topic: Arc::from(topic.as_str()), partition: PARTITION };
        follower.follow(&[(at, high)])?;
        if let Some(has_heard) = self.has_heard.take()
            && has_heard.send(()).is_err()
        {
            tracing::debug!(topic = self.place.topic, "the start was given up");
        }
        while !self.ended.is_cancelled() {
            if let Some(until) = follower.poll(POLL)?.as_ref().and_then(waits::read) {
                self.heed(until);
            }
        }
        Ok(())
    }

    /// Nobody calls before, whichever instance was told.
    fn heed(&self, until: Timestamp) {
        if let Some(wait) = waits::remaining(until, now(&*self.clock)) {
            self.gate.heard_to_wait(wait, self.clock.elapsed());
        }
    }
}

fn now(clock: &dyn Clock) -> Timestamp {
    Timestamp::from_millis(clock.now_millis())
}
