//! One partition's line: a record goes in, and out come the lifecycle events that it releases and
//! causes, and the copies and links that others need.
//!
//! All decisions of `transform` about records meet here, in this order:
//!
//! 1. the record's append time releases what is due in the partition, whatever the record is;
//! 2. the record is judged by key and headers, then read;
//! 3. what it teaches about others is announced;
//! 4. a record that is somebody else's goes on to them, or waits until it is known who they are;
//! 5. what was accepted before is a duplicate;
//! 6. what is new is remembered and held, or with a window of zero let go at once.
//!
//! An event is known by `ce_id` and by the role in which its subscriber meets it, and is remembered only
//! where it is accepted: not where it waits, nor where it is parked. Where a provider gives no id,
//! `ce_id` is the SHA-256 of the body, so that a repetition with the same bytes is still recognised.
//!
//! A line does no IO beyond its store and knows no clock. It is dropped, not repaired, when anything
//! about its transaction is in doubt.

mod accept;
mod forget;
mod outcome;
mod owner;

use std::sync::Arc;
use std::time::Duration;

pub use outcome::{Emission, GivenUp, LinkAnnouncement, Taken};
use schemas::Timestamp;

pub use crate::rekey::RawCopy;

use self::accept::{Scene, emit};
use crate::metrics::Standing;
use crate::order::{earliest_deadline, take_due};
use crate::parking::{ParkReason, Parking};
use crate::patience::Patience;
use crate::placement::partition_of;
use crate::record::{Envelope, Judged, Raw, judge};
use crate::rules::Rules;
use crate::state::{Batch, Change, Overlay, StateError, Store};
use crate::tally::{Fate, Tally};
use crate::window::{DueIndex, Quiet};

/// The line of one partition, for one tenure.
#[derive(Clone, Debug)]
pub struct Line<S> {
    partition: i32,
    /// How many partitions there are, where that is known.
    partitions: Option<i32>,
    states: Overlay<S>,
    due: DueIndex,
    /// How many events wait for the window. It saturates: where the store does not show all that waits, the count is
    /// wrong, which is seen in what is unaccounted for and must stop nothing.
    held: usize,
    /// Until when nothing is let through of people who were forgotten. Nothing has to be told when that ends, so
    /// that no tick is wanted for it.
    forgotten: DueIndex,
    patience: Patience,
    quiet: Quiet,
    next_offset: i64,
    tally: Tally,
}

/// A record that is being taken, and what bears on it.
#[derive(Clone, Copy)]
struct Visit<'a> {
    envelope: &'a Envelope<'a>,
    raw: &'a Raw<'a>,
    local: Duration,
    rules: &'a Rules,
}

impl<S: Store> Line<S> {
    /// The line of `partition` over a restored store, which goes on at `next_offset` of raw. Timers are
    /// rebuilt from the states; a full window and the whole patience count from `local` on.
    pub fn restored(
        store: S,
        partition: i32,
        next_offset: i64,
        local: Duration,
        rules: &Rules,
    ) -> Result<Self, StateError> {
        let states = Overlay::over(store);
        let (mut due, mut forgotten) = (DueIndex::default(), DueIndex::default());
        let mut patience = Patience::of(rules.link_timeout);
        let (mut newest, mut held) = (None, 0);
        states.waiting(&rules.states, &mut |key, state| {
            held += state.held.len();
            due.set(key, earliest_deadline(&state.held, rules.window));
            forgotten.set(key, state.forgotten_at.map(|at| at.plus(rules.memory.window)));
            newest = newest.max(state.held.iter().map(|held| held.appended_at).max());
            let shared = Arc::from(key);
            for record in &state.waiting {
                patience.begin(&shared, record.offset, local);
            }
        })?;
        let quiet = Quiet::since(newest.unwrap_or_default(), local);
        let (partitions, tally) = (None, Tally::default());
        Ok(Self {
            partition,
            partitions,
            states,
            due,
            held,
            forgotten,
            patience,
            quiet,
            next_offset,
            tally,
        })
    }

    /// The same line as one of so many: it counts records of producers of one's own that do not lie where
    /// their keys belong.
    #[must_use]
    pub fn one_of(self, partitions: i32) -> Self {
        Self { partitions: Some(partitions), ..self }
    }

    /// Offset of the first record of raw that has not been taken.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Offset of the first link that has not been taken in.
    pub fn links_position(&self) -> i64 {
        self.states.links_position()
    }

    /// How many records wait for a link.
    pub fn waiting_for_links(&self) -> usize {
        self.patience.len()
    }

    /// What waits, and what it takes to keep it.
    pub fn standing(&self) -> Standing {
        Standing {
            subscribers: self.due.len(),
            held: self.held,
            waiting_for_links: self.patience.len(),
            bytes: self.states.bytes(),
        }
    }

    /// Takes the next record. `local` is the time of a stopwatch; it only serves to know later when
    /// the partition has been quiet, or a record has waited, for too long.
    pub fn take(
        &mut self,
        raw: &Raw<'_>,
        local: Duration,
        rules: &Rules,
    ) -> Result<Taken, StateError> {
        let mut taken = Taken::default();
        self.quiet = Quiet::since(raw.appended_at, local);
        self.tally.consumed += 1;
        self.release_due(raw.appended_at, rules, &mut taken)?;
        self.end_forgetting(raw.appended_at, rules)?;
        taken.parked = match judge(raw, &rules.sources) {
            Judged::Tick => {
                self.tally.ticks += 1;
                self.tally.settle(Fate::Tick);
                None
            }
            Judged::Unfit(parking) => Some(parking),
            Judged::Orphan(envelope) if envelope.wish().is_some() => {
                let message = "the key is that of a thing, and no person's";
                Some(Parking::new(ParkReason::KeyMismatch, message))
            }
            Judged::Orphan(envelope) => {
                let visit = Visit { envelope: &envelope, raw, local, rules };
                self.look_for_meaning(visit, &mut taken)?
            }
            Judged::Subscriber(envelope) => {
                self.check_place(&envelope);
                let visit = Visit { envelope: &envelope, raw, local, rules };
                match envelope.wish() {
                    Some(wish) => self.grant(visit, wish, &mut taken)?,
                    None => self.read_and_accept(visit, &mut taken)?,
                }
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

    /// Only producers of one's own choose a partition; copies of their records are ours.
    fn check_place(&mut self, envelope: &Envelope<'_>) {
        let is_own = envelope.is_own() && envelope.origin.is_none();
        let place = |partitions| partition_of(envelope.key.as_bytes(), partitions);
        if is_own && self.partitions.map(place).is_some_and(|place| place != self.partition) {
            self.tally.misplace(&envelope.source.name);
        }
    }

    fn release_due(
        &mut self,
        now: Timestamp,
        rules: &Rules,
        taken: &mut Taken,
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
            self.held = self.held.saturating_sub(released.len());
            self.tally.let_go(&released, now);
            let scene = Scene { key: &key, source, partition: self.partition, rules };
            emit(state, released, scene, &mut self.tally, taken)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
