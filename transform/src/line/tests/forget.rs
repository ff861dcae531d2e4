//! People who were forgotten: one last event says so, nothing is known or told of them any more whatever still
//! comes, what others get by it goes on to them, and after a while they are nobody.

use schemas::Environment;
use schemas::event::FORGOTTEN;
use schemas::state::SubscriberState;
use serde_json::json;

use super::world::{Step, World, bought, handed_over, real_rules};
use super::*;
use crate::sources::native::forgotten::READMITTED;
use crate::sources::native::imported;

const WINDOW: u64 = 1_000;
const DAY: i64 = 86_400_000;

fn wish(appended_at: i64, event_type: &str, named: &str) -> Entry {
    let body = json!({"subscriber": {"id": named}}).to_string();
    let headers = raw_headers(&format!("wish-{appended_at}"), "shop", event_type);
    Entry { appended_at, key: "shop/a".to_owned(), body, headers }
}

fn forget_at(appended_at: i64) -> Entry {
    wish(appended_at, FORGOTTEN, "a")
}

/// Whether the partition goes to another line before each record.
#[derive(Clone, Copy)]
enum Tenures {
    One,
    ForEachRecord,
}

/// The events of a log, what was counted, and the state of the subscriber in the end.
fn outcome(
    log: &[Entry],
    rules: &Rules,
    tenures: Tenures,
) -> (Vec<LifecycleEvent>, Tally, SubscriberState) {
    let (mut line, mut events, mut all) = (fresh(rules), Vec::new(), Tally::default());
    for (offset, entry) in log.iter().enumerate() {
        let next = i64::try_from(offset).unwrap();
        if let Tenures::ForEachRecord = tenures {
            let store = line.states.into_store();
            line = Line::restored(store, PARTITION, next, NO_TIME, rules).unwrap();
        }
        events.extend(take(&mut line, offset, entry, rules).events);
        let changes = line.changes(rules).unwrap();
        let tally = line.committed(Batch { changes, checkpoint: next + 1 }).unwrap();
        for (reason, count) in tally.ignored {
            *all.ignored.entry(reason).or_default() += count;
        }
        for (reason, count) in tally.parked {
            *all.parked.entry(reason).or_default() += count;
        }
    }
    let state = line.states.open(&Arc::from("shop/a"), &rules.states).unwrap().state.clone();
    (events.into_iter().map(|emission| emission.event).collect(), all, state)
}

fn restarting(log: &[Entry], rules: &Rules) -> (Vec<LifecycleEvent>, Tally, SubscriberState) {
    outcome(log, rules, Tenures::ForEachRecord)
}

fn ignored(tally: &Tally) -> Vec<(&str, u64)> {
    tally.ignored.iter().map(|((_, reason), count)| (*reason, *count)).collect()
}

fn bought_at(appended_at: i64, id: &str) -> Entry {
    entry(appended_at, "a", id, &format!("{appended_at} 0 subscription_started"))
}

fn places(events: &[LifecycleEvent]) -> Vec<(EventType, i64, i64)> {
    let place = |event: &LifecycleEvent| (event.event_type, event.sequence, event.epoch.millis());
    events.iter().map(place).collect()
}

#[test]
fn one_last_event_says_who_it_was_and_nothing_is_known_any_more() {
    let rules = rules(0);
    let (events, _, state) = restarting(&[bought_at(1_000, "one"), forget_at(2_000)], &rules);
    let [_, last] = events.as_slice() else { panic!("{} events", events.len()) };
    assert!(last.is_erasure());
    assert_eq!((last.sequence, last.subscriber.id.as_str()), (2, "a"));
    assert_eq!((last.environment, last.late), (Environment::Production, false));
    let forgotten_at = Some(Timestamp::from_millis(2_000));
    assert_eq!(state, SubscriberState { forgotten_at, ..SubscriberState::default() });
}

#[test]
fn what_comes_later_is_ignored_over_restarts_until_it_is_no_longer_repeated_and_then_they_are_somebody_new()
 {
    let rules = rules(0);
    let end = 2_000 + 35 * DAY;
    let mut import = wish(5_000, imported::TYPE, "a");
    import.body = json!({"as_of": 4_000, "subscriber": {"id": "a"}}).to_string();
    let log = [
        bought_at(1_000, "one"),
        forget_at(2_000),
        bought_at(3_000, "two"),
        import,
        forget_at(6_000),
        bought_at(end - 1, "three"),
        bought_at(end, "four"),
    ];
    let (events, tally, state) = restarting(&log, &rules);
    let told = [
        (EventType::SubscriptionStarted, 1, 1_000),
        (EventType::CustomerDeleted, 2, 1_000),
        (EventType::SubscriptionStarted, 1, end),
    ];
    assert_eq!(places(&events), told);
    assert_eq!(ignored(&tally), [("forgotten", 3), ("forgotten_before", 1)]);
    assert_eq!(state.forgotten_at, None);
}

#[test]
fn what_comes_later_leaves_nothing_behind() {
    for window in [0, WINDOW] {
        let log =
            [bought_at(1_000, "one"), forget_at(2_000), bought_at(3_000, "two"), tick_at(9_000)];
        for tenures in [Tenures::One, Tenures::ForEachRecord] {
            let (_, _, state) = outcome(&log, &rules(window), tenures);
            let forgotten_at = Some(Timestamp::from_millis(2_000));
            assert_eq!(state, SubscriberState { forgotten_at, ..SubscriberState::default() });
        }
    }
}

#[test]
fn a_state_without_anybody_is_gone_when_the_time_is_over_whoever_brings_the_time() {
    let rules = rules(0);
    let end = 2_000 + 35 * DAY;
    let (_, _, state) = restarting(&[forget_at(2_000), tick_at(end - 1)], &rules);
    assert!(state.forgotten_at.is_some());
    let (_, _, state) = restarting(&[forget_at(2_000), tick_at(end)], &rules);
    assert_eq!(state, SubscriberState::default());
}

