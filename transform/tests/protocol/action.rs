//! What can happen next.

use std::fmt;

use transform::state::Step;
use transform::worker::agenda::{self, Agenda};

use crate::catalogue::LATER;
use crate::kafka::{Fate, Place, Topic, Txn};
use crate::rules::Rule;
use crate::world::{Phase, Setting, Stage, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Nothing,
    Disk,
    /// An older copy of the disk comes back.
    Newest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    // The cluster.
    Arrive(usize, i64),
    Mark(Txn, Place),
    TimeOut(Txn),
    Rebalance(usize),
    MakeAnew,
    Erase,
    Age,
    // What befalls a worker.
    Crash(usize, Loss),
    /// While it takes the changelog in: so many records reached the store.
    CrashFollowing(usize, usize),
    Copy(usize),
    EndLands(usize),
    // What it does.
    Restart(usize),
    AbortEarlier(usize),
    Join(usize),
    Assign(usize),
    Open(usize),
    OpenForgotten(usize),
    PatienceEnds(usize),
    LearnOfRebalance(usize),
    Take(usize, usize),
    Tick(usize, usize, i64),
    First(usize),
    Commit(usize),
    Land(usize),
    SendOffsets(usize),
    End(usize),
    EndUnanswered(usize),
    Recycle(usize),
    Fail(usize),
    ApplyToStore(usize),
    ApplyLate(usize),
}

/// Whether something happens by itself, or need not happen at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Progress,
    Fault,
}

impl Action {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Rebalance(_)
            | Self::MakeAnew
            | Self::Erase
            | Self::Age
            | Self::Crash(..)
            | Self::CrashFollowing(..)
            | Self::Copy(_)
            | Self::OpenForgotten(_)
            | Self::EndUnanswered(_) => Kind::Fault,
            Self::Arrive(..)
            | Self::Mark(..)
            | Self::TimeOut(_)
            | Self::EndLands(_)
            | Self::Restart(_)
            | Self::AbortEarlier(_)
            | Self::Join(_)
            | Self::Assign(_)
            | Self::Open(_)
            | Self::PatienceEnds(_)
            | Self::LearnOfRebalance(_)
            | Self::Take(..)
            | Self::Tick(..)
            | Self::First(_)
            | Self::Commit(_)
            | Self::Land(_)
            | Self::SendOffsets(_)
            | Self::End(_)
            | Self::Recycle(_)
            | Self::Fail(_)
            | Self::ApplyToStore(_)
            | Self::ApplyLate(_) => Kind::Progress,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrive(p, _) => write!(formatter, "a record arrives in p{p}"),
            Self::Mark(txn, Place::Offsets) => {
                write!(formatter, "T{txn}'s marker reaches the offsets")
            }
            Self::Mark(txn, Place::Log(topic, p)) => {
                write!(formatter, "T{txn}'s marker reaches {topic:?} p{p}")
            }
            Self::TimeOut(txn) => write!(formatter, "T{txn} times out: abort"),
            Self::Rebalance(_) => write!(formatter, "rebalance"),
            Self::MakeAnew => write!(formatter, "topics and offsets are made anew"),
            Self::Erase => write!(formatter, "the subscriber is erased"),
            Self::Age => write!(formatter, "time goes by, tombstones are compacted away"),
            Self::Crash(w, Loss::Nothing) => write!(formatter, "w{w} crashes"),
            Self::Crash(w, Loss::Disk) => write!(formatter, "w{w} crashes and loses its disk"),
            Self::Crash(w, Loss::Newest) => write!(formatter, "w{w} crashes, its old disk is back"),
            Self::CrashFollowing(w, records) => {
                write!(formatter, "w{w} crashes after {records} records of the changelog")
            }
            Self::Copy(w) => write!(formatter, "w{w}'s disk is copied"),
            Self::EndLands(w) => write!(formatter, "w{w}'s EndTxn lands late"),
            Self::Restart(w) => write!(formatter, "w{w} restarts"),
            Self::AbortEarlier(w) => write!(formatter, "w{w} initialises: its open one is aborted"),
            Self::Join(w) => write!(formatter, "w{w} has a producer and joins"),
            Self::Assign(w) => write!(formatter, "w{w} is assigned its partitions"),
            Self::Open(w) => write!(formatter, "w{w}"),
            Self::OpenForgotten(w) => write!(formatter, "w{w} is told that there is no offset"),
            Self::PatienceEnds(w) => write!(formatter, "w{w} has waited long enough"),
            Self::LearnOfRebalance(w) => write!(formatter, "w{w} learns of the rebalance"),
            Self::Take(w, p) => write!(formatter, "w{w} takes of p{p}"),
            Self::Tick(w, p, _) => write!(formatter, "w{w} finds p{p} overdue"),
            Self::First(w) => write!(formatter, "w{w} begins its first transaction"),
            Self::Commit(w) => write!(formatter, "w{w} sends what changed"),
            Self::Land(w) => write!(formatter, "w{w}'s record of the changelog is appended"),
            Self::SendOffsets(w) => write!(formatter, "w{w} sends its offsets"),
            Self::End(w) => write!(formatter, "w{w} commits"),
            Self::EndUnanswered(w) => write!(formatter, "w{w} sends EndTxn, no answer"),
            Self::Recycle(w) => write!(formatter, "w{w} is in doubt and begins again"),
            Self::Fail(w) => write!(formatter, "w{w} meets an error and begins again"),
            Self::ApplyToStore(w) => write!(formatter, "w{w}'s store takes it in"),
            Self::ApplyLate(w) => write!(formatter, "w{w}'s store takes in a batch that waited"),
        }
    }
}

