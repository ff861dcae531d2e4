//! Reading a record, accepting it where it belongs, and what becomes of it when it is let go.

use std::sync::Arc;

use schemas::headers::{RekeyedHeaders, Stage, with_event_id};
use schemas::state::{Facts, HandOver, Held, Moved, Role, SubscriberState};
use schemas::{Timestamp, headers};

use super::forget::FORGOTTEN;
use super::{Emission, Line, Taken, Visit};
use crate::advance::{self, Advanced, PassedOn};
use crate::order::{Placed, earliest_deadline, hold, is_late, take_due};
use crate::parking::{ParkReason, Parking};
use crate::record::{Envelope, Raw};
use crate::rekey::{Address, after_look_up, copy_for, is_known, role_at};
use crate::rules::{Mode, Rules};
use crate::seen::SeenIds;
use crate::sources::native::imported;
use crate::sources::{Payload, RawView, Reading, Source, SourceSettings};
use crate::state::{StateError, Store};
use crate::tally::{Fate, Tally};

/// An event that claims to be further in the future than this gets the time of its reception.
pub(super) const CLOCK_TOLERANCE_MILLIS: i64 = 5 * 60 * 1000;

impl<S: Store> Line<S> {
    pub(super) fn read_and_accept(
        &mut self,
        visit: Visit<'_>,
        taken: &mut Taken,
    ) -> Result<Option<Parking>, StateError> {
        let Visit { envelope, raw, rules, .. } = visit;
        let reading = read(envelope, raw);
        self.announce(visit, &reading, taken)?;
        match reading {
            Reading::Facts(facts) if rules.budget.is_exceeded_by(&facts) => Ok(Some(too_large())),
            Reading::Facts(facts) if envelope.source.mapper.receiver(&facts).is_some() => {
                self.take_part(visit, *facts, taken)
            }
            Reading::Facts(mut facts) => {
                self.tally.clock_corrected += correct_clock(&mut facts, raw.appended_at);
                self.accept(visit, *facts, taken)?;
                Ok(None)
            }
            Reading::Ignored(reason) => {
                self.tally.ignore(&envelope.source.name, reason);
                self.tally.settle(Fate::Ignored);
                Ok(None)
            }
            Reading::Parked(unreadable) => {
                Ok(Some(Parking::new(ParkReason::Unreadable, unreadable.to_string())))
            }
            Reading::KeyMismatch => Ok(Some(key_mismatch())),
        }
    }

    /// Accepts one side of a transfer, if the key is the one to do so.
    fn take_part(
        &mut self,
        visit: Visit<'_>,
        mut facts: Facts,
        taken: &mut Taken,
    ) -> Result<Option<Parking>, StateError> {
        let Visit { envelope, raw, rules, .. } = visit;
        if envelope.body.len() > rules.budget.facts_bytes {
            return Ok(Some(too_large()));
        }
        let key: Arc<str> = Arc::from(envelope.key);
        let stage = envelope.stage();
        let known = is_known(&self.states.open(&key, &rules.states)?.state);
        if !known && let Some(next) = after_look_up(stage) {
            return self.find_owner(visit, next, taken);
        }
        let role = role_at(stage);
        match role {
            Role::Own | Role::Sender => {
                self.tally.clock_corrected += correct_clock(&mut facts, raw.appended_at);
            }
            Role::Receiver | Role::Forward => {
                let Some(moved) = moved(raw.headers, rules) else {
                    let message = "the copy does not say what the transfer brings";
                    return Ok(Some(Parking::new(ParkReason::MalformedHeader, message)));
                };
                facts.occurred_at = moved.effective_at;
            }
        }
        facts.hand_over = Some(HandOver { role, record: raw.keep() });
        self.accept(visit, facts, taken)?;
        Ok(None)
    }

