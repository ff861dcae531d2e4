//! Taking over a partition: the answers that the crate's [`Opening`] gets, and what is done about its
//! steps.

use std::rc::Rc;
use std::time::Duration;

use schemas::state::PartitionRecord;
use transform::state::{
    Batch, Bounds, Disagreement, FORMAT, Followed, Opening, PARTITION_KEY, Step, Store, Stored,
};

use crate::kafka::{Kafka, Topic};
use crate::rules::Rule;
use crate::story::Story;
use crate::world::{
    Disk, Held, Phase, Setting, Stage, Summed, SummedTaking, Taking, Touched, World,
};

/// Longer than an opening waits for offset and state to agree.
const PATIENCE: Duration = Duration::from_secs(31);

impl World {
    pub(crate) fn assign(&mut self, worker: usize, setting: &Setting) {
        self.workers[worker].generation = Some(self.kafka.generation);
        self.take_over_next(worker, setting);
    }

    /// Nothing has changed for as long as an opening waits.
    pub(crate) fn wait_long(&mut self, worker: usize) {
        if let Phase::TakingOver(summed) = &self.workers[worker].phase {
            let mut taking = summed.taking.clone();
            taking.now += PATIENCE;
            taking.opening.waited();
            self.workers[worker].phase = Phase::TakingOver(SummedTaking::of(taking));
        }
    }

    /// Takes over the next partition of those assigned, or starts.
    pub(crate) fn take_over_next(&mut self, worker: usize, setting: &Setting) {
        let w = &mut self.workers[worker];
        let mine = |partition: &usize| self.kafka.owners[*partition] == worker;
        let missing = |partition: &usize| w.held[*partition].is_none();
        let next = (0..self.kafka.partitions()).filter(mine).find(missing);
        let Some(partition) = next else {
            let touched = |held: &Rc<Summed>| held.held.touched != Touched::No;
            let first = w.held.iter().flatten().any(touched);
            w.doubted = false;
            w.phase = Phase::Running(if first { Stage::First } else { Stage::Taking });
            return;
        };
        let store = &w.disks[partition].store;
        let told = setting.rules.keep(Rule::Compared);
        let stored = Stored {
            checkpoint: store.checkpoint(),
            links_position: store.links_position(),
            record: setting.catalogue.record_of(store).filter(|_| told),
        };
        let partitions = i32::try_from(self.kafka.partitions()).unwrap();
        let early = !setting.rules.keep(Rule::OffsetBeforeEnd);
        let taking = Taking {
            partition,
            opening: Opening::new(stored, partitions),
            now: Duration::ZERO,
            early: early.then(|| changelog(&self.kafka, partition, setting)),
            followed: Vec::new(),
            clears: 0,
            told: None,
        };
        w.phase = Phase::TakingOver(SummedTaking::of(taking));
    }

    /// Answers one question of the opening, and all that need no other.
    pub(crate) fn open(
        &mut self,
        worker: usize,
        answer: Answer,
        setting: &Setting,
        story: &mut Story,
    ) {
        let Phase::TakingOver(summed) = self.workers[worker].phase.clone() else { return };
        let mut taking = summed.taking.clone();
        let partition = taking.partition;
        match taking.opening.step() {
            Step::AskCommitted => {
                let offset = match answer {
                    Answer::True => self.kafka.committed(partition).0,
                    Answer::NoOffset => None,
                };
                story.add(|| format!("the committed offset is {offset:?}"));
                taking.told = offset;
                taking.opening.committed(offset);
                if let Some(offset) = offset.filter(|_| self.workers[worker].doubted) {
                    return self.go_on(worker, &taking, offset, setting);
                }
            }
            Step::AskChangelog => {
                let now = changelog(&self.kafka, partition, setting);
                let bounds = taking.early.take().unwrap_or(now);
                let old = setting.rules.keep(Rule::TombstoneAge);
                let kept_since = if old { self.kafka.kept_since } else { 0 };
                story.add(|| format!("the changelog ends at {}", bounds.high));
                taking.opening.changelog(bounds, kept_since);
            }
            Step::Follow { from, until } => {
                let (mut followed, keys) = self.follow(worker, usize::MAX, setting);
                for key in keys {
                    if !taking.followed.contains(&key) {
                        taking.followed.push(key);
                    }
                }
                let checkpoint = self.workers[worker].disks[partition].store.checkpoint();
                let recorded = followed.record.as_ref().map(|record| record.next_raw_offset);
                let records = followed.records;
                story.add(|| format!("follows {from} to {until}, {records} records: {recorded:?}"));
                if !setting.rules.keep(Rule::Compared) {
                    believe(&mut followed, taking.told);
                }
                taking.opening.followed(followed, checkpoint, taking.now);
            }
            Step::Wait(cause) => {
                story.add(|| cause.to_string());
                let reset = matches!(cause, Disagreement::OffsetGone { .. });
                if reset && !setting.rules.keep(Rule::NoReset) {
                    return self.go_on(worker, &taking, 0, setting);
                }
                taking.opening.waited();
            }
            Step::Clear(_)
            | Step::AskLinks
            | Step::FollowLinks { .. }
            | Step::AskRaw
            | Step::Begin(_)
            | Step::Continue(_)
            | Step::Refuse(_) => {}
        }
        self.answer_the_rest(worker, taking, setting, story);
    }

