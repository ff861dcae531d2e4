//! Everything at one moment: the cluster, two workers, and what may still go wrong.

use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use schemas::state::PartitionRecord;
use transform::line::Line;
use transform::state::{Batch, Bounds, MemoryStore, Opening, Store};

use crate::action::{Action, Kind, possible};
use crate::catalogue::{Catalogue, Input, LATER};
use crate::digest;
use crate::kafka::{Kafka, Payload, Txn};
use crate::rules::Rules;
use crate::story::Story;

/// What is searched: the work there is, what may go wrong, and which rules are kept.
pub(crate) struct Setting {
    pub(crate) catalogue: Catalogue,
    pub(crate) rules: Rules,
    /// Records of each partition, in order.
    pub(crate) inputs: Vec<Vec<Input>>,
    /// How long held events wait, in milliseconds of the stream.
    pub(crate) window: i64,
    pub(crate) faults: Faults,
    pub(crate) produce: Produce,
    pub(crate) markers: Markers,
    pub(crate) start: Start,
}

/// How a decided transaction becomes known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markers {
    /// In each place by itself.
    EachAlone,
    /// Everywhere at once: where their order is not what is searched.
    Together,
}

/// Where a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nobody has ever been here.
    Fresh,
    /// Every partition is owned, its first commit done; both workers are members, and so many records
    /// of each partition are there.
    Owned(usize),
}

/// When a record of the changelog is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Produce {
    /// When it is sent.
    AtOnce,
    /// Some time after it is sent.
    Later,
}

/// How often each fault may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    pub(crate) crashes: u8,
    pub(crate) rebalances: u8,
    /// The answer to EndTxn stays away.
    pub(crate) unanswered: u8,
    /// A crash also loses the disk.
    pub(crate) lost_disks: u8,
    /// A disk is copied, and the copy comes back with a crash.
    pub(crate) stale_disks: u8,
    /// A coordinator that takes over knows no offsets yet.
    pub(crate) forgetful: u8,
    /// The first subscriber is erased, then everything grows older than tombstones are kept.
    pub(crate) erasures: u8,
    /// Topics and offsets are deleted and made anew.
    pub(crate) made_anew: u8,
}

/// A local disk: what survives a crash.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) store: MemoryStore,
    /// Every subscriber's state.
    pub(crate) states: u64,
    digest: u64,
}

impl Disk {
    pub(crate) fn empty(catalogue: &Catalogue) -> Rc<Self> {
        Self::holding(MemoryStore::default(), catalogue)
    }

    pub(crate) fn holding(store: MemoryStore, catalogue: &Catalogue) -> Rc<Self> {
        let record =
            catalogue.record_of(&store).map(|record| (record.incarnation, record.next_raw_offset));
        let states = catalogue.digest(&store);
        let digest =
            digest(&(store.checkpoint(), states, Catalogue::digest_of_waiting(&store), record));
        Rc::new(Self { store, states, digest })
    }

    pub(crate) fn applying(&self, batch: Batch, catalogue: &Catalogue) -> Rc<Self> {
        let mut store = self.store.clone();
        store.apply(batch).unwrap();
        Self::holding(store, catalogue)
    }
}

/// A partition in a worker's memory.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) line: Line<MemoryStore>,
    pub(crate) record: PartitionRecord,
    pub(crate) touched: Touched,
    /// The same store as the line's.
    pub(crate) view: Rc<Disk>,
}

/// Whether the open transaction has something of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Touched {
    No,
    /// A record of it, or its first commit.
    Yes,
    /// A tick for it.
    ByTick,
    /// Nothing but what the local clock has released.
    ByTimer,
}

/// A line and the number that stands for all of it.
pub(crate) struct Summed {
    pub(crate) held: Held,
    digest: u64,
}

impl Summed {
    pub(crate) fn of(held: Held, catalogue: &Catalogue) -> Rc<Self> {
        let changes = held.line.changes(&catalogue.rules).unwrap();
        let changes: Vec<_> = changes.into_iter().map(|one| (one.key, one.value)).collect();
        let digest = digest(&(
            held.view.digest,
            changes,
            held.line.next_offset(),
            held.line.standing().subscribers,
            held.line.until_tick(LATER),
            (&held.record.incarnation, held.record.next_raw_offset),
            held.touched,
        ));
        Rc::new(Self { held, digest })
    }
}

/// A partition being taken over.
#[derive(Clone)]
pub(crate) struct Taking {
    pub(crate) partition: usize,
    pub(crate) opening: Opening,
    pub(crate) now: Duration,
    /// Asked too early, where the order is not kept.
    pub(crate) early: Option<Bounds>,
    /// Keys that came by in the changelog.
    pub(crate) followed: Vec<Vec<u8>>,
    pub(crate) clears: u32,
    /// The committed offset, as it was told.
    pub(crate) told: Option<i64>,
}

pub(crate) struct SummedTaking {
    pub(crate) taking: Taking,
    digest: u64,
}

