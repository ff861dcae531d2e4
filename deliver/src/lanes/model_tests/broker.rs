//! What the cluster and the destination keep, whoever works on it.

use std::collections::{BTreeMap, BTreeSet};

use schemas::Timestamp;

use super::{Content, Event, Rule, Verdict, ensure};
use crate::lanes::{Checkpoint, Fate, History, Place, Source, Turn};
use crate::marks::Marks;
use crate::tenure::Tenure;

/// A record of the retry topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) event: Event,
    pub(super) turn: Turn,
    pub(super) history: History,
    pub(super) due: Timestamp,
    pub(super) appended: Timestamp,
}

/// The topics of one partition, and what the group has committed for them.
pub(super) struct Broker {
    pub(super) events: Vec<Event>,
    pub(super) retry: Vec<Stored>,
    pub(super) dead: BTreeSet<Event>,
    /// Refreshes asked for, by the moment that each shows: whose.
    pub(super) refreshes: BTreeMap<Timestamp, u8>,
    /// Refreshes that were parked.
    pub(super) given_up: BTreeSet<Timestamp>,
    /// What was parked at some time: it released those behind it.
    pub(super) ever_dead: BTreeSet<Event>,
    pub(super) committed: [(i64, String); 2],
    pub(super) generation: u32,
    /// What some commit said is done.
    settled: BTreeSet<Place>,
}

pub(super) fn index(source: Source) -> usize {
    usize::from(source == Source::Retry)
}

impl Broker {
    pub(super) fn new(events: Vec<Event>) -> Self {
        let nothing = |tenure: Tenure| (0, tenure.beside(&Marks::up_to(0)));
        Self {
            events,
            retry: Vec::new(),
            dead: BTreeSet::new(),
            refreshes: BTreeMap::new(),
            given_up: BTreeSet::new(),
            ever_dead: BTreeSet::new(),
            committed: [nothing(Tenure::none()), nothing(Tenure::default())],
            generation: 0,
            settled: BTreeSet::new(),
        }
    }

    pub(super) fn marks(&self, source: Source) -> Marks {
        let (next, text) = &self.committed[index(source)];
        Marks::decode(*next, text).unwrap()
    }

    pub(super) fn tenure(&self) -> Tenure {
        Tenure::read(&self.committed[0].1).unwrap()
    }

    pub(super) fn is_settled(&self, place: Place) -> bool {
        self.settled.contains(&place)
    }

    /// How often each event is undone by what is committed, and in which turn.
    pub(super) fn owed(&self) -> BTreeMap<(Event, Turn), usize> {
        let mut owed = BTreeMap::new();
        for content in self.undone() {
            *owed.entry((content.event, content.turn)).or_insert(0) += 1;
        }
        owed
    }

    /// Everything that is undone by what is committed.
    pub(super) fn undone(&self) -> Vec<Content> {
        let place = |source, offset| Place { source, offset };
        let events = (0_i64..).zip(&self.events).map(|(offset, event)| Content {
            event: *event,
            turn: Turn::Live,
            place: place(Source::Events, offset),
        });
        let retry = (0_i64..).zip(&self.retry).map(|(offset, stored)| Content {
            event: stored.event,
            turn: stored.turn,
            place: place(Source::Retry, offset),
        });
        let marks = [self.marks(Source::Events), self.marks(Source::Retry)];
        let is_undone =
            |content: &Content| !marks[index(content.place.source)].is_done(content.place.offset);
        events.chain(retry).filter(is_undone).collect()
    }

    pub(super) fn append(&mut self, checkpoint: &Checkpoint<Content>, now: Timestamp) -> Verdict {
        for departure in &checkpoint.departures {
            let Content { event, turn, .. } = departure.content;
            match departure.fate {
                // Nothing is planned only in these walks.
                Fate::Shadowed(_) => {}
                Fate::SetAside { due } => {
                    let history = departure.history;
                    self.retry.push(Stored { event, turn, history, due, appended: now });
                }
                Fate::Parked { .. } if let Turn::Refreshed(at) = turn => {
                    let is_first = self.given_up.insert(at);
                    ensure(is_first, || format!("the refresh of {at} is parked twice"))?;
                }
                Fate::Parked { .. } => {
                    ensure(self.dead.insert(event), || format!("{event:?} is parked twice"))?;
                    self.ever_dead.insert(event);
                }
            }
        }
        Ok(())
    }

