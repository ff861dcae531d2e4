//! What happens: the driver's order of operations, as the crate's worker has it, and the cluster's.

use std::rc::Rc;

use transform::state::Batch;

use crate::action::{Action, Loss, next_of};
use crate::catalogue::LATER;
use crate::kafka::{Fate, Topic};
use crate::rules::Rule;
use crate::story::Story;
use crate::takeover::Answer;
use crate::world::{Disk, Held, Markers, Phase, Produce, Setting, Stage, Summed, Touched, World};

impl World {
    pub(crate) fn after(&self, action: Action, setting: &Setting, story: &mut Story) -> Self {
        let mut next = self.clone();
        next.act(action, setting, story);
        if setting.markers == Markers::Together {
            next.kafka.mark_all();
        }
        next
    }

    fn act(&mut self, action: Action, setting: &Setting, story: &mut Story) {
        match action {
            Action::Arrive(partition, gap) => self.arrive(partition, gap, setting, story),
            Action::Mark(txn, place) => self.kafka.mark(txn, place),
            Action::TimeOut(txn) => self.kafka.decide(txn, Fate::Aborted),
            Action::Rebalance(pattern) => self.rebalance(pattern),
            Action::MakeAnew => self.make_anew(),
            Action::Erase => self.erase(setting),
            Action::Age => self.kafka.compact(0, |payload| setting.catalogue.latest(payload)),
            Action::Crash(worker, loss) => self.crash(worker, loss, setting),
            Action::CrashFollowing(worker, records) => {
                self.follow(worker, records, setting);
                self.crash(worker, Loss::Nothing, setting);
            }
            Action::Copy(worker) => self.copy(worker),
            Action::EndLands(worker) => {
                self.workers[worker].late_end = false;
                self.decide(worker, Fate::Committed, story);
            }
            Action::Restart(worker) => self.workers[worker].phase = Phase::Starting,
            Action::AbortEarlier(worker) => self.decide(worker, Fate::Aborted, story),
            Action::Join(worker) => self.join(worker),
            Action::Assign(worker) => self.assign(worker, setting),
            Action::Open(worker) => self.open(worker, Answer::True, setting, story),
            Action::OpenForgotten(worker) => {
                self.faults.forgetful -= 1;
                self.open(worker, Answer::NoOffset, setting, story);
            }
            Action::PatienceEnds(worker) => self.wait_long(worker),
            Action::LearnOfRebalance(worker) => {
                self.workers[worker].forget();
                self.workers[worker].phase = Phase::Member;
            }
            Action::Take(worker, partition) => self.take(worker, partition, setting, story),
            Action::Tick(worker, partition, gap) => {
                self.tick(worker, partition, gap, setting, story);
            }
            Action::First(worker) => {
                self.begin(worker);
                self.workers[worker].phase = Phase::Running(Stage::Closing);
            }
            Action::Commit(worker) => self.send_changes(worker, setting, story),
            Action::Land(worker) => self.land(worker),
            Action::SendOffsets(worker) => self.send_offsets(worker, setting, story),
            Action::End(worker) => {
                self.decide(worker, Fate::Committed, story);
                self.workers[worker].phase = Phase::Running(Stage::Committed);
            }
            Action::EndUnanswered(worker) => self.end_unanswered(worker),
            Action::Recycle(worker) => self.recycle(worker, setting),
            Action::Fail(worker) => self.fail(worker),
            Action::ApplyToStore(worker) => self.apply_to_store(worker, setting),
            Action::ApplyLate(worker) => self.apply_late(worker, setting),
        }
    }

    /// The coordinator decides about the worker's transaction.
    fn decide(&mut self, worker: usize, fate: Fate, story: &mut Story) {
        if let Some(txn) = self.workers[worker].txn {
            self.kafka.decide(txn, fate);
            story.add(|| format!("T{txn}"));
        }
    }

