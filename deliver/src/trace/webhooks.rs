//! What became of each webhook.
//!
//! The topics say most of it: an event names the webhook it comes from by the provider's id and the moment of
//! its reception, a dead letter by its position, what is held or waits stands in the subscriber's state. The
//! state also remembers for 35 days in which second each id was accepted, which tells a repetition from what
//! was accepted and became nothing. Only the reason of the latter is found in [`super::hindsight`].

use dead_letters::letter::{Dealt, Letter, Position};
use schemas::Timestamp;
use schemas::headers::{Labels, RekeyedHeaders, is_tick, times_redriven};
use schemas::state::{Role, SubscriberState};
use stream::Received;
use transform::seen::{Memory, SeenIds};

use super::hindsight::Nothing;
use super::material::Material;
use super::story::Times;

/// A record of `subscriptions.raw`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Webhook {
    pub(super) position: Position,
    /// When the broker took it in.
    pub(super) received_at: Timestamp,
    pub(super) labels: Labels,
    /// Of which record it is a copy, for one that came here from another key.
    pub(super) copy_of: Option<Position>,
    /// How often it was redriven.
    pub(super) redriven: u32,
    pub(super) fate: Fate,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    /// These events, by their sequence.
    Events {
        sequences: Vec<i64>,
        timing: Timing,
    },
    /// No event, for this reason, unless that is no longer to be found out.
    Ignored(Option<String>),
    /// The same event came before, at this moment if that is known.
    Repeated(Option<Timestamp>),
    Parked {
        letter: Position,
        reason: String,
        message: String,
        dealt: Option<Dealt>,
    },
    /// It waits for what may have happened before it.
    Held {
        until: Timestamp,
    },
    /// It waits to learn whose it is.
    WaitsForLink {
        until: Timestamp,
    },
    /// A copy of it went on to the key, if that is still known.
    WentOn(Option<String>),
    /// `transform` has yet to take it.
    NotTaken,
    /// Nothing that was read says it.
    Unknown,
}

/// Whether the events came in time to be put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    InTime,
    Late,
}

/// Roles in which a subscriber may have accepted an event.
const ROLES: [Role; 4] = [Role::Own, Role::Sender, Role::Receiver, Role::Forward];

/// Each webhook with what became of it, in order.
pub(super) fn webhooks(material: &Material, times: Times) -> Vec<Webhook> {
    let mut told: Vec<Webhook> = Vec::new();
    for record in material.raw.iter().filter(|record| !is_tick(&record.headers)) {
        let labels = Labels::from_headers(&record.headers);
        let fate = fate(material, record, labels.id.as_deref().unwrap_or_default(), (&told, times));
        told.push(Webhook {
            position: position(record),
            received_at: record.timestamp,
            labels,
            copy_of: origin(record),
            redriven: times_redriven(&record.headers).unwrap_or(0),
            fate,
        });
    }
    told
}

fn fate(
    material: &Material,
    record: &Received,
    id: &str,
    (before, times): (&[Webhook], Times),
) -> Fate {
    if let Some(parked) = parked(&material.letters, record) {
        return parked;
    }
    if let Some(events) = events(material, record, id) {
        return events;
    }
    if let Some(waits) = material.state.as_ref().and_then(|state| waits(state, record, id, times)) {
        return waits;
    }
    if material.taken_up_to.is_none_or(|next| record.offset >= next) {
        return Fate::NotTaken;
    }
    if let Some(first) = first_of(material, record, id, before) {
        return Fate::Repeated(first);
    }
    match material.hindsight.get(&record.offset) {
        Some(Nothing::Ignored(reason)) => Fate::Ignored(Some(reason.clone())),
        Some(Nothing::LeftToCopy) => Fate::WentOn(went_on_to(material, record)),
        None if accepted(material, id) == Some(record.timestamp.seconds()) => Fate::Ignored(None),
        None => Fate::Unknown,
    }
}

fn parked(letters: &[Letter], record: &Received) -> Option<Fate> {
    letters.iter().find_map(|letter| {
        let end = letter.end.as_ref().ok()?;
        let same = *end.topic == *record.topic
            && (end.partition, end.offset) == (record.partition, record.offset);
        same.then(|| Fate::Parked {
            letter: letter.position,
            reason: end.reason.clone(),
            message: end.message.clone(),
            dealt: letter.dealt,
        })
    })
}

fn events(material: &Material, record: &Received, id: &str) -> Option<Fate> {
    let own = material
        .events
        .iter()
        .map(|told| &told.event)
        .filter(|event| event.provider_event_id == id && event.received_at == record.timestamp);
    let own: Vec<_> = own.collect();
    let timing = if own.iter().any(|event| event.late) { Timing::Late } else { Timing::InTime };
    let sequences: Vec<_> = own.into_iter().map(|event| event.sequence).collect();
    (!sequences.is_empty()).then_some(Fate::Events { sequences, timing })
}

fn waits(state: &SubscriberState, record: &Received, id: &str, times: Times) -> Option<Fate> {
    let held = state
        .held
        .iter()
        .any(|held| held.facts.provider_event_id == id && held.appended_at == record.timestamp);
    let linkless = state.waiting.iter().any(|kept| kept.offset == record.offset);
    let until = |time| record.timestamp.plus(time);
    match (held, linkless) {
        (true, _) => Some(Fate::Held { until: until(times.reorder_window) }),
        (false, true) => Some(Fate::WaitsForLink { until: until(times.link_timeout) }),
        (false, false) => None,
    }
}

/// Where a copy of the record lies: under the same key, as that of a transfer to somebody who was unknown, or under
/// the key that a link names.
fn went_on_to(material: &Material, record: &Received) -> Option<String> {
    let mut copies = material.raw.iter().filter_map(origin);
    let stays = copies.any(|origin| origin == position(record));
    if stays { Some(material.key.clone()) } else { material.linked_to.clone() }
}

/// When the event of this record was accepted from another one before.
#[expect(clippy::option_option, reason = "that it was, and when, if that is known")]
fn first_of(
    material: &Material,
    record: &Received,
    id: &str,
    before: &[Webhook],
) -> Option<Option<Timestamp>> {
    let told = material.events.iter().map(|told| &told.event);
    let told = told.filter(|event| event.provider_event_id == id).map(|event| event.received_at);
    if let Some(first) = told.filter(|first| *first < record.timestamp).min() {
        return Some(Some(first));
    }
    let accepted = accepted(material, id)?;
    let same = |webhook: &&Webhook| {
        webhook.labels.id.as_deref() == Some(id) && webhook.received_at.seconds() == accepted
    };
    if let Some(first) = before.iter().find(same) {
        return Some(Some(first.received_at));
    }
    (accepted < record.timestamp.seconds()).then(|| Timestamp::from_seconds(accepted))
}

/// In which second the event was accepted, as far as the state remembers.
fn accepted(material: &Material, id: &str) -> Option<i64> {
    let mut seen = material.state.as_ref()?.seen.clone();
    // Only what is remembered is asked for, and nothing forgotten.
    let memory = Memory { window: std::time::Duration::MAX, most: usize::MAX };
    let seen = SeenIds::of(&mut seen, memory);
    ROLES.into_iter().find_map(|role| seen.accepted_at(id, role))
}

/// Of which record this is a copy.
fn origin(record: &Received) -> Option<Position> {
    let origin = RekeyedHeaders::from_headers(&record.headers).ok().flatten()?;
    Some(Position { partition: origin.partition, offset: origin.offset })
}

fn position(record: &Received) -> Position {
    Position { partition: record.partition, offset: record.offset }
}
