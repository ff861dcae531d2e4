use std::collections::BTreeMap;

use proptest::prelude::*;
use schemas::headers::{Header, tick};
use schemas::{EventType, LifecycleEvent, Status};

use super::accept::CLOCK_TOLERANCE_MILLIS;
use super::*;
use crate::parking::ParkReason;
use crate::rules::Times;
use crate::state::MemoryStore;
use crate::testing::{raw_headers, sources};

mod forget;
mod imports;
mod own;
mod owner;
mod payload;
mod rekeying;
mod story;
mod world;

const NO_TIME: Duration = Duration::ZERO;

const PARTITION: i32 = 3;

fn rules(window_millis: u64) -> Rules {
    let times = Times {
        reorder_window: Duration::from_millis(window_millis),
        dedup_window: Duration::from_hours(35 * 24),
        link_timeout: Duration::from_hours(1),
    };
    Rules::new(sources(), times, 1 << 20).unwrap()
}

/// A record as it lies in the log.
#[derive(Clone, Debug)]
struct Entry {
    appended_at: i64,
    key: String,
    body: String,
    headers: Vec<Header>,
}

fn entry(appended_at: i64, key: &str, id: &str, body: &str) -> Entry {
    let headers = raw_headers(id, "shop", "stripe.x");
    Entry { appended_at, key: format!("shop/{key}"), body: body.to_owned(), headers }
}

fn tick_at(appended_at: i64) -> Entry {
    Entry { appended_at, key: "tick".to_owned(), body: String::new(), headers: tick() }
}

fn take(line: &mut Line<MemoryStore>, offset: usize, entry: &Entry, rules: &Rules) -> Taken {
    let raw = Raw {
        offset: i64::try_from(offset).unwrap(),
        appended_at: Timestamp::from_millis(entry.appended_at),
        key: Some(entry.key.as_bytes()),
        value: Some(entry.body.as_bytes()),
        headers: &entry.headers,
    };
    line.take(&raw, NO_TIME, rules).unwrap()
}

fn fresh(rules: &Rules) -> Line<MemoryStore> {
    Line::restored(MemoryStore::default(), PARTITION, 0, NO_TIME, rules).unwrap()
}

/// What a log gives: subscriber, event id of the provider, lateness, in the order of emission.
fn run(log: &[Entry], rules: &Rules) -> (Vec<(String, String, bool)>, Line<MemoryStore>) {
    let mut line = fresh(rules);
    let mut all = Vec::new();
    for (offset, entry) in log.iter().enumerate() {
        all.extend(take(&mut line, offset, entry, rules).events);
    }
    (all.iter().map(told).collect(), line)
}

fn told(emission: &Emission) -> (String, String, bool) {
    let event = &emission.event;
    (event.subscriber.key.clone(), event.provider_event_id.clone(), event.late)
}

fn ids(events: &[(String, String, bool)]) -> Vec<&str> {
    events.iter().map(|(_, id, _)| id.as_str()).collect()
}

#[test]
fn an_event_in_time_is_never_overtaken_by_one_that_is_due_first() {
    let log = [
        entry(0, "a", "later", "6 0 subscription_renewed"),
        entry(1, "a", "earlier", "0 0 subscription_started"),
        tick_at(4),
    ];
    let (events, line) = run(&log, &rules(4));
    assert_eq!(ids(&events), ["earlier", "later"]);
    assert!(events.iter().all(|(_, _, late)| !late));
    assert_eq!((line.tally.reordered, line.tally.late, line.standing().subscribers), (1, 0, 0));
}

