//! The whole pipeline: a real broker, the three binaries as they are shipped, strict emulators.
//!
//! Each test sends the signed webhooks of invented journeys, with duplicates and disorder, disturbs
//! something while they are on their way, and then asks the destinations: does every person's story
//! stand there, each event once and in order, and did no request break a vendor's rule?
//!
//! What only these tests can catch is a wrong agreement between two binaries, or between one and the
//! broker; every decision has its own tests where it is made.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use emulators::{Effect, Fault, Outage};
use end_to_end::broker::Broker;
use end_to_end::destinations::Destinations;
use end_to_end::journeys::{self, Journey};
use end_to_end::judge::Finding;
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::Process;
use end_to_end::schedule::{self, Copy, Sending, Shape};
use end_to_end::sender::Tally;
use schemas::topics::Topic;
use service::clock::{Clock, SystemClock};
use stream::{Cluster, Group, Membership, Polled, Progress, Transactions};

/// The disorder stays well below, also where senders find nobody for a while and come again, and on a machine that is busy
/// with other tests.
const REORDER_WINDOW: Duration = Duration::from_secs(6);
const SHUFFLE_WITHIN: Duration = Duration::from_millis(600);
/// Longer than something may be held back.
const QUIET: Duration = Duration::from_secs(7);
const PATIENCE: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_mins(1);
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Two installations of one broker, told apart by their prefix.
async fn pipeline(name: &str) -> Pipeline {
    let broker = Broker::shared().expect("a broker to test against");
    let plan = Plan::for_test(name, broker).unwrap();
    let plan = Plan { reorder_window: REORDER_WINDOW, ..plan };
    Pipeline::start(plan, &|_| ()).await.unwrap()
}

fn journeys(seed: u64, webhooks: usize) -> Vec<Journey> {
    journeys::generate(seed, SystemClock::new().now_millis(), webhooks)
}

fn shuffled(journeys: &[Journey], seed: u64, spread_over: Duration) -> Vec<Sending> {
    schedule::schedule(
        journeys,
        Shape {
            seed,
            duplicates_percent: 10,
            shuffle_within: SHUFFLE_WITHIN,
            spread_over,
            step: Duration::from_millis(100),
        },
    )
}

async fn send(pipeline: &Pipeline, sendings: Vec<Sending>) -> Tally {
    pipeline.send(sendings, |_| ()).await
}

async fn settle(pipeline: &Pipeline, journeys: &[Journey]) -> [Finding; 2] {
    pipeline.destinations.settle(journeys, QUIET, PATIENCE, &|_| ()).await
}

fn assert_flawless(findings: &[Finding; 2], pipeline: &Pipeline) {
    for finding in findings {
        let violations = match finding.destination.as_str() {
            "customerio" => pipeline.destinations.customerio.violations(),
            _ => pipeline.destinations.intercom.violations(),
        };
        let first: Vec<_> = violations.iter().take(3).collect();
        assert!(
            finding.is_flawless(),
            "{finding}\n{first:?}\nlogs: {}",
            pipeline.setting.folder.display()
        );
    }
}

fn count(process: &Process, name: &str, labels: &[&str]) -> u64 {
    let sum = process.metrics().unwrap().sum(name, labels);
    format!("{sum:.0}").parse().unwrap()
}

