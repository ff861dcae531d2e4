//! The partitions that are ours, and the one commit that speaks for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;
use stream::Received;

use crate::broker::{Broker, ToBroker};
use crate::dispatch::Token;
use crate::failure::{Failure, Reason};
use crate::lanes::{
    Arrival, Arriving, Bounds, Fate, Outcome, Partition, Place, Schedule, Settled, Source, Ticket,
};
use crate::marks::Marks;
use crate::metrics::Metrics;
use crate::records::Records;

/// Every partition that is ours.
#[derive(Debug)]
pub(super) struct Ledger {
    schedule: Arc<Schedule>,
    bounds: Bounds,
    partitions: BTreeMap<i32, Partition<Arc<Received>>>,
    started: bool,
    /// The partition after which the next start is looked for.
    last_started: i32,
    paused: BTreeSet<(Source, i32)>,
    committing: Option<Committing>,
    committed_at: Duration,
}

/// The commit under way.
#[derive(Debug)]
struct Committing {
    partitions: Vec<i32>,
    moved: u64,
    parked: Vec<Reason>,
}

impl Ledger {
    pub(super) fn new(schedule: Arc<Schedule>, bounds: Bounds) -> Self {
        Self {
            schedule,
            bounds,
            partitions: BTreeMap::new(),
            started: false,
            last_started: -1,
            paused: BTreeSet::new(),
            committing: None,
            committed_at: Duration::ZERO,
        }
    }

    pub(super) fn assign(&mut self, partition: i32, events: Marks, retry: Marks) {
        let restored = Partition::restored(events, retry, self.schedule.clone(), self.bounds);
        self.partitions.insert(partition, restored);
    }

    /// Every retry topic is read to its end.
    pub(super) fn begin(&mut self) {
        self.started = true;
    }

    /// Nothing is started any more.
    pub(super) fn end(&mut self) {
        self.started = false;
    }

    pub(super) fn is_started(&self) -> bool {
        self.started
    }

    pub(super) fn clear(&mut self) {
        self.started = false;
        self.partitions.clear();
        self.paused.clear();
        self.committing = None;
    }

    pub(super) fn arrive(
        &mut self,
        source: Source,
        arriving: Arriving<Arc<Received>>,
        now: Timestamp,
    ) -> Option<Arrival> {
        let place = Place { source, offset: arriving.content.offset };
        let partition = self.partitions.get_mut(&arriving.content.partition)?;
        Some(partition.arrive(place, arriving, now))
    }

    pub(super) fn arrive_unreadable(
        &mut self,
        source: Source,
        received: Arc<Received>,
        failure: Failure,
        now: Timestamp,
    ) -> Option<Arrival> {
        let place = Place { source, offset: received.offset };
        let partition = self.partitions.get_mut(&received.partition)?;
        Some(partition.arrive_unreadable(place, received, failure, now))
    }

    /// The next event that may be sent, of each partition in turn.
    pub(super) fn start(&mut self, now: Timestamp) -> Option<(i32, Ticket, Arc<Received>)> {
        let last = self.last_started;
        let order: Vec<i32> = self
            .partitions
            .range(last.saturating_add(1)..)
            .chain(self.partitions.range(..=last))
            .map(|(number, _)| *number)
            .collect();
        for number in order {
            let started = self.partitions.get_mut(&number).and_then(|one| one.start(now));
            if let Some((ticket, received)) = started {
                self.last_started = number;
                return Some((number, ticket, received));
            }
        }
        None
    }

    pub(super) fn finish(
        &mut self,
        token: Token,
        outcome: Outcome,
        now: Timestamp,
        jitter: f64,
    ) -> Option<Settled> {
        self.partitions.get_mut(&token.partition)?.finish(token.ticket, outcome, now, jitter)
    }

    /// The destination was out of service for so long.
    pub(super) fn out_of_service(&mut self, so_long: Duration) {
        for partition in self.partitions.values_mut() {
            partition.out_of_service(so_long);
        }
    }