#[test]
fn what_is_rebuilt_from_a_shorter_log_begins_a_later_epoch() {
    let log = [
        entry(10, "a", "first", "5 0 subscription_started"),
        entry(11, "a", "second", "1 0 subscription_renewed"),
        entry(20, "a", "third", "9 0 subscription_renewed"),
        tick_at(30),
    ];
    let rules = rules(4);
    let told = |log: &[Entry]| {
        let mut line = fresh(&rules);
        let taken = (0..).zip(log).map(|(offset, entry)| take(&mut line, offset, entry, &rules));
        let events = taken.flat_map(|taken| taken.events).map(|emission| emission.event);
        let place = |event: LifecycleEvent| (event.epoch.millis(), event.sequence);
        events.map(place).collect::<Vec<_>>()
    };
    assert_eq!(told(&log), [(10, 1), (10, 2), (10, 3)]);
    assert_eq!(told(&log[1..]), [(11, 1), (11, 2)], "although the second was told first before");
    assert_eq!(told(&log[2..]), [(20, 1)]);
}

#[test]
fn every_record_lets_go_what_is_due_before_it_is_judged_itself() {
    let first = entry(0, "a", "first", "5 0 subscription_started");
    let mut broken = entry(4, "a", "broken", "5 0 subscription_started");
    broken.headers.clear();
    for second in [
        tick_at(4),
        broken,
        entry(4, "other", "y", "9 0 subscription_started"),
        entry(4, "a", "unreadable", "no number"),
        entry(4, "a", "first", "5 0 subscription_started"),
        entry(4, "a", "too late by now", "1 0 subscription_renewed"),
    ] {
        let (events, _) = run(&[first.clone(), second.clone()], &rules(4));
        assert_eq!(ids(&events), ["first"], "{second:?}");
    }
}

#[test]
fn with_a_window_of_zero_everything_goes_at_once() {
    let log = [
        entry(9, "a", "x", "5 0 subscription_started"),
        entry(9, "a", "y", "4 0 subscription_renewed"),
    ];
    let (events, line) = run(&log, &rules(0));
    let wanted = [("x", false), ("y", true)];
    let told: Vec<_> = events.iter().map(|(_, id, late)| (id.as_str(), *late)).collect();
    assert_eq!(told, wanted);
    assert_eq!((line.standing().subscribers, line.tally.late, line.tally.reordered), (0, 1, 0));
    assert_eq!(line.until_tick(NO_TIME), None);
}

#[test]
fn a_repetition_gives_nothing_whether_the_first_is_held_or_emitted() {
    let again = |at| entry(at, "a", "x", "5 0 subscription_started");
    let (events, line) = run(&[again(0), again(1), tick_at(10), again(11), tick_at(99)], &rules(4));
    assert_eq!((ids(&events), line.tally.duplicates), (vec!["x"], 2));
}

#[test]
fn the_same_id_of_another_subscriber_is_another_event() {
    let log = [
        entry(0, "a", "x", "5 0 subscription_started"),
        entry(0, "b", "x", "5 0 subscription_started"),
        tick_at(9),
    ];
    assert_eq!(run(&log, &rules(4)).0.len(), 2);
}

#[test]
fn a_parked_record_is_not_remembered_and_goes_through_when_it_comes_again() {
    let log = [
        entry(0, "a", "x", "no number"),
        entry(1, "a", "x", "5 0 subscription_started"),
        tick_at(9),
    ];
    let (events, line) = run(&log, &rules(4));
    assert_eq!(ids(&events), ["x"]);
    assert_eq!(line.tally.parked[&ParkReason::Unreadable], 1);
}

#[test]
fn an_event_from_the_future_gets_the_time_of_its_reception() {
    let limit = CLOCK_TOLERANCE_MILLIS;
    let log = [
        entry(0, "a", "x", &format!("{} 0 subscription_started", limit + 1)),
        entry(1, "b", "y", &format!("{} 0 subscription_started", limit + 1)),
    ];
    let mut line = fresh(&rules(0));
    let mut at = |offset| take(&mut line, offset, &log[offset], &rules(0)).events.remove(0).event;
    assert_eq!(at(0).occurred_at, Timestamp::from_millis(0));
    let untouched = at(1);
    assert_eq!(untouched.occurred_at, Timestamp::from_millis(limit + 1));
    assert_eq!(untouched.received_at, Timestamp::from_millis(1));
    assert_eq!(line.tally.clock_corrected, 1);
}