fn parked(pipeline: &Pipeline) -> (u64, u64) {
    (
        count(&pipeline.transform, "tributary_transform_parked_total", &[]),
        count(&pipeline.deliver, "tributary_deliver_parked_total", &[]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn four_providers_duplicates_and_disorder_become_one_story_per_person() {
    let pipeline = pipeline("story").await;
    let journeys = journeys(7, 400);
    let sendings = shuffled(&journeys, 7, Duration::from_secs(3));
    let (sent, disordered) = (sendings.len(), schedule::disordered(&sendings));
    let copies = sendings.iter().filter(|sending| sending.copy == Copy::Duplicate);
    let (telling, silent): (Vec<_>, Vec<_>) =
        copies.partition(|sending| !sending.webhook.expects.is_empty());
    let meaningful = u64::try_from(telling.len()).unwrap();
    let all = meaningful + u64::try_from(silent.len()).unwrap();
    let tally = send(&pipeline, sendings).await;
    assert_eq!((tally.all_accepted(), tally.all_refused()), (sent, 0));
    let findings = settle(&pipeline, &journeys).await;
    assert_flawless(&findings, &pipeline);
    let transform = |name| count(&pipeline.transform, name, &[]);
    // The second copy of what means nothing to us is ignored like the first, and not remembered.
    let duplicates = transform("tributary_transform_duplicates_total");
    assert!((meaningful..=all).contains(&duplicates), "{meaningful} <= {duplicates} <= {all}");
    assert!(disordered > 0 && transform("tributary_transform_reordered_total") > 0);
    let expected: usize =
        journeys.iter().flat_map(|journey| &journey.webhooks).map(|told| told.expects.len()).sum();
    assert_eq!(transform("tributary_transform_events_total"), u64::try_from(expected).unwrap());
    assert_eq!(parked(&pipeline), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_one_destination_parks_nothing_and_delays_nobody_else() {
    let pipeline = pipeline("outage").await;
    let journeys = journeys(11, 200);
    pipeline.destinations.customerio.set_outage(Outage::Unavailable);
    let tally = send(&pipeline, shuffled(&journeys, 11, Duration::from_secs(2))).await;
    assert_eq!(tally.all_refused(), 0);
    // Intercom gets everything while Customer.io is down.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let [_, intercom] = pipeline.destinations.findings(&journeys);
        if intercom.lost == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{intercom}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(pipeline.destinations.findings(&journeys)[0].shown, 0);
    pipeline.destinations.customerio.set_outage(Outage::Off);
    let findings = settle(&pipeline, &journeys).await;
    assert_flawless(&findings, &pipeline);
    assert_eq!(parked(&pipeline), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_while_deliver_was_away_is_told_whole() {
    let mut pipeline = pipeline("backlog").await;
    let journeys = journeys(37, 1_200);
    assert!(pipeline.deliver.terminate(ENDS_WITHIN).unwrap().success());
    assert_eq!(send(&pipeline, shuffled(&journeys, 37, Duration::ZERO)).await.all_refused(), 0);
    let expected: usize =
        journeys.iter().flat_map(|journey| &journey.webhooks).map(|told| told.expects.len()).sum();
    let deadline = Instant::now() + PATIENCE;
    while count(&pipeline.transform, "tributary_transform_events_total", &[])
        < u64::try_from(expected).unwrap()
    {
        assert!(Instant::now() < deadline, "transform is not done");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    pipeline.deliver.start_again().unwrap();
    pipeline.deliver.wait_until_ready(READY_WITHIN).unwrap();
    assert_flawless(&settle(&pipeline, &journeys).await, &pipeline);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_person_waits_in_the_retry_topic_and_keeps_the_order() {
    let broker = Broker::shared().expect("a broker to test against");
    // More of them than pass until it is seen that somebody waits.
    let retry_delays = "[500ms, 1s, 2s, 4s, 8s]".to_owned();
    let plan = Plan::for_test("retry", broker).unwrap();
    let plan = Plan { reorder_window: REORDER_WINDOW, retry_delays, ..plan };
    let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let journeys = journeys(13, 120);
    let unlucky = journeys.iter().max_by_key(|journey| journey.shown().len()).unwrap();
    let fails = || Fault::always(Effect::respond(500)).person(&unlucky.who);
    let Destinations { customerio, intercom } = &pipeline.destinations;
    customerio.inject(fails());
    intercom.inject(fails());
    let sending = pipeline.send(shuffled(&journeys, 13, Duration::from_secs(2)), |_| ());
    let sending = tokio::spawn(sending);
    moved(&pipeline, "customerio").await;
    customerio.clear_faults();
    moved(&pipeline, "intercom").await;
    intercom.clear_faults();
    assert_eq!(sending.await.unwrap().all_refused(), 0);
    let findings = settle(&pipeline, &journeys).await;
    assert_flawless(&findings, &pipeline);
    assert_eq!(parked(&pipeline), (0, 0));
}

/// Waits until the head of a lane has gone to the retry topic.
async fn moved(pipeline: &Pipeline, destination: &str) {
    let label = format!("destination=\"{destination}\"");
    let deadline = Instant::now() + PATIENCE;
    while count(&pipeline.deliver, "tributary_deliver_moved_total", &[&label]) == 0 {
        assert!(Instant::now() < deadline, "nobody waits at {destination}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_event_is_parked_with_its_reason_and_those_behind_it_go_on() {
    let pipeline = pipeline("park").await;
    let journeys = journeys(17, 60);
    let unlucky = journeys.iter().max_by_key(|journey| journey.shown().len()).unwrap();
    // Intercom refuses the event once and for all; the contact itself is taken.
    let refusal = Fault::always(Effect::respond(400)).person(&unlucky.who).path("/events").times(1);
    pipeline.destinations.intercom.inject(refusal);
    send(&pipeline, shuffled(&journeys, 17, Duration::from_secs(1))).await;
    let [customerio, intercom] = settle(&pipeline, &journeys).await;
    assert!(customerio.is_flawless(), "{customerio}");
    assert_eq!((intercom.lost, intercom.doubled, intercom.out_of_order), (1, 0, 0), "{intercom}");
    assert_eq!(parked(&pipeline), (0, 1));
}

/// What happens to one binary while webhooks are on their way.
async fn survives(name: &str, seed: u64, disturb: impl Fn(&mut Pipeline)) {
    let mut pipeline = pipeline(name).await;
    let journeys = journeys(seed, 300);
    let sendings = shuffled(&journeys, seed, Duration::from_secs(8));
    let sent = sendings.len();
    let sending = tokio::spawn(pipeline.send(sendings, |_| ()));
    for _ in 0..3 {
        // Into the middle of the stream, wherever that is.
        tokio::time::sleep(Duration::from_millis(1800)).await;
        disturb(&mut pipeline);
    }
    let tally = sending.await.unwrap();
    assert_eq!((tally.all_accepted(), tally.all_refused()), (sent, 0));
    let findings = settle(&pipeline, &journeys).await;
    assert_flawless(&findings, &pipeline);
    assert_eq!(parked(&pipeline), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_ingest_loses_nothing() {
    survives("kill-ingest", 19, |pipeline| {
        pipeline.ingest.kill().unwrap();
        pipeline.ingest.start_again().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_transform_loses_doubles_and_reorders_nothing() {
    survives("kill-transform", 23, |pipeline| {
        pipeline.transform.kill().unwrap();
        pipeline.transform.start_again().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_deliver_loses_doubles_and_reorders_nothing() {
    survives("kill-deliver", 29, |pipeline| {
        pipeline.deliver.kill().unwrap();
        pipeline.deliver.start_again().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_binary_ends_in_good_order_under_load() {
    survives("terminate", 31, |pipeline| {
        for process in pipeline.processes() {
            let status = process.terminate(ENDS_WITHIN).unwrap();
            assert!(status.success(), "{}: {status}", process.binary().name());
            process.start_again().unwrap();
        }
    })
    .await;
}

/// The group of a destination goes on from the oldest event, as if it had been set back by an operator.
fn set_back(pipeline: &Pipeline, destination: &str) {
    let prefix = &pipeline.configuration.topic_prefix;
    let cluster = Cluster {
        brokers: pipeline.configuration.brokers.clone(),
        properties: BTreeMap::new(),
        session_timeout: Duration::from_secs(15),
        max_message_bytes: 1 << 20,
    };
    let (events, retry) =
        (Topic::Events.name(prefix), Topic::Retry(destination.to_owned()).name(prefix));
    let name = format!("{prefix}deliver.{destination}");
    let topics = [events.as_str(), retry.as_str()];
    let mut group = Group::join(&cluster, &name, &topics, &Membership::default()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let assigned = loop {
        assert!(Instant::now() < deadline, "nothing was assigned");
        if let Polled::Assigned(partitions) = group.poll(Duration::from_millis(100)).unwrap() {
            break partitions;
        }
    };
    let ours = assigned.into_iter().filter(|partition| *partition.topic == *events);
    let progress: Vec<_> = ours
        .map(|partition| Progress { partition, next_offset: 0, metadata: String::new() })
        .collect();
    let mut transactions = Transactions::open(&cluster, &name).unwrap();
    transactions.begin().unwrap();
    transactions.commit(&progress, &group.member().unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_from_the_beginning_changes_nothing_that_anybody_sees() {
    let mut pipeline = pipeline("again").await;
    let journeys = journeys(41, 150);
    let tally = send(&pipeline, shuffled(&journeys, 41, Duration::from_secs(2))).await;
    assert_eq!(tally.all_refused(), 0);
    assert_flawless(&settle(&pipeline, &journeys).await, &pipeline);
    let shown = |pipeline: &Pipeline| -> BTreeMap<_, _> {
        let Destinations { customerio, intercom } = &pipeline.destinations;
        let people = customerio.people().into_iter().chain(intercom.people());
        people.map(|person| (person.vendor_id, (person.attributes, person.events))).collect()
    };
    let (before, names) = (shown(&pipeline), ["customerio", "intercom"]);
    let delivered = |pipeline: &Pipeline| {
        names.map(|name| {
            let label = format!("destination=\"{name}\"");
            count(&pipeline.deliver, "tributary_deliver_delivered_total", &[&label])
        })
    };
    let once = delivered(&pipeline);
    assert!(pipeline.deliver.terminate(ENDS_WITHIN).unwrap().success());
    let pipeline = tokio::task::spawn_blocking(move || {
        for name in names {
            set_back(&pipeline, name);
        }
        pipeline.deliver.start_again().unwrap();
        pipeline.deliver.wait_until_ready(READY_WITHIN).unwrap();
        pipeline
    });
    let pipeline = pipeline.await.unwrap();
    // Whoever set the group back left no word of calls: they are waited for.
    let deadline = Instant::now() + PATIENCE * 2;
    while delivered(&pipeline).iter().zip(once).any(|(again, once)| *again < once) {
        assert!(Instant::now() < deadline, "{once:?} became {:?}", delivered(&pipeline));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_flawless(&settle(&pipeline, &journeys).await, &pipeline);
    assert_eq!(shown(&pipeline), before);
}
