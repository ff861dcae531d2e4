use service::metrics::{Dimensions, Registry};

use super::*;
use crate::lanes::{Footprint, History, Identity, Sequence, Turn};
use crate::tenure::Ending;

const TERMS: Terms = Terms { lease: Duration::from_secs(5), landing: Duration::from_secs(20) };

fn now() -> Timestamp {
    Timestamp::from_millis(1_000)
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Partition 0 after an owner that did not end cleanly, partition 1 after one that did, and an event
/// in each.
fn ledger() -> Ledger {
    let schedule = Schedule {
        in_place: Vec::new(),
        delays: Vec::new(),
        horizon: Duration::ZERO,
        quarantine: Duration::ZERO,
    };
    let mut ledger = Ledger::new(Owner(1), Arc::new(schedule), TERMS, Bounds::default());
    let nothing = || (Marks::up_to(0), Marks::up_to(0));
    ledger.assign(0, nothing(), Tenure::default(), at(10));
    ledger.assign(1, nothing(), Tenure::none(), at(10));
    for partition in 0..2 {
        let content = Arc::new(Received {
            topic: "events".into(),
            partition,
            offset: 0,
            timestamp: now(),
            key: None,
            value: None,
            headers: Vec::new(),
        });
        let identity =
            Identity { lane: "shop/1".into(), turn: Turn::Live, sequence: Sequence::default() };
        let arriving = Arriving {
            identity,
            history: History::default(),
            due: now(),
            footprint: Footprint::default(),
            content,
        };
        let _ = ledger.arrive(Source::Events, arriving, now());
    }
    ledger.begin();
    ledger
}

#[test]
fn nothing_is_started_before_the_calls_of_an_owner_that_died_are_over() {
    let mut ledger = ledger();
    assert_eq!(ledger.start(now(), at(10)).map(|started| started.0), Some(1));
    assert!(ledger.start(now(), at(34)).is_none());
    assert_eq!(ledger.wait(now(), at(34), at(0)), Duration::ZERO, "a commit is due");
    assert_eq!(ledger.held_back_for(at(34)), at(1));
    assert_eq!(ledger.start(now(), at(35)).map(|started| started.0), Some(0));
}

#[test]
fn a_short_tenure_after_an_owner_that_died_is_no_clean_end() {
    for (elapsed, ending) in [(at(34), Ending::Open), (at(35), Ending::Clean)] {
        let mut ledger = ledger();
        ledger.close(now(), elapsed);
        let mut tenure = |number| {
            let partition = ledger.partitions.get_mut(&number).unwrap();
            partition.refresh();
            partition.checkpoint(now()).unwrap().tenure
        };
        assert_eq!((tenure(0).ending, tenure(1).ending), (ending, Ending::Clean));
    }
}

/// Begins anew at the given time, from a commit that was made by `owner`.
fn taken_again(ledger: &mut Ledger, owner: Owner, elapsed: Duration) -> [Option<Duration>; 2] {
    ledger.clear();
    let tenure = Tenure { owner: Some(owner), ..Tenure::default() };
    for partition in 0..2 {
        ledger.assign(partition, (Marks::up_to(0), Marks::up_to(0)), tenure, elapsed);
    }
    [0, 1].map(|partition| ledger.held_back.get(&partition).copied())
}

#[test]
fn after_a_commit_in_doubt_an_owner_waits_for_no_call_of_its_own_that_has_ended() {
    let mut ledger = ledger();
    ledger.leave(now(), at(20));
    // Partition 0 has waited for an owner that died, and goes on waiting.
    assert_eq!(taken_again(&mut ledger, Owner(1), at(21)), [Some(at(35)), None]);
}

#[test]
fn it_waits_for_those_that_were_broken_off_and_for_those_of_another_owner() {
    let mut busy = ledger();
    assert_eq!(busy.start(now(), at(10)).map(|started| started.0), Some(1));
    busy.leave(now(), at(20));
    assert_eq!(taken_again(&mut busy, Owner(1), at(21)), [Some(at(35)), Some(at(46))]);
    let mut replaced = ledger();
    replaced.leave(now(), at(20));
    assert_eq!(taken_again(&mut replaced, Owner(2), at(21)), [Some(at(46)); 2]);
}

/// What was taken in is what has a fate and what waits.
fn assert_accounted_for(ledger: &Ledger) {
    let settled: u64 = ledger.tally.settled.values().sum();
    assert_eq!(ledger.tally.consumed, settled + ledger.owed() as u64, "{:?}", ledger.tally);
}

#[test]
fn no_record_vanishes_whatever_becomes_of_it() {
    let mut ledger = ledger();
    let received = |offset| {
        let (key, value, headers) = (None, None, Vec::new());
        let topic = "retry".into();
        Received { topic, partition: 1, offset, timestamp: now(), key, value, headers }
    };
    let refresh = |offset: i64| Arriving {
        identity: Identity {
            lane: "shop/2".into(),
            turn: Turn::Refreshed(Timestamp::from_millis(offset)),
            sequence: Sequence::default(),
        },
        history: History::default(),
        due: now(),
        footprint: Footprint::default(),
        content: Arc::new(received(offset)),
    };
    // Of three refreshes two make way for the latest, whichever came first.
    for offset in [3, 4, 2] {
        let _ = ledger.arrive(Source::Retry, refresh(offset), now());
        assert_accounted_for(&ledger);
    }
    ledger.pass(Source::Retry, &received(5));
    let unread = Failure::new(Reason::Undecodable, "nothing anybody reads");
    ledger.arrive_unreadable(Source::Retry, Arc::new(received(6)), unread, now());
    assert_accounted_for(&ledger);
    assert_eq!(ledger.tally.settled, [(Became::Outdone, 2), (Became::Passed, 1)].into());
    assert_eq!((ledger.tally.consumed, ledger.owed()), (7, 4));
    ledger.clear();
    assert_accounted_for(&ledger);
    assert_eq!((ledger.tally.settled[&Became::HandedOver], ledger.owed()), (4, 0));
}

#[test]
fn the_interval_to_the_next_commit_counts_from_the_end_of_the_last() {
    let mut registry = Registry::new(Dimensions::default()).unwrap();
    let metrics = Metrics::register(&mut registry).unwrap();
    let mut ledger = ledger();
    let interval = Duration::from_millis(100);
    (ledger.cadence, ledger.renewed_at) = (Cadence::default(), Some(at(20)));
    ledger.cadence.ended(at(20));
    let (partitions, parked) = (Vec::new(), Vec::new());
    ledger.committing =
        Some(Committing { partitions, sent: at(20), moved: 0, shadowed: 0, parked });
    let ended = at(20) + Duration::from_millis(90);
    assert!(!ledger.is_commit_due(ended + interval, interval), "one is under way");
    assert_eq!(ledger.committed((now(), ended), &metrics, "any"), Some(at(20)));
    assert!(!ledger.is_commit_due(at(20) + interval, interval));
    assert!(ledger.is_commit_due(ended + interval, interval));
}