    fn make_anew(&mut self) {
        self.faults.made_anew -= 1;
        self.kafka.make_anew();
        self.kafka.owners.iter_mut().for_each(|owner| *owner = 1 - *owner);
        self.stop_all();
    }

    fn copy(&mut self, worker: usize) {
        self.faults.stale_disks -= 1;
        let w = &mut self.workers[worker];
        w.copies = Some(w.disks.clone());
    }

    /// The new producer has a new epoch: what its forerunner sent late is fenced.
    fn join(&mut self, worker: usize) {
        let w = &mut self.workers[worker];
        (w.txn, w.late_end, w.phase) = (None, false, Phase::Member);
    }

    fn end_unanswered(&mut self, worker: usize) {
        self.faults.unanswered -= 1;
        let w = &mut self.workers[worker];
        w.late_end = true;
        w.phase = Phase::Running(Stage::Unanswered);
    }

    fn last_appended(&self, partition: usize, setting: &Setting) -> i64 {
        let log = self.kafka.log(Topic::Raw, partition);
        let times = log.iter().rev().find_map(|entry| match entry.what {
            crate::kafka::What::Record(payload) => Some(setting.catalogue.appended_at(payload)),
            crate::kafka::What::Marker | crate::kafka::What::Gone => None,
        });
        times.unwrap_or(0)
    }

    fn arrive(&mut self, partition: usize, gap: i64, setting: &Setting, story: &mut Story) {
        let input = &setting.inputs[partition][self.arrived[partition]];
        self.arrived[partition] += 1;
        let at = (self.last_appended(partition, setting) + gap).max(0);
        let payload = setting.catalogue.input(input, at);
        story.add(|| setting.catalogue.name(payload));
        self.kafka.append(Topic::Raw, partition, None, payload);
    }

    /// Bit n of the pattern moves partition n to the other worker.
    fn rebalance(&mut self, pattern: usize) {
        self.faults.rebalances -= 1;
        self.kafka.generation += 1;
        for (partition, owner) in self.kafka.owners.iter_mut().enumerate() {
            if pattern >> partition & 1 == 1 {
                *owner = 1 - *owner;
            }
        }
    }

    /// The owner writes a tombstone for the first subscriber. Nobody runs meanwhile.
    fn erase(&mut self, setting: &Setting) {
        self.faults.erasures -= 1;
        self.erased = true;
        self.stop_all();
        let payload = setting.catalogue.change(&setting.catalogue.erasure());
        self.kafka.append(Topic::State, 0, None, payload);
    }

    /// Everything is shut down in an orderly way.
    fn stop_all(&mut self) {
        for w in &mut self.workers {
            w.forget();
            (w.txn, w.late_end, w.phase) = (None, false, Phase::Dead);
        }
    }

    fn crash(&mut self, worker: usize, loss: Loss, setting: &Setting) {
        self.faults.crashes -= 1;
        let w = &mut self.workers[worker];
        w.forget();
        w.late_batches.clear();
        w.phase = Phase::Dead;
        w.doubted = false;
        match loss {
            Loss::Nothing => {}
            Loss::Disk => {
                self.faults.lost_disks -= 1;
                let empty = Disk::empty(&setting.catalogue);
                w.disks.fill(empty);
            }
            Loss::Newest => {
                if let Some(copies) = w.copies.take() {
                    w.disks = copies;
                }
            }
        }
    }

    fn fail(&mut self, worker: usize) {
        let w = &mut self.workers[worker];
        w.forget();
        w.phase = Phase::Starting;
    }

    fn recycle(&mut self, worker: usize, setting: &Setting) {
        self.fail(worker);
        let w = &mut self.workers[worker];
        w.doubted = !setting.rules.keep(Rule::ChangelogAfterDoubt);
        if !setting.rules.keep(Rule::NewProducerAfterDoubt) {
            // Aborts, and goes on with the same producer.
            let open = |txn: &usize| self.kafka.txns[*txn].fate == Fate::Open;
            if let Some(txn) = w.txn.take().filter(open) {
                self.kafka.decide(txn, Fate::Aborted);
            }
            w.phase = Phase::Member;
        }
    }