    pub(super) fn is_committing(&self) -> bool {
        self.committing.is_some()
    }

    pub(super) fn is_commit_due(&self, elapsed: Duration, interval: Duration) -> bool {
        let urgent = self.partitions.values().any(Partition::urgent);
        let overdue = elapsed.saturating_sub(self.committed_at) >= interval;
        self.started && self.committing.is_none() && (urgent || overdue)
    }

    /// Has everything committed that changed, as one. `false` when nothing did.
    pub(super) fn commit(
        &mut self,
        broker: &Broker,
        records: &Records,
        now: Timestamp,
        elapsed: Duration,
    ) -> bool {
        if self.committing.is_some() {
            return false;
        }
        let mut committing = Committing { partitions: Vec::new(), moved: 0, parked: Vec::new() };
        let (mut leaving, mut progress) = (Vec::new(), Vec::new());
        for (number, partition) in &mut self.partitions {
            let Some(checkpoint) = partition.checkpoint(now) else { continue };
            committing.partitions.push(*number);
            for departure in &checkpoint.departures {
                match &departure.fate {
                    Fate::SetAside { .. } => committing.moved += 1,
                    Fate::Parked { failure, .. } => committing.parked.push(failure.reason),
                }
                leaving.push(records.departing(departure));
            }
            progress.push((Source::Events, *number, checkpoint.events));
            progress.push((Source::Retry, *number, checkpoint.retry));
        }
        self.committed_at = elapsed;
        if progress.is_empty() {
            return false;
        }
        self.committing = Some(committing);
        // There is room: at most one commit is under way, and flow is told by difference. If the
        // thread is gone, it says so itself.
        let order = ToBroker::Commit { records: leaving, progress };
        if broker.commands.try_send(order).is_err() {
            tracing::debug!("the broker's thread takes no commit any more");
        }
        true
    }

    pub(super) fn committed(&mut self, now: Timestamp, metrics: &Metrics, destination: &str) {
        let Some(committing) = self.committing.take() else { return };
        for number in committing.partitions {
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.committed(now);
            }
        }
        metrics.moved.with([destination]).inc_by(committing.moved);
        for reason in committing.parked {
            metrics.parked.with([destination, reason.word()]).inc();
        }
    }

    /// Stops the flow of what is too much, or of everything while the line stands still.
    pub(super) fn direct_flow(&mut self, broker: &Broker, stopped: bool) {
        if !self.started {
            return;
        }
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (number, partition) in &self.partitions {
            for source in [Source::Events, Source::Retry] {
                let at = (source, *number);
                let paused = self.paused.contains(&at);
                if !paused && (stopped || !partition.wants(source)) {
                    pause.push(at);
                } else if paused && !stopped && partition.has_caught_up(source) {
                    resume.push(at);
                }
            }
        }
        if pause.is_empty() && resume.is_empty() {
            return;
        }
        let order = ToBroker::Flow { pause: pause.clone(), resume: resume.clone() };
        if broker.commands.try_send(order).is_ok() {
            self.paused.extend(pause);
            for at in resume {
                self.paused.remove(&at);
            }
        }
    }

    /// How long nothing happens by itself.
    pub(super) fn wait(&self, now: Timestamp, elapsed: Duration, interval: Duration) -> Duration {
        let due = self.partitions.values().filter_map(Partition::next_wake).min();
        let lanes = due.map_or(Duration::MAX, |due| {
            let millis = due.millis().saturating_sub(now.millis()).max(0);
            Duration::from_millis(u64::try_from(millis).unwrap_or(0))
        });
        let ready = self.started && self.partitions.values().any(Partition::changed);
        let commit = if ready && self.committing.is_none() {
            (self.committed_at + interval).saturating_sub(elapsed)
        } else {
            Duration::MAX
        };
        lanes.max(Duration::from_millis(1)).min(commit)
    }

    /// Records of the retry topic that are owed.
    pub(super) fn backlog(&self) -> usize {
        self.partitions.values().map(|partition| partition.undone(Source::Retry)).sum()
    }
}