    /// Stores the marks of the topics that are `owned`.
    pub(super) fn store(
        &mut self,
        checkpoint: &Checkpoint<Content>,
        owned: [bool; 2],
        off: Option<Rule>,
    ) {
        let texts = [checkpoint.tenure.beside(&checkpoint.events), checkpoint.retry.encode()];
        let marks = [&checkpoint.events, &checkpoint.retry];
        for (at, (marks, text)) in marks.into_iter().zip(texts).enumerate() {
            if !owned[at] {
                continue;
            }
            let source = if at == 0 { Source::Events } else { Source::Retry };
            let read = [self.events.len(), self.retry.len()][at];
            let offsets = 0..i64::try_from(read).unwrap();
            let done = offsets.filter(|offset| marks.is_done(*offset));
            self.settled.extend(done.map(|offset| Place { source, offset }));
            self.committed[at] = match off {
                Some(Rule::Bitmap) => {
                    (marks.next(), checkpoint.tenure.beside(&Marks::up_to(marks.next())))
                }
                Some(Rule::OneCommit) if source == Source::Retry => continue,
                Some(_) | None => (marks.next(), text),
            };
        }
    }

    /// The last record that leaves goes, and the rest of the transaction does not.
    pub(super) fn store_last_departure(
        &mut self,
        mut checkpoint: Checkpoint<Content>,
        now: Timestamp,
    ) -> Verdict {
        let Some(last) = checkpoint.departures.pop() else { return Ok(()) };
        let place = last.place;
        let earlier = self.marks(place.source);
        let position = earlier.next().max(place.offset + 1);
        let undone = (earlier.next()..position)
            .filter(|offset| *offset != place.offset && !earlier.is_done(*offset));
        let marks = Marks::of(position, undone, &earlier);
        self.committed[index(place.source)] = (marks.next(), checkpoint.tenure.beside(&marks));
        checkpoint.departures = vec![last];
        self.append(&checkpoint, now)
    }
}

/// A call that has begun and not had its effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) content: Content,
    pub(super) begun: Timestamp,
}

/// What people would see.
#[derive(Default)]
pub(super) struct Destination {
    pub(super) applied: BTreeSet<Event>,
    /// The latest refresh of each lane.
    pub(super) refreshed: BTreeMap<u8, Timestamp>,
    last_call: BTreeMap<u8, u64>,
    shown: BTreeMap<u8, i64>,
}

impl Destination {
    /// A call has its effect.
    pub(super) fn apply(&mut self, call: Call, broker: &Broker, off: Option<Rule>) -> Verdict {
        let Content { event, turn, .. } = call.content;
        let last = self.last_call.entry(event.0).or_default();
        ensure(*last < call.number, || {
            format!("a call for {event:?} took effect after a later one of its lane")
        })?;
        *last = call.number;
        if let Turn::Refreshed(at) = turn {
            let before = self.refreshed.insert(event.0, at);
            return ensure(before.is_none_or(|before| before <= at), || {
                format!("an older refresh of {} is shown over a later one", event.0)
            });
        }
        let shown = self.shown.entry(event.0).or_default();
        if off == Some(Rule::ForwardOnly) {
            ensure(turn == Turn::Redriven || *shown <= event.1, || {
                format!("{event:?} is shown over {shown}")
            })?;
        }
        *shown = (*shown).max(event.1);
        if !self.applied.insert(event) || turn == Turn::Redriven {
            return Ok(());
        }
        for sequence in 1..event.1 {
            let before = (event.0, sequence);
            let known = self.applied.contains(&before) || broker.ever_dead.contains(&before);
            ensure(known, || format!("{event:?} overtook {before:?}"))?;
        }
        Ok(())
    }
}