    /// Remembers and holds an event, unless it was accepted before. An import is not remembered: taking it
    /// twice is taking it once, and one that was corrected may be taken back.
    fn accept(
        &mut self,
        visit: Visit<'_>,
        mut facts: Facts,
        taken: &mut Taken,
    ) -> Result<(), StateError> {
        let Visit { envelope, raw, rules, .. } = visit;
        let at = raw.appended_at;
        if self.turn_away(visit, &facts, taken)? {
            return Ok(());
        }
        let Self { states, due, held, tally, partition, .. } = self;
        let key: Arc<str> = Arc::from(envelope.key);
        let id = envelope.headers.id.as_str();
        let role = facts.hand_over.as_ref().map_or(Role::Own, |hand_over| hand_over.role);
        let open = states.open(&key, &rules.states)?;
        if facts.imported.is_some() {
            // Of two that tell of one moment the later one holds.
            facts.provider_event_id = format!("{:020}", raw.offset);
        } else {
            if SeenIds::of(&mut open.state.seen, rules.memory).contains(id, role, at) {
                tally.duplicates += 1;
                tally.settle(Fate::Duplicate);
                return Ok(());
            }
            let seen = &mut open.change().seen;
            let forgotten = SeenIds::of(seen, rules.memory).remember(id, role, at);
            tally.ids_forgotten += count(forgotten);
            id.clone_into(&mut facts.provider_event_id);
        }
        let state = open.change();
        // Not with the first event that is let go: of what raw topic is left, the first record is always a later one.
        state.begun_at.get_or_insert(at);
        facts.received_at = at;
        facts.payload = carried(&envelope.source.settings, &facts, raw, rules);
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
        *held = (*held + 1).saturating_sub(released.len());
        tally.let_go(&released, at);
        let scene = Scene { key: &key, source: envelope.source, partition: *partition, rules };
        emit(state, released, scene, tally, taken)?;
        // Transfers that waited for this key to become somebody wait no longer.
        self.look_up(&key, rules, taken)
    }
}

/// The body for the events to carry. One that is too large to wait for the window is not; a transfer's is kept anyway,
/// and an import gives no event.
fn carried(
    settings: &SourceSettings,
    facts: &Facts,
    raw: &Raw<'_>,
    rules: &Rules,
) -> Option<Vec<u8>> {
    let is_carried = match settings.payload {
        Payload::Dropped => false,
        Payload::Carried => facts.hand_over.is_none() && facts.imported.is_none(),
    };
    let body = raw.value.filter(|body| is_carried && body.len() <= rules.budget.payload_bytes)?;
    Some(body.to_vec())
}

/// Where facts are let go.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) key: &'a str,
    pub(super) source: &'a Source,
    pub(super) partition: i32,
    pub(super) rules: &'a Rules,
}

/// Takes released facts into the state, in order. Of somebody who was forgotten nothing is told.
pub(super) fn emit(
    state: &mut SubscriberState,
    released: Vec<Held>,
    scene: Scene<'_>,
    tally: &mut Tally,
    taken: &mut Taken,
) -> Result<(), StateError> {
    for Held { facts, .. } in released {
        let told_up_to = state.sequence;
        let mut outcome = advanced(state, &facts, scene);
        if state.forgotten_at.is_some() {
            state.sequence = told_up_to;
            outcome = Advanced { events: Vec::new(), ignored: Some(FORGOTTEN), ..outcome };
        }
        let Advanced { events, ignored, passed_on } = outcome;
        tally.settle(match (events.is_empty(), ignored) {
            (false, _) => Fate::Told,
            (true, Some(_)) => Fate::Ignored,
            (true, None) => Fate::SentOn,
        });
        if let Some(reason) = ignored {
            tally.ignore(&scene.source.name, reason);
        }
        for event in events {
            tally.emit(&event);
            taken.events.push(Emission { event, traceparent: facts.traceparent.clone() });
        }
        if let (Some(passed_on), Some(hand_over), Mode::Live) =
            (passed_on, &facts.hand_over, scene.rules.mode)
        {
            pass_on(passed_on, hand_over, scene, tally, taken)?;
        }
        tally.subscriptions_forgotten += count(scene.rules.budget.trim(state));
    }
    Ok(())
}

