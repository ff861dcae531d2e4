//! The steps: what may happen next, and what must hold then.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::Timestamp;

use super::broker::{Broker, Call, Destination};
use super::owner::{Owner, Process};
use super::{
    BOUNDS, Content, Event, How, QUARANTINE, Rule, START, Step, TIMEOUT, Verdict, Who, ensure,
    schedule, since_start,
};
use crate::failure::{Failure, Reason};
use crate::lanes::{Checkpoint, Fate, Outcome, Settled, Source, Turn};
use crate::tenure::Owner as Name;

pub(super) struct World {
    off: Option<Rule>,
    broker: Broker,
    destination: Destination,
    owner: Owner,
    /// An owner that was replaced and does not know it.
    zombie: Option<Owner>,
    /// Calls that nobody waits for any more, and until when they may yet have their effect.
    abandoned: Vec<(Call, Timestamp)>,
    calls: u64,
    processes: u64,
    now: Timestamp,
    outages: Duration,
    /// When each live event failed first, and how long the destination had been out of service by then.
    first_failure: BTreeMap<Event, (Timestamp, Duration)>,
}

impl World {
    pub(super) fn new(lanes: &[u8], off: Option<Rule>) -> Result<Self, String> {
        let mut sequences = BTreeMap::new();
        let events = lanes.iter().map(|lane| {
            let sequence = sequences.entry(*lane).or_insert(0_i64);
            *sequence += 1;
            (*lane, *sequence)
        });
        let broker = Broker::new(events.collect());
        let first = Process { name: Name(0), left: None };
        let owner = Owner::start(first, &broker, START, off)?;
        Ok(Self {
            off,
            broker,
            destination: Destination::default(),
            owner,
            zombie: None,
            abandoned: Vec::new(),
            calls: 0,
            processes: 1,
            now: START,
            outages: Duration::ZERO,
            first_failure: BTreeMap::new(),
        })
    }

    pub(super) fn run(&mut self, step: &Step) -> Verdict {
        let (now, off) = (self.now, self.off);
        match step {
            Step::ReadEvent(who) => {
                self.with(*who, |owner, broker| owner.read_event(broker, now, off))
            }
            Step::ReadRetry => {
                self.with(Who::Owner, |owner, broker| owner.read_retry(broker, now, off))
            }
            Step::Begin(who) => self.begin(*who),
            Step::Finish { who, which, how } => self.finish(*who, *which, *how),
            Step::Checkpoint(who) => self.with(*who, |owner, _| {
                owner.checkpoint(now);
                Ok(())
            }),
            Step::Commit(who) => self.commit(*who),
            Step::DoubtfulCommit { landed } => self.doubtful_commit(*landed),
            Step::Crash { commit_landed } => self.crash(*commit_landed),
            Step::Replace => self.replace(),
            Step::TakeBack => self.take_back(),
            Step::HandOver => self.hand_over(),
            Step::Land { which } => self.land(*which),
            Step::Wait { millis } => self.wait(*millis),
            Step::Outage { millis } => self.outage(*millis),
            Step::Redrive { which } => {
                self.redrive(*which);
                Ok(())
            }
            Step::Refresh { which } => {
                self.refresh(*which);
                Ok(())
            }
        }
    }

    fn with(&mut self, who: Who, act: impl FnOnce(&mut Owner, &Broker) -> Verdict) -> Verdict {
        match (who, &mut self.zombie) {
            (Who::Owner, _) => act(&mut self.owner, &self.broker),
            (Who::Zombie, Some(zombie)) => act(zombie, &self.broker),
            (Who::Zombie, None) => Ok(()),
        }
    }

    fn begin(&mut self, who: Who) -> Verdict {
        self.calls += 1;
        let (number, now, off) = (self.calls, self.now, self.off);
        self.with(who, |owner, broker| owner.begin_call(broker, number, now, off).map(|_| ()))
    }

