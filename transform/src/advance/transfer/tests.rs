use super::*;
use crate::testing::{facts, sources, subscription};
use schemas::Environment;
use schemas::event::Transfer;

fn known(id: &str, facts_at: i64, owned_since: i64) -> SubscriptionState {
    SubscriptionState {
        facts_at: Timestamp::from_millis(facts_at),
        owned_since: Timestamp::from_millis(owned_since),
        ..subscription(id, Status::Active)
    }
}

fn transfer(id: &str, occurred: i64) -> Facts {
    let transfer = Some(Transfer { from: vec!["a".to_owned()], to: vec!["b".to_owned()] });
    Facts { subscription: None, transfer, ..facts(id, occurred) }
}

fn give(state: &mut SubscriberState, facts: &Facts, to: &str) -> Advanced {
    let sources = sources();
    send(state, facts, to.to_owned(), "app/a", sources.get("app").unwrap())
}

fn take(state: &mut SubscriberState, facts: &Facts, moved: Vec<SubscriptionState>) -> Advanced {
    let sources = sources();
    receive(state, facts, moved, "app/b", sources.get("app").unwrap())
}

fn owned(state: &SubscriberState) -> Vec<(&str, i64, i64)> {
    let known = state.subscriptions.iter();
    known
        .map(|one| (one.current.id.as_str(), one.facts_at.millis(), one.owned_since.millis()))
        .collect()
}

fn ids(subscriptions: &[SubscriptionState]) -> Vec<&str> {
    subscriptions.iter().map(|one| one.current.id.as_str()).collect()
}

#[test]
fn what_came_is_owned_since_the_transfer_and_newer_facts_stay() {
    let subscriptions = vec![known("both", 7, 6), known("mine", 1, 1)];
    let mut state = SubscriberState { subscriptions, ..SubscriberState::default() };
    let came = vec![known("both", 2, 1), known("new", 3, 2)];
    let advanced = take(&mut state, &transfer("X", 5), came);
    assert_eq!(owned(&state), [("mine", 1, 1), ("both", 7, 6), ("new", 3, 5)]);
    assert!(advanced.passed_on.is_none());
    assert_eq!(advanced.events[0].event_type, EventType::SubscriptionReceived);
}

#[test]
fn a_transfer_takes_what_was_owned_by_then_whatever_has_been_told_of_it_since() {
    let mut state = SubscriberState::default();
    let mut sandbox = known("test", 1, 1);
    sandbox.environment = Environment::Sandbox;
    state.subscriptions =
        vec![known("old", 9, 1), known("same", 5, 5), known("new", 6, 6), sandbox];
    let advanced = give(&mut state, &transfer("X", 5), "app/b");
    assert_eq!(owned(&state), [("new", 6, 6), ("test", 1, 1)]);
    let passed_on = advanced.passed_on.unwrap();
    assert_eq!((passed_on.to.as_str(), passed_on.effective_at.millis()), ("app/b", 5));
    assert_eq!(ids(&passed_on.subscriptions), ["old", "same"]);
}