#[test]
fn the_earliest_go_early_when_too_many_are_held() {
    let mut log: Vec<_> = (0..70)
        .map(|number: i64| {
            entry(0, "a", &number.to_string(), &format!("{} 0 trial_ending", 100 - number))
        })
        .collect();
    let (events, line) = run(&log, &rules(1_000));
    assert_eq!((events.len(), line.tally.released_early), (6, 6));
    assert_eq!(ids(&events), ["64", "65", "66", "67", "68", "69"]);
    log.push(tick_at(1_000));
    assert_eq!(run(&log, &rules(1_000)).0.len(), 70);
}

#[test]
fn a_record_without_a_subscriber_is_ignored_if_it_means_nothing_and_waits_otherwise() {
    let mut noise = entry(0, "unknown", "x", "");
    noise.body = "{}".to_owned();
    noise.headers = raw_headers("x", "shop", "stripe.noise");
    let dispute = entry(0, "charge/ch_1", "y", "5 0 dispute_opened");
    let (events, line) = run(&[noise, dispute], &rules(0));
    assert!(events.is_empty());
    assert_eq!(line.tally.ignored[&("shop".to_owned(), "noise")], 1);
    assert_eq!((line.tally.waited, line.waiting_for_links()), (1, 1));
}

#[test]
fn what_a_removed_source_left_waits_for_its_return() {
    let with = rules(4);
    let mut without = rules(4);
    without.sources = [].into_iter().collect();
    let mut line = fresh(&with);
    let first = take(&mut line, 0, &entry(0, "a", "x", "5 0 subscription_started"), &with);
    assert!(first.events.is_empty());
    assert!(take(&mut line, 1, &tick_at(9), &without).events.is_empty());
    commit(&mut line, 1, &with);
    let mut line = Line::restored(line.into_store(), PARTITION, 2, NO_TIME, &with).unwrap();
    assert_eq!(take(&mut line, 2, &tick_at(10), &with).events.len(), 1);
}

#[test]
fn a_restored_line_wants_a_tick_a_full_window_after_it_was_restored() {
    let rules = rules(2_000);
    let mut line = fresh(&rules);
    let first = entry(1_000, "a", "x", "5 0 subscription_started");
    assert!(take(&mut line, 0, &first, &rules).events.is_empty());
    assert_eq!(line.until_tick(NO_TIME), Some(Duration::from_secs(2)));
    commit(&mut line, 1, &rules);
    let later = Duration::from_mins(1);
    let line = Line::restored(line.into_store(), PARTITION, 1, later, &rules).unwrap();
    assert_eq!(line.until_tick(later), Some(Duration::from_secs(2)));
    assert_eq!(line.until_tick(later + Duration::from_secs(2)), Some(NO_TIME));
}

impl Line<MemoryStore> {
    fn into_store(self) -> MemoryStore {
        self.states.into_store()
    }
}

fn commit(line: &mut Line<MemoryStore>, checkpoint: i64, rules: &Rules) {
    let changes = line.changes(rules).unwrap();
    line.committed(Batch { changes, checkpoint }).unwrap();
}

/// Everything by which one emission can be told from another, and the status of its subscription.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    key: String,
    id: String,
    event_type: EventType,
    ordinal: i32,
    late: bool,
    status: Option<Status>,
}

impl Outcome {
    fn of(event: &LifecycleEvent) -> Self {
        Self {
            key: event.subscriber.key.clone(),
            id: event.provider_event_id.clone(),
            event_type: event.event_type,
            ordinal: event.ordinal,
            late: event.late,
            status: event.subscription.as_ref().and_then(|told| told.status),
        }
    }

    /// The two that each record of [`log_of`] gives.
    fn both(key: &str, id: &str, late: bool, status: Option<Status>) -> [Self; 2] {
        let first = Self {
            key: key.to_owned(),
            id: id.to_owned(),
            event_type: meaning_of(id).0,
            ordinal: 0,
            late,
            status,
        };
        let second =
            Self { event_type: EventType::TransactionProcessed, ordinal: 1, ..first.clone() };
        [first, second]
    }
}

