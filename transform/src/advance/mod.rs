//! One step of a subscriber's story: facts and what was known give events and what is known now.
//!
//! Pure and total. The only place that hands out sequences and distinct seconds, merges identities and
//! sums, moves the status of a subscription, and a subscription from one person to another.
//!
//! *Late* facts sort before something already emitted. They are emitted in sequence and flagged, are
//! judged by their own content, add to sums and fill gaps in what is known of the person, but move no
//! subscription whose facts are as new or newer. Facts that are late for the subscriber and still the
//! newest for their own subscription do move that one: it would stay wrong otherwise.
//!
//! An import ([`import()`]) is no event: it gives none, and what it says is older or newer than what is known.

mod event_id;
pub mod forget;
mod identity;
mod import;
mod second;
mod snapshot;
mod spans;
mod summary;
mod totals;
mod transfer;

use std::collections::BTreeMap;

use schemas::event::{Subscriber, Subscription};
use schemas::state::{Facts, SubscriberState, SubscriptionState};
use schemas::{Environment, EventType, LifecycleEvent, Money};

use self::event_id::event_id;
pub use self::import::import;
pub use self::snapshot::snapshot;
pub use self::transfer::{PassedOn, receive, send};
use crate::order::{is_late, key_of};
use crate::sources::{Decision, Draft, Known, Payload, Source};

/// What became of one provider event.
#[derive(Clone, Debug, PartialEq)]
pub struct Advanced {
    /// The lifecycle events, in sequence.
    pub events: Vec<LifecycleEvent>,
    /// Why there are none.
    pub ignored: Option<&'static str>,
    /// Subscriptions that go on to somebody else.
    pub passed_on: Option<PassedOn>,
}

/// Most facts about a subscriber that are remembered as told.
const MOST_TOLD: usize = 512;

/// How the facts stand to what was emitted before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timing {
    InOrder,
    Late,
}

/// Takes the facts of one provider event into the subscriber's state.
pub fn advance(state: &mut SubscriberState, facts: &Facts, key: &str, source: &Source) -> Advanced {
    let before = known_subscription(state, facts);
    // What left is somebody else's: facts from before are told, and create nothing.
    let has_left = before.is_none() && transfer::has_left(state, facts);
    let placed = place(state, facts);
    let timing = if has_left { Timing::Late } else { placed };
    let is_newest = timing == Timing::InOrder
        || before.as_ref().is_none_or(|before| before.facts_at < facts.occurred_at);
    let known = Known {
        subscription: if is_newest { before.as_ref() } else { None },
        subscriber: state,
        settings: &source.settings,
    };
    let decision = source.mapper.decide(facts, &known);
    let Decision { events: drafts, subscription: after, ignored, told } = decision;
    identity::take(state, facts, timing);
    remember_told(state, told);
    // One-time purchases speak of a product and have no subscription to keep.
    let spoken_of = facts.subscription.as_ref().map(|told| told.shown.clone());
    let shown = match after {
        Some(after) if has_left => Some(transfer::as_left(&after)),
        Some(after) => {
            let shown = show(&after, before.as_ref(), is_newest);
            store(state, after, is_newest);
            Some(shown)
        }
        None => spoken_of,
    };
    // All its events show the same total, so that whoever is told only the first knows it.
    for money in drafts.iter().filter_map(moved) {
        totals::add(&mut state.totals, facts.environment, money, facts.occurred_at);
    }
    let origin = Origin { facts, key, source, timing, subscription: shown.as_ref() };
    let events =
        (0..).zip(drafts).map(|(ordinal, draft)| emit(state, &origin, ordinal, draft)).collect();
    Advanced { events, ignored, passed_on: None }
}

/// Gives the facts their place in the subscriber's order.
fn place(state: &mut SubscriberState, facts: &Facts) -> Timing {
    if is_late(facts, state.emitted_up_to.as_ref()) {
        Timing::Late
    } else {
        state.emitted_up_to = Some(key_of(facts));
        Timing::InOrder
    }
}

/// Takes note of what has been told about the subscriber, as long as there is room.
fn remember_told(state: &mut SubscriberState, told: BTreeMap<String, String>) {
    for (what, value) in told {
        if state.told.len() < MOST_TOLD || state.told.contains_key(&what) {
            state.told.insert(what, value);
        }
    }
}

/// The money that an event says has moved.
fn moved(draft: &Draft) -> Option<&Money> {
    let moves = draft.event_type == EventType::TransactionProcessed;
    draft.money.as_ref().filter(|_| moves)
}