#[test]
fn what_waits_for_its_window_is_not_told() {
    let rules = rules(WINDOW);
    let (events, tally, _) =
        restarting(&[bought_at(1_000, "one"), forget_at(1_001), tick_at(9_000)], &rules);
    assert_eq!(places(&events), [(EventType::CustomerDeleted, 1, 1_000)]);
    assert_eq!(ignored(&tally), [("forgotten", 1)]);
}

#[test]
fn somebody_unknown_is_forgotten_by_the_id_in_the_key() {
    let (events, ..) = restarting(&[forget_at(1_000)], &rules(0));
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].subscriber.id.as_str(), events[0].subscriber.key.as_str()),
        ("a", "shop/a")
    );
}

#[test]
fn whoever_has_bought_in_the_sandbox_is_forgotten_there_too_by_an_event_of_its_own() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    let mut body = bought("sub", 10, &[]);
    body["event"]["environment"] = json!("SANDBOX");
    let headers = raw_headers("one", "app", "revenuecat.RENEWAL");
    let key = "app/a".to_owned();
    let first = Entry { appended_at: 1_000, key: key.clone(), body: body.to_string(), headers };
    let last = Entry { key, headers: raw_headers("wish", "app", FORGOTTEN), ..forget_at(2_000) };
    let told = take(&mut line, 0, &first, &rules).events.len();
    assert!(told > 0);
    let deleted = take(&mut line, 1, &last, &rules).events;
    let environments: Vec<_> = deleted.iter().map(|one| one.event.environment).collect();
    assert_eq!(environments, [Environment::Production, Environment::Sandbox]);
    assert_ne!(deleted[0].event.event_id, deleted[1].event.event_id);
}

#[test]
fn somebody_who_is_readmitted_begins_anew_and_is_no_more_known_than_before() {
    let log = [
        bought_at(1_000, "one"),
        forget_at(2_000),
        wish(3_000, READMITTED, "a"),
        wish(4_000, READMITTED, "a"),
        bought_at(5_000, "two"),
        tick_at(2_000 + 35 * DAY),
    ];
    for tenures in [Tenures::One, Tenures::ForEachRecord] {
        let (events, tally, state) = outcome(&log, &rules(0), tenures);
        assert_eq!(places(&events)[2..], [(EventType::SubscriptionStarted, 1, 5_000)]);
        assert_eq!(ignored(&tally), [("not_forgotten", 1), ("subscriber_readmitted", 1)]);
        assert_eq!(state.sequence, 1, "the end of the forgetting came with the readmission");
    }
}

#[test]
fn nobody_is_forgotten_by_a_slip_in_a_key_or_by_that_of_a_thing() {
    let mut thing = wish(2_000, FORGOTTEN, "charge/ch_1");
    "shop/charge/ch_1".clone_into(&mut thing.key);
    let mut empty = wish(3_000, FORGOTTEN, "a");
    "{}".clone_into(&mut empty.body);
    let log = [bought_at(500, "one"), wish(1_000, FORGOTTEN, "b"), thing, empty];
    let (events, tally, state) = restarting(&log, &rules(0));
    assert_eq!((events.len(), state.forgotten_at), (1, None));
    let parked: Vec<_> = tally.parked.into_iter().collect();
    assert_eq!(parked, [(ParkReason::KeyMismatch, 2), (ParkReason::Unreadable, 1)]);
}

/// `a` buys, is forgotten with or without the transfer to `b` before it in the window, and gives to `b`.
fn gives_to(world: &mut World) {
    world.receive("app/a", "buys", "RENEWAL", &bought("sub", 10, &[]));
    world.receive("app/a", "gives", "TRANSFER", &handed_over("a", "b", 20));
}

fn drained(mut world: World, rules: &Rules) -> World {
    for _ in 0..20 {
        let Some(step) = world.steps().into_iter().find(|step| !matches!(step, Step::TimeOut(_)))
        else {
            return world;
        };
        world = world.after(step, rules);
    }
    panic!("it never ends");
}

#[test]
fn what_was_given_away_before_the_wish_and_waits_for_its_window_still_arrives() {
    let rules = real_rules(Duration::from_secs(1));
    let mut world = World::of(&["app/a", "app/b"]);
    gives_to(&mut world);
    world.receive("app/a", "wish", FORGOTTEN, &json!({"subscriber": {"id": "a"}}));
    let mut world = drained(world, &rules);
    let later = world.now + 5_000;
    world.place("app/b").raw.push(super::world::Logged::tick(later));
    let world = drained(world, &rules);
    assert_eq!(
        world.owned(&rules).into_keys().collect::<Vec<_>>(),
        [("app/b".to_owned(), "sub".to_owned())]
    );
    let told: Vec<_> = world.places[0].events.iter().map(|event| event.event_type).collect();
    assert_eq!(told, [EventType::CustomerDeleted]);
}

#[test]
fn what_somebody_forgotten_gives_away_is_told_to_whoever_gets_it() {
    let rules = real_rules(NO_TIME);
    let mut world = World::of(&["app/a", "app/b"]);
    world.receive("app/a", "wish", FORGOTTEN, &json!({"subscriber": {"id": "a"}}));
    gives_to(&mut world);
    let world = drained(world, &rules);
    let told = |at: usize| world.places[at].events.iter().map(|event| event.event_type);
    assert_eq!(told(0).collect::<Vec<_>>(), [EventType::CustomerDeleted]);
    assert_eq!(told(1).collect::<Vec<_>>(), [EventType::SubscriptionReceived]);
}
