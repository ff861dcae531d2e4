//! What must hold at every moment, and what at the end.
//!
//! The measure is a replay: the raw log read by a line to which nothing ever happens. What a
//! `read_committed` reader sees of the events is the beginning of what the replay gives, and the state
//! with which a worker works is the replay's at its offset.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::kafka::{Payload, Topic};
use crate::rules::Rule;
use crate::world::{Faults, Phase, Setting, Stage, World};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A subscriber's sequences are not 1, 2, 3 …
    Sequences(Vec<i64>),
    /// A record gave its event twice.
    Twice(String),
    /// The events are not those of a replay.
    NotTheReplay { live: Vec<String>, replay: Vec<String> },
    /// A worker works on a state that is not that of its offset.
    State { worker: usize, offset: i64 },
    /// What was erased is back.
    ErasedIsBack { worker: usize },
    /// A store was cleared although nothing is wrong with it.
    ClearedInVain { worker: usize },
    /// A worker does not go on, although nothing is wrong that waiting would not cure.
    Refused(String),
    /// Nothing can happen any more, and not everything is done.
    Stuck(&'static str),
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequences(given) => write!(formatter, "sequences {given:?}"),
            Self::Twice(id) => write!(formatter, "{id} gave its event twice"),
            Self::NotTheReplay { live, replay } => {
                write!(formatter, "live {live:?}, replay {replay:?}")
            }
            Self::State { worker, offset } => {
                write!(formatter, "w{worker} works at offset {offset} on the state of another")
            }
            Self::ErasedIsBack { worker } => write!(formatter, "w{worker} has what was erased"),
            Self::ClearedInVain { worker } => write!(formatter, "w{worker} clears a good store"),
            Self::Refused(cause) => write!(formatter, "stops for good: {cause}"),
            Self::Stuck(what) => write!(formatter, "{what} for ever"),
        }
    }
}

/// What is wrong at this moment.
pub(crate) fn violation(world: &World, setting: &Setting) -> Option<Violation> {
    (0..world.kafka.partitions())
        .find_map(|partition| of_partition(world, partition, setting))
        .or_else(|| of_workers(world, setting))
}

fn visible(world: &World, topic: Topic, partition: usize) -> Vec<Payload> {
    world.kafka.read(topic, partition, 0, i64::MAX).map(|(_, payload)| payload).collect()
}

fn of_partition(world: &World, partition: usize, setting: &Setting) -> Option<Violation> {
    let catalogue = &setting.catalogue;
    let events = visible(world, Topic::Events, partition);
    let mut sequences: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for told in events.iter().map(|event| catalogue.told(*event)) {
        let given = sequences.entry(told.subscriber.clone()).or_default();
        given.push(told.sequence);
        if told.sequence != crate::kafka::offset(given.len()) {
            return Some(Violation::Sequences(given.clone()));
        }
        if !seen.insert((told.subscriber, told.provider_event_id.clone())) {
            return Some(Violation::Twice(told.provider_event_id));
        }
    }
    let expected = catalogue.replay(partition, &visible(world, Topic::Raw, partition));
    let mut replayed = expected.events.clone();
    if !setting.rules.keep(Rule::TicksRelease) {
        replayed.extend(&expected.drained);
    }
    let names = |events: &[Payload]| {
        let name = |event: &Payload| {
            let told = catalogue.told(*event);
            format!("{} {:?}", told.provider_event_id, told.late)
        };
        events.iter().map(name).collect()
    };
    (!world.erased && !replayed.starts_with(&events))
        .then(|| Violation::NotTheReplay { live: names(&events), replay: names(&replayed) })
}

fn of_workers(world: &World, setting: &Setting) -> Option<Violation> {
    let catalogue = &setting.catalogue;
    // Kept rules leave no store behind that something speaks against, if only it is not too old and
    // of this changelog; and what was filled from the beginning is never doubted again.
    let Faults { erasures, made_anew, .. } = setting.faults;
    let justified = u32::from(erasures + made_anew > 0 || !setting.rules.keep_all());
    for (worker, w) in world.workers.iter().enumerate() {
        match &w.phase {
            Phase::Refused(cause) => return Some(Violation::Refused(cause.clone())),
            Phase::TakingOver(taking) if taking.taking.clears > justified => {
                return Some(Violation::ClearedInVain { worker });
            }
            Phase::Dead
            | Phase::Starting
            | Phase::Member
            | Phase::TakingOver(_)
            | Phase::Running(_) => {}
        }
        let current = w.generation == Some(world.kafka.generation) && w.txn.is_none();
        let works = matches!(w.phase, Phase::Running(Stage::Taking)) && current;
        for (partition, summed) in w.held.iter().enumerate() {
            let Some(summed) = summed.as_ref().filter(|_| works) else { continue };
            let held = &summed.held;
            if world.erased {
                if catalogue.first_state(&held.view.store).is_some() {
                    return Some(Violation::ErasedIsBack { worker });
                }
                continue;
            }
            let offset = held.line.next_offset();
            let raw = visible(world, Topic::Raw, partition);
            let done = world.kafka.read(Topic::Raw, partition, 0, offset).count();
            let expected = catalogue.replay(partition, &raw).states[done];
            if held.view.states != expected && setting.rules.keep(Rule::TicksRelease) {
                return Some(Violation::State { worker, offset });
            }
        }
    }
    None
}

/// What is wrong although nothing but a fault can happen any more.
pub(crate) fn at_the_end(world: &World, setting: &Setting) -> Option<Violation> {
    if world.erased {
        return None;
    }
    for partition in 0..world.kafka.partitions() {
        if world.kafka.has_unfinished() {
            return Some(Violation::Stuck("a transaction stays open"));
        }
        let raw: Vec<_> = world.kafka.read(Topic::Raw, partition, 0, i64::MAX).collect();
        let (committed, _) = world.kafka.committed(partition);
        if raw.last().is_some_and(|(offset, _)| committed.is_none_or(|next| next <= *offset)) {
            return Some(Violation::Stuck("a record is left"));
        }
        let raw: Vec<_> = raw.into_iter().map(|(_, payload)| payload).collect();
        let expected = setting.catalogue.replay(partition, &raw);
        let all = expected.events.len() + expected.drained.len();
        let told = visible(world, Topic::Events, partition).len();
        if told < all && setting.rules.keep(Rule::TicksRelease) {
            let held = expected.waiting > 0;
            return Some(Violation::Stuck(if held { "an event is held" } else { "one is lost" }));
        }
    }
    None
}
