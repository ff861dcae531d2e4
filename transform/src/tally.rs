//! What a transaction did, for the metrics: counted while it is open, published only when it has been
//! committed, so that work that is done again is not counted twice.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::state::Held;
use schemas::{EventType, LifecycleEvent, Timestamp};
use strum::{EnumIter, IntoStaticStr};

use crate::parking::ParkReason;

/// What became of a record, once and for all. As long as it has none, it waits: for the window or for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Fate {
    /// It only moved the stream's time.
    Tick,
    /// It became lifecycle events.
    Told,
    /// It says nothing that is told, for a reason.
    Ignored,
    /// What it says had been accepted before.
    Duplicate,
    /// It lies in the unprocessable topic.
    Parked,
    /// It went on under another key, where a copy of it is taken in.
    SentOn,
}

impl Fate {
    /// The label.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// Counts of one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records read, ticks included.
    pub consumed: u64,
    /// Those whose fate was decided, which may have been read long before.
    pub settled: BTreeMap<Fate, u64>,
    /// How long events were held until they were let go, by the stream's time.
    pub holds: Vec<Duration>,
    /// Ticks among them.
    pub ticks: u64,
    /// Lifecycle events emitted, by type.
    pub events: BTreeMap<EventType, u64>,
    /// Records whose event had been accepted before.
    pub duplicates: u64,
    /// Events that came before one that sorts before them, and were put right by the window.
    pub reordered: u64,
    /// Lifecycle events that came after the window had let later ones pass.
    pub late: u64,
    /// Events that went before their time because too much was held.
    pub released_early: u64,
    /// Ids forgotten before their time because there were too many.
    pub ids_forgotten: u64,
    /// Events from the future, which were given the time of their reception.
    pub clock_corrected: u64,
    /// Records that began to wait for a link.
    pub waited: u64,
    /// Copies written to raw under another key.
    pub rekeyed: u64,
    /// Links announced.
    pub links: u64,
    /// Transfers whose sender was unknown to the end: they moved nothing.
    pub senders_unknown: u64,
    /// Originals that a replay left to their copies.
    pub left_to_copies: u64,
    /// Subscriptions forgotten because a subscriber had too many.
    pub subscriptions_forgotten: u64,
    /// Records parked, by reason.
    pub parked: BTreeMap<ParkReason, u64>,
    /// Records without an event, by source and reason.
    pub ignored: BTreeMap<(String, &'static str), u64>,
    /// Records that do not lie in the partition of their key, by source.
    pub misplaced: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a record that gave no event.
    pub fn ignore(&mut self, source: &str, reason: &'static str) {
        *self.ignored.entry((source.to_owned(), reason)).or_default() += 1;
    }

    /// Counts a record that does not lie in the partition of its key.
    pub fn misplace(&mut self, source: &str) {
        *self.misplaced.entry(source.to_owned()).or_default() += 1;
    }

    /// Counts an emitted event.
    pub fn emit(&mut self, event: &LifecycleEvent) {
        *self.events.entry(event.event_type).or_default() += 1;
        self.late += u64::from(event.late);
    }

    /// A record waits no longer: this became of it.
    pub fn settle(&mut self, fate: Fate) {
        *self.settled.entry(fate).or_default() += 1;
    }

    /// Events are let go of that were held, when the stream's time is `now`.
    pub fn let_go(&mut self, released: &[Held], now: Timestamp) {
        self.holds.extend(released.iter().map(|held| now.since(held.appended_at)));
    }

    /// Counts a parked record.
    pub fn park(&mut self, reason: ParkReason) {
        self.settle(Fate::Parked);
        *self.parked.entry(reason).or_default() += 1;
    }
}