    fn answer_the_rest(
        &mut self,
        worker: usize,
        mut taking: Taking,
        setting: &Setting,
        story: &mut Story,
    ) {
        let partition = taking.partition;
        loop {
            match taking.opening.step() {
                Step::Clear(cause) => {
                    story.add(|| format!("clears its store: {cause}"));
                    self.workers[worker].disks[partition] = Disk::empty(&setting.catalogue);
                    taking.clears += 1;
                    taking.opening.cleared();
                }
                Step::AskLinks => taking.opening.links(Bounds { low: 0, high: 0 }),
                Step::FollowLinks { .. } => taking.opening.linked(),
                Step::AskRaw => {
                    let high = self.kafka.high(Topic::Raw, partition);
                    taking.opening.raw(Bounds { low: 0, high });
                }
                Step::Begin(offset) => {
                    story.add(|| format!("begins at {offset}"));
                    return self.go_on(worker, &taking, offset, setting);
                }
                Step::Continue(offset) => {
                    story.add(|| format!("goes on at {offset}"));
                    return self.go_on(worker, &taking, offset, setting);
                }
                Step::Refuse(refusal) => {
                    story.add(|| format!("refuses: {refusal}"));
                    self.workers[worker].phase = Phase::Refused(refusal.to_string());
                    return;
                }
                Step::AskCommitted | Step::AskChangelog | Step::Follow { .. } | Step::Wait(_) => {
                    break;
                }
            }
        }
        self.workers[worker].phase = Phase::TakingOver(SummedTaking::of(taking));
    }

    /// Takes up to `most` records of the changelog into the store.
    pub(crate) fn follow(
        &mut self,
        worker: usize,
        most: usize,
        setting: &Setting,
    ) -> (Followed, Vec<Vec<u8>>) {
        let w = &mut self.workers[worker];
        let Phase::TakingOver(summed) = &w.phase else { return Default::default() };
        let partition = summed.taking.partition;
        let Step::Follow { from, until } = summed.taking.opening.step() else {
            return Default::default();
        };
        let mut followed = Followed::default();
        let before = setting.catalogue.record_of(&w.disks[partition].store);
        let checkpoint = w.disks[partition].store.checkpoint();
        let mut batch = Batch { changes: Vec::new(), checkpoint };
        for (offset, payload) in self.kafka.read(Topic::State, partition, from, until).take(most) {
            let change = setting.catalogue.changed(payload);
            followed.records += 1;
            if change.key == PARTITION_KEY
                && let Some(value) = &change.value
                && let Some(before) = &before
            {
                let record = setting.catalogue.records.decode(value).unwrap();
                followed.another_incarnation |= record.incarnation != before.incarnation
                    && setting.rules.keep(Rule::Incarnation);
            }
            batch.changes.push(change);
            batch.checkpoint = offset + 1;
        }
        let keys = batch.changes.iter().map(|change| change.key.clone()).collect();
        w.disks[partition] = w.disks[partition].applying(batch, &setting.catalogue);
        followed.record = setting.catalogue.record_of(&w.disks[partition].store);
        (followed, keys)
    }

    /// A partition is ready.
    fn go_on(&mut self, worker: usize, taking: &Taking, offset: i64, setting: &Setting) {
        let partition = taking.partition;
        let catalogue = &setting.catalogue;
        let view = Rc::clone(&self.workers[worker].disks[partition]);
        let mut store = view.store.clone();
        let known = catalogue.record_of(&store);
        let first = known.is_none();
        if !setting.rules.keep(Rule::TimersFromStore) {
            let mut changes = catalogue.entries(&store);
            for one in &mut changes {
                one.waits &= taking.followed.contains(&one.key);
            }
            store.apply(Batch { changes, checkpoint: store.checkpoint() }).unwrap();
        }
        if first {
            self.begun += 1;
        }
        let mut record = known.unwrap_or_else(|| PartitionRecord {
            incarnation: format!("made by {}", self.begun),
            next_raw_offset: offset,
            format: FORMAT,
            partitions: i32::try_from(self.kafka.partitions()).unwrap(),
        });
        record.next_raw_offset = offset;
        let touched = if first { Touched::Yes } else { Touched::No };
        let line = catalogue.restored(store, offset);
        let held = Held { line, record, touched, view };
        self.workers[worker].held[partition] = Some(Summed::of(held, catalogue));
        self.take_over_next(worker, setting);
    }
}

/// What the changelog holds, as the driver asks for it.
fn changelog(kafka: &Kafka, partition: usize, setting: &Setting) -> Bounds {
    let high = if setting.rules.keep(Rule::HighWatermark) {
        kafka.high(Topic::State, partition)
    } else {
        kafka.stable(Topic::State, partition)
    };
    Bounds { low: 0, high }
}

/// Whatever was restored is said to be what the offset stands for.
fn believe(followed: &mut Followed, told: Option<i64>) {
    followed.record = told.map(|next_raw_offset| PartitionRecord {
        next_raw_offset,
        ..followed.record.clone().unwrap_or_else(|| PartitionRecord {
            incarnation: "none".to_owned(),
            next_raw_offset,
            format: FORMAT,
            partitions: 1,
        })
    });
}

/// What a coordinator says of the group's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    True,
    NoOffset,
}
