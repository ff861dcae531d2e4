//! What one subscriber is owed.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::Timestamp;

use crate::lanes::{History, Place, Sequence, Source, Turn};

#[derive(Debug)]
pub(super) struct Lane<T> {
    /// In the order in which they are sent.
    pub(super) records: BTreeMap<(Turn, Sequence), Held<T>>,
    pub(super) queued: bool,
    pub(super) sending: bool,
    /// Up to this sequence, followers were sent after a head that is set aside.
    pub(super) followed: Option<Sequence>,
    /// Until then a call that nobody answered may take effect: nothing else is sent.
    pub(super) quarantine: Timestamp,
}

#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) place: Place,
    pub(super) history: History,
    pub(super) content: T,
    pub(super) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting {
        due: Timestamp,
    },
    Sending,
    /// Its move or its parking is in a commit that is under way or to come.
    Leaving(Destiny),
    /// Its move is committed; its copy has not been read yet.
    Travelling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destiny {
    Retry,
    Dead,
}

impl<T> Lane<T> {
    pub(super) fn empty() -> Self {
        Self {
            records: BTreeMap::new(),
            queued: false,
            sending: false,
            followed: None,
            quarantine: Timestamp::default(),
        }
    }

    /// Which is the head, if it may be sent.
    pub(super) fn startable(&self, now: Timestamp) -> Option<(Turn, Sequence)> {
        let (rank, held) = self.records.first_key_value()?;
        let due = matches!(held.phase, Phase::Waiting { due } if due.max(self.quarantine) <= now);
        due.then_some(*rank)
    }
}

impl<T> Held<T> {
    pub(super) fn fail(&mut self, now: Timestamp, outages: Duration) -> History {
        self.history.attempts = self.history.attempts.saturating_add(1);
        if self.history.first_failure.is_none() {
            self.history.first_failure = Some(now);
            self.history.outages = outages;
        }
        self.history
    }

    /// It lies undone in the retry topic.
    pub(super) fn is_in_retry(&self) -> bool {
        let is_undone = matches!(self.phase, Phase::Waiting { .. } | Phase::Sending);
        self.place.source == Source::Retry && is_undone
    }

    /// It failed and waits in the retry topic or on the way there.
    pub(super) fn is_set_aside(&self) -> bool {
        let away = match self.phase {
            Phase::Waiting { .. } => self.place.source == Source::Retry,
            Phase::Leaving(Destiny::Retry) | Phase::Travelling => true,
            Phase::Sending | Phase::Leaving(Destiny::Dead) => false,
        };
        away && self.history.attempts > 0
    }
}
