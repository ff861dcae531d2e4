//! Subscriptions that go from one person to another.
//!
//! The provider tells of a transfer once, so one record has to touch two people, whose other events go
//! on meanwhile, in whatever order all of it is processed. Three rules make the outcome the same:
//!
//! * a subscription has two times, that of its facts and that since when it is its owner's. Facts are
//!   merged by the first; a transfer takes only what was owned when it took effect;
//! * a sender remembers what left it, when and to whom. Older facts that arrive later are told and
//!   create nothing;
//! * what comes to a receiver who had by then passed on everything goes on to the same person, with
//!   the time of that later transfer.

use std::time::Duration;

use schemas::event::Subscription;
use schemas::state::{Facts, Left, SubscriberState, SubscriptionState};
use schemas::{Environment, EventType, Status, Timestamp};

use super::{Advanced, Origin, emit, identity, place, summary};
use crate::sources::{Draft, Source};

/// How long what left is remembered: as long as any provider repeats an event.
const REMEMBERED: Duration = Duration::from_hours(35 * 24);
/// Most transfers that are remembered.
const MOST: usize = 64;
/// Most bytes of ids that are remembered beside those of the latest transfer.
const MOST_BYTES: usize = 64 * 1024;

/// Subscriptions on their way to another person.
#[derive(Clone, Debug, PartialEq)]
pub struct PassedOn {
    /// The key they are addressed to.
    pub to: String,
    /// When that took effect.
    pub effective_at: Timestamp,
    /// What goes there.
    pub subscriptions: Vec<SubscriptionState>,
}

/// Takes a transfer into the state of the person who gives: everything owned by then goes `to` another
/// key. What somebody gives themselves stays where it is.
pub fn send(
    state: &mut SubscriberState,
    facts: &Facts,
    to: String,
    key: &str,
    source: &Source,
) -> Advanced {
    let timing = place(state, facts);
    identity::take(state, facts, timing);
    let is_given = to != key;
    let goes = |known: &SubscriptionState| {
        let is_owned = known.owned_since <= facts.occurred_at;
        is_given && is_owned && known.environment == facts.environment
    };
    let (gone, kept) = std::mem::take(&mut state.subscriptions).into_iter().partition(goes);
    state.subscriptions = kept;
    if is_given {
        remember(&mut state.left, facts, &to, &gone);
    }
    let shown = summary::best(&gone).map(as_left);
    let origin = Origin { facts, key, source, timing, subscription: shown.as_ref() };
    let event = emit(state, &origin, 0, draft(EventType::SubscriptionTransferred, facts));
    let passed_on = PassedOn { to, effective_at: facts.occurred_at, subscriptions: gone };
    Advanced { events: vec![event], ignored: None, passed_on: is_given.then_some(passed_on) }
}

/// Takes a transfer into the state of the person who receives `moved`.
pub fn receive(
    state: &mut SubscriberState,
    facts: &Facts,
    moved: Vec<SubscriptionState>,
    key: &str,
    source: &Source,
) -> Advanced {
    let timing = place(state, facts);
    identity::take(state, facts, timing);
    let (mut arrived, mut forwarded) = (Vec::new(), Vec::new());
    let next = next_owner(state, facts);
    for coming in moved {
        let held = state.subscriptions.iter().position(|known| is_same(known, &coming));
        let known = held.map(|held| state.subscriptions.remove(held));
        let owned_since = known.as_ref().map(|known| known.owned_since);
        let mut newest = newest(known, coming);
        if let Some((at, _)) = &next
            && owned_since.is_none_or(|since| since <= *at)
        {
            forwarded.push(newest);
            continue;
        }
        newest.owned_since = facts.occurred_at.max(owned_since.unwrap_or(facts.occurred_at));
        arrived.push(newest.clone());
        state.subscriptions.push(newest);
    }
    let shown = summary::best(&arrived).map(|known| known.current.clone());
    let shown = shown.or_else(|| summary::best(&forwarded).map(as_left));
    let passed_on = next.filter(|_| !forwarded.is_empty()).map(|(effective_at, to)| {
        note_forwarded(state, facts, effective_at, &forwarded);
        PassedOn { to, effective_at, subscriptions: forwarded }
    });
    let origin = Origin { facts, key, source, timing, subscription: shown.as_ref() };
    let event = emit(state, &origin, 0, draft(EventType::SubscriptionReceived, facts));
    Advanced { events: vec![event], ignored: None, passed_on }
}

