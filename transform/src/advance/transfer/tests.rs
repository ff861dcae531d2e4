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
    let mut state = SubscriberState { subscriptions, ..Default::default() };
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

#[test]
fn the_sender_is_shown_the_best_of_what_left_as_expired_and_keeps_the_rest() {
    let mut state = SubscriberState::default();
    let cancelled = SubscriptionState { ..known("cancelled", 1, 1) };
    state.subscriptions = vec![cancelled, known("active", 1, 1), known("kept", 8, 8)];
    state.subscriptions[0].current.status = Some(Status::Cancelled);
    state.subscriptions[2].current.status = Some(Status::Trial);
    let event = give(&mut state, &transfer("X", 5), "app/b").events.remove(0);
    assert_eq!(event.event_type, EventType::SubscriptionTransferred);
    let shown = event.subscription.unwrap();
    assert_eq!((shown.id.as_str(), shown.status), ("active", Some(Status::Expired)));
    assert_eq!(shown.previous_status, Some(Status::Active));
    assert_eq!(event.subscriber.status, Some(Status::Trial), "what is left");
    assert_eq!(event.transfer.unwrap().to, ["b"]);
}

#[test]
fn what_comes_after_it_was_passed_on_goes_to_the_first_later_receiver_and_stays_gone() {
    let mut state = SubscriberState::default();
    give(&mut state, &transfer("Y", 9), "app/d");
    give(&mut state, &transfer("Z", 7), "app/c");
    state.subscriptions = vec![known("bought_again", 8, 8), known("older", 6, 1)];
    let came = vec![known("s", 2, 1), known("bought_again", 2, 1), known("older", 5, 1)];
    let advanced = take(&mut state, &transfer("X", 5), came);
    let passed_on = advanced.passed_on.unwrap();
    assert_eq!((passed_on.to.as_str(), passed_on.effective_at.millis()), ("app/c", 7));
    let went: Vec<_> = passed_on
        .subscriptions
        .iter()
        .map(|one| (one.current.id.as_str(), one.facts_at.millis()))
        .collect();
    assert_eq!(went, [("s", 2), ("older", 6)], "with the newer facts");
    assert_eq!(owned(&state), [("bought_again", 8, 8)]);
    let told = facts("late", 7);
    let mut late = told.clone();
    late.subscription.as_mut().unwrap().shown.id = "s".to_owned();
    assert!(has_left(&state, &late));
    late.occurred_at = Timestamp::from_millis(8);
    assert!(!has_left(&state, &late));
}

#[test]
fn older_facts_about_what_left_are_told_late_and_create_nothing() {
    let subscriptions = vec![known("sub", 1, 1)];
    let mut state = SubscriberState { subscriptions, ..Default::default() };
    give(&mut state, &transfer("X", 5), "app/b");
    let sources = sources();
    let mut late = facts("e", 5);
    late.details.insert("types".to_owned(), "subscription_renewed".to_owned());
    late.rank = 9;
    let source = sources.get("app").unwrap();
    let advanced = crate::advance::advance(&mut state, &late, "app/a", source);
    let event = &advanced.events[0];
    assert!(event.late);
    assert_eq!(event.subscription.as_ref().unwrap().status, Some(Status::Expired));
    assert!(state.subscriptions.is_empty());
    late.occurred_at = Timestamp::from_millis(6);
    assert!(!crate::advance::advance(&mut state, &late, "app/a", source).events[0].late);
    assert_eq!(state.subscriptions.len(), 1, "bought again");
}

#[test]
fn a_transfer_that_moves_nothing_is_told_to_both() {
    let (mut giver, mut taker) = (SubscriberState::default(), SubscriberState::default());
    let sent = give(&mut giver, &transfer("X", 5), "app/b");
    let received = take(&mut taker, &transfer("X", 5), sent.passed_on.unwrap().subscriptions);
    assert_eq!((sent.events.len(), received.events.len()), (1, 1));
    assert_eq!((&sent.events[0].subscription, &received.events[0].subscription), (&None, &None));
    assert_eq!(taker.identity.id, "cus_1");
}

#[test]
fn what_left_is_remembered_for_thirty_five_days_and_not_without_end() {
    let day = 24 * 3_600_000;
    let mut state = SubscriberState::default();
    for number in 0..70 {
        give(&mut state, &transfer(&format!("X{number}"), number), "app/b");
    }
    assert_eq!((state.left.len(), state.left[0].occurred_at.millis()), (MOST, 6));
    let mut later = transfer("Y", 69);
    later.received_at = Timestamp::from_millis(69 + 35 * day);
    give(&mut state, &later, "app/b");
    assert_eq!(state.left.len(), 2);
    let long = format!("app/{}", "b".repeat(MOST_BYTES));
    give(&mut state, &later, &long);
    assert_eq!(state.left.len(), 1, "the latest always");
}

#[test]
fn what_somebody_gives_themselves_stays_and_turns_nothing_aside_that_comes_later() {
    let mut state =
        SubscriberState { subscriptions: vec![known("s1", 1, 1)], ..Default::default() };
    let advanced = give(&mut state, &transfer("x5", 5), "app/a");
    assert_eq!(advanced.passed_on, None);
    assert_eq!(advanced.events.len(), 1);
    let arrived = take(&mut state, &transfer("x2", 2), vec![known("s0", 1, 1)]);
    assert_eq!(arrived.passed_on, None);
    assert_eq!(owned(&state), [("s1", 1, 1), ("s0", 1, 2)]);
}