    fn finish(&mut self, who: Who, which: usize, how: How) -> Verdict {
        let owner = match (who, &mut self.zombie) {
            (Who::Owner, _) => &mut self.owner,
            (Who::Zombie, Some(zombie)) => zombie,
            (Who::Zombie, None) => return Ok(()),
        };
        if owner.sending.is_empty() {
            return Ok(());
        }
        let (ticket, call) = owner.sending.remove(which % owner.sending.len());
        match how {
            How::Delivers | How::AppliesAndFails => {
                self.destination.apply(call, &self.broker, self.off)?;
            }
            How::TimesOut => self.abandoned.push((call, self.now.plus(QUARANTINE))),
            How::Fails | How::Refuses => {}
        }
        let failed = |reason| Outcome::Failed(Failure::new(reason, ""));
        let outcome = match how {
            How::Delivers => Outcome::Done,
            How::Fails | How::AppliesAndFails => failed(Reason::ServerError),
            How::TimesOut => failed(Reason::TimedOut),
            How::Refuses => Outcome::Refused(Failure::new(Reason::Refused, "")),
        };
        let content = call.content;
        if matches!(outcome, Outcome::Failed(_)) && content.turn == Turn::Live {
            self.first_failure.entry(content.event).or_insert((self.now, self.outages));
        }
        let settled = owner.partition.finish(ticket, outcome, self.now, 0.5);
        if content.turn == Turn::Live && settled == Some(Settled::Done) {
            owner.outstanding.remove(&content.event);
        }
        if settled == Some(Settled::Parked(Reason::HorizonExceeded)) {
            return self.judge_horizon(content);
        }
        Ok(())
    }

    /// Parked for having failed so long: of its own, not the destination's time.
    fn judge_horizon(&self, content: Content) -> Verdict {
        let of_live = self.first_failure.get(&content.event);
        let Some((first, outages)) = of_live.filter(|_| content.turn == Turn::Live) else {
            return Ok(());
        };
        let horizon = schedule(None).horizon + self.outages.saturating_sub(*outages);
        ensure(first.plus(horizon) <= self.now, || {
            format!("{:?} is parked for the destination's own fault", content.event)
        })
    }

    fn commit(&mut self, who: Who) -> Verdict {
        match who {
            Who::Owner => {
                let Some((checkpoint, sent)) = self.owner.pending.take() else { return Ok(()) };
                self.take_effect(&checkpoint, self.owner.owned)?;
                self.owner.partition.committed(self.now);
                self.owner.lease.renew(sent);
                for departure in &checkpoint.departures {
                    let is_live = departure.content.turn == Turn::Live;
                    if is_live && matches!(departure.fate, Fate::Parked { .. }) {
                        self.owner.outstanding.remove(&departure.content.event);
                    }
                }
            }
            Who::Zombie => {
                let Some(zombie) = &mut self.zombie else { return Ok(()) };
                let Some((checkpoint, sent)) = zombie.pending.take() else { return Ok(()) };
                match self.off {
                    // What it appended is there, whatever becomes of its offsets.
                    Some(Rule::Transactions) => self.broker.append(&checkpoint, self.now)?,
                    Some(Rule::OneOwner) => {
                        zombie.partition.committed(self.now);
                        zombie.lease.renew(sent);
                        let owned = zombie.owned;
                        return self.take_effect(&checkpoint, owned);
                    }
                    // Refused: its generation is over.
                    Some(_) | None => {}
                }
                self.bury_zombie();
            }
        }
        Ok(())
    }

    fn bury_zombie(&mut self) {
        let calls = self.zombie.take().into_iter().flat_map(|zombie| zombie.sending);
        let until = self.now.plus(QUARANTINE);
        self.abandoned.extend(calls.map(|(_, call)| (call, until)));
    }

    fn take_effect(&mut self, checkpoint: &Checkpoint<Content>, owned: [bool; 2]) -> Verdict {
        self.broker.append(checkpoint, self.now)?;
        self.broker.store(checkpoint, owned, self.off);
        let undone = self.broker.owed();
        for event in &self.broker.events {
            let places = [Turn::Live, Turn::Redriven].map(|turn| undone.get(&(*event, turn)));
            let parked = self.broker.dead.contains(event);
            let shown = self.destination.applied.contains(event);
            match places.into_iter().flatten().sum::<usize>() {
                0 => ensure(shown || parked, || format!("{event:?} is lost"))?,
                1 => ensure(!parked, || format!("{event:?} is parked and owed"))?,
                _ => return Err(format!("{event:?} is owed in several places")),
            }
        }
        Ok(())
    }

