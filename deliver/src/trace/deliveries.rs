//! What became of an event at one destination.
//!
//! An event is owed in exactly one place (`docs/delivery-guarantees.md`, 4), so the places are asked in the
//! order in which it leaves them last: a retry record that is not marked done, the latest dead letter, the
//! event topic itself. What is marked done and lies nowhere else was delivered, unless the destination was
//! not to be sent it: that is asked of the destination as it is configured now, because nothing else knows.

use std::collections::BTreeMap;

use dead_letters::letter::{Letter, Position};
use schemas::Timestamp;
use schemas::headers::Disposal;
use service::config::Mode;

use super::material::{AtDestination, Beginning, Event, Outcome, Retried};
use crate::destinations::Skip;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It was taken. `failures`: attempts before that, as far as they led to the retry topic.
    Delivered {
        failures: u32,
        redriven: u32,
    },
    /// `mode: shadow`: it was planned, and nobody was called.
    Planned,
    Skipped(Skip),
    /// It happened before what `start:` says.
    BeforeStart,
    /// In the event topic, not done.
    Queued {
        behind: Option<i64>,
    },
    /// In the retry topic until it is due.
    Waiting(Wait),
    /// In the retry topic, untried, because an earlier event is not done.
    Following {
        behind: Option<i64>,
    },
    /// It was redriven, and goes when nothing live of the subscriber is left.
    Redriven,
    Dead(End),
    /// Somebody decided that nothing more is to become of the dead letter.
    Discarded {
        end: End,
        at: Timestamp,
    },
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

/// What became of each of a subscriber's events.
pub(super) fn deliveries(at: &AtDestination, events: &[Event]) -> Vec<Delivery> {
    let lane = Lane::of(at, events);
    events.iter().map(|told| lane.delivery(told)).collect()
}

/// A subscriber's events at one destination.
struct Lane<'a> {
    at: &'a AtDestination,
    /// Records of the retry topic by which an event is still owed, by its id.
    waiting: BTreeMap<&'a str, &'a Retried>,
    /// Sequence of the first event that is owed in its place in the story: nothing overtakes it.
    head: Option<i64>,
}

impl<'a> Lane<'a> {
    fn of(at: &'a AtDestination, events: &[Event]) -> Self {
        let standing = at.standing.as_ref();
        let owed = |record: &&Retried| {
            standing.is_none_or(|standing| !standing.retry.is_done(record.offset))
        };
        let waiting = at.retries.iter().filter(owed);
        let waiting: BTreeMap<_, _> =
            waiting.map(|record| (record.event_id.as_str(), record)).collect();
        let is_owed = |told: &&Event| match waiting.get(told.event.event_id.as_str()) {
            Some(record) => record.redriven == 0,
            None => told
                .offset
                .zip(standing)
                .is_some_and(|(offset, standing)| !standing.events.is_done(offset)),
        };
        let head = events.iter().filter(is_owed).map(|told| told.event.sequence).min();
        Self { at, waiting, head }
    }

    fn delivery(&self, told: &Event) -> Delivery {
        let id = told.event.event_id.as_str();
        if let Some(record) = self.waiting.get(id) {
            return self.waits(record, told);
        }
        let tries = self.at.retries.iter().filter(|record| record.event_id == id);
        let failures = tries.map(|record| record.history.attempts).max().unwrap_or(0);
        let letters = self.at.letters.iter().rev();
        let mut own = letters.filter(|letter| letter.labels.id.as_deref() == Some(id));
        match own.next() {
            Some(letter) => parked(letter),
            None => self.by_marks(told, failures),
        }
    }

    fn waits(&self, record: &Retried, told: &Event) -> Delivery {
        if record.redriven > 0 {
            return Delivery::Redriven;
        }
        let history = &record.history;
        if history.attempts == 0 {
            return Delivery::Following { behind: self.ahead_of(told) };
        }
        Delivery::Waiting(Wait {
            attempts: history.attempts,
            first_failure: history.first_failure,
            due: history.due,
            outcome: record.outcome,
        })
    }

    /// What became of an event that lies nowhere but in its topic.
    fn by_marks(&self, told: &Event, failures: u32) -> Delivery {
        let Some(standing) = &self.at.standing else { return Delivery::NotBegun };
        let Some(offset) = told.offset else { return Delivery::NotKept };
        if !standing.events.is_done(offset) {
            return Delivery::Queued { behind: self.ahead_of(told) };
        }
        match self.at.beginning {
            Beginning::At { cut, first } if offset < first || cut.admit(&told.event).is_err() => {
                return Delivery::BeforeStart;
            }
            Beginning::At { .. } | Beginning::Earliest | Beginning::Forgotten => {}
        }
        match (self.at.skips.get(told.event.event_id.as_str()), self.at.mode) {
            (Some(skip), _) => Delivery::Skipped(*skip),
            (None, Mode::Shadow) => Delivery::Planned,
            (None, Mode::Live) => Delivery::Delivered { failures, redriven: 0 },
        }
    }

    fn ahead_of(&self, told: &Event) -> Option<i64> {
        self.head.filter(|head| *head < told.event.sequence)
    }
}

/// What became of an event of which this is the latest dead letter.
fn parked(letter: &Letter) -> Delivery {
    match letter.dealt {
        None => Delivery::Dead(end(letter)),
        Some(dealt) => match dealt.disposal {
            Disposal::Discarded => Delivery::Discarded { end: end(letter), at: dealt.at },
            // It is neither owed nor parked anew.
            Disposal::Redriven => {
                let failures = letter.end.as_ref().ok().and_then(|end| end.attempts).unwrap_or(0);
                Delivery::Delivered { failures, redriven: letter.redriven + 1 }
            }
        },
    }
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
