//! One process that owns the partition, or believes so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::Timestamp;

use super::broker::{Broker, Call, index};
use super::{Content, Event, Rule, START, TERMS, Verdict, bounds, ensure, schedule, since_start};
use crate::lanes::{
    Arrival, Arriving, Checkpoint, Footprint, History, Identity, Partition, Place, Sequence,
    Source, Ticket, Turn,
};
use crate::lease::Lease;
use crate::tenure::Owner as Name;

/// A process, and what it remembers when it begins anew: when it could have begun calls, if all were over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) name: Name,
    pub(super) left: Option<Duration>,
}

pub(super) struct Owner {
    pub(super) name: Name,
    pub(super) generation: u32,
    pub(super) owned: [bool; 2],
    pub(super) partition: Partition<Content>,
    pub(super) read: [usize; 2],
    pub(super) sending: Vec<(Ticket, Call)>,
    pub(super) pending: Option<(Checkpoint<Content>, Duration)>,
    /// Live events that were read and not delivered or parked.
    pub(super) outstanding: BTreeSet<Event>,
    pub(super) lease: Lease,
    pub(super) sends_from: Duration,
    /// In which order events were seen first.
    order: BTreeMap<(Event, Turn), i64>,
    highest: BTreeMap<u8, i64>,
}

impl Owner {
    /// Goes on from what is committed; the retry topic is read to its end.
    pub(super) fn start(
        process: Process,
        broker: &Broker,
        now: Timestamp,
        off: Option<Rule>,
    ) -> Result<Self, String> {
        let (events, retry) = (broker.marks(Source::Events), broker.marks(Source::Retry));
        let read = [&events, &retry].map(|marks| usize::try_from(marks.next()).unwrap());
        let tenure = broker.tenure();
        let Process { name, left } = process;
        let elapsed = since_start(now);
        let sends_from = match off {
            Some(Rule::SuccessorWaits) => elapsed,
            Some(Rule::OwnWord) if left.is_some() => elapsed,
            Some(_) | None => TERMS.begins_at(tenure, name, left, elapsed),
        };
        let partition = Partition::restored(events, retry, schedule(off), bounds(off));
        let mut owner = Self {
            name,
            generation: broker.generation,
            owned: [true, true],
            partition: partition.after(tenure, name),
            read,
            sending: Vec::new(),
            pending: None,
            outstanding: BTreeSet::new(),
            lease: Lease::new(TERMS.lease),
            sends_from,
            order: BTreeMap::new(),
            highest: BTreeMap::new(),
        };
        if off != Some(Rule::RetryFirst) {
            owner.read_retry_to_the_end(broker, now, off)?;
        }
        Ok(owner)
    }

    /// The process as it begins anew, once it has broken off what it has under way.
    pub(super) fn remembers(&self, now: Timestamp) -> Process {
        let left = self.partition.is_quiet(now).then(|| self.sends_from.max(since_start(now)));
        Process { name: self.name, left }
    }

    pub(super) fn read_retry_to_the_end(
        &mut self,
        broker: &Broker,
        now: Timestamp,
        off: Option<Rule>,
    ) -> Verdict {
        while self.owned[1] && self.read[1] < broker.retry.len() {
            self.read_retry(broker, now, off)?;
        }
        Ok(())
    }

    pub(super) fn read_event(
        &mut self,
        broker: &Broker,
        now: Timestamp,
        off: Option<Rule>,
    ) -> Verdict {
        let Some(event) = broker.events.get(self.read[0]).copied() else { return Ok(()) };
        if !self.owned[0] || !self.partition.wants(Source::Events) {
            return Ok(());
        }
        let place = Place { source: Source::Events, offset: i64::try_from(self.read[0]).unwrap() };
        let content = Content { event, turn: Turn::Live, place };
        self.arrive(content, History::default(), (now, now), now, off)
    }

    pub(super) fn read_retry(
        &mut self,
        broker: &Broker,
        now: Timestamp,
        off: Option<Rule>,
    ) -> Verdict {
        let Some(stored) = broker.retry.get(self.read[1]).copied() else { return Ok(()) };
        if !self.owned[1] {
            return Ok(());
        }
        let place = Place { source: Source::Retry, offset: i64::try_from(self.read[1]).unwrap() };
        let content = Content { event: stored.event, turn: stored.turn, place };
        self.arrive(content, stored.history, (stored.due, stored.appended), now, off)
    }

    fn arrive(
        &mut self,
        content: Content,
        history: History,
        (due, appended): (Timestamp, Timestamp),
        now: Timestamp,
        off: Option<Rule>,
    ) -> Verdict {
        let Content { event, turn, place } = content;
        self.read[index(place.source)] += 1;
        let highest = self.highest.entry(event.0).or_default();
        if off == Some(Rule::ExactIdentity) && event.1 <= *highest {
            return Ok(());
        }
        *highest = (*highest).max(event.1);
        let seen = i64::try_from(self.order.len()).unwrap();
        let position = *self.order.entry((event, turn)).or_insert(seen);
        let sequence = if off == Some(Rule::Sequence) { position } else { event.1 };
        let mut sequence = Sequence { number: sequence, ..Sequence::default() };
        let turn = match (turn, off) {
            (Turn::Redriven, Some(Rule::RedrivenLast)) => Turn::Live,
            (Turn::Refreshed(at), Some(Rule::RefreshedLast)) => {
                sequence.epoch = Timestamp::from_millis(at.millis() - i64::MAX / 2);
                Turn::Live
            }
            (Turn::Refreshed(_), Some(Rule::LatestRefresh)) => Turn::Refreshed(START),
            (turn, _) => turn,
        };
        let identity = Identity { lane: event.0.to_string().into(), turn, sequence };
        let footprint = Footprint { bytes: 1, appended };
        let arriving = Arriving { identity, history, due, footprint, content };
        let arrival = self.partition.arrive(place, arriving, now);
        ensure(arrival != Arrival::Duplicate, || format!("{content:?} is in two places"))?;
        if arrival == Arrival::Owed && content.turn == Turn::Live {
            self.outstanding.insert(event);
        }
        Ok(())
    }

    /// Begins a call, if one may begin.
    pub(super) fn begin_call(
        &mut self,
        broker: &Broker,
        number: u64,
        now: Timestamp,
        off: Option<Rule>,
    ) -> Result<bool, String> {
        let elapsed = since_start(now);
        let holds = self.lease.holds(elapsed) || off == Some(Rule::Lease);
        if !holds || elapsed < self.sends_from {
            return Ok(false);
        }
        let Some((ticket, content)) = self.partition.start(now) else { return Ok(false) };
        let Content { event, turn, place } = content;
        // An owner that was replaced cannot know what its successor has committed.
        if self.generation == broker.generation {
            ensure(!broker.is_settled(place), || {
                format!("{content:?} is sent though a commit said that it is done")
            })?;
        }
        let same_lane = |(_, call): &(Ticket, Call)| call.content.event.0 == event.0;
        ensure(!self.sending.iter().any(same_lane), || format!("{event:?}: two of one lane"))?;
        let live = self.outstanding.iter().any(|other| other.0 == event.0);
        ensure(turn == Turn::Live || !live, || {
            format!("{event:?} is {turn:?} and went before what is live")
        })?;
        self.sending.push((ticket, Call { number, content, begun: now }));
        Ok(true)
    }

    pub(super) fn checkpoint(&mut self, now: Timestamp) {
        if self.pending.is_none() {
            self.partition.refresh();
            let checkpoint = self.partition.checkpoint(now);
            self.pending = checkpoint.map(|checkpoint| (checkpoint, since_start(now)));
        }
    }
}