    /// Nobody says whether the commit took place.
    fn doubtful_commit(&mut self, landed: bool) -> Verdict {
        if self.off != Some(Rule::AnewAfterDoubt) {
            let process = self.owner.remembers(self.now);
            return self.begin_anew(process, landed);
        }
        // It is tried once more.
        if landed && let Some((checkpoint, _)) = self.owner.pending.clone() {
            self.take_effect(&checkpoint, self.owner.owned)?;
        }
        Ok(())
    }

    fn crash(&mut self, commit_landed: bool) -> Verdict {
        let process = self.process();
        self.begin_anew(process, commit_landed)
    }

    /// Another process than all before.
    fn process(&mut self) -> Process {
        self.processes += 1;
        Process { name: Name(self.processes), left: None }
    }

    fn begin_anew(&mut self, process: Process, commit_landed: bool) -> Verdict {
        let calls = std::mem::take(&mut self.owner.sending);
        let until = self.now.plus(QUARANTINE);
        self.abandoned.extend(calls.into_iter().map(|(_, call)| (call, until)));
        self.broker.generation += 1;
        let pending = self.owner.pending.take().map(|(checkpoint, _)| checkpoint);
        let owned = self.owner.owned;
        match (pending.filter(|_| commit_landed), self.off) {
            (None, _) => {}
            (Some(checkpoint), Some(Rule::SerialMoves)) => {
                self.broker.store_last_departure(checkpoint, self.now)?;
            }
            (Some(checkpoint), Some(Rule::Transactions)) => {
                self.broker.append(&checkpoint, self.now)?;
            }
            (Some(checkpoint), Some(Rule::StableOffsets)) => {
                self.owner = Owner::start(process, &self.broker, self.now, self.off)?;
                return self.take_effect(&checkpoint, owned);
            }
            (Some(checkpoint), _) => self.take_effect(&checkpoint, owned)?,
        }
        self.owner = Owner::start(process, &self.broker, self.now, self.off)?;
        Ok(())
    }

    /// Somebody else takes over, and the owner does not know.
    fn replace(&mut self) -> Verdict {
        self.bury_zombie();
        self.broker.generation += 1;
        let process = self.process();
        let mut successor = Owner::start(process, &self.broker, self.now, self.off)?;
        if self.off == Some(Rule::OneOwner) {
            self.owner.owned = [false, true];
            successor = Owner::start(process, &self.broker, self.now, Some(Rule::RetryFirst))?;
            successor.owned = [true, false];
        }
        self.zombie = Some(std::mem::replace(&mut self.owner, successor));
        Ok(())
    }

    /// One that was replaced learns it, and is the owner again; now the other one does not know.
    fn take_back(&mut self) -> Verdict {
        let Some(zombie) = &self.zombie else { return Ok(()) };
        let process = zombie.remembers(self.now);
        self.bury_zombie();
        self.broker.generation += 1;
        let owner = Owner::start(process, &self.broker, self.now, self.off)?;
        self.zombie = Some(std::mem::replace(&mut self.owner, owner));
        Ok(())
    }

    /// The owner lets calls end, commits, and says whether that is all.
    fn hand_over(&mut self) -> Verdict {
        self.commit(Who::Owner)?;
        if self.owner.sending.is_empty() && since_start(self.now) >= self.owner.sends_from {
            self.owner.partition.close(self.now);
        }
        self.owner.checkpoint(self.now);
        self.commit(Who::Owner)?;
        self.crash(false)
    }

    fn land(&mut self, which: usize) -> Verdict {
        let now = self.now;
        self.abandoned.retain(|(_, until)| now < *until);
        if self.abandoned.is_empty() {
            return Ok(());
        }
        let (call, _) = self.abandoned.remove(which % self.abandoned.len());
        self.destination.apply(call, &self.broker, self.off)
    }

    /// Time passes; a call that takes too long times out.
    fn wait(&mut self, millis: i64) -> Verdict {
        for _ in 0..millis {
            self.now = self.now.plus_millis(1);
            for who in [Who::Owner, Who::Zombie] {
                while let Some(which) = self.overdue(who) {
                    self.finish(who, which, How::TimesOut)?;
                }
            }
        }
        Ok(())
    }

    fn overdue(&self, who: Who) -> Option<usize> {
        let owner = match who {
            Who::Owner => &self.owner,
            Who::Zombie => self.zombie.as_ref()?,
        };
        owner.sending.iter().position(|(_, call)| call.begun.plus(TIMEOUT) <= self.now)
    }

