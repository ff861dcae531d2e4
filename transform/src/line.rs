//! One partition's line: a record goes in, and out come the lifecycle events that it releases and
//! causes.
//!
//! All decisions of `transform` about records meet here, in this order:
//!
//! 1. the record's append time releases what is due in the partition, whatever the record is;
//! 2. the record is judged by key and headers, then read;
//! 3. what was accepted before is a duplicate;
//! 4. what is new is remembered and held, or with a window of zero let go at once.
//!
//! A line does no IO beyond its store and knows no clock. It is dropped, not repaired, when anything
//! about its transaction is in doubt.

use std::sync::Arc;
use std::time::Duration;

use schemas::state::{Facts, Held, SubscriberState};
use schemas::{LifecycleEvent, Timestamp};

use crate::advance::advance;
use crate::order::{Placed, earliest_deadline, hold, is_late, take_due};
use crate::parking::{ParkReason, Parking};
use crate::record::{Envelope, Judged, Raw, judge};
use crate::rules::Rules;
use crate::seen::{Role, SeenIds};
use crate::sources::{RawView, Reading, Source, Treatment};
use crate::state::{Batch, Change, Overlay, StateError, Store};
use crate::tally::Tally;
use crate::window::{DueIndex, Quiet};

/// An event that claims to be further in the future than this gets the time of its reception.
const CLOCK_TOLERANCE_MILLIS: i64 = 5 * 60 * 1000;

/// A lifecycle event to write, with the trace it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    /// The event.
    pub event: LifecycleEvent,
    /// W3C trace context of the webhook.
    pub traceparent: Option<String>,
}

/// What a record led to.
#[derive(Debug, Default, PartialEq)]
#[must_use]
pub struct Taken {
    /// Events to write, in order.
    pub events: Vec<Emission>,
    /// The record itself has to be parked.
    pub parked: Option<Parking>,
}

/// The line of one partition, for one tenure.
#[derive(Clone, Debug)]
pub struct Line<S> {
    states: Overlay<S>,
    due: DueIndex,
    quiet: Quiet,
    next_offset: i64,
    tally: Tally,
}

impl<S: Store> Line<S> {
    /// A line over a restored store that goes on at `next_offset` of raw. Timers are rebuilt from the
    /// states and count a full window from `local` on.
    pub fn restored(
        store: S,
        next_offset: i64,
        local: Duration,
        rules: &Rules,
    ) -> Result<Self, StateError> {
        let states = Overlay::over(store);
        let mut due = DueIndex::default();
        let mut newest = None;
        states.waiting(&rules.states, &mut |key, state| {
            due.set(key, earliest_deadline(&state.held, rules.window));
            newest = newest.max(state.held.iter().map(|held| held.appended_at).max());
        })?;
        let quiet = Quiet::since(newest.unwrap_or_default(), local);
        Ok(Self { states, due, quiet, next_offset, tally: Tally::default() })
    }

    /// Offset of the first record of raw that has not been taken.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// How many subscribers have something that waits for the window.
    pub fn waiting(&self) -> usize {
        self.due.len()
    }

    /// Takes the next record. `local` is the time of a stopwatch; it only serves to know later when
    /// the partition has been quiet for too long.
    pub fn take(
        &mut self,
        raw: &Raw<'_>,
        local: Duration,
        rules: &Rules,
    ) -> Result<Taken, StateError> {
        let mut taken = Taken::default();
        self.quiet = Quiet::since(raw.appended_at, local);
        self.tally.consumed += 1;
        self.release_due(raw.appended_at, rules, &mut taken.events)?;
        taken.parked = match judge(raw, &rules.sources) {
            Judged::Tick => {
                self.tally.ticks += 1;
                None
            }
            Judged::Unfit(parking) => Some(parking),
            Judged::Orphan(envelope) => self.look_for_meaning(&envelope, raw),
            Judged::Subscriber(envelope) => {
                self.read_and_accept(&envelope, raw, rules, &mut taken.events)?
            }
        };
        if let Some(parking) = &taken.parked {
            self.tally.park(parking.reason);
        }
        self.next_offset = raw.offset + 1;
        Ok(taken)
    }

    /// How long from `local` on until a tick has to be appended to this partition of raw, because
    /// something held is due and no record comes. `None` when nothing is held.
    pub fn until_tick(&self, local: Duration) -> Option<Duration> {
        Some(self.quiet.until_tick(self.due.earliest()?, local))
    }

    /// A tick has been appended.
    pub fn tick_appended(&mut self, local: Duration) {
        self.quiet.asked(local);
    }

    /// Every state the open transaction has changed, encoded: what it has to write to the changelog.
    pub fn changes(&self, rules: &Rules) -> Result<Vec<Change>, StateError> {
        self.states.changes(&rules.states)
    }

    /// The transaction has committed, and this is what it wrote to the changelog. Returns what it did.
    pub fn committed(&mut self, batch: Batch) -> Result<Tally, StateError> {
        self.states.committed(batch)?;
        Ok(std::mem::take(&mut self.tally))
    }

