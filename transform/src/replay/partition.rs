//! One partition, from its first record to its last.

use std::ops::ControlFlow;
use std::time::Duration;

use registry::RegistryError;
use schemas::codec::CodecError;
use stream::{ReadError, Reader, Received, Record};
use tokio::sync::mpsc::Sender;

use super::Span;
use crate::framing::teacher::Teacher;
use crate::line::Line;
use crate::record::Raw;
use crate::rules::Rules;
use crate::state::{Batch, MemoryStore, StateError};
use crate::tally::Tally;
use crate::worker::outgoing::Outgoing;

/// Records after which the states they changed are put away.
const SLICE: usize = 1_000;

/// Why a partition could not be replayed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("nobody writes any more")]
    Unwritten,
    /// A producer's schema cannot be had.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    records: u64,
    events: u64,
    duplicates: u64,
    late: u64,
    ignored: u64,
    parked: u64,
    /// Originals that went on to another key, whose copies count in their place.
    left_to_copies: u64,
    /// Subscribers with events that still wait for the reorder window at the end.
    waiting: usize,
}

impl Replayed {
    pub(super) fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.events += other.events;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.ignored += other.ignored;
        self.parked += other.parked;
        self.left_to_copies += other.left_to_copies;
        self.waiting += other.waiting;
    }

    fn count(&mut self, tally: &Tally) {
        self.records += tally.consumed;
        self.events += tally.events.values().sum::<u64>();
        self.duplicates += tally.duplicates;
        self.late += tally.late;
        self.ignored += tally.ignored.values().sum::<u64>();
        self.parked += tally.parked.values().sum::<u64>();
        self.left_to_copies += tally.left_to_copies;
    }

    /// For people.
    pub(super) fn lines(&self, into: &str) -> Vec<String> {
        let Self { records, events, duplicates, late, ignored, parked, left_to_copies, waiting } =
            self;
        let mut lines = vec![
            format!("{records} records gave {events} events in {into}, {late} of them late"),
            format!(
                "{duplicates} duplicates, {ignored} without meaning, {left_to_copies} that have a copy under \
                 another key, {parked} unfit (not written)"
            ),
        ];
        if *waiting > 0 {
            lines.push(format!(
                "{waiting} subscribers have events that still wait for the reorder window: the raw topic \
                 ends before they are due"
            ));
        }
        lines
    }
}

/// Reads the partition and sends its events to be written. Blocks.
pub(super) fn replay(
    reader: &Reader,
    raw: &str,
    span: Span,
    with: (&Outgoing, &Rules, &Teacher),
    to: &Sender<Record>,
    progress: &dyn Fn(),
) -> Result<Replayed, ReplayError> {
    let (outgoing, rules, teacher) = with;
    let Span { partition, from, until } = span;
    let store = MemoryStore::default();
    let line = Line::restored(store, partition, from, Duration::ZERO, rules)?;
    let mut replay = Replay {
        line,
        outgoing,
        rules,
        teacher,
        to,
        partition,
        slice: 0,
        sum: Replayed::default(),
    };
    let mut failed = None;
    reader.read_to(raw, partition, (from, until), |received| {
        progress();
        match replay.take(&received) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    replay.put_away()?;
    replay.sum.waiting = replay.line.standing().subscribers;
    Ok(replay.sum)
}

struct Replay<'a> {
    line: Line<MemoryStore>,
    outgoing: &'a Outgoing,
    rules: &'a Rules,
    teacher: &'a Teacher,
    to: &'a Sender<Record>,
    partition: i32,
    slice: usize,
    sum: Replayed,
}

impl Replay<'_> {
    fn take(&mut self, received: &Received) -> Result<(), ReplayError> {
        let raw = Raw {
            offset: received.offset,
            appended_at: received.timestamp,
            key: received.key.as_deref(),
            value: received.value.as_deref(),
            headers: &received.headers,
        };
        self.teacher.prepare(&raw, &self.rules.sources)?;
        let taken = self.line.take(&raw, Duration::ZERO, self.rules)?;
        for emission in &taken.events {
            let record = self.outgoing.event(self.partition, emission)?;
            self.to.blocking_send(record).map_err(|_| ReplayError::Unwritten)?;
        }
        self.slice += 1;
        if self.slice >= SLICE { self.put_away() } else { Ok(()) }
    }

    fn put_away(&mut self) -> Result<(), ReplayError> {
        self.slice = 0;
        let changes = self.line.changes(self.rules)?;
        let tally = self.line.committed(Batch { changes, checkpoint: 0 })?;
        self.sum.count(&tally);
        Ok(())
    }
}
