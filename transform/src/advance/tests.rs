use super::*;
use crate::testing::{facts, sources};
use schemas::event::{Subscription, Transfer};
use schemas::{Environment, Money, Status, Timestamp};

fn telling(id: &str, occurred: i64, types: &str) -> Facts {
    let mut facts = facts(id, occurred * 1000);
    facts.details.insert("types".to_owned(), types.to_owned());
    facts
}

fn story(all: impl IntoIterator<Item = Facts>) -> (SubscriberState, Vec<LifecycleEvent>) {
    let sources = sources();
    let mut state = SubscriberState::default();
    let mut events = Vec::new();
    for facts in all {
        let source = sources.get("shop").unwrap();
        events.extend(advance(&mut state, &facts, "shop/cus_1", source).events);
    }
    (state, events)
}

#[test]
fn the_sequence_has_no_gap_and_ordinals_count_within_one_provider_event() {
    let (state, events) = story([
        telling("a", 1, "subscription_started trial_started transaction_processed"),
        telling("b", 2, ""),
        telling("c", 3, "trial_converted"),
    ]);
    let places: Vec<_> = events.iter().map(|event| (event.sequence, event.ordinal)).collect();
    assert_eq!(places, [(1, 0), (2, 1), (3, 2), (4, 0)]);
    assert_eq!(state.sequence, 4);
    let seconds: Vec<_> = events.iter().map(|event| event.distinct_second).collect();
    assert_eq!(seconds, [1, 2, 3, 4]);
}

#[test]
fn all_events_of_one_provider_event_show_the_total_after_it() {
    let (_, events) = story([
        telling("a", 1, "subscription_started transaction_processed"),
        telling("b", 2, "subscription_renewed transaction_processed"),
    ]);
    let totals = events.iter().map(|event| event.subscriber.total_spent.clone().unwrap().amount);
    assert_eq!(totals.collect::<Vec<_>>(), [100, 100, 200, 200]);
}

#[test]
fn an_event_carries_what_was_before_and_the_state_does_not() {
    let mut change = telling("b", 2, "subscription_expired");
    change.subscription.as_mut().unwrap().shown.product_id = None;
    let (state, events) = story([telling("a", 1, "trial_started"), change]);
    let shown = |event: &LifecycleEvent| event.subscription.clone().unwrap();
    assert_eq!(shown(&events[0]).previous_status, None);
    assert_eq!(shown(&events[1]).status, Some(Status::Expired));
    assert_eq!(shown(&events[1]).previous_status, Some(Status::Trial));
    assert_eq!(state.subscriptions[0].current.previous_status, None);
    assert_eq!(events[1].subscriber.status, Some(Status::Expired));
}

#[test]
fn a_late_event_is_flagged_and_moves_no_status_back() {
    let (state, events) = story([
        telling("a", 1, "trial_started"),
        telling("c", 9, "subscription_expired"),
        telling("b", 5, "subscription_started transaction_processed"),
    ]);
    let late: Vec<_> = events.iter().map(|event| (event.sequence, event.late)).collect();
    assert_eq!(late, [(1, false), (2, false), (3, true), (4, true)]);
    let event = &events[2];
    assert_eq!(event.subscription.as_ref().unwrap().status, Some(Status::Expired));
    assert_eq!(event.subscriber.status, Some(Status::Expired));
    assert_eq!(state.subscriptions[0].current.status, Some(Status::Expired));
    assert_eq!(state.subscriptions[0].facts_at, Timestamp::from_millis(9000));
    assert_eq!(state.emitted_up_to.unwrap().provider_event_id, "c");
    assert_eq!(events[3].subscriber.total_spent, Some(Money::minor(100, "usd")), "sums still add");
    assert!(state.subscriptions[0].told.contains_key("b"), "what is told is told");
}

#[test]
fn an_event_about_a_purchase_without_a_subscription_still_names_the_product() {
    let mut purchase = telling("a", 1, "purchase_completed");
    let told = purchase.subscription.as_mut().unwrap();
    told.shown.product_id = Some("tokens".to_owned());
    purchase.details.insert("one_off".to_owned(), String::new());
    let (state, events) = story([purchase]);
    let shown = events[0].subscription.as_ref().unwrap();
    assert_eq!(shown.product_id.as_deref(), Some("tokens"));
    assert!(state.subscriptions.is_empty());
}

#[test]
fn late_facts_that_are_the_newest_of_their_own_subscription_move_it() {
    let mut other = telling("c", 9, "subscription_started");
    other.subscription = None;
    let (state, events) = story([
        telling("a", 1, "subscription_started"),
        other,
        telling("b", 5, "subscription_expired"),
    ]);
    assert!(events[2].late);
    assert_eq!(state.subscriptions[0].current.status, Some(Status::Expired));
    assert_eq!(events[2].subscription.as_ref().unwrap().previous_status, Some(Status::Active));
}

#[test]
fn a_subscription_is_known_only_in_its_own_environment() {
    let (state, _) = story([telling("a", 1, "subscription_started")]);
    let mut same = telling("b", 2, "");
    assert!(known_subscription(&state, &same).is_some());
    same.environment = Environment::Sandbox;
    assert!(known_subscription(&state, &same).is_none());
    same.environment = Environment::Production;
    same.subscription.as_mut().unwrap().shown.id = "other".to_owned();
    assert!(known_subscription(&state, &same).is_none());
}

#[test]
fn the_same_facts_always_give_the_same_ids() {
    let run = || story([telling("a", 1, "subscription_started trial_started")]).1;
    let ids: Vec<_> = run().into_iter().map(|event| event.event_id).collect();
    assert_eq!(ids, run().into_iter().map(|event| event.event_id).collect::<Vec<_>>());
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| id.len() == 32));
}

#[test]
fn a_product_that_changed_is_shown_beside_the_one_before() {
    let before = SubscriptionState {
        current: Subscription { product_id: Some("basic".to_owned()), ..Subscription::default() },
        ..crate::testing::subscription("sub", Status::Active)
    };
    let mut after = before.clone();
    after.current.product_id = Some("pro".to_owned());
    assert_eq!(show(&after, Some(&before), true).previous_product_id.as_deref(), Some("basic"));
    assert_eq!(show(&before, Some(&before), true).previous_product_id, None);
    after.current.previous_product_id = Some("told".to_owned());
    assert_eq!(show(&after, Some(&before), true).previous_product_id.as_deref(), Some("told"));
    assert_eq!(show(&after, None, true).previous_status, None);
}

#[test]
fn an_ignored_event_still_moves_what_is_known() {
    let mut silent = telling("a", 1, "");
    silent.person.email = Some("ada@example.com".to_owned());
    silent.transfer = Some(Transfer { from: Vec::new(), to: Vec::new() });
    let sources = sources();
    let mut state = SubscriberState::default();
    let advanced = advance(&mut state, &silent, "shop/cus_1", sources.get("shop").unwrap());
    assert_eq!((advanced.events.len(), advanced.ignored), (0, Some("nothing_new")));
    assert_eq!(state.identity.email.as_deref(), Some("ada@example.com"));
    assert_eq!((state.subscriptions.len(), state.sequence), (1, 0));
}
