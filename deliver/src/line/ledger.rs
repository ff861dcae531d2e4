//! The partitions that are ours, and the one commit that speaks for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;
use stream::Received;

use super::cadence::Cadence;
use crate::broker::{Broker, Position, ToBroker};
use crate::dispatch::Token;
use crate::failure::{Failure, Reason};
use crate::lanes::{
    Arrival, Arriving, Bounds, Fate, Outcome, Partition, Place, Schedule, Settled, Source, Ticket,
};
use crate::lease::Terms;
use crate::marks::Marks;
use crate::metrics::Metrics;
use crate::records::Records;
use crate::tally::{Fate as Became, Tally};
use crate::tenure::{Owner, Tenure};

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
    cadence: Cadence,
    terms: Terms,
    /// When the last commit that was made was sent.
    renewed_at: Option<Duration>,
    owner: Owner,
    /// Partitions of which nothing is started before the calls of their last owner are over.
    held_back: BTreeMap<i32, Duration>,
    /// Partitions that were ours and whose calls are over, with when one could have been begun.
    left: BTreeMap<i32, Duration>,
    /// What became of records since that was last shown.
    pub(super) tally: Tally,
}

/// The commit under way.
#[derive(Debug)]
struct Committing {
    partitions: Vec<i32>,
    sent: Duration,
    moved: usize,
    shadowed: usize,
    parked: Vec<Reason>,
}

impl Ledger {
    pub(super) fn new(owner: Owner, schedule: Arc<Schedule>, terms: Terms, bounds: Bounds) -> Self {
        Self {
            owner,
            schedule,
            bounds,
            terms,
            tally: Tally::default(),
            renewed_at: None,
            held_back: BTreeMap::new(),
            left: BTreeMap::new(),
            partitions: BTreeMap::new(),
            started: false,
            last_started: -1,
            paused: BTreeSet::new(),
            committing: None,
            cadence: Cadence::default(),
        }
    }

    pub(super) fn assign(
        &mut self,
        partition: i32,
        (events, retry): (Marks, Marks),
        earlier: Tenure,
        elapsed: Duration,
    ) {
        let restored = Partition::restored(events, retry, self.schedule.clone(), self.bounds);
        self.partitions.insert(partition, restored.after(earlier, self.owner));
        let left = self.left.remove(&partition);
        let begins_at = self.terms.begins_at(earlier, self.owner, left, elapsed);
        if begins_at > elapsed {
            self.held_back.insert(partition, begins_at);
        }
    }

    /// For how long nothing is started of the last partition whose owner did not end cleanly.
    pub(super) fn held_back_for(&self, elapsed: Duration) -> Duration {
        self.held_back.values().max().map_or(Duration::ZERO, |until| until.saturating_sub(elapsed))
    }

    /// Every retry topic is read to its end.
    pub(super) fn begin(&mut self) {
        self.started = true;
    }

    /// Nothing is started any more.
    pub(super) fn end(&mut self) {
        self.started = false;
    }

    /// Calls have ended: whoever comes next need not wait for them. Those of an earlier owner that did
    /// not end cleanly may still be under way.
    pub(super) fn close(&mut self, now: Timestamp, elapsed: Duration) {
        self.held_back.retain(|_, until| *until > elapsed);
        for (number, partition) in &mut self.partitions {
            if !self.held_back.contains_key(number) {
                partition.close(now);
            }
        }
    }

    /// Calls have ended, and nobody else is told: remembers of which partitions all have.
    pub(super) fn leave(&mut self, now: Timestamp, elapsed: Duration) {
        for (number, partition) in &self.partitions {
            if partition.is_quiet(now) {
                let could_begin = self.held_back.get(number).copied().unwrap_or(elapsed);
                self.left.insert(*number, could_begin);
            }
        }
    }

    pub(super) fn is_started(&self) -> bool {
        self.started
    }

    pub(super) fn clear(&mut self) {
        let owed = self.owed();
        self.tally.settle_all(Became::HandedOver, owed);
        self.started = false;
        self.partitions.clear();
        self.paused.clear();
        self.committing = None;
        self.renewed_at = None;
        self.held_back.clear();
    }

    pub(super) fn arrive(
        &mut self,
        source: Source,
        arriving: Arriving<Arc<Received>>,
        now: Timestamp,
    ) -> Option<Arrival> {
        let place = Place { source, offset: arriving.content.offset };
        let partition = self.partitions.get_mut(&arriving.content.partition)?;
        let arrival = partition.arrive(place, arriving, now);
        self.tally.settle_all(Became::Outdone, partition.take_outdone());
        match arrival {
            Arrival::Done => {}
            Arrival::Owed | Arrival::Outdone => self.tally.take(),
            Arrival::Duplicate => {
                self.tally.take();
                self.tally.settle(Became::Duplicate);
            }
        }
        Some(arrival)
    }

    /// A record arrived that is somebody else's to deal with.
    pub(super) fn pass(&mut self, source: Source, received: &Received) {
        let place = Place { source, offset: received.offset };
        let partition = self.partitions.get_mut(&received.partition);
        if partition.is_some_and(|partition| partition.pass(place)) {
            self.tally.take();
            self.tally.settle(Became::Passed);
        }
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
        let arrival = partition.arrive_unreadable(place, received, failure, now);
        if arrival == Arrival::Owed {
            self.tally.take();
        }
        Some(arrival)
    }

