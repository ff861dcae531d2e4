//! What two instances of `deliver` owe a destination together, whose limits are the account's and know of no instances.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

use std::time::Duration;

use emulators::{Effect, Fault};
use end_to_end::broker::Broker;
use end_to_end::journeys::{self, Journey};
use end_to_end::pipeline::{Destinations, Pipeline, Plan};
use end_to_end::processes::Process;
use end_to_end::schedule::{self, Shape};
use end_to_end::sender::{self, Manners};
use service::clock::{Clock, SystemClock};

const READY_WITHIN: Duration = Duration::from_mins(1);
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(2);

/// A ceiling far below what both could do.
const CEILING: u16 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_was_asked_the_other_heeds() {
    let (pipeline, others) = two("waits", Vec::new()).await;
    let Destinations { customerio, intercom } = &pipeline.destinations;
    // Few enough that an instance that was not told would ask long after the other was.
    let journeys = journeys(21, 100);
    for after in [2, 8] {
        let window = (Duration::from_secs(after), Duration::from_secs(4));
        customerio.inject(Fault::always(Effect::Throttle).window(window.0, window.1));
        intercom.inject(Fault::always(Effect::Throttle).window(window.0, window.1));
    }
    send(&pipeline, &journeys, Duration::from_secs(8), Duration::from_millis(400)).await;
    assert_flawless(&pipeline, &journeys).await;
    assert_both_deliver(&pipeline.deliver, &others);
    for (name, requests) in
        [("customerio", customerio.requests()), ("intercom", intercom.requests())]
    {
        let refused = requests.iter().filter(|request| request.status == Some(429)).count();
        assert!(refused > 0, "nothing was refused by {name}");
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
    let manners = Manners::to(pipeline.configuration.listeners.webhooks);
    let tally = sender::send(sendings, manners, |_| ()).await;
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