/// What a record of [`log_of`] is, and the status it leads to, depend on its id alone.
fn meaning_of(id: &str) -> (EventType, Option<Status>) {
    match id.bytes().last().unwrap() % 4 {
        0 => (EventType::SubscriptionStarted, Some(Status::Active)),
        1 => (EventType::TrialStarted, Some(Status::Trial)),
        2 => (EventType::SubscriptionExpired, Some(Status::Expired)),
        _ => (EventType::SubscriptionRenewed, None),
    }
}

/// What the rules say, as plainly as can be: one list per subscriber, nothing expires.
#[derive(Default)]
struct Naive {
    known: Vec<(String, String)>,
    held: Vec<(i64, (i64, String), String)>,
    last: BTreeMap<String, (i64, String)>,
    status: BTreeMap<String, Status>,
}

impl Naive {
    fn take(&mut self, window: i64, record: Option<(&str, &str, i64)>, at: i64) -> Vec<Outcome> {
        let mut out = Vec::new();
        loop {
            let due = self.held.iter().filter(|(appended, _, _)| appended + window <= at);
            let Some((_, _, key)) = due.min_by_key(|(appended, _, key)| (*appended, key.clone()))
            else {
                break;
            };
            let key = key.clone();
            let mine = |held: &&(i64, (i64, String), String)| held.2 == key;
            let due = self.held.iter().filter(mine).filter(|held| held.0 + window <= at);
            let top = due.map(|held| held.1.clone()).max().unwrap();
            let mut gone: Vec<_> =
                self.held.iter().filter(mine).filter(|held| held.1 <= top).cloned().collect();
            self.held.retain(|held| !gone.contains(held));
            gone.sort_by(|one, other| one.1.cmp(&other.1));
            for (_, order, key) in gone {
                let last = self.last.entry(key.clone()).or_insert((i64::MIN, String::new()));
                // With one subscription, what is late for its subscriber is late for it as well, unless
                // it occurred at the very moment of the newest: then too it moves nothing.
                let late = order < *last;
                *last = order.clone().max(last.clone());
                out.extend(Outcome::both(
                    &key,
                    &order.1,
                    late,
                    self.status_after(&key, &order.1, late),
                ));
            }
        }
        if let Some((key, id, occurred)) = record {
            let identity = (key.to_owned(), id.to_owned());
            if !self.known.contains(&identity) {
                self.known.push(identity);
                self.held.push((at, (occurred, id.to_owned()), key.to_owned()));
                if window == 0 {
                    out.extend(self.take(0, None, at));
                }
            }
        }
        out
    }
}

impl Naive {
    /// The status that the events show, which they move unless they are late.
    fn status_after(&mut self, key: &str, id: &str, late: bool) -> Option<Status> {
        let known = self.status.get(key).copied();
        let said = meaning_of(id).1.or(known);
        if late {
            return known;
        }
        if let Some(status) = said {
            self.status.insert(key.to_owned(), status);
        }
        said
    }
}

#[derive(Clone, Debug)]
struct Step {
    key: usize,
    id: usize,
    later: i64,
    then: Then,
}

/// What happens after a record has been taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    GoOn,
    Commit,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let then = prop_oneof![4 => Just(Then::GoOn), 2 => Just(Then::Commit), 1 => Just(Then::Crash)];
    let step = (0_usize..4, 0_usize..12, -2_i64..8, then).prop_map(|(key, id, later, then)| Step {
        key,
        id,
        later,
        then,
    });
    prop::collection::vec(step, 1..60)
}

/// Subscriber, event id, and when it occurred.
type Told = (String, String, i64);

