//! One tenure: from a new producer to the first doubt, or to the end.

mod flow;
mod spans;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stream::{
    Follower, Group, Membership, Polled, Progress, Received, Record, TopicPartition, Transactions,
};

use self::spans::Spans;
use super::agenda::{Agenda, Step};
use super::failure::WorkerError;
use super::holdings::Holdings;
use super::restore::{TakenOver, Tenure as Ownership, link_of};
use super::takeover::Takeover;
use super::{Shared, Worker};
use crate::line::{Line, Taken};
use crate::record::Raw;
use crate::sources::advice::{Advice, Adviser};
use crate::state::{Batch, Change, DiskStore, Link, note};

/// Links read at a time: so many that a flood of them does not hold up the records.
const LINKS: usize = 1_000;

/// How long partitions that are ready wait for the next to be ready, so that the consumer starts once
/// for all that are taken over quickly.
const GATHER: Duration = Duration::from_millis(250);

/// Partitions that are ready and not started yet.
#[derive(Default)]
struct Newcomers {
    since: Option<Duration>,
    first: Vec<i32>,
}

/// Producer, membership and memory that live and die together.
pub(super) struct Tenure<'a> {
    worker: &'a Worker,
    transactions: Transactions,
    group: Group,
    links: Follower,
    takeover: Option<Takeover>,
    newcomers: Newcomers,
    held: Holdings<DiskStore>,
    agenda: Agenda,
    adviser: Adviser,
    spans: Spans,
}

impl<'a> Tenure<'a> {
    /// Ends whatever an earlier producer of this name left open, then joins the group.
    pub(super) fn begin(worker: &'a Worker) -> Result<Self, WorkerError> {
        let Shared { cluster, names, bounds, tracer, .. } = &worker.shared;
        let transactions = Transactions::open(cluster, &worker.name)?;
        let links = Follower::open(cluster, &names.group)?;
        let watcher = Some(worker.shared.metrics.lag());
        let membership = Membership { instance_id: Some(worker.name.clone()), watcher };
        let group = Group::join(cluster, &names.group, &[&names.raw], &membership)?;
        Ok(Self {
            worker,
            transactions,
            group,
            links,
            takeover: None,
            newcomers: Newcomers::default(),
            held: Holdings::default(),
            agenda: Agenda::new(*bounds),
            adviser: Adviser::default(),
            spans: Spans::of(tracer.clone(), &names.raw),
        })
    }

    /// Works until told to end, then commits what is open.
    pub(super) fn serve(mut self) -> Result<(), WorkerError> {
        while !self.worker.shared.shutdown.is_cancelled() {
            self.obey_the_switch()?;
            self.welcome()?;
            self.recall()?;
            if self.agenda.opened().is_none() {
                self.follow_links()?;
                self.expire()?;
            }
            let now = self.now();
            // A line that stands needs no ticks.
            let tick = if self.agenda.stands() { None } else { self.held.first_tick(now) };
            match self.agenda.next(now, tick) {
                Step::Commit => self.commit()?,
                Step::Tick(partition) => self.append_tick(partition)?,
                Step::Poll(wait) => {
                    let polled = self.poll(wait)?;
                    self.react(polled)?;
                }
            }
        }
        self.commit_if_open()
    }

    /// What has been fetched comes first; before anything is waited for, what is held back goes out.
    fn poll(&mut self, wait: Duration) -> Result<Polled, WorkerError> {
        if self.transactions.holds_back() {
            let polled = self.group.poll(Duration::ZERO)?;
            if !matches!(polled, Polled::Idle) {
                return Ok(polled);
            }
            self.transactions.hand_over()?;
        }
        Ok(self.group.poll(wait)?)
    }

    fn react(&mut self, polled: Polled) -> Result<(), WorkerError> {
        match polled {
            Polled::Record(received) => self.take(received),
            Polled::Idle => {
                self.agenda.ran_dry();
                Ok(())
            }
            Polled::Assigned(partitions) => self.assigned(&partitions),
            Polled::Revoked(_) => self.hand_over(),
            Polled::Lost(_) => Err(WorkerError::Lost),
        }
    }

