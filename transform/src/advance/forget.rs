//! Forgetting a person: one last event, which says so to the destinations, and then nothing is known.
//!
//! What stays is the moment at which they were forgotten. Webhooks that were on their way, and those that the end
//! of their subscriptions causes, would else make the same person known anew. It goes when such webhooks are no
//! longer repeated, as long as ids of events are remembered.

use schemas::event::FORGOTTEN;
use schemas::state::{Facts, SubscriberState};
use schemas::{Environment, EventType, LifecycleEvent, Timestamp};

use super::{Origin, Timing, emit};
use crate::sources::{Draft, Source};

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The id of the record that asks.
    pub id: &'a str,
    /// When the raw topic took it in.
    pub at: Timestamp,
    /// The subscriber's id at the provider.
    pub subscriber_id: &'a str,
}

/// The person is forgotten. Gives a `customer_deleted` for production, and one for the sandbox if anything of it
/// is known: environments do not mix, and each destination takes the ones it is for.
pub fn forget(
    state: &mut SubscriberState,
    asked: Asked<'_>,
    key: &str,
    source: &Source,
) -> Vec<LifecycleEvent> {
    if state.identity.id.is_empty() {
        asked.subscriber_id.clone_into(&mut state.identity.id);
    }
    let sandbox = Environment::Sandbox;
    let is_in_sandbox = state.subscriptions.iter().any(|known| known.environment == sandbox)
        || state.totals.iter().any(|known| known.environment == sandbox);
    // Two events have two ids.
    let in_sandbox = is_in_sandbox.then(|| (sandbox, format!("{}/sandbox", asked.id)));
    let deletions = [(Environment::Production, asked.id.to_owned())].into_iter().chain(in_sandbox);
    let events = deletions.map(|(environment, id)| {
        let facts = Facts { environment, ..Facts::bare(&id, FORGOTTEN, asked.at) };
        let timing = Timing::InOrder;
        let origin = Origin { facts: &facts, key, source, timing, subscription: None };
        emit(state, &origin, 0, Draft::new(EventType::CustomerDeleted))
    });
    let events = events.collect();
    clear(state);
    state.forgotten_at = Some(asked.at);
    events
}

/// Nothing is known any more but what waits to learn whose it is, which need not be theirs.
pub fn clear(state: &mut SubscriberState) {
    let waiting = std::mem::take(&mut state.waiting);
    *state = SubscriberState { waiting, ..SubscriberState::default() };
}