    /// The breaker is open: nothing is called, and the owner commits as ever.
    fn outage(&mut self, millis: u64) -> Verdict {
        let so_long = Duration::from_millis(millis);
        self.wait(i64::try_from(millis).unwrap())?;
        self.outages += so_long;
        if self.off != Some(Rule::OutagesExcused) {
            self.owner.partition.out_of_service(so_long);
            if let Some(zombie) = &mut self.zombie {
                zombie.partition.out_of_service(so_long);
            }
        }
        self.commit(Who::Owner)?;
        self.owner.checkpoint(self.now);
        self.commit(Who::Owner)
    }

    /// An operator redrives a dead letter: its copy and the note that it was are one transaction.
    fn redrive(&mut self, which: usize) {
        let dead = &mut self.broker.dead;
        let Some(event) = dead.iter().nth(which % dead.len().max(1)).copied() else {
            return;
        };
        dead.remove(&event);
        self.broker.retry.push(super::broker::Stored {
            event,
            turn: Turn::Redriven,
            history: crate::lanes::History::default(),
            due: self.now,
            appended: self.now,
        });
    }

    /// An operator has somebody shown again: a record beside the story, with the sequence of some event of it.
    fn refresh(&mut self, which: usize) {
        let events = &self.broker.events;
        let Some(event) = events.get(which % events.len().max(1)).copied() else { return };
        let asked = i64::try_from(self.broker.refreshes.len()).unwrap();
        let known_at = START.plus_millis(asked);
        self.broker.refreshes.insert(known_at, event.0);
        self.broker.retry.push(super::broker::Stored {
            event,
            turn: Turn::Refreshed(known_at),
            history: crate::lanes::History::default(),
            due: self.now,
            appended: self.now,
        });
    }

    /// A long outage in which the owner does what it does regularly: the topic's retention must not
    /// come near anything.
    pub(super) fn sit_out_an_outage(&mut self) -> Verdict {
        self.bury_zombie();
        self.crash(false)?;
        for _ in 0..60 {
            self.outage(5)?;
            self.owner.read_retry_to_the_end(&self.broker, self.now, self.off)?;
        }
        let oldest = START.plus(since_start(self.now)).millis()
            - i64::try_from(BOUNDS.longest_stay.as_millis()).unwrap()
            - 60;
        for content in self.broker.undone() {
            if content.place.source == Source::Retry {
                let stored = self.broker.retry[usize::try_from(content.place.offset).unwrap()];
                ensure(stored.appended.millis() >= oldest, || {
                    format!("{content:?} lies so long that the topic forgets it")
                })?;
            }
        }
        Ok(())
    }

    /// From here on everything succeeds: all that is owed must be delivered.
    pub(super) fn come_to_rest(&mut self) -> Verdict {
        self.bury_zombie();
        self.crash(false)?;
        for _ in 0..500 {
            self.commit(Who::Owner)?;
            self.owner.read_retry_to_the_end(&self.broker, self.now, self.off)?;
            self.owner.read_event(&self.broker, self.now, self.off)?;
            self.begin(Who::Owner)?;
            self.finish(Who::Owner, 0, How::Delivers)?;
            self.owner.checkpoint(self.now);
            self.wait(3)?;
        }
        self.commit(Who::Owner)?;
        ensure(self.broker.owed().is_empty(), || "something is owed for ever".to_owned())?;
        for event in &self.broker.events {
            let shown = self.destination.applied.contains(event);
            ensure(shown || self.broker.dead.contains(event), || format!("{event:?} is lost"))?;
        }
        self.judge_refreshes()
    }

    /// The latest refresh of each lane is what the destination shows, unless it was parked.
    fn judge_refreshes(&self) -> Verdict {
        let latest: BTreeMap<u8, Timestamp> =
            self.broker.refreshes.iter().map(|(at, lane)| (*lane, *at)).collect();
        for (lane, at) in latest {
            let is_shown = self.destination.refreshed.get(&lane) == Some(&at);
            ensure(is_shown || self.broker.given_up.contains(&at), || {
                format!("the latest refresh of {lane} is lost")
            })?;
        }
        Ok(())
    }
}
