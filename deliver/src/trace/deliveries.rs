//! What became of an event at one destination.
//!
//! An event is owed in exactly one place (`docs/delivery-guarantees.md`, 4), so the places are asked in the
//! order in which it leaves them last: a retry record that is not marked done, the latest dead letter, the
//! event topic itself. What is marked done and lies nowhere else was delivered, unless the destination was
//! not to be sent it: that is asked of the destination as it is configured now, because nothing else knows.

use dead_letters::letter::{Letter, Position};
use schemas::Timestamp;
use schemas::headers::Disposal;
use service::config::Mode;

use super::material::{AtDestination, Beginning, Event, Outcome, Retried, Standing};
use crate::destinations::Skip;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It was taken. `failures`: attempts before that, as far as they led to the retry topic.
    Delivered { failures: u32, redriven: u32 },
    /// `mode: shadow`: it was planned, and nobody was called.
    Planned,
    Skipped(Skip),
    /// It lies before what `start:` says.
    BeforeStart,
    /// In the event topic, not done.
    Queued { behind: Option<i64> },
    /// In the retry topic until it is due.
    Waiting(Wait),
    /// In the retry topic, untried, because an earlier event is not done.
    Following { behind: Option<i64> },
    /// It was redriven, and goes when nothing live of the subscriber is left.
    Redriven,
    Dead(End),
    /// Somebody decided that nothing more is to become of the dead letter.
    Discarded { end: End, at: Timestamp },
    /// The destination's group has never committed anything.
    NotBegun,
    /// The event is no longer in the topic, so that no mark speaks of it.
    NotKept,
}

/// A wait for another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// Attempts made, those on the spot included.
    pub(super) attempts: u32,
    pub(super) first_failure: Option<Timestamp>,
    /// Not before.
    pub(super) due: Option<Timestamp>,
    pub(super) outcome: Outcome,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) letter: Position,
    pub(super) at: Timestamp,
    pub(super) reason: String,
    /// The destination's reply.
    pub(super) status: Option<u16>,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
    pub(super) attempts: Option<u32>,
}

/// What became of an event; `lane` are all events of its subscriber.
pub(super) fn delivery(told: &Event, at: &AtDestination, lane: &[Event]) -> Delivery {
    let id = told.event.event_id.as_str();
    let standing = at.standing.as_ref();
    if let Some(waiting) = waiting(id, at) {
        return waits(waiting, told, at, lane);
    }
    let records = || at.retries.iter().filter(|record| record.event_id == id);
    let redriven = records().map(|record| record.redriven).max().unwrap_or(0);
    let letter = at.letters.iter().rev().find(|letter| letter.labels.id.as_deref() == Some(id));
    if let Some(letter) = letter {
        match letter.dealt {
            None => return Delivery::Dead(end(letter)),
            Some(dealt) if dealt.disposal == Disposal::Discarded => {
                return Delivery::Discarded { end: end(letter), at: dealt.at };
            }
            // It is neither owed nor parked anew.
            Some(_) => {
                let failures = attempts(letter);
                let redriven = redriven.max(letter.redriven + 1);
                return Delivery::Delivered { failures, redriven };
            }
        }
    }
    let Some(standing) = standing else { return Delivery::NotBegun };
    let Some(offset) = told.offset else { return Delivery::NotKept };
    if !standing.events.is_done(offset) {
        return Delivery::Queued { behind: ahead_of(told, at, lane) };
    }
    match at.beginning {
        Beginning::At(first) if offset < first => return Delivery::BeforeStart,
        Beginning::At(_) | Beginning::Earliest | Beginning::Forgotten => {}
    }
    if let Some(skip) = at.skips.get(id) {
        return Delivery::Skipped(*skip);
    }
    match at.mode {
        Mode::Shadow => Delivery::Planned,
        Mode::Live => {
            let failures = records().map(|record| record.history.attempts).max().unwrap_or(0);
            Delivery::Delivered { failures, redriven }
        }
    }
}

/// The record of the retry topic by which an event is still owed.
fn waiting<'a>(id: &str, at: &'a AtDestination) -> Option<&'a Retried> {
    let owed = |record: &&Retried| {
        record.event_id == id && at.standing.as_ref().is_none_or(|standing| is_owed(standing, record))
    };
    at.retries.iter().rev().find(owed)
}

fn is_owed(standing: &Standing, record: &Retried) -> bool {
    !standing.retry.is_done(record.offset)
}

fn waits(record: &Retried, told: &Event, at: &AtDestination, lane: &[Event]) -> Delivery {
    if record.redriven > 0 {
        return Delivery::Redriven;
    }
    let history = &record.history;
    if history.attempts == 0 {
        return Delivery::Following { behind: ahead_of(told, at, lane) };
    }
    Delivery::Waiting(Wait {
        attempts: history.attempts,
        first_failure: history.first_failure,
        due: history.due,
        outcome: record.outcome,
    })
}

/// The first event of the lane that is owed, if it is an earlier one: nothing overtakes it.
fn ahead_of(told: &Event, at: &AtDestination, lane: &[Event]) -> Option<i64> {
    let standing = at.standing.as_ref()?;
    let owed = |other: &&Event| {
        let waits = waiting(&other.event.event_id, at).map(|record| record.redriven == 0);
        let queued = other.offset.is_some_and(|offset| !standing.events.is_done(offset));
        waits.unwrap_or(queued)
    };
    let earlier = lane.iter().filter(|other| other.event.sequence < told.event.sequence);
    earlier.filter(owed).map(|other| other.event.sequence).min()
}

fn end(letter: &Letter) -> End {
    let end = letter.end.as_ref().ok();
    End {
        letter: letter.position,
        at: letter.parked_at,
        reason: letter.reason().unwrap_or("unknown").to_owned(),
        status: end.and_then(|end| end.http_status),
        message: end.map(|end| end.message.clone()).unwrap_or_default(),
        request_id: end.and_then(|end| end.request_id.clone()),
        attempts: end.and_then(|end| end.attempts),
    }
}

fn attempts(letter: &Letter) -> u32 {
    letter.end.as_ref().ok().and_then(|end| end.attempts).unwrap_or(0)
}