/// Everything that can happen next.
pub(crate) fn possible(world: &World, setting: &Setting) -> Vec<Action> {
    let mut actions = Vec::new();
    of_the_cluster(world, setting, &mut actions);
    for worker in 0..world.workers.len() {
        befalling(world, worker, &mut actions);
        done_by(world, setting, worker, &mut actions);
    }
    actions
}

fn of_the_cluster(world: &World, setting: &Setting, actions: &mut Vec<Action>) {
    let World { kafka, workers, faults, .. } = world;
    for (partition, inputs) in setting.inputs.iter().enumerate() {
        if let Some(input) = inputs.get(world.arrived[partition]) {
            actions.push(Action::Arrive(partition, input.gap));
        }
    }
    for (number, txn) in kafka.txns.iter().enumerate() {
        if txn.fate != Fate::Open {
            actions.extend(txn.unmarked.iter().map(|place| Action::Mark(number, *place)));
            continue;
        }
        let worker = &workers[txn.worker];
        let works = matches!(worker.phase, Phase::Running(stage) if stage != Stage::Unanswered);
        if !works || worker.generation != Some(kafka.generation) {
            actions.push(Action::TimeOut(number));
        }
    }
    if faults.rebalances > 0 {
        actions.push(Action::Rebalance(1));
    }
    let quiet = !kafka.has_unfinished();
    if faults.made_anew > 0 && quiet {
        actions.push(Action::MakeAnew);
    }
    if faults.erasures > 0 && quiet && kafka.committed(0).0 == Some(kafka.high(Topic::Raw, 0)) {
        actions.push(Action::Erase);
    }
    if world.erased && kafka.kept_since == 0 {
        actions.push(Action::Age);
    }
}

fn befalling(world: &World, worker: usize, actions: &mut Vec<Action>) {
    let faults = world.faults;
    let w = &world.workers[worker];
    if faults.crashes > 0 && !matches!(w.phase, Phase::Dead) {
        actions.push(Action::Crash(worker, Loss::Nothing));
        if faults.lost_disks > 0 {
            actions.push(Action::Crash(worker, Loss::Disk));
        }
        if w.copies.is_some() {
            actions.push(Action::Crash(worker, Loss::Newest));
        }
        if let Phase::TakingOver(taking) = &w.phase
            && let Step::Follow { from, until } = taking.taking.opening.step()
        {
            let partition = taking.taking.partition;
            if world.kafka.stable(Topic::State, partition) >= until {
                let records = world.kafka.read(Topic::State, partition, from, until).count();
                actions.extend((1..records).map(|some| Action::CrashFollowing(worker, some)));
            }
        }
    }
    if faults.stale_disks > 0 && w.copies.is_none() {
        actions.push(Action::Copy(worker));
    }
    let open = |txn: usize| world.kafka.txns[txn].fate == Fate::Open;
    if w.late_end && w.txn.is_some_and(open) {
        actions.push(Action::EndLands(worker));
    }
}

fn done_by(world: &World, setting: &Setting, worker: usize, actions: &mut Vec<Action>) {
    let World { kafka, workers, .. } = world;
    let w = &workers[worker];
    if !w.late_batches.is_empty() {
        actions.push(Action::ApplyLate(worker));
    }
    let outdated = w.generation != Some(kafka.generation);
    match &w.phase {
        Phase::Dead => {
            if !(world.erased && kafka.kept_since == 0) {
                actions.push(Action::Restart(worker));
            }
        }
        Phase::Starting => {
            let open = |txn: usize| kafka.txns[txn].fate == Fate::Open;
            if w.txn.is_some_and(open) {
                actions.push(Action::AbortEarlier(worker));
            } else if !kafka.has_unfinished_of(worker) {
                actions.push(Action::Join(worker));
            }
        }
        Phase::Member => {
            if outdated && kafka.owners.contains(&worker) {
                actions.push(Action::Assign(worker));
            }
        }
        Phase::TakingOver(taking) => {
            taking_over(world, setting, worker, &taking.taking.opening.step(), actions);
            if outdated {
                actions.push(Action::LearnOfRebalance(worker));
            }
        }
        Phase::Running(stage) => {
            running(world, setting, worker, *stage, actions);
            if outdated && w.txn.is_none() && *stage == Stage::Taking {
                actions.push(Action::LearnOfRebalance(worker));
            }
        }
        Phase::Refused(_) => {}
    }
}

