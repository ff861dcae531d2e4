//! A pipeline in which all sorts of things happen, looked after by a real Prometheus: what it has to say is on every
//! panel, and the books balance.

use std::time::Duration;

use emulators::{Effect, Fault};
use end_to_end::broker::Broker;
use end_to_end::http;
use end_to_end::journeys::{self, Journey};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{self, Shape};
use service::clock::{Clock, SystemClock};

use super::dashboards::{Dashboard, Target};
use super::prometheus::Prometheus;
use super::rules::Rule;

const SEED: u64 = 83;
const WEBHOOKS: usize = 160;
const PATIENCE: Duration = Duration::from_secs(40);

/// In place of the variables of a dashboard.
const VARIABLES: [(&str, &str); 3] =
    [("$__rate_interval", "1m"), ("$namespace", ".*"), ("$destination", ".*")];

/// What has failed for longer than it is tried in place waits in the retry topic.
const MOVED: &str = "sum(tributary_deliver_moved_total) > 0";
/// What is there when all of it has happened and nothing waits any more.
const HAPPENED: [&str; 7] = [
    "sum(tributary_ingest_signatures_refused_total) > 0",
    "tributary_transform_duplicates_total > 0",
    "tributary_transform_reordered_total > 0",
    "sum(tributary_transform_ignored_total) > 0",
    "sum(tributary_deliver_answers_total{code=\"429\"}) > 0",
    "sum(tributary_deliver_parked_total) > 0",
    "sum(tributary_transform_held_records) + sum(tributary_deliver_waiting_records) == 0",
];
/// What must not happen to any record, whatever else does.
const LOSS: &str =
    "ALERTS{alertname=~\"TributaryRecordsUnaccounted|TributaryPartition.*|Tributary.*Down\"}";
const BALANCES: [&str; 2] = [
    "instance:tributary_transform_unaccounted:records != 0",
    "instance_destination:tributary_deliver_unaccounted:records != 0",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_and_every_rule_has_data_and_the_books_balance() {
    let plan = Plan::for_test("monitoring", Broker::shared().unwrap()).unwrap();
    let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let prometheus = Prometheus::start(&pipeline).await;
    // What happens before the first look is in no rate.
    gives(&prometheus, &[to("count(up == 1) == 3")]).await;
    let journeys = journeys::generate(SEED, SystemClock::new().now_millis(), WEBHOOKS);
    happen(&pipeline, &journeys).await;
    gives(&prometheus, &[to(MOVED)]).await;
    pipeline.destinations.customerio.clear_faults();

    let dashboards = Dashboard::all();
    let mut targets: Vec<_> = dashboards.iter().flat_map(Dashboard::targets).collect();
    targets.extend(HAPPENED.map(to));
    let recorded = Rule::all().into_iter().filter(|rule| !rule.is_alert());
    targets.extend(recorded.map(|rule| Target { place: rule.name.clone(), expression: rule.name }));
    assert!(targets.len() > 100, "{} queries", targets.len());
    gives(&prometheus, &targets).await;
    let planted = to("sum(tributary_deliver_answers_total{code=\"418\"})");
    assert_eq!(without_data(&prometheus, &[planted]).len(), 1);
    for expression in BALANCES.into_iter().chain([LOSS]) {
        gives_nothing(&prometheus, expression).await;
    }
    assert_eq!(prometheus.complaints(), [""; 0]);
}

/// Disorder and repetitions, a stranger at the door, a destination that asks for quiet, one event that fails for a while
/// and one that nobody will take.
async fn happen(pipeline: &Pipeline, journeys: &[Journey]) {
    let failing = journeys.iter().max_by_key(|journey| journey.shown().len()).unwrap();
    let destinations = &pipeline.destinations;
    destinations.customerio.inject(Fault::always(Effect::Throttle).times(1));
    let fails = Fault::always(Effect::respond(500)).person(&failing.who);
    destinations.customerio.inject(fails);
    let refuses = Fault::always(Effect::respond(400)).path("/events").times(1);
    destinations.intercom.inject(refuses);
    let port = pipeline.configuration.listeners.webhooks;
    assert_eq!(http::post(port, "/webhooks/stripe", "{}").unwrap().0, 401);
    let shape = Shape::disordered(SEED, Duration::from_secs(3));
    let sendings = schedule::schedule(journeys, shape);
    assert_eq!(pipeline.send(sendings, |_| ()).await.all_refused(), 0);
}

/// Each of these gives at least one series, soon.
async fn gives(prometheus: &Prometheus, targets: &[Target]) {
    let without = |prometheus: &Prometheus| without_data(prometheus, targets);
    assert_eq!(prometheus.until_nothing(PATIENCE, without).await, [""; 0]);
}

/// This gives no series any more, soon.
async fn gives_nothing(prometheus: &Prometheus, expression: &str) {
    let given = |prometheus: &Prometheus| {
        prometheus.ask(expression).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(prometheus.until_nothing(PATIENCE, given).await, [""; 0]);
}

/// A query of the test's own.
fn to(expression: &str) -> Target {
    Target { place: "the test".to_owned(), expression: expression.to_owned() }
}

/// The queries that give no series.
fn without_data(prometheus: &Prometheus, targets: &[Target]) -> Vec<String> {
    let is_empty = |target: &&Target| {
        let substitute = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
        prometheus.ask(&VARIABLES.iter().fold(target.expression.clone(), substitute)).is_empty()
    };
    let empty = targets.iter().filter(is_empty);
    empty.map(|target| format!("{}: {}", target.place, target.expression)).collect()
}