fn advanced(state: &mut SubscriberState, facts: &Facts, scene: Scene<'_>) -> Advanced {
    let Scene { key, source, rules, .. } = scene;
    if let Some(imported) = &facts.imported {
        return advance::import(state, facts, imported, source);
    }
    let receiver = source.mapper.receiver(facts).map(|id| format!("{}/{id}", source.name));
    match (&facts.hand_over, receiver) {
        (Some(HandOver { role: Role::Sender, .. }), Some(to)) => {
            advance::send(state, facts, to, key, source)
        }
        (Some(HandOver { role: Role::Receiver | Role::Forward, record }), _) => {
            // It was read when it was accepted.
            let moved = moved(&record.headers, rules).map(|moved| moved.subscriptions);
            advance::receive(state, facts, moved.unwrap_or_default(), key, source)
        }
        (Some(HandOver { role: Role::Own | Role::Sender, .. }) | None, _) => {
            advance::advance(state, facts, key, source)
        }
    }
}

/// Sends subscriptions on. What is passed on instead of somebody is an event of its own for the one who
/// gets it: the same transfer may bring them other things.
fn pass_on(
    passed_on: PassedOn,
    hand_over: &HandOver,
    scene: Scene<'_>,
    tally: &mut Tally,
    taken: &mut Taken,
) -> Result<(), StateError> {
    let PassedOn { to, effective_at, subscriptions } = passed_on;
    let mut record = hand_over.record.clone();
    let stage = match hand_over.role {
        Role::Own | Role::Sender => Stage::Receiver,
        Role::Receiver | Role::Forward => {
            let id = headers::RawHeaders::from_headers(&record.headers).map(|known| known.id);
            let receiver = to.split_once('/').map_or(to.as_str(), |(_, id)| id);
            let id = format!("{}>{receiver}", id.unwrap_or_default());
            record.headers = with_event_id(&record.headers, &id);
            Stage::Forward
        }
    };
    let mut moved = Vec::new();
    scene.rules.moved.encode(&Moved { effective_at, subscriptions }, &mut moved)?;
    taken.copies.push(copy_for(Address { key: to, stage }, &record, scene.partition, Some(moved)));
    tally.rekeyed += 1;
    Ok(())
}

/// What a copy says that a transfer brings; `None` when it does not say.
fn moved(headers: &[headers::Header], rules: &Rules) -> Option<Moved> {
    let origin = RekeyedHeaders::from_headers(headers).ok()??;
    rules.moved.decode(&origin.moved?).ok()
}

/// Puts an event from the future to its reception. Returns how many were put right.
fn correct_clock(facts: &mut Facts, at: Timestamp) -> u64 {
    let too_far = facts.occurred_at > at.plus_millis(CLOCK_TOLERANCE_MILLIS);
    if too_far {
        facts.occurred_at = at;
    }
    u64::from(too_far)
}

pub(super) fn read(envelope: &Envelope<'_>, raw: &Raw<'_>) -> Reading {
    let (view, source) = (view(envelope, raw), envelope.source);
    if envelope.is_import() {
        return imported::read(&view, source);
    }
    source.mapper.read(&view, &source.settings)
}

pub(super) fn view<'a>(envelope: &'a Envelope<'a>, raw: &Raw<'a>) -> RawView<'a> {
    RawView {
        body: envelope.body,
        event_id: &envelope.headers.id,
        event_type: envelope.event_type(),
        subscriber_id: envelope.id,
        received_at: raw.appended_at,
        traceparent: envelope.headers.traceparent.as_deref(),
        role: role_at(envelope.stage()),
    }
}

fn too_large() -> Parking {
    Parking::new(ParkReason::TooLarge, "the body says more than an event may")
}

pub(super) fn key_mismatch() -> Parking {
    let message = "the body speaks of another subscriber than the key";
    Parking::new(ParkReason::KeyMismatch, message)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
