//! The promises of `stream`, against a real broker: only a real one has markers, last stable offsets,
//! generations and coordinators.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test, what cannot be had fails it"
)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use schemas::headers::Header;
use schemas::topics::{Installation, Topic, TopicSpec, catalogue};
use stream::{
    Cluster, Follower, Group, GroupError, Membership, Polled, Progress, Reader, Received, Record,
    TopicPartition, TransactionError, Transactions, admin,
};

const PATIENCE: Duration = Duration::from_mins(1);

fn cluster() -> Cluster {
    let broker = Broker::shared().expect("a broker to test against");
    Cluster {
        brokers: broker.address().to_owned(),
        properties: BTreeMap::new(),
        session_timeout: Duration::from_secs(6),
        max_message_bytes: 1024 * 1024,
    }
}

/// The topics of an installation that no other test uses.
fn topics(prefix: &str, partitions: i32) -> Vec<TopicSpec> {
    let max_body = 512 * 1024;
    let (destinations, in_shadow) = (vec!["crm"], Vec::new());
    catalogue(&Installation { prefix, destinations, in_shadow, partitions, max_body }).unwrap()
}

fn create(cluster: &Cluster, prefix: &str, partitions: i32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let specs = topics(prefix, partitions);
    let created = runtime.block_on(admin::create_missing(cluster, &specs, 1)).unwrap();
    assert_eq!(created.len(), specs.len());
    assert_eq!(runtime.block_on(admin::check(cluster, &specs)).unwrap(), []);
}

fn record(topic: &str, key: &str, value: &str) -> Record {
    Record {
        topic: topic.to_owned(),
        partition: Some(0),
        key: key.into(),
        value: Some(value.into()),
        headers: vec![Header::text("h", value)],
    }
}

fn at(topic: &str) -> TopicPartition {
    TopicPartition { topic: Arc::from(topic), partition: 0 }
}

fn progress(topic: &str, next_offset: i64, metadata: &str) -> Vec<Progress> {
    vec![Progress { partition: at(topic), next_offset, metadata: metadata.to_owned() }]
}

/// Polls until something other than idleness comes.
fn next(group: &mut Group) -> Result<Polled, GroupError> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let polled = group.poll(Duration::from_millis(50))?;
        if !matches!(polled, Polled::Idle) {
            return Ok(polled);
        }
    }
    panic!("nothing came within {PATIENCE:?}");
}

fn assigned(group: &mut Group) -> Vec<TopicPartition> {
    let polled = next(group).unwrap();
    let Polled::Assigned(partitions) = polled else {
        panic!("expected partitions, got {polled:?}")
    };
    partitions
}

fn values(reader: &Reader, topic: &str) -> Vec<String> {
    let (low, high) = reader.low_and_high(topic, 0).unwrap();
    let mut values = Vec::new();
    reader
        .read_to(topic, 0, (low, high), |received: Received| {
            values.push(String::from_utf8(received.value.unwrap()).unwrap());
            ControlFlow::Continue(())
        })
        .unwrap();
    values
}

