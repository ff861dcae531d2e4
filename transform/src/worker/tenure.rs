//! One tenure: from a new producer to the first doubt, or to the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemas::state::PartitionRecord;
use stream::{
    Group, Membership, Polled, Progress, Reader, Received, Record, TopicPartition, Transactions,
};

use super::agenda::{Agenda, Step};
use super::failure::WorkerError;
use super::restore::{Restorer, TakenOver, Tenure as Ownership};
use super::{Shared, Worker};
use crate::line::Line;
use crate::record::Raw;
use crate::sources::advice::{Advice, Adviser};
use crate::state::{Batch, Change, MemoryStore};

/// A partition in this worker's hands.
struct Held {
    line: Line<MemoryStore>,
    record: PartitionRecord,
    /// The open transaction has something of this partition.
    touched: bool,
}

/// Producer, membership and memory that live and die together.
pub(super) struct Tenure<'a> {
    worker: &'a Worker,
    transactions: Transactions,
    group: Group,
    reader: Reader,
    raw: Arc<str>,
    partitions: i32,
    held: BTreeMap<i32, Held>,
    agenda: Agenda,
    paused: bool,
    adviser: Adviser,
}

impl<'a> Tenure<'a> {
    /// Ends whatever an earlier producer of this name left open, then joins the group.
    pub(super) fn begin(worker: &'a Worker) -> Result<Self, WorkerError> {
        let Shared { cluster, names, bounds, .. } = &worker.shared;
        let transactions = Transactions::open(cluster, &worker.name)?;
        let reader = Reader::open(cluster, &names.group)?;
        let partitions = reader.partitions(&names.raw)?;
        let membership = Membership { instance_id: Some(worker.name.clone()) };
        let group = Group::join(cluster, &names.group, &[&names.raw], &membership)?;
        Ok(Self {
            worker,
            transactions,
            group,
            reader,
            raw: Arc::from(names.raw.as_str()),
            partitions,
            held: BTreeMap::new(),
            agenda: Agenda::new(*bounds),
            paused: false,
            adviser: Adviser::default(),
        })
    }

    /// Works until told to end, then commits what is open.
    pub(super) fn serve(mut self) -> Result<(), WorkerError> {
        while !self.worker.shared.shutdown.is_cancelled() {
            self.obey_the_switch()?;
            let now = self.now();
            match self.agenda.next(now, self.first_tick(now)) {
                Step::Commit => self.commit()?,
                Step::Tick(partition) => self.append_tick(partition)?,
                Step::Poll(wait) => {
                    let polled = self.group.poll(wait)?;
                    self.react(polled)?;
                }
            }
        }
        self.commit_if_open()
    }

    fn react(&mut self, polled: Polled) -> Result<(), WorkerError> {
        match polled {
            Polled::Record(received) => self.take(received),
            Polled::Idle => {
                self.agenda.ran_dry();
                Ok(())
            }
            Polled::Assigned(partitions) => self.take_over(&partitions),
            Polled::Revoked(_) => {
                self.commit_if_open()?;
                for partition in std::mem::take(&mut self.held).into_keys() {
                    self.worker.shared.metrics.released(partition);
                }
                self.worker.joined.fails("between two generations of the group");
                Ok(self.group.release()?)
            }
            Polled::Lost(_) => Err(WorkerError::Lost),
        }
    }

    fn take_over(&mut self, partitions: &[TopicPartition]) -> Result<(), WorkerError> {
        let mut positions = Vec::new();
        let mut first = Vec::new();
        for at in partitions {
            let began = self.now();
            let clock = &self.worker.shared.clock;
            let restorer = Restorer {
                group: &self.group,
                reader: &self.reader,
                outgoing: &self.worker.outgoing,
                partitions: self.partitions,
                elapsed: &|| clock.elapsed(),
            };
            let TakenOver { store, record, tenure } = restorer.take_over(at)?;
            let now = self.now();
            let offset = record.next_raw_offset;
            let line = Line::restored(store, at.partition, offset, now, &self.worker.rules)?;
            self.worker.shared.metrics.restored(now.saturating_sub(began));
            positions.push((at.clone(), offset));
            if tenure == Ownership::First {
                first.push(at.partition);
            }
            self.held.insert(at.partition, Held { line, record, touched: false });
        }
        self.group.start(&positions)?;
        self.paused = false;
        if !first.is_empty() {
            // From now on there always is an offset, and a record of the partition that agrees.
            self.open_transaction()?;
            for partition in first {
                self.touch(partition);
            }
            self.commit()?;
        }
        self.worker.joined.holds();
        tracing::info!(worker = self.worker.name, partitions = positions.len(), "partitions taken");
        Ok(())
    }