    fn begin(&mut self, worker: usize) -> usize {
        let w = &mut self.workers[worker];
        *w.txn.get_or_insert_with(|| self.kafka.begin(worker))
    }

    fn take(&mut self, worker: usize, partition: usize, setting: &Setting, story: &mut Story) {
        let Some(summed) = self.workers[worker].held[partition].clone() else { return };
        let mut held = summed.held.clone();
        let next = next_of(self, partition, held.line.next_offset());
        let Some((offset, payload)) = next else { return };
        let txn = self.begin(worker);
        let taken = setting.catalogue.take(&mut held.line, offset, payload);
        held.touched = Touched::Yes;
        story.add(|| format!("{} in T{txn}", setting.catalogue.name(payload)));
        self.emit(partition, txn, &taken.events, setting, story);
        self.keep(worker, partition, held, setting);
    }

    fn emit(
        &mut self,
        partition: usize,
        txn: usize,
        events: &[transform::line::Emission],
        setting: &Setting,
        story: &mut Story,
    ) {
        for emission in events {
            let payload = setting.catalogue.event(partition, emission);
            let (id, sequence) = (&emission.event.provider_event_id, emission.event.sequence);
            story.add(|| format!("event {sequence} of {id}"));
            self.kafka.append(Topic::Events, partition, Some(txn), payload);
        }
    }

    fn keep(&mut self, worker: usize, partition: usize, held: Held, setting: &Setting) {
        let summed = Summed::of(held, &setting.catalogue);
        self.workers[worker].held[partition] = Some(summed);
    }

    /// Something held is overdue: a tick is appended, in a transaction of its own.
    fn tick(
        &mut self,
        worker: usize,
        partition: usize,
        gap: i64,
        setting: &Setting,
        story: &mut Story,
    ) {
        let Some(summed) = self.workers[worker].held[partition].clone() else { return };
        let mut held = summed.held.clone();
        let at = (self.last_appended(partition, setting) + gap).max(0);
        let payload = setting.catalogue.tick(partition, at);
        let txn = self.begin(worker);
        if setting.rules.keep(Rule::TicksRelease) {
            story.add(|| format!("appends {} in T{txn}", setting.catalogue.name(payload)));
            self.kafka.append(Topic::Raw, partition, Some(txn), payload);
            held.touched = Touched::ByTick;
        } else {
            let before = held.line.next_offset();
            let taken = setting.catalogue.take(&mut held.line, before - 1, payload);
            story.add(|| format!("lets go what is held in T{txn}"));
            self.emit(partition, txn, &taken.events, setting, story);
            held.touched = Touched::ByTimer;
        }
        self.keep(worker, partition, held, setting);
        self.workers[worker].phase = Phase::Running(Stage::Closing);
    }

    fn send_changes(&mut self, worker: usize, setting: &Setting, story: &mut Story) {
        let catalogue = &setting.catalogue;
        let txn = self.begin(worker);
        for partition in 0..self.kafka.partitions() {
            let Some(summed) = self.workers[worker].held[partition].clone() else { continue };
            if summed.held.touched == Touched::No {
                continue;
            }
            let mut held = summed.held.clone();
            held.record.next_raw_offset = held.line.next_offset();
            let mut changes = held.line.changes(&catalogue.rules).unwrap();
            changes.push(catalogue.outgoing.partition_record(&held.record).unwrap());
            for change in &changes {
                let payload = catalogue.change(change);
                if setting.produce == Produce::AtOnce {
                    self.kafka.append(Topic::State, partition, Some(txn), payload);
                } else {
                    self.workers[worker].in_flight.push((partition, payload));
                }
            }
            story.add(|| format!("{} records", changes.len()));
            let checkpoint = self.kafka.high(Topic::State, partition);
            let batch = Batch { changes, checkpoint };
            self.keep(worker, partition, held, setting);
            let w = &mut self.workers[worker];
            if !setting.rules.keep(Rule::StoreAfterCommit) {
                w.disks[partition] = w.disks[partition].applying(batch.clone(), catalogue);
            }
            w.written.push((partition, Rc::new(batch)));
        }
        self.workers[worker].phase = Phase::Running(Stage::Sent);
    }