#[test]
fn progress_and_records_become_visible_together_and_to_the_next_owner() {
    let cluster = cluster();
    create(&cluster, "together.", 1);
    let (raw, events) = (Topic::Raw.name("together."), Topic::Events.name("together."));
    let mut group =
        Group::join(&cluster, "together.transform", &[&raw], &Membership::default()).unwrap();
    let partitions = assigned(&mut group);
    assert_eq!(partitions, [at(&raw)]);
    assert_eq!(group.committed(&partitions).unwrap()[0].next_offset, None);
    group.start(&[(at(&raw), 0)]).unwrap();

    let mut transactions = Transactions::open(&cluster, "together.transform-1").unwrap();
    transactions.begin().unwrap();
    transactions.send(record(&raw, "k", "in")).unwrap();
    transactions.send(record(&events, "k", "out")).unwrap();
    let appended =
        transactions.commit(&progress(&raw, 0, "first"), &group.member().unwrap()).unwrap();
    assert_eq!(appended[&at(&events)], 1);

    let Polled::Record(received) = next(&mut group).unwrap() else { panic!("expected a record") };
    assert_eq!((received.offset, received.value.as_deref()), (0, Some(b"in".as_slice())));
    assert_eq!(received.headers, [Header::text("h", "in")]);
    transactions.begin().unwrap();
    transactions.commit(&progress(&raw, 1, "second"), &group.member().unwrap()).unwrap();
    drop(group);

    let mut successor =
        Group::join(&cluster, "together.transform", &[&raw], &Membership::default()).unwrap();
    let partitions = assigned(&mut successor);
    let committed = successor.committed(&partitions).unwrap();
    assert_eq!((committed[0].next_offset, committed[0].metadata.as_str()), (Some(1), "second"));

    // The same can be asked without joining, and partitions followed beside the group.
    let reader = Reader::open(&cluster, "together.transform").unwrap();
    assert_eq!(reader.committed(&raw, 0).unwrap(), Some(1));
    assert_eq!(reader.committed(&events, 0).unwrap(), None, "never committed");
    let mut follower = Follower::open(&cluster, "together.transform").unwrap();
    follower.follow(&[(at(&events), 0)]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let received = loop {
        if let Some(received) = follower.poll(Duration::from_millis(50)).unwrap() {
            break received;
        }
        assert!(Instant::now() < deadline, "nothing came");
    };
    assert_eq!((received.offset, received.value.as_deref()), (0, Some(b"out".as_slice())));
}

#[test]
fn what_is_held_back_lies_in_the_order_in_which_it_was_sent_and_nothing_of_what_was_given_up() {
    let cluster = cluster();
    create(&cluster, "order.", 1);
    let events = Topic::Events.name("order.");
    let mut transactions = Transactions::open(&cluster, "order.transform-1").unwrap();
    transactions.begin().unwrap();
    transactions.send(record(&events, "k", "given up")).unwrap();
    assert!(transactions.holds_back());
    drop(transactions);
    let mut transactions = Transactions::open(&cluster, "order.transform-1").unwrap();
    transactions.begin().unwrap();
    // More than is held back at a time, and not a multiple of it; handed over in between as well.
    let mut sent: Vec<String> = (0..9_000).map(|number| number.to_string()).collect();
    for value in &sent {
        transactions.send(record(&events, "k", value)).unwrap();
        if value == "30" {
            transactions.hand_over().unwrap();
            assert!(!transactions.holds_back());
        }
    }
    // A few that are together too large to be kept waiting take along what came before them.
    for number in 0..9 {
        assert!(transactions.holds_back());
        let large = format!("{number}{}", "x".repeat(500 * 1024));
        transactions.send(record(&events, "k", &large)).unwrap();
        sent.push(large);
    }
    assert!(!transactions.holds_back());
    transactions.commit_records().unwrap();
    let reader = Reader::open(&cluster, "order.transform").unwrap();
    let read = values(&reader, &events);
    assert!(read == sent, "{} of {} in order", read.len(), sent.len());
}

#[test]
fn progress_alone_is_committed_again_and_again_without_a_doubt() {
    let cluster = cluster();
    create(&cluster, "again.", 4);
    let raw = Topic::Raw.name("again.");
    let mut group =
        Group::join(&cluster, "again.transform", &[&raw], &Membership::default()).unwrap();
    assert_eq!(assigned(&mut group).len(), 4);
    let mut transactions = Transactions::open(&cluster, "again.transform-1").unwrap();
    // A refusal is repeated after a time that nobody can tell from the time of a lost request.
    let doubtful = (0..20).filter(|offset| {
        transactions.begin().unwrap();
        let committed = transactions.commit(&progress(&raw, *offset, ""), &group.member().unwrap());
        matches!(committed, Err(TransactionError::Repeated(_)))
    });
    assert_eq!(doubtful.count(), 0);
}

#[test]
fn reading_to_the_end_waits_for_open_transactions_and_shows_only_what_they_committed() {
    let cluster = cluster();
    create(&cluster, "stable.", 1);
    let (raw, state) = (Topic::Raw.name("stable."), Topic::State.name("stable."));
    let mut group =
        Group::join(&cluster, "stable.transform", &[&raw], &Membership::default()).unwrap();
    assigned(&mut group);
    group.start(&[(at(&raw), 0)]).unwrap();
    let open = |id: &str| Transactions::open(&cluster, id).unwrap();
    let mut slow = open("stable.transform-1");
    let mut dying = open("stable.transform-2");
    slow.begin().unwrap();
    slow.send(record(&state, "k", "committed late")).unwrap();
    dying.begin().unwrap();
    dying.send(record(&state, "k", "never committed")).unwrap();
    slow.hand_over().unwrap();
    dying.hand_over().unwrap();
    let reader = Reader::open(&cluster, "stable.transform").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while reader.low_and_high(&state, 0).unwrap().1 < 2 {
        assert!(Instant::now() < deadline, "the open transactions never reached the log");
        // Serves the producers, so that their records leave.
        for producer in [&mut slow, &mut dying] {
            producer.send(record(&raw, "k", "more")).unwrap();
            producer.hand_over().unwrap();
        }
    }

    // A reader that took the last stable offset for the end would be done at once, with nothing.
    let (done, waited) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || done.send(values(&reader, &state)));
    let early = waited.recv_timeout(Duration::from_secs(2));
    assert!(early.is_err(), "did not wait for the open transactions: {early:?}");
    slow.commit(&progress(&raw, 0, ""), &group.member().unwrap()).unwrap();
    drop(dying);
    // As the next start of the instance does.
    let _next_life = open("stable.transform-2");
    assert_eq!(waited.recv_timeout(PATIENCE).unwrap(), ["committed late"]);
}