    /// The next event that may be sent, of each partition in turn.
    pub(super) fn start(
        &mut self,
        now: Timestamp,
        elapsed: Duration,
    ) -> Option<(i32, Ticket, Arc<Received>)> {
        self.held_back.retain(|_, until| *until > elapsed);
        let last = self.last_started;
        let order: Vec<i32> = self
            .partitions
            .range(last.saturating_add(1)..)
            .chain(self.partitions.range(..=last))
            .map(|(number, _)| *number)
            .filter(|number| !self.held_back.contains_key(number))
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
        let overdue = self.cadence.wait(elapsed, interval).is_zero();
        let due = urgent || overdue || self.is_renewal_due(elapsed);
        self.started && self.committing.is_none() && due
    }

    /// Whether a commit has to be made for the lease alone.
    fn is_renewal_due(&self, elapsed: Duration) -> bool {
        let interval = self.terms.renewal_interval();
        self.renewed_at.is_none_or(|sent| elapsed.saturating_sub(sent) >= interval)
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
        if self.started && self.is_renewal_due(elapsed) {
            self.partitions.values_mut().for_each(Partition::refresh);
        }
        let (partitions, parked) = (Vec::new(), Vec::new());
        let sent = elapsed;
        let mut committing = Committing { partitions, sent, moved: 0, shadowed: 0, parked };
        let (mut leaving, mut progress) = (Vec::new(), Vec::new());
        for (number, partition) in &mut self.partitions {
            let Some(checkpoint) = partition.checkpoint(now) else { continue };
            committing.partitions.push(*number);
            for departure in &checkpoint.departures {
                match &departure.fate {
                    Fate::SetAside { .. } => committing.moved += 1,
                    Fate::Parked { failure, .. } => committing.parked.push(failure.reason),
                    Fate::Shadowed(_) => committing.shadowed += 1,
                }
                leaving.push(records.departing(departure));
            }
            let beside = checkpoint.tenure.beside(&checkpoint.events);
            progress.push(position(Source::Events, *number, &checkpoint.events, beside));
            let beside = checkpoint.retry.encode();
            progress.push(position(Source::Retry, *number, &checkpoint.retry, beside));
        }
        self.cadence.ended(elapsed);
        if progress.is_empty() {
            return false;
        }
        self.committing = Some(committing);
        self.renewed_at = Some(elapsed);
        // There is room: at most one commit is under way, and flow is told by difference. If the
        // thread is gone, it says so itself.
        let order = ToBroker::Commit { records: leaving, progress };
        if broker.commands.try_send(order).is_err() {
            tracing::debug!("the broker's thread takes no commit any more");
        }
        true
    }

    /// The commit under way succeeded. Says when it was sent.
    pub(super) fn committed(
        &mut self,
        (now, elapsed): (Timestamp, Duration),
        metrics: &Metrics,
        destination: &str,
    ) -> Option<Duration> {
        let committing = self.committing.take()?;
        self.cadence.ended(elapsed);
        for number in committing.partitions {
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.committed(now);
            }
        }
        metrics.moved.with([destination]).inc_by(committing.moved as u64);
        metrics.shadowed.with([destination]).inc_by(committing.shadowed as u64);
        self.tally.settle_all(Became::Moved, committing.moved);
        self.tally.settle_all(Became::Shadowed, committing.shadowed);
        self.tally.settle_all(Became::Parked, committing.parked.len());
        for reason in committing.parked {
            metrics.parked.with([destination, reason.word()]).inc();
        }
        Some(committing.sent)
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
        let lanes = due.map_or(Duration::MAX, |due| due.since(now));
        let ready = self.started && self.partitions.values().any(Partition::changed);
        let commit = if ready && self.committing.is_none() {
            self.cadence.wait(elapsed, interval)
        } else {
            Duration::MAX
        };
        let renewal = match self.renewed_at {
            Some(sent) if self.started && self.committing.is_none() => {
                (sent + self.terms.renewal_interval()).saturating_sub(elapsed)
            }
            Some(_) | None => Duration::MAX,
        };
        let held_back = self.held_back.values().min();
        let held_back = held_back.map_or(Duration::MAX, |until| until.saturating_sub(elapsed));
        lanes.min(held_back).max(Duration::from_millis(1)).min(commit).min(renewal)
    }

    /// Records of both topics that have no fate yet.
    pub(super) fn owed(&self) -> usize {
        let undone = |one: &Partition<_>| one.undone(Source::Events) + one.undone(Source::Retry);
        let leaving =
            self.committing.as_ref().map_or(0, |all| all.moved + all.shadowed + all.parked.len());
        leaving + self.partitions.values().map(undone).sum::<usize>()
    }

    /// Each partition.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Partition<Arc<Received>>> {
        self.partitions.values()
    }

    /// Records of the retry topic that are owed.
    pub(super) fn backlog(&self) -> usize {
        self.partitions.values().map(|partition| partition.undone(Source::Retry)).sum()
    }
}

fn position(source: Source, partition: i32, marks: &Marks, metadata: String) -> Position {
    Position { source, partition, next: marks.next(), metadata }
}

#[cfg(test)]
mod tests;