/// Key 3 stands for a tick. When an event occurred depends on its id alone.
fn log_of(steps: &[Step]) -> Vec<(Entry, Option<Told>)> {
    let mut now = 100;
    let mut log: Vec<_> = steps
        .iter()
        .map(|step| {
            now += step.later;
            if step.key == 3 {
                return (tick_at(now), None);
            }
            let occurred = i64::try_from(step.id * 7 % 12).unwrap();
            let (key, id) = (step.key.to_string(), format!("evt_{:02}", step.id));
            let body = format!("{occurred} 0 {} transaction_processed", meaning_of(&id).0);
            let record = (format!("shop/{key}"), id.clone(), occurred);
            (entry(now, &key, &id, &body), Some(record))
        })
        .collect();
    log.push((tick_at(now + 1_000), None));
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever comes, however often, in whatever order, with commits and crashes anywhere: what is
    /// committed is what the naive model gives in one go, and every sequence is contiguous.
    #[test]
    fn gives_what_the_naive_model_gives_whatever_happens(steps in steps(), window in 0_u64..6) {
        let rules = rules(window);
        let log = log_of(&steps);
        let mut naive = Naive::default();
        let wanted: Vec<_> = log
            .iter()
            .flat_map(|(entry, record)| {
                let record = record.as_ref().map(|(key, id, at)| (key.as_str(), id.as_str(), *at));
                naive.take(i64::try_from(window).unwrap(), record, entry.appended_at)
            })
            .collect();

        let mut changelog = MemoryStore::default();
        let mut line = fresh(&rules);
        let (mut committed, mut open) = (Vec::new(), Vec::new());
        let mut crashes: Vec<_> = steps.iter().map(|step| step.then).collect();
        let mut restart_at = 0;
        let (mut offset, mut waited) = (0, 0);
        while offset < log.len() {
            open.extend(take(&mut line, offset, &log[offset].0, &rules).events);
            let then = crashes.get(offset).copied().unwrap_or(Then::Commit);
            offset += 1;
            match then {
                Then::GoOn => {}
                Then::Commit => {
                    let changes = line.changes(&rules).unwrap();
                    let batch = Batch { changes, checkpoint: i64::try_from(offset).unwrap() };
                    changelog.apply(batch.clone()).unwrap();
                    let tally = line.committed(batch).unwrap();
                    let settled: u64 = tally.settled.values().sum();
                    let waits = line.standing().records();
                    prop_assert_eq!(waited + tally.consumed, settled + waits);
                    waited = waits;
                    prop_assert_eq!(line.next_offset(), i64::try_from(offset).unwrap());
                    committed.append(&mut open);
                    restart_at = offset;
                }
                Then::Crash => {
                    crashes[offset - 1] = Then::GoOn;
                    open.clear();
                    offset = restart_at;
                    let next = i64::try_from(restart_at).unwrap();
                    line = Line::restored(changelog.clone(), PARTITION, next, NO_TIME, &rules).unwrap();
                }
            }
        }
        let told: Vec<_> = committed.iter().map(|emission| Outcome::of(&emission.event)).collect();
        prop_assert_eq!(told, wanted);
        let mut sequences: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for Emission { event, .. } in &committed {
            sequences.entry(&event.subscriber.key).or_default().push(event.sequence);
        }
        for (key, sequence) in sequences {
            let contiguous: Vec<_> = (1..=i64::try_from(sequence.len()).unwrap()).collect();
            prop_assert_eq!(sequence, contiguous, "{}", key);
        }
    }

    /// Disorder within the window is always put right.
    #[test]
    fn nothing_is_late_that_came_within_the_window(delays in prop::collection::vec(0_i64..5, 1..40)) {
        let rules = rules(5);
        let mut log: Vec<_> = (0_i64..)
            .zip(&delays)
            .map(|(occurred, delay)| {
                let body = format!("{occurred} 0 subscription_renewed");
                entry(occurred + delay, "a", &format!("{occurred:03}"), &body)
            })
            .collect();
        log.sort_by_key(|entry| entry.appended_at);
        log.push(tick_at(1_000));
        let (events, line) = run(&log, &rules);
        prop_assert_eq!(line.tally.late, 0);
        prop_assert!(ids(&events).is_sorted());
    }
}