#[test]
fn a_member_that_was_replaced_cannot_commit() {
    let cluster = cluster();
    create(&cluster, "stale.", 1);
    let (raw, events) = (Topic::Raw.name("stale."), Topic::Events.name("stale."));
    let join =
        || Group::join(&cluster, "stale.transform", &[&raw], &Membership::default()).unwrap();
    let mut old = join();
    assigned(&mut old);
    old.start(&[(at(&raw), 0)]).unwrap();
    let stale = old.member().unwrap();
    let mut transactions = Transactions::open(&cluster, "stale.transform-1").unwrap();

    // The newcomer makes the group rebalance; the old owner is asked and lets go.
    let newcomer = std::thread::spawn({
        let mut newcomer = join();
        move || {
            assigned(&mut newcomer);
            newcomer
                .start(&[(
                    TopicPartition { topic: Arc::from("stale.subscriptions.raw"), partition: 0 },
                    0,
                )])
                .ok();
            newcomer
        }
    });
    let Polled::Revoked(partitions) = next(&mut old).unwrap() else {
        panic!("expected a hand-over")
    };
    assert_eq!(partitions, [at(&raw)]);
    old.release().unwrap();
    let _new_generation = next(&mut old).unwrap();

    transactions.begin().unwrap();
    transactions.send(record(&events, "k", "from a zombie")).unwrap();
    let refused = transactions.commit(&progress(&raw, 5, ""), &stale).unwrap_err();
    assert!(matches!(refused, TransactionError::Stale(_)), "{refused:?}");
    drop(transactions);
    let _next_life = Transactions::open(&cluster, "stale.transform-1").unwrap();
    let reader = Reader::open(&cluster, "stale.transform").unwrap();
    assert_eq!(values(&reader, &events), Vec::<String>::new());
    drop(old);
    drop(newcomer.join().unwrap());
}

#[test]
fn the_same_id_opened_again_fences_the_one_before() {
    let cluster = cluster();
    create(&cluster, "fence.", 1);
    let (raw, events) = (Topic::Raw.name("fence."), Topic::Events.name("fence."));
    let mut group =
        Group::join(&cluster, "fence.transform", &[&raw], &Membership::default()).unwrap();
    assigned(&mut group);
    let mut ghost = Transactions::open(&cluster, "fence.transform-1").unwrap();
    ghost.begin().unwrap();
    ghost.send(record(&events, "k", "ghost")).unwrap();
    let _alive = Transactions::open(&cluster, "fence.transform-1").unwrap();
    let error = ghost.commit(&progress(&raw, 0, ""), &group.member().unwrap()).unwrap_err();
    assert!(error.is_fenced() || matches!(error, TransactionError::Unacknowledged(_)), "{error:?}");
}