    fn take(&mut self, received: Received) -> Result<(), WorkerError> {
        let partition = received.partition;
        let now = self.now();
        if !self.held.contains_key(&partition) {
            tracing::warn!(partition, "a record of a partition that is not held was left alone");
            return Ok(());
        }
        self.open_transaction()?;
        let Some(held) = self.held.get_mut(&partition) else { return Ok(()) };
        let raw = Raw {
            offset: received.offset,
            appended_at: received.timestamp,
            key: received.key.as_deref(),
            value: received.value.as_deref(),
            headers: &received.headers,
        };
        let bytes = received.value.as_ref().map_or(0, Vec::len);
        let taken = held.line.take(&raw, now, &self.worker.rules)?;
        held.touched = true;
        self.agenda.took(bytes);
        for emission in &taken.events {
            self.transactions.send(&self.worker.outgoing.event(partition, emission)?)?;
        }
        let reason = taken.parked.as_ref().map(|parking| parking.reason);
        if let Some(parking) = &taken.parked {
            tracing::warn!(
                partition,
                offset = received.offset,
                reason = parking.reason.name(),
                message = parking.message,
                "record parked"
            );
            self.transactions.send(&self.worker.outgoing.parked(received, parking))?;
        }
        self.worker.shared.switch.processed(now, reason);
        Ok(())
    }

    fn append_tick(&mut self, partition: i32) -> Result<(), WorkerError> {
        self.open_transaction()?;
        self.transactions.send(&self.worker.outgoing.tick(partition))?;
        self.touch(partition);
        self.commit()?;
        let now = self.now();
        if let Some(held) = self.held.get_mut(&partition) {
            held.line.tick_appended(now);
        }
        Ok(())
    }

    /// The partition that needs a tick first, and in how long. A line that stands needs none.
    fn first_tick(&self, now: Duration) -> Option<(i32, Duration)> {
        if self.paused {
            return None;
        }
        let waits = self.held.iter().filter_map(|(partition, held)| {
            let wait = held.line.until_tick(now)?;
            Some((*partition, wait))
        });
        waits.min_by_key(|(_, wait)| *wait)
    }

    fn obey_the_switch(&mut self) -> Result<(), WorkerError> {
        let stopped = self.worker.shared.switch.is_stopped();
        if stopped == self.paused {
            return Ok(());
        }
        self.commit_if_open()?;
        let partitions: Vec<_> = self.held.keys().map(|partition| self.at(*partition)).collect();
        if stopped {
            self.group.pause(&partitions)?;
        } else {
            self.group.resume(&partitions)?;
        }
        self.paused = stopped;
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
        for (partition, held) in self.held.iter_mut().filter(|(_, held)| held.touched) {
            held.record.next_raw_offset = held.line.next_offset();
            let mut changes = held.line.changes(&self.worker.rules)?;
            changes.push(self.worker.outgoing.partition_record(&held.record)?);
            for change in &changes {
                let record: Record = self.worker.outgoing.change(*partition, change);
                self.transactions.send(&record)?;
            }
            written.push((*partition, changes));
            let at = TopicPartition { topic: Arc::clone(&self.raw), partition: *partition };
            let next_offset = held.record.next_raw_offset;
            progress.push(Progress { partition: at, next_offset, metadata: String::new() });
        }
        let appended = self.transactions.commit(&progress, &self.group.member()?)?;
        let opened = self.agenda.opened().unwrap_or_default();
        self.worker.shared.metrics.committed(self.now().saturating_sub(opened));
        self.agenda.committed();
        let topic: Arc<str> = Arc::from(self.worker.shared.names.state.as_str());
        for (partition, changes) in written {
            let at = TopicPartition { topic: Arc::clone(&topic), partition };
            let checkpoint = appended.get(&at).copied().unwrap_or_default();
            if let Some(held) = self.held.get_mut(&partition) {
                held.touched = false;
                let tally = held.line.committed(Batch { changes, checkpoint })?;
                self.worker.shared.metrics.done(&tally);
                for Advice { source, reason, remedy } in self.adviser.news(&tally) {
                    tracing::warn!(source, reason, remedy, "webhooks of this source are ignored");
                }
                self.worker.shared.metrics.waiting(partition, held.line.waiting());
            }
        }
        Ok(())
    }

    fn touch(&mut self, partition: i32) {
        if let Some(held) = self.held.get_mut(&partition) {
            held.touched = true;
        }
    }

    fn at(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.raw), partition }
    }

    fn now(&self) -> Duration {
        self.worker.shared.clock.elapsed()
    }
}
