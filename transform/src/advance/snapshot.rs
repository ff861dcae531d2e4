//! What is known of a subscriber now, in the form in which an event would show it: for who shows it once more
//! and tells nothing.

use schemas::event::Subscription;
use schemas::state::{SubscriberState, SubscriptionState};
use schemas::{Environment, EventType, LifecycleEvent, Timestamp};

use super::event_id::event_id;
use super::{person, summary};
use crate::sources::Source;

/// The provider's event that no provider sent.
const ORIGIN: &str = "tributary.refresh";

/// The subscriber as it shows in an environment, as of `now`: a `customer_updated` with the place in the story, and
/// the second, of the latest event, or of the import where there was no event. `None` where nothing was ever taken
/// of the subscriber, or nothing is known of that environment.
///
/// The subscription is the one that the latest facts spoke of, as with every event; between those of one import it
/// is the one that says most about the person.
pub fn snapshot(
    state: &SubscriberState,
    (key, source): (&str, &Source),
    environment: Environment,
    now: Timestamp,
) -> Option<LifecycleEvent> {
    let latest = state.emitted_up_to.as_ref()?.occurred_at;
    let is_known = state.subscriptions.iter().any(|known| known.environment == environment)
        || state.totals.iter().any(|total| total.environment == environment);
    if !is_known {
        return None;
    }
    let second = state.seconds.last().map_or(latest.seconds(), |last| latest.seconds().max(*last));
    let provider_event_id = format!("{ORIGIN}/{}", now.millis());
    let event_type = EventType::CustomerUpdated;
    Some(LifecycleEvent {
        event_id: event_id(&source.name, &provider_event_id, event_type, key),
        ordinal: 0,
        event_type,
        occurred_at: now,
        received_at: now,
        sequence: state.sequence,
        epoch: state.begun_at.unwrap_or_default(),
        late: false,
        source: source.name.clone(),
        provider: source.provider,
        provider_event_id,
        provider_event_type: ORIGIN.to_owned(),
        environment,
        distinct_second: second,
        subscriber: person(state, environment, key, None),
        subscription: latest_subscription(&state.subscriptions, environment).cloned(),
        money: None,
        payment: None,
        offer: None,
        transfer: None,
        reason: None,
        payload: None,
    })
}

fn latest_subscription(
    subscriptions: &[SubscriptionState],
    environment: Environment,
) -> Option<&Subscription> {
    let here = || subscriptions.iter().filter(|known| known.environment == environment);
    let latest = here().map(|known| known.facts_at).max()?;
    let best = summary::best(here().filter(|known| known.facts_at == latest))?;
    Some(&best.current)
}

#[cfg(test)]
mod tests {
    use schemas::Environment::{Production, Sandbox};
    use schemas::state::Facts;
    use schemas::{Money, Status};

    use super::*;
    use crate::advance::{advance, import};
    use crate::testing::{facts, sources, subscription};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn shown(state: &SubscriberState, environment: Environment) -> Option<LifecycleEvent> {
        let sources = sources();
        let source = sources.get("shop").unwrap();
        snapshot(state, ("shop/cus_1", source), environment, at(9_000_000))
    }

    fn told(id: &str, occurred: i64, types: &str) -> Facts {
        let mut facts = facts(id, occurred);
        facts.details.insert("types".to_owned(), types.to_owned());
        facts
    }

    #[test]
    fn shows_the_person_as_the_latest_event_did() {
        let sources = sources();
        let source = sources.get("shop").unwrap();
        let mut state = SubscriberState::default();
        advance(&mut state, &told("e1", 1_000, "subscription_started"), "shop/cus_1", source);
        let facts = told("e2", 2_000, "transaction_processed");
        let last = advance(&mut state, &facts, "shop/cus_1", source).events.pop().unwrap();

        let shown = shown(&state, Production).unwrap();
        assert_eq!(shown.subscriber, last.subscriber);
        assert_eq!(shown.subscriber.total_spent, Some(Money::minor(100, "usd")));
        assert_eq!(shown.subscription.unwrap().status, Some(Status::Active));
        let place = |event: &LifecycleEvent| (event.epoch, event.sequence, event.distinct_second);
        assert_eq!((shown.epoch, shown.sequence, shown.distinct_second), place(&last));
        assert_ne!(shown.event_id, last.event_id);
        assert_eq!((shown.event_type, shown.money), (EventType::CustomerUpdated, None));
    }

    #[test]
    fn nothing_is_shown_of_an_environment_of_which_nothing_is_known() {
        let sources = sources();
        let source = sources.get("shop").unwrap();
        let mut state = SubscriberState::default();
        assert_eq!(shown(&state, Production), None, "nobody");
        advance(&mut state, &told("e1", 1_000, "subscription_started"), "shop/cus_1", source);
        assert!(shown(&state, Production).is_some());
        assert_eq!(shown(&state, Sandbox), None);
    }

    #[test]
    fn who_was_imported_has_the_second_of_the_import_and_no_sequence() {
        let sources = sources();
        let source = sources.get("shop").unwrap();
        let mut state = SubscriberState::default();
        import(&mut state, &facts("i1", 7_000), &schemas::state::Imported::default(), source);
        let expiring = |id: &str, status, expires| {
            let mut known = subscription(id, status);
            known.facts_at = at(7_000);
            known.current.expires_at = Some(at(expires));
            known
        };
        state.subscriptions =
            vec![expiring("a", Status::Active, 20_000), expiring("b", Status::Expired, 30_000)];
        let shown = shown(&state, Production).unwrap();
        assert_eq!((shown.sequence, shown.distinct_second), (0, 7));
        assert_eq!(shown.subscription.unwrap().id, "a", "the one that says most");
    }
}