/// Whether the subscription of which the facts speak had left by a later transfer.
pub(super) fn has_left(state: &SubscriberState, facts: &Facts) -> bool {
    facts
        .subscription
        .as_ref()
        .is_some_and(|told| left_since(state, facts.environment, &told.shown.id, facts.occurred_at))
}

/// Whether a subscription left by a transfer at `moment` or later.
pub(super) fn left_since(
    state: &SubscriberState,
    environment: Environment,
    subscription: &str,
    moment: Timestamp,
) -> bool {
    state.left.iter().any(|left| {
        left.environment == environment
            && left.occurred_at >= moment
            && left.subscriptions.iter().any(|id| id == subscription)
    })
}

/// A subscription as it is shown to the person it left.
pub(super) fn as_left(known: &SubscriptionState) -> Subscription {
    Subscription {
        status: Some(Status::Expired),
        previous_status: known.current.status,
        ..known.current.clone()
    }
}

fn draft(event_type: EventType, facts: &Facts) -> Draft {
    Draft { transfer: facts.transfer.clone(), ..Draft::new(event_type) }
}

fn is_same(one: &SubscriptionState, other: &SubscriptionState) -> bool {
    one.environment == other.environment && one.current.id == other.current.id
}

/// The newer of the two; what either has told has been told.
fn newest(known: Option<SubscriptionState>, coming: SubscriptionState) -> SubscriptionState {
    let Some(known) = known else { return coming };
    let (mut newer, older) =
        if known.facts_at < coming.facts_at { (coming, known) } else { (known, coming) };
    for (what, value) in older.told {
        newer.told.entry(what).or_insert(value);
    }
    newer
}

/// When and to whom the receiver first passed on what it owned after this transfer.
fn next_owner(state: &SubscriberState, facts: &Facts) -> Option<(Timestamp, String)> {
    let later = state.left.iter().filter(|left| {
        left.environment == facts.environment && left.occurred_at > facts.occurred_at
    });
    later.min_by_key(|left| left.occurred_at).map(|left| (left.occurred_at, left.to.clone()))
}

fn remember(lefts: &mut Vec<Left>, facts: &Facts, to: &str, gone: &[SubscriptionState]) {
    lefts.push(Left {
        occurred_at: facts.occurred_at,
        noted_at: facts.received_at,
        environment: facts.environment,
        to: to.to_owned(),
        subscriptions: gone.iter().map(|gone| gone.current.id.clone()).collect(),
    });
    forget_old(lefts, facts.received_at);
}

/// What went on with an earlier transfer counts as gone with it.
fn note_forwarded(
    state: &mut SubscriberState,
    facts: &Facts,
    at: Timestamp,
    gone: &[SubscriptionState],
) {
    let entry = state
        .left
        .iter_mut()
        .find(|left| left.environment == facts.environment && left.occurred_at == at);
    if let Some(left) = entry {
        for id in gone.iter().map(|gone| &gone.current.id) {
            if !left.subscriptions.contains(id) {
                left.subscriptions.push(id.clone());
            }
        }
    }
}

fn forget_old(lefts: &mut Vec<Left>, now: Timestamp) {
    let remembered = i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
    lefts.retain(|left| left.noted_at.plus_millis(remembered) >= now);
    let mut bytes = 0;
    let kept = lefts.iter().rev().take(MOST).enumerate().take_while(|(place, left)| {
        bytes += left.to.len() + left.subscriptions.iter().map(String::len).sum::<usize>();
        *place == 0 || bytes <= MOST_BYTES
    });
    let surplus = lefts.len() - kept.count();
    lefts.drain(..surplus);
}

#[cfg(test)]
mod tests;