impl SummedTaking {
    pub(crate) fn of(taking: Taking) -> Rc<Self> {
        let opening = format!("{:?}", taking.opening);
        let early = taking.early.map(|bounds| bounds.high);
        let Taking { partition, now, clears, told, .. } = taking;
        let digest = digest(&(partition, opening, now, early, &taking.followed, clears, told));
        Rc::new(Self { taking, digest })
    }
}

#[derive(Clone)]
pub(crate) enum Phase {
    Dead,
    /// Waits for what an earlier producer of its name left open.
    Starting,
    /// Member of the group, with nothing.
    Member,
    TakingOver(Rc<SummedTaking>),
    Running(Stage),
    /// Stopped, and said why.
    Refused(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Takes records, with or without an open transaction.
    Taking,
    /// Has partitions that nobody owned before, to be committed before anything else.
    First,
    /// Commits next.
    Closing,
    /// The changelog's records are sent.
    Sent,
    /// So are the offsets.
    Offsets,
    /// EndTxn is sent, and no answer comes.
    Unanswered,
    /// It committed; the stores do not know yet.
    Committed,
}

#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) phase: Phase,
    /// The generation in which it was assigned its partitions.
    pub(crate) generation: Option<u32>,
    /// The transaction it believes to be open.
    pub(crate) txn: Option<Txn>,
    /// An EndTxn of its producer is still on its way.
    pub(crate) late_end: bool,
    /// It has come here by a doubt.
    pub(crate) doubted: bool,
    pub(crate) held: Vec<Option<Rc<Summed>>>,
    pub(crate) disks: Vec<Rc<Disk>>,
    pub(crate) copies: Option<Vec<Rc<Disk>>>,
    /// Sent and not appended.
    pub(crate) in_flight: Vec<(usize, Payload)>,
    /// What the open transaction wrote to the changelog, by partition.
    pub(crate) written: Vec<(usize, Rc<Batch>)>,
    /// Batches that wait for the store, where nobody asks of which tenure they are.
    pub(crate) late_batches: Vec<(usize, Rc<Batch>)>,
}

impl Worker {
    fn new(partitions: usize, disk: &Rc<Disk>) -> Self {
        Self {
            phase: Phase::Starting,
            generation: None,
            txn: None,
            late_end: false,
            doubted: false,
            held: vec![None; partitions],
            disks: vec![Rc::clone(disk); partitions],
            copies: None,
            in_flight: Vec::new(),
            written: Vec::new(),
            late_batches: Vec::new(),
        }
    }

    /// All that a crash takes with it.
    pub(crate) fn forget(&mut self) {
        self.generation = None;
        self.held.fill(None);
        self.in_flight.clear();
        self.written.clear();
    }
}

impl Hash for Worker {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.phase {
            Phase::Dead => 0.hash(state),
            Phase::Starting => 1.hash(state),
            Phase::Member => 2.hash(state),
            Phase::TakingOver(taking) => (3, taking.digest).hash(state),
            Phase::Running(at) => (4, at).hash(state),
            Phase::Refused(cause) => (5, cause).hash(state),
        }
        (self.generation, self.txn, self.late_end, self.doubted).hash(state);
        for held in &self.held {
            held.as_ref().map(|held| held.digest).hash(state);
        }
        for disk in self.disks.iter().chain(self.copies.iter().flatten()) {
            disk.digest.hash(state);
        }
        self.copies.is_some().hash(state);
        self.in_flight.hash(state);
        for (partition, batch) in self.written.iter().chain(&self.late_batches) {
            (partition, batch.checkpoint, batch.changes.len()).hash(state);
        }
        self.late_batches.len().hash(state);
    }
}

#[derive(Clone, Hash)]
pub(crate) struct World {
    pub(crate) kafka: Kafka,
    pub(crate) workers: Vec<Worker>,
    pub(crate) faults: Faults,
    /// How many records of each partition have been appended.
    pub(crate) arrived: Vec<usize>,
    /// Partitions taken over for the first time: names their incarnation.
    pub(crate) begun: u32,
    /// The first subscriber was erased.
    pub(crate) erased: bool,
}

impl World {
    pub(crate) fn new(setting: &Setting) -> Self {
        let partitions = setting.inputs.len();
        let empty = Disk::empty(&setting.catalogue);
        Self {
            kafka: Kafka::new(partitions),
            workers: vec![Worker::new(partitions, &empty); 2],
            faults: setting.faults,
            arrived: vec![0; partitions],
            begun: 0,
            erased: false,
        }
    }

    /// Where the search begins.
    pub(crate) fn start(setting: &Setting) -> Self {
        let mut world = Self::new(setting);
        let Start::Owned(records) = setting.start else { return world };
        let goes = |action: &Action| {
            action.kind() == Kind::Progress && !matches!(action, Action::Arrive(..))
        };
        while let Some(action) = possible(&world, setting).into_iter().find(goes) {
            world = world.after(action, setting, &mut Story::default());
        }
        for partition in 0..setting.inputs.len() {
            for input in setting.inputs[partition].iter().take(records) {
                let action = Action::Arrive(partition, input.gap);
                world = world.after(action, setting, &mut Story::default());
            }
        }
        world
    }

    pub(crate) fn digest(&self) -> u64 {
        digest(self)
    }
}