    /// The partitions are ours. Nothing flows yet: each starts when it has been taken over.
    fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), WorkerError> {
        self.group.start(&[])?;
        self.worker.shared.metrics.rebalanced();
        let shared = self.worker.shared.clone();
        let numbers: Vec<_> = partitions.iter().map(|at| at.partition).collect();
        if !numbers.is_empty() {
            self.takeover = Some(Takeover::begin(shared, numbers)?);
        }
        self.worker.joined.holds();
        tracing::info!(worker = self.worker.name, partitions = partitions.len(), "joined");
        Ok(())
    }

    /// Finishes what is open, lets go of all memory, and only then of the partitions.
    fn hand_over(&mut self) -> Result<(), WorkerError> {
        self.commit_if_open()?;
        self.takeover = None;
        self.newcomers = Newcomers::default();
        self.let_go();
        self.links.follow(&[])?;
        self.worker.joined.fails("between two generations of the group");
        Ok(self.group.release()?)
    }

    /// Lets go of all memory.
    fn let_go(&mut self) {
        for (partition, held) in self.held.let_go() {
            self.worker.shared.metrics.released(partition, held.shown);
        }
    }

    /// Lets partitions that have been taken over start.
    fn welcome(&mut self) -> Result<(), WorkerError> {
        let Some(takeover) = &mut self.takeover else { return Ok(()) };
        let now = self.worker.shared.clock.elapsed();
        while let Some((partition, TakenOver { store, record, tenure })) = takeover.arrived()? {
            let offset = record.next_raw_offset;
            let line = Line::restored(store, partition, offset, now, &self.worker.rules)?
                .one_of(record.partitions);
            self.worker.shared.metrics.taken_over(partition, line.standing());
            self.held.take_over(partition, line, record);
            self.newcomers.since.get_or_insert(now);
            if tenure == Ownership::First {
                self.newcomers.first.push(partition);
            }
        }
        let Some(since) = self.newcomers.since else { return Ok(()) };
        if takeover.outstanding() == 0 || now.saturating_sub(since) >= GATHER {
            self.start()?;
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), WorkerError> {
        self.commit_if_open()?;
        let first = std::mem::take(&mut self.newcomers).first;
        self.flow()?;
        let topic: Arc<str> = Arc::from(self.worker.shared.names.links.as_str());
        let at = |partition| TopicPartition { topic: Arc::clone(&topic), partition };
        let links = self.held.all().map(|(number, held)| (at(number), held.line.links_position()));
        self.links.follow(&links.collect::<Vec<_>>())?;
        if !first.is_empty() {
            // From now on there always is an offset, and a record of the partition that agrees.
            self.open_transaction()?;
            for partition in first {
                self.held.touch(partition);
            }
            self.commit()?;
        }
        // What waited for a link may find that it has come meanwhile.
        for partition in self.held.numbers() {
            let Some(held) = self.held.get_mut(partition) else { continue };
            let taken = held.line.look_up_again(&self.worker.rules)?;
            self.carry(partition, taken, None)?;
        }
        Ok(())
    }

    fn take(&mut self, received: Received) -> Result<(), WorkerError> {
        let partition = received.partition;
        let Some(held) = self.held.get(partition) else {
            tracing::warn!(partition, "a record of a partition that is not held was left alone");
            return Ok(());
        };
        if held.is_aside() || received.offset < held.line.next_offset() {
            // Fetched before the partition was set aside, or started again behind it.
            return Ok(());
        }
        let raw = Raw {
            offset: received.offset,
            appended_at: received.timestamp,
            key: received.key.as_deref(),
            value: received.value.as_deref(),
            headers: &received.headers,
        };
        if !self.can_be_judged(partition, &raw)? {
            return Ok(());
        }
        self.open_transaction()?;
        let now = self.now();
        let Some(held) = self.held.get_mut(partition) else { return Ok(()) };
        let bytes = received.value.as_ref().map_or(0, Vec::len);
        let taken = held.line.take(&raw, now, &self.worker.rules)?;
        held.touched = true;
        self.agenda.took(bytes);
        let reason = taken.parked.as_ref().map(|parking| parking.reason);
        self.carry(partition, taken, Some(received))?;
        self.worker.shared.switch.processed(now, reason);
        Ok(())
    }

    /// Takes in links that others have announced. Outside of a transaction: it writes to the store.
    fn follow_links(&mut self) -> Result<(), WorkerError> {
        let mut arrived: BTreeMap<i32, (Vec<Link>, i64)> = BTreeMap::new();
        for _ in 0..LINKS {
            let Some(received) = self.links.poll(Duration::ZERO)? else { break };
            let (links, position) = arrived.entry(received.partition).or_default();
            *position = received.offset + 1;
            links.extend(link_of(received));
        }
        for (partition, (links, position)) in arrived {
            let Some(held) = self.held.get_mut(partition) else { continue };
            let taken = held.line.learn(links, position, &self.worker.rules)?;
            self.carry(partition, taken, None)?;
        }
        Ok(())
    }

    /// Gives up waiting for links where the time is over and the input has been read to its end.
    fn expire(&mut self) -> Result<(), WorkerError> {
        let now = self.now();
        if !self.agenda.is_dry() {
            return Ok(());
        }
        for partition in self.held.out_of_patience(now) {
            let Some(held) = self.held.get_mut(partition) else { continue };
            let taken = held.line.expire(now, &self.worker.rules)?;
            self.carry(partition, taken, None)?;
        }
        Ok(())
    }

    /// Sends what a line has decided, in a transaction that will hold the partition's offset.
    fn carry(
        &mut self,
        partition: i32,
        taken: Taken,
        record: Option<Received>,
    ) -> Result<(), WorkerError> {
        if taken.is_empty() {
            return Ok(());
        }
        self.open_transaction()?;
        self.held.touch(partition);
        let outgoing = &self.worker.outgoing;
        for emission in &taken.events {
            self.transactions.send(outgoing.event(partition, emission)?)?;
            self.spans.event(partition, emission);
        }
        for copy in taken.copies {
            self.transactions.send(outgoing.copy(copy))?;
        }
        for link in taken.links {
            self.transactions.send(outgoing.link(link))?;
        }
        for given_up in taken.expired {
            let at = (partition, given_up.offset);
            super::tell_parked(at, &given_up.headers, &given_up.parking);
            let reason = given_up.parking.reason;
            self.spans.parked((partition, given_up.appended_at), &given_up.headers, reason);
            self.transactions.send(outgoing.given_up(partition, given_up))?;
        }
        if let (Some(parking), Some(received)) = (&taken.parked, record) {
            super::tell_parked((partition, received.offset), &received.headers, parking);
            self.spans.parked((partition, received.timestamp), &received.headers, parking.reason);
            self.transactions.send(outgoing.parked(received, parking))?;
        }
        Ok(())
    }

    fn append_tick(&mut self, partition: i32) -> Result<(), WorkerError> {
        self.open_transaction()?;
        self.transactions.send(self.worker.outgoing.tick(partition))?;
        self.held.touch(partition);
        self.commit()?;
        let now = self.now();
        if let Some(held) = self.held.get_mut(partition) {
            held.line.tick_appended(now);
        }
        Ok(())
    }

    fn open_transaction(&mut self) -> Result<(), WorkerError> {
        if self.agenda.opened().is_none() {
            self.transactions.begin()?;
            self.agenda.begun(self.now());
        }
        Ok(())
    }

    fn commit_if_open(&mut self) -> Result<(), WorkerError> {
        if self.agenda.opened().is_some() { self.commit() } else { Ok(()) }
    }

    /// Commits the open transaction: the changed states and the record of every partition it touched,
    /// and their offsets. Only then the stores take over what was written.
    fn commit(&mut self) -> Result<(), WorkerError> {
        let mut written: Vec<(i32, Vec<Change>)> = Vec::new();
        let mut progress = Vec::new();
        let raw: Arc<str> = Arc::from(self.worker.shared.names.raw.as_str());
        for (partition, held) in self.held.touched() {
            held.record.next_raw_offset = held.line.next_offset();
            let mut changes = held.line.changes(&self.worker.rules)?;
            changes.push(self.worker.outgoing.partition_record(&held.record)?);
            for change in &changes {
                let record: Record = self.worker.outgoing.change(partition, change);
                self.transactions.send(record)?;
            }
            written.push((partition, changes));
            let at = TopicPartition { topic: Arc::clone(&raw), partition };
            let next_offset = held.record.next_raw_offset;
            let metadata = note(held.record.partitions);
            progress.push(Progress { partition: at, next_offset, metadata });
        }
        let appended = self.transactions.commit(&progress, &self.group.member()?)?;
        let opened = self.agenda.opened().unwrap_or_default();
        self.worker.shared.metrics.committed(self.now().saturating_sub(opened));
        self.agenda.committed();
        self.spans.committed();
        let topic: Arc<str> = Arc::from(self.worker.shared.names.state.as_str());
        for (partition, changes) in written {
            let at = TopicPartition { topic: Arc::clone(&topic), partition };
            let checkpoint =
                appended.get(&at).copied().ok_or(WorkerError::NotReported { partition })?;
            if let Some(held) = self.held.get_mut(partition) {
                held.touched = false;
                let tally = held.line.committed(Batch { changes, checkpoint })?;
                self.worker.shared.metrics.done(&tally);
                for Advice { source, reason, remedy } in self.adviser.news(&tally) {
                    tracing::warn!(source, reason, remedy, "a source does not send what it could");
                }
                held.shown = held.line.standing();
                self.worker.shared.metrics.stands(partition, held.shown);
            }
        }
        Ok(())
    }

    fn at(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: Arc::from(self.worker.shared.names.raw.as_str()), partition }
    }

    fn now(&self) -> Duration {
        self.worker.shared.clock.elapsed()
    }
}

/// Also where the transaction is in doubt, and everything is taken over anew.
impl Drop for Tenure<'_> {
    fn drop(&mut self) {
        self.let_go();
    }
}
