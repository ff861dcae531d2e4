//! What two instances of `deliver` owe a destination together, whose limits are the account's and know of no instances.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deliver::destinations::Verdict;
use deliver::failure::{Failure, Reason};
use deliver::gate::Gate;
use deliver::lease::Lease;
use deliver::waits::{self, Exchange};
use emulators::{Effect, Fault};
use end_to_end::broker::Broker;
use end_to_end::destinations::Destinations;
use end_to_end::journeys::{self, Journey};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::Process;
use end_to_end::schedule::{self, Shape};
use schemas::topics::{Installation, Topic, catalogue};
use service::clock::{Clock, SystemClock};
use stream::Cluster;

const READY_WITHIN: Duration = Duration::from_mins(1);
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(2);

/// Asked of one of them, once.
const WAIT: Duration = Duration::from_secs(4);

/// A ceiling far below what both could do.
const CEILING: u16 = 30;

/// Neither has joined its group: a wait is told and heard while commits take their time, and during a rebalance.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_told_and_heard_beside_the_group() {
    let broker = Broker::shared().expect("a broker to test against");
    let cluster = Cluster {
        brokers: broker.address().to_owned(),
        properties: BTreeMap::new(),
        session_timeout: Duration::from_secs(6),
        max_message_bytes: 1 << 20,
    };
    let topic = Topic::Waits("crm".to_owned()).name("exchange.");
    let installation = Installation {
        prefix: "exchange.",
        destinations: vec!["crm"],
        in_shadow: Vec::new(),
        partitions: 1,
        max_body: 1,
    };
    let specs = catalogue(&installation).unwrap();
    stream::admin::create_missing(&cluster, &specs, 1).await.unwrap();
    let place = waits::Place { cluster, group: "nobody".to_owned(), topic };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let gates: [Arc<Gate>; 3] =
        std::array::from_fn(|_| Arc::new(Gate::new(1.0, Lease::new(PATIENCE))));
    let start = |gate: &Arc<Gate>| Exchange::start(place.clone(), gate.clone(), clock.clone());
    let is_waiting = async |gate: &Gate| {
        while gate.is_open_for_calls() {
            tokio::task::yield_now().await;
        }
    };
    let [one, other, later] = &gates;
    let (told, heard) = (start(one).await.unwrap(), start(other).await.unwrap());
    let asked = Failure::new(Reason::Throttled, "slower");
    one.learn(&[Verdict::Pause { failure: asked, after: Some(PATIENCE) }], clock.elapsed());
    // What was asked last is told by who leaves, too.
    told.end().await;
    tokio::time::timeout(PATIENCE, is_waiting(other)).await.expect("the other hears of it");
    let late = start(later).await.unwrap();
    assert!(!later.is_open_for_calls(), "who comes later knows it before the first call");
    heard.end().await;
    late.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_was_asked_the_other_heeds() {
    let (pipeline, others) = two("waits", Vec::new()).await;
    let Destinations { customerio, intercom } = &pipeline.destinations;
    // Few enough that an instance that was not told would ask long after the other was.
    let journeys = journeys(21, 100);
    for after in [0, 6] {
        let asks =
            Effect::Respond { status: 429, body: None, retry_after_seconds: Some(WAIT.as_secs()) };
        let asks = Fault::always(asks).times(1).window(Duration::from_secs(after), PATIENCE);
        customerio.inject(asks.clone());
        intercom.inject(asks);
    }
    send(&pipeline, &journeys, Duration::from_secs(8), Duration::from_millis(400)).await;
    assert_flawless(&pipeline, &journeys).await;
    assert_both_deliver(&pipeline.deliver, &others);
    for (name, requests) in
        [("customerio", customerio.requests()), ("intercom", intercom.requests())]
    {
        let refused = requests.iter().filter(|request| request.status == Some(429)).count();
        assert!(refused >= 2, "{name} asked {refused} times only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn together_two_instances_keep_the_ceiling_and_reach_it() {
    let limits = ["CUSTOMERIO", "INTERCOM"].map(|name| {
        (format!("TRIBUTARY__DESTINATIONS__{name}__RATE_LIMIT"), format!("{CEILING}/s"))
    });
    let (pipeline, others) = two("ceiling", limits.to_vec()).await;
    let journeys = journeys(22, 200);
    send(&pipeline, &journeys, Duration::from_secs(1), Duration::ZERO).await;
    assert_flawless(&pipeline, &journeys).await;
    assert_both_deliver(&pipeline.deliver, &others);
    let at: Vec<u64> = pipeline
        .destinations
        .intercom
        .requests()
        .iter()
        // All but those of `setup` and of probes.
        .filter(|request| {
            ["/contacts", "/events"].iter().any(|path| request.path.starts_with(path))
        })
        .map(|request| request.arrived_millis)
        .collect();
    let within_a_second = at.iter().map(|begin| {
        let second = *begin..begin + 1_000;
        at.iter().filter(|arrived| second.contains(arrived)).count()
    });
    let most = within_a_second.max().unwrap();
    // Each may send at once what it did not send in a tenth of a second, and requests may bunch on their way.
    let ceiling = usize::from(CEILING);
    assert!(most <= ceiling + ceiling / 3, "{most} requests within a second");
    // As long as both have a backlog, the ceiling is what is sent; who has less of it is done before the other.
    let backlog = at.first().unwrap() + 1_000..at.first().unwrap() + 5_000;
    let sent = at.iter().filter(|arrived| backlog.contains(arrived)).count();
    assert!(sent >= ceiling * 4 * 4 / 5, "{sent} requests in four seconds of backlog");
}

/// A pipeline with two instances of `deliver`, both of which have their share.
async fn two(name: &str, environment: Vec<(String, String)>) -> (Pipeline, Process) {
    let broker = Broker::shared().expect("a broker to test against");
    let plan = Plan { environment, ..Plan::for_test(name, broker).unwrap() };
    let mut pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let mut other = pipeline.another_deliver().unwrap();
    other.wait_until_ready(READY_WITHIN).unwrap();
    pipeline.deliver.wait_until_ready(READY_WITHIN).unwrap();
    (pipeline, other)
}

fn journeys(seed: u64, webhooks: usize) -> Vec<Journey> {
    journeys::generate(seed, SystemClock::new().now_millis(), webhooks)
}

async fn send(pipeline: &Pipeline, journeys: &[Journey], spread_over: Duration, step: Duration) {
    let shape =
        Shape { seed: 1, duplicates_percent: 0, shuffle_within: Duration::ZERO, spread_over, step };
    let sendings = schedule::schedule(journeys, shape);
    let sent = sendings.len();
    let tally = pipeline.send(sendings, |_| ()).await;
    assert_eq!((tally.all_accepted(), tally.all_refused()), (sent, 0));
}

async fn assert_flawless(pipeline: &Pipeline, journeys: &[Journey]) {
    let logs = pipeline.setting.folder.display();
    for finding in pipeline.destinations.settle(journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{finding}; {logs}");
    }
}

fn assert_both_deliver(one: &Process, other: &Process) {
    for process in [one, other] {
        for name in ["customerio", "intercom"] {
            let label = format!("destination=\"{name}\"");
            let metrics = process.metrics().unwrap();
            let delivered = metrics.sum("tributary_deliver_delivered_total", &[&label]);
            assert!(delivered > 0.0, "one instance delivered nothing to {name}");
        }
    }
}
