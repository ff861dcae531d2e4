//! Why a webhook became no event: no topic says that, so `transform` is asked once more.
//!
//! What becomes of a record is a function of the raw topic alone, and of one subscriber's records a function
//! of those alone: the window lets go what is due before it takes a record in, whoever else's records came
//! between. So a line of `transform` that knows nobody yet takes the subscriber's records again, in its
//! replaying mode, and says of each that gives no event why. Ticks stand between the records where something
//! becomes due, so that as little as possible is let go at once.
//!
//! It is exact where the records reach back to the subscriber's first one. Where they do not, it may differ
//! from what happened, which is why the story asks here for reasons only, and only about records of which the
//! topics say that they became nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::Timestamp;
use schemas::headers::{Labels, tick};
use schemas::state::SubscriberState;
use stream::Received;
use transform::line::{Line, Taken};
use transform::record::Raw;
use transform::rules::Rules;
use transform::state::{Batch, MemoryStore, StateError};
use transform::tally::Tally;

/// Why a record gave no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// For this reason: the word in `tributary_transform_ignored_total`. Of several that were let go at once
    /// it may be the reason of another: then all of them are named.
    Ignored(String),
    /// A copy of it goes on under another key.
    LeftToCopy,
}

/// What a record that was accepted is known by: the provider's id, and when it was appended.
type Accepted = (String, Timestamp);

/// Takes the records of one key again. Says by offset what became nothing, and why.
pub(super) fn look_back(
    raw: &[Received],
    rules: &Rules,
) -> Result<BTreeMap<i64, Nothing>, StateError> {
    let partition = raw.first().map_or(0, |record| record.partition);
    let line = Line::restored(MemoryStore::default(), partition, 0, Duration::ZERO, rules)?;
    let mut hindsight =
        Hindsight { line, rules, steps: 0, held: BTreeMap::new(), nothing: BTreeMap::new() };
    for record in raw {
        hindsight.pass_until(record.timestamp)?;
        hindsight.take(record)?;
    }
    hindsight.pass_until(Timestamp::from_millis(i64::MAX))?;
    Ok(hindsight.nothing)
}

struct Hindsight<'a> {
    line: Line<MemoryStore>,
    rules: &'a Rules,
    steps: i64,
    /// Offsets of what waits for the window.
    held: BTreeMap<Accepted, i64>,
    nothing: BTreeMap<i64, Nothing>,
}

impl Hindsight<'_> {
    /// Lets go, one after the other, what is due at `now` or before.
    fn pass_until(&mut self, now: Timestamp) -> Result<(), StateError> {
        let due = |(_, appended_at): &Accepted| appended_at.plus(self.rules.window);
        let moments: BTreeSet<_> = self.held.keys().map(due).filter(|due| *due <= now).collect();
        let headers = tick();
        for moment in moments {
            let raw =
                Raw { offset: 0, appended_at: moment, key: None, value: None, headers: &headers };
            let (tally, gone) = self.step(&raw)?;
            for offset in gone {
                self.note(offset, &tally);
            }
        }
        Ok(())
    }

    fn take(&mut self, record: &Received) -> Result<(), StateError> {
        let raw = Raw {
            offset: record.offset,
            appended_at: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        let id = Labels::from_headers(&record.headers).id.unwrap_or_default();
        let accepted = (id, record.timestamp);
        self.held.insert(accepted.clone(), record.offset);
        let (tally, gone) = self.step(&raw)?;
        if tally.left_to_copies > 0 {
            self.nothing.insert(record.offset, Nothing::LeftToCopy);
        } else if gone.contains(&record.offset) {
            self.note(record.offset, &tally);
        }
        Ok(())
    }

    /// What the line did, and of which records it let go no event came.
    fn step(&mut self, raw: &Raw<'_>) -> Result<(Tally, Vec<i64>), StateError> {
        let Taken { events, .. } = self.line.take(raw, Duration::ZERO, self.rules)?;
        let changes = self.line.changes(self.rules)?;
        let mut still_held = None;
        for change in &changes {
            let Some(value) = &change.value else { continue };
            let state: SubscriberState = self.rules.states.decode(value)?;
            let held =
                state.held.into_iter().map(|held| (held.facts.provider_event_id, held.appended_at));
            still_held = Some(held.collect::<BTreeSet<Accepted>>());
        }
        self.steps += 1;
        let tally = self.line.committed(Batch { changes, checkpoint: self.steps })?;
        // Nothing changed: what was held still is, and the record itself was not accepted.
        let own = |(_, appended_at): &Accepted, offset: i64| {
            offset == raw.offset && *appended_at == raw.appended_at
        };
        let mut gone = Vec::new();
        self.held.retain(|accepted, offset| {
            let stays = match &still_held {
                Some(still_held) => still_held.contains(accepted),
                None => !own(accepted, *offset),
            };
            if !stays {
                gone.push((accepted.clone(), *offset));
            }
            stays
        });
        let told: BTreeSet<Accepted> = events
            .into_iter()
            .map(|emission| (emission.event.provider_event_id, emission.event.received_at))
            .collect();
        let silent = gone.into_iter().filter(|(accepted, _)| !told.contains(accepted));
        Ok((tally, silent.map(|(_, offset)| offset).collect()))
    }

    fn note(&mut self, offset: i64, tally: &Tally) {
        let reasons: BTreeSet<_> = tally.ignored.keys().map(|(_, reason)| *reason).collect();
        if !reasons.is_empty() {
            let reasons: Vec<_> = reasons.into_iter().collect();
            self.nothing.insert(offset, Nothing::Ignored(reasons.join(" or ")));
        }
    }
}

#[cfg(test)]
mod tests;
