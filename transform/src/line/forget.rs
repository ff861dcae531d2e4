//! People who asked to be forgotten: doing it, letting nothing of them through, and ending that.

use std::sync::Arc;

use schemas::Timestamp;
use schemas::state::{Facts, Held};

use super::accept::{Scene, emit, key_mismatch, view};
use super::{Emission, Line, Taken, Visit};
use crate::advance::forget::{Asked, clear, forget};
use crate::parking::{ParkReason, Parking};
use crate::rules::Rules;
use crate::sources::native::forgotten::{Wish, names_its_key};
use crate::state::{StateError, Store};
use crate::tally::Fate;

/// Their events, from now on.
pub(super) const FORGOTTEN: &str = "forgotten";
/// They are forgotten already.
const FORGOTTEN_BEFORE: &str = "forgotten_before";
/// They may be told of again.
const READMITTED: &str = "subscriber_readmitted";
/// They were not forgotten, or not any more.
const NOT_FORGOTTEN: &str = "not_forgotten";

impl<S: Store> Line<S> {
    /// Does what a record asks for. It is not remembered by its id: done twice it is done once.
    pub(super) fn grant(
        &mut self,
        visit: Visit<'_>,
        wish: Wish,
        taken: &mut Taken,
    ) -> Result<Option<Parking>, StateError> {
        let Visit { envelope, raw, rules, .. } = visit;
        match names_its_key(&view(envelope, raw)) {
            Ok(true) => {}
            Ok(false) => return Ok(Some(key_mismatch())),
            Err(unreadable) => {
                return Ok(Some(Parking::new(ParkReason::Unreadable, unreadable.to_string())));
            }
        }
        let key: Arc<str> = Arc::from(envelope.key);
        let open = self.states.open(&key, &rules.states)?;
        let name = envelope.source.name.as_str();
        let nothing_to_tell = match (wish, open.state.forgotten_at) {
            (Wish::Forget, None) => {
                self.forget(visit, &key, taken)?;
                return Ok(None);
            }
            (Wish::Forget, Some(_)) => FORGOTTEN_BEFORE,
            (Wish::Readmit, None) => NOT_FORGOTTEN,
            (Wish::Readmit, Some(_)) => {
                clear(open.change());
                self.forgotten.set(&key, None);
                READMITTED
            }
        };
        self.tally.ignore(name, nothing_to_tell);
        self.tally.settle(Fate::Ignored);
        Ok(None)
    }

    fn forget(
        &mut self,
        visit: Visit<'_>,
        key: &Arc<str>,
        taken: &mut Taken,
    ) -> Result<(), StateError> {
        let Visit { envelope, raw, rules, .. } = visit;
        let at = raw.appended_at;
        let state = self.states.open(key, &rules.states)?.change();
        // What is held is not told any more; what of it goes on to somebody else does.
        state.forgotten_at = Some(at);
        let held = std::mem::take(&mut state.held);
        self.held = self.held.saturating_sub(held.len());
        self.tally.let_go(&held, at);
        let scene = Scene { key, source: envelope.source, partition: self.partition, rules };
        emit(state, held, scene, &mut self.tally, taken)?;
        self.due.set(key, None);
        let asked = Asked { id: &envelope.headers.id, at, subscriber_id: envelope.id };
        let traceparent = &envelope.headers.traceparent;
        self.tally.settle(Fate::Told);
        for event in forget(state, asked, key, envelope.source) {
            self.tally.emit(&event);
            taken.events.push(Emission { event, traceparent: traceparent.clone() });
        }
        self.forgotten.set(key, Some(at.plus(rules.memory.window)));
        self.look_up(key, rules, taken)
    }

    /// Takes facts about somebody who was forgotten: nothing is told and nothing kept, but what somebody else
    /// gets by it goes on to them. Says whether it did.
    pub(super) fn turn_away(
        &mut self,
        visit: Visit<'_>,
        facts: &Facts,
        taken: &mut Taken,
    ) -> Result<bool, StateError> {
        let Visit { envelope, raw, rules, .. } = visit;
        let open = self.states.open(&Arc::from(envelope.key), &rules.states)?;
        if open.state.forgotten_at.is_none() {
            return Ok(false);
        }
        let mut passing = open.state.clone();
        let held = vec![Held { facts: facts.clone(), appended_at: raw.appended_at }];
        let (key, source) = (envelope.key, envelope.source);
        let scene = Scene { key, source, partition: self.partition, rules };
        emit(&mut passing, held, scene, &mut self.tally, taken)?;
        Ok(true)
    }

    /// Ends the time in which nothing is let through of those who were forgotten long enough ago.
    pub(super) fn end_forgetting(
        &mut self,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<(), StateError> {
        while let Some(key) = self.forgotten.next_due(now) {
            self.forgotten.set(&key, None);
            clear(self.states.open(&key, &rules.states)?.change());
        }
        Ok(())
    }
}