fn taking_over(
    world: &World,
    setting: &Setting,
    worker: usize,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let Phase::TakingOver(taking) = &world.workers[worker].phase else { return };
    let partition = taking.taking.partition;
    let kafka = &world.kafka;
    let answered = match step {
        Step::AskCommitted => {
            if world.faults.forgetful > 0 {
                actions.push(Action::OpenForgotten(worker));
            }
            let (_, stability) = kafka.committed(partition);
            stability == crate::kafka::Stability::Stable || !setting.rules.keep(Rule::StableOffset)
        }
        Step::Follow { until, .. } => kafka.stable(Topic::State, partition) >= *until,
        Step::Wait(_) => {
            // Whoever waits that long has heard of a rebalance before, and every transaction that was
            // open when it began has ended.
            let current = world.workers[worker].generation == Some(kafka.generation);
            if current && !kafka.has_unfinished() {
                actions.push(Action::PatienceEnds(worker));
            }
            true
        }
        Step::AskChangelog
        | Step::Clear(_)
        | Step::AskLinks
        | Step::FollowLinks { .. }
        | Step::AskRaw
        | Step::Begin(_)
        | Step::Continue(_)
        | Step::Refuse(_) => true,
    };
    if answered {
        actions.push(Action::Open(worker));
    }
}

fn running(
    world: &World,
    setting: &Setting,
    worker: usize,
    stage: Stage,
    actions: &mut Vec<Action>,
) {
    let kafka = &world.kafka;
    let w = &world.workers[worker];
    let fate = w.txn.map(|txn| kafka.txns[txn].fate);
    let may_begin = w.txn.is_none() && !kafka.has_unfinished_of(worker);
    if !w.in_flight.is_empty() && fate == Some(Fate::Open) {
        actions.push(Action::Land(worker));
    }
    let flushed = w.in_flight.is_empty();
    match stage {
        Stage::Taking | Stage::Closing | Stage::Sent
            if fate.is_some_and(|fate| fate != Fate::Open) =>
        {
            actions.push(Action::Fail(worker));
        }
        Stage::Taking => {
            if may_begin || w.txn.is_some() {
                take_or_tick(world, setting, worker, actions);
            }
        }
        Stage::First if may_begin => actions.push(Action::First(worker)),
        Stage::First => {}
        Stage::Closing => actions.push(Action::Commit(worker)),
        Stage::Sent => {
            if flushed || !setting.rules.keep(Rule::FlushBeforeOffsets) {
                actions.push(Action::SendOffsets(worker));
            }
        }
        Stage::Offsets if fate == Some(Fate::Open) => {
            if flushed {
                actions.push(Action::End(worker));
                if world.faults.unanswered > 0 {
                    actions.push(Action::EndUnanswered(worker));
                }
            }
        }
        Stage::Offsets => actions.push(Action::Fail(worker)),
        Stage::Unanswered => actions.push(Action::Recycle(worker)),
        Stage::Committed => actions.push(Action::ApplyToStore(worker)),
    }
}

/// As the crate's agenda has it, for a worker that has just begun and for one that has waited.
fn take_or_tick(world: &World, setting: &Setting, worker: usize, actions: &mut Vec<Action>) {
    let w = &world.workers[worker];
    let bounds = agenda::Bounds { interval: LATER / 2, records: 100, bytes: 100_000 };
    let mut agenda = Agenda::new(bounds);
    if w.txn.is_some() {
        agenda.begun(std::time::Duration::ZERO);
    }
    let first_tick = || {
        let waits = w.held.iter().enumerate().filter_map(|(partition, held)| {
            let wait = held.as_ref()?.held.line.until_tick(LATER)?;
            Some((i32::try_from(partition).unwrap(), wait))
        });
        waits.min_by_key(|(_, wait)| *wait)
    };
    if matches!(agenda.next(std::time::Duration::ZERO, None), agenda::Step::Poll(_)) {
        let readable = |partition: &usize| {
            let Some(held) = &w.held[*partition] else { return false };
            next_of(world, *partition, held.held.line.next_offset()).is_some()
        };
        let readable = (0..w.held.len()).filter(readable);
        actions.extend(readable.map(|partition| Action::Take(worker, partition)));
    }
    match agenda.next(LATER, first_tick()) {
        agenda::Step::Commit => actions.push(Action::Commit(worker)),
        agenda::Step::Tick(partition) => {
            let partition = usize::try_from(partition).unwrap();
            actions.push(Action::Tick(worker, partition, setting.window));
        }
        agenda::Step::Poll(_) => {}
    }
}

/// The next record of raw that a `read_committed` reader at `from` gets.
pub(crate) fn next_of(world: &World, partition: usize, from: i64) -> Option<(i64, u32)> {
    world.kafka.read(Topic::Raw, partition, from, i64::MAX).next()
}