#[test]
fn a_position_beyond_the_log_is_an_error_and_never_a_reset() {
    let cluster = cluster();
    create(&cluster, "range.", 1);
    let raw = Topic::Raw.name("range.");
    let mut group =
        Group::join(&cluster, "range.transform", &[&raw], &Membership::default()).unwrap();
    assigned(&mut group);
    group.start(&[(at(&raw), 4711)]).unwrap();
    let error = next(&mut group).unwrap_err();
    assert!(matches!(error, GroupError::OutOfRange(_)), "{error:?}");
}

#[test]
fn a_member_can_be_dropped_in_the_middle_of_a_hand_over() {
    let cluster = cluster();
    create(&cluster, "drop.", 1);
    let raw = Topic::Raw.name("drop.");
    let mut group =
        Group::join(&cluster, "drop.transform", &[&raw], &Membership::default()).unwrap();
    assigned(&mut group);
    let (done, ended) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        drop(group);
        done.send(())
    });
    ended.recv_timeout(PATIENCE).expect("the member's end must not wait for an answer");
}

#[test]
fn says_which_topic_is_missing_or_not_co_partitioned_and_what_to_do() {
    let cluster = cluster();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut specs = topics("odd.", 2);
    let dead = specs.pop().unwrap();
    runtime.block_on(admin::create_missing(&cluster, &specs[..1], 1)).unwrap();
    let odd = TopicSpec { partitions: 3, ..specs[1].clone() };
    runtime.block_on(admin::create_missing(&cluster, &[odd], 1)).unwrap();
    runtime.block_on(admin::create_missing(&cluster, &specs, 1)).unwrap();
    specs.push(dead.clone());
    let findings = runtime.block_on(admin::check(&cluster, &specs)).unwrap();
    let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), 2, "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with(&dead.name) && text.contains("is missing")));
    assert!(texts.iter().any(|text| text.contains("has 3 partitions") && text.contains("has 2")));
}

#[test]
fn assigned_partitions_start_one_after_the_other() {
    let cluster = cluster();
    create(&cluster, "piecemeal.", 2);
    let raw = Topic::Raw.name("piecemeal.");
    let partition = |partition| TopicPartition { topic: Arc::from(raw.as_str()), partition };
    let mut group =
        Group::join(&cluster, "piecemeal.transform", &[&raw], &Membership::default()).unwrap();
    let mut transactions = Transactions::open(&cluster, "piecemeal.transform-1").unwrap();
    assert_eq!(assigned(&mut group).len(), 2);
    // Nothing is started, and yet the group goes on with this member.
    group.start(&[]).unwrap();
    transactions.begin().unwrap();
    for (number, value) in [(0, "a"), (0, "b"), (1, "c"), (1, "d")] {
        let record = Record { partition: Some(number), ..record(&raw, "k", value) };
        transactions.send(record).unwrap();
    }
    transactions.commit(&progress(&raw, 0, ""), &group.member().unwrap()).unwrap();
    assert!(matches!(group.poll(Duration::from_millis(300)).unwrap(), Polled::Idle));

    let mut read = Vec::new();
    let mut read_until = |group: &mut Group, count: usize| {
        while read.len() < count {
            match next(group).unwrap() {
                Polled::Record(received) => read.push(received.value.unwrap()),
                polled @ (Polled::Idle
                | Polled::Assigned(_)
                | Polled::Revoked(_)
                | Polled::Lost(_)) => panic!("expected records, got {polled:?}"),
            }
        }
        read.clone()
    };
    group.start(&[(partition(0), 0)]).unwrap();
    assert_eq!(read_until(&mut group, 1), [b"a"]);
    group.start(&[(partition(0), 1), (partition(1), 0)]).unwrap();
    let mut all = read_until(&mut group, 4);
    assert!(matches!(group.poll(Duration::from_millis(300)).unwrap(), Polled::Idle), "none twice");
    all.sort();
    assert_eq!(all, [b"a", b"b", b"c", b"d"]);
}