    fn land(&mut self, worker: usize) {
        let w = &mut self.workers[worker];
        let (partition, payload) = w.in_flight.remove(0);
        self.kafka.append(Topic::State, partition, w.txn, payload);
        let checkpoint = self.kafka.high(Topic::State, partition);
        for (other, batch) in &mut w.written {
            if *other == partition {
                *batch = Rc::new(Batch { checkpoint, ..Batch::clone(batch) });
            }
        }
    }

    fn send_offsets(&mut self, worker: usize, setting: &Setting, story: &mut Story) {
        let Some(txn) = self.workers[worker].txn else { return };
        let positions: Vec<_> = self.workers[worker]
            .held
            .iter()
            .enumerate()
            .filter_map(|(partition, held)| {
                let held = &held.as_ref()?.held;
                let sent = match held.touched {
                    Touched::No => false,
                    Touched::Yes | Touched::ByTick => true,
                    Touched::ByTimer => setting.rules.keep(Rule::OffsetsAlways),
                };
                sent.then_some((partition, held.record.next_raw_offset))
            })
            .collect();
        let replaced = self.workers[worker].generation != Some(self.kafka.generation);
        let fenced = replaced && setting.rules.keep(Rule::GenerationFences);
        let aborted = self.kafka.txns[txn].fate != Fate::Open;
        if !positions.is_empty() && (fenced || aborted) {
            story.add(|| "fenced".to_owned());
            return self.fail(worker);
        }
        for (partition, next) in positions {
            story.add(|| format!("{next} of p{partition} with T{txn}"));
            self.kafka.send_offset(txn, partition, next);
        }
        self.workers[worker].phase = Phase::Running(Stage::Offsets);
    }

    fn apply_to_store(&mut self, worker: usize, setting: &Setting) {
        let catalogue = &setting.catalogue;
        let w = &mut self.workers[worker];
        for (partition, batch) in std::mem::take(&mut w.written) {
            let Some(summed) = w.held[partition].take() else { continue };
            let mut held = summed.held.clone();
            held.line.committed(Batch::clone(&batch)).unwrap();
            held.view = held.view.applying(Batch::clone(&batch), catalogue);
            if held.touched == Touched::ByTick {
                held.line.tick_appended(LATER);
            }
            held.touched = Touched::No;
            if setting.rules.keep(Rule::BatchOfThisTenure) {
                w.disks[partition] = Rc::clone(&held.view);
            } else {
                w.late_batches.push((partition, batch));
            }
            w.held[partition] = Some(Summed::of(held, catalogue));
        }
        w.txn = None;
        w.phase = Phase::Running(Stage::Taking);
    }

    /// A batch reaches the store some time later, and a cache that was evicted is read from it again.
    fn apply_late(&mut self, worker: usize, setting: &Setting) {
        let catalogue = &setting.catalogue;
        let w = &mut self.workers[worker];
        let (partition, batch) = w.late_batches.remove(0);
        let batch = Batch::clone(&batch);
        w.disks[partition] = w.disks[partition].applying(batch.clone(), catalogue);
        let newer = w.late_batches.iter().any(|(other, _)| *other == partition);
        let Some(summed) = w.held[partition].clone().filter(|_| !newer && w.txn.is_none()) else {
            return;
        };
        let mut held = summed.held.clone();
        held.view = held.view.applying(batch.clone(), catalogue);
        held.line.committed(batch).unwrap();
        w.held[partition] = Some(Summed::of(held, catalogue));
    }
}