/// What all events of one provider event have in common.
struct Origin<'a> {
    facts: &'a Facts,
    key: &'a str,
    source: &'a Source,
    timing: Timing,
    subscription: Option<&'a Subscription>,
}

fn emit(
    state: &mut SubscriberState,
    origin: &Origin<'_>,
    ordinal: i32,
    draft: Draft,
) -> LifecycleEvent {
    let Origin { facts, key, source, timing, subscription } = *origin;
    state.sequence += 1;
    // A state that was written before there were epochs begins one with the next event.
    let epoch = *state.begun_at.get_or_insert(facts.received_at);
    let distinct_second = match timing {
        Timing::InOrder => second::next(&mut state.seconds, facts.occurred_at),
        Timing::Late => second::free(&mut state.seconds, facts.occurred_at),
    };
    let currency = draft.money.as_ref().map(|money| money.currency.as_str());
    LifecycleEvent {
        event_id: event_id(&source.name, &facts.provider_event_id, draft.event_type, key),
        ordinal,
        event_type: draft.event_type,
        occurred_at: facts.occurred_at,
        received_at: facts.received_at,
        sequence: state.sequence,
        epoch,
        late: timing == Timing::Late,
        source: source.name.clone(),
        provider: source.provider,
        provider_event_id: facts.provider_event_id.clone(),
        provider_event_type: facts.provider_event_type.clone(),
        environment: facts.environment,
        distinct_second,
        subscriber: person(state, facts.environment, key, currency),
        subscription: subscription.cloned(),
        money: draft.money,
        payment: facts.payment.clone(),
        offer: draft.offer,
        transfer: draft.transfer,
        reason: draft.reason,
        payload: payload(facts, source),
    }
}

/// The provider's body, where it is asked for and was not too large to be held.
fn payload(facts: &Facts, source: &Source) -> Option<Vec<u8>> {
    match source.settings.payload {
        Payload::Dropped => None,
        Payload::Carried => {
            let kept = facts.hand_over.as_ref().map(|hand_over| &hand_over.record.value);
            facts.payload.as_ref().or(kept).cloned()
        }
    }
}

fn person(
    state: &SubscriberState,
    environment: Environment,
    key: &str,
    currency: Option<&str>,
) -> Subscriber {
    let identity = state.identity.clone();
    Subscriber {
        key: key.to_owned(),
        id: identity.id,
        user_id: identity.user_id,
        anonymous: identity.anonymous,
        email: identity.email,
        aliases: identity.aliases,
        status: summary::status(&state.subscriptions, environment),
        total_spent: totals::shown(&state.totals, environment, currency),
        attributes: identity.attributes,
    }
}

fn known_subscription(state: &SubscriberState, facts: &Facts) -> Option<SubscriptionState> {
    let id = &facts.subscription.as_ref()?.shown.id;
    let same = |known: &&SubscriptionState| {
        known.environment == facts.environment && known.current.id == *id
    };
    state.subscriptions.iter().find(same).cloned()
}

/// The subscription as the events show it. What a mapper says of the time before is kept; else it is
/// what was known.
fn show(
    after: &SubscriptionState,
    before: Option<&SubscriptionState>,
    is_newest: bool,
) -> Subscription {
    let mut shown = after.current.clone();
    let Some(before) = before else { return shown };
    if !is_newest {
        shown.status = before.current.status;
    }
    shown.previous_status = shown.previous_status.or(before.current.status);
    if shown.previous_product_id.is_none() && shown.product_id != before.current.product_id {
        shown.previous_product_id.clone_from(&before.current.product_id);
    }
    shown
}

fn store(state: &mut SubscriberState, mut after: SubscriptionState, is_newest: bool) {
    let same = |known: &&mut SubscriptionState| {
        known.environment == after.environment && known.current.id == after.current.id
    };
    let known = state.subscriptions.iter_mut().find(same);
    after.current.previous_status = None;
    after.current.previous_product_id = None;
    match known {
        Some(known) if is_newest => {
            after.owned_since = known.owned_since;
            *known = after;
        }
        // What has been told by now must not be told again, in whatever order it came.
        Some(known) => {
            for (what, value) in after.told {
                known.told.entry(what).or_insert(value);
            }
        }
        None => state.subscriptions.push(after),
    }
}

#[cfg(test)]
mod tests;