    fn release_due(
        &mut self,
        now: Timestamp,
        rules: &Rules,
        events: &mut Vec<Emission>,
    ) -> Result<(), StateError> {
        while let Some(key) = self.due.next_due(now) {
            let Some(source) = rules.sources.of_key(&key) else {
                // No longer configured: what it left stays in the state until it is again.
                self.due.set(&key, None);
                continue;
            };
            let state = self.states.open(&key, &rules.states)?.change();
            let released = take_due(&mut state.held, rules.window, now);
            self.due.set(&key, earliest_deadline(&state.held, rules.window));
            emit(state, released, (&key, source), &mut self.tally, events);
        }
        Ok(())
    }

    /// A record without a subscriber may still be one that means nothing to us.
    fn look_for_meaning(&mut self, envelope: &Envelope<'_>, raw: &Raw<'_>) -> Option<Parking> {
        let mapper = envelope.source.mapper;
        let treatment = mapper.treatments().iter().find(|(name, _)| *name == envelope.event_type());
        let reading = match treatment {
            Some((_, Treatment::Ignored(reason))) => Reading::Ignored(reason),
            Some((_, Treatment::Mapped)) | None => read(envelope, raw),
        };
        match reading {
            Reading::Ignored(reason) => {
                self.tally.ignore(&envelope.source.name, reason);
                None
            }
            Reading::Facts(_) | Reading::Parked(_) | Reading::KeyMismatch => {
                let message = "the body names no subscriber, and nothing links it to one";
                Some(Parking::new(ParkReason::SubscriberUnknown, message))
            }
        }
    }

    fn read_and_accept(
        &mut self,
        envelope: &Envelope<'_>,
        raw: &Raw<'_>,
        rules: &Rules,
        events: &mut Vec<Emission>,
    ) -> Result<Option<Parking>, StateError> {
        match read(envelope, raw) {
            Reading::Facts(facts) if rules.budget.is_exceeded_by(&facts) => {
                let message = "the body says more than an event may";
                return Ok(Some(Parking::new(ParkReason::TooLarge, message)));
            }
            Reading::Facts(facts) => {
                self.accept(envelope, *facts, raw.appended_at, rules, events)?;
            }
            Reading::Ignored(reason) => self.tally.ignore(&envelope.source.name, reason),
            Reading::Parked(unreadable) => {
                return Ok(Some(Parking::new(ParkReason::Unreadable, unreadable.to_string())));
            }
            Reading::KeyMismatch => {
                let message = "the body speaks of another subscriber than the key";
                return Ok(Some(Parking::new(ParkReason::KeyMismatch, message)));
            }
        }
        Ok(None)
    }

    /// Remembers and holds an event, unless it was accepted before.
    fn accept(
        &mut self,
        envelope: &Envelope<'_>,
        mut facts: Facts,
        at: Timestamp,
        rules: &Rules,
        events: &mut Vec<Emission>,
    ) -> Result<(), StateError> {
        let Self { states, due, tally, .. } = self;
        let key: Arc<str> = Arc::from(envelope.key);
        let id = envelope.headers.id.as_str();
        let open = states.open(&key, &rules.states)?;
        if SeenIds::of(&mut open.state.seen, rules.memory).contains(id, Role::Own, at) {
            tally.duplicates += 1;
            return Ok(());
        }
        let state = open.change();
        let forgotten = SeenIds::of(&mut state.seen, rules.memory).remember(id, Role::Own, at);
        tally.ids_forgotten += count(forgotten);
        id.clone_into(&mut facts.provider_event_id);
        facts.received_at = at;
        if facts.occurred_at > at.plus_millis(CLOCK_TOLERANCE_MILLIS) {
            facts.occurred_at = at;
            tally.clock_corrected += 1;
        }
        let in_time = !is_late(&facts, state.emitted_up_to.as_ref());
        if hold(&mut state.held, Held { facts, appended_at: at }) == Placed::Earlier && in_time {
            tally.reordered += 1;
        }
        let surplus = rules.budget.surplus(&state.held);
        tally.released_early += count(surplus);
        let mut released: Vec<_> = state.held.drain(..surplus).collect();
        // With a window of zero what was just accepted is due already.
        released.extend(take_due(&mut state.held, rules.window, at));
        due.set(&key, earliest_deadline(&state.held, rules.window));
        emit(state, released, (&key, envelope.source), tally, events);
        Ok(())
    }
}

/// Takes released facts into the state, in order.
fn emit(
    state: &mut SubscriberState,
    released: Vec<Held>,
    (key, source): (&str, &Source),
    tally: &mut Tally,
    events: &mut Vec<Emission>,
) {
    for Held { facts, .. } in released {
        let advanced = advance(state, &facts, key, source);
        if let Some(reason) = advanced.ignored {
            tally.ignore(&source.name, reason);
        }
        for event in advanced.events {
            tally.emit(&event);
            events.push(Emission { event, traceparent: facts.traceparent.clone() });
        }
    }
}

fn read(envelope: &Envelope<'_>, raw: &Raw<'_>) -> Reading {
    let view = RawView {
        body: envelope.body,
        event_id: &envelope.headers.id,
        event_type: envelope.event_type(),
        subscriber_id: envelope.id,
        received_at: raw.appended_at,
        traceparent: envelope.headers.traceparent.as_deref(),
    };
    envelope.source.mapper.read(&view, &envelope.source.settings)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
