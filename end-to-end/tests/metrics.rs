//! What the binaries show: as it is documented, by Prometheus' conventions, and bounded.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use end_to_end::broker::Broker;
use end_to_end::metrics::Metrics;
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{self, Shape};
use end_to_end::{http, journeys, preflight, workspace};
use service::clock::{Clock, SystemClock};
use service::metrics::{Declared, Values, page};

use crate::declarations::declared;

const SEED: u64 = 71;
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(1);

/// Series of one process beside which a few more do not matter to any Prometheus.
const MOST_SERIES: usize = 1_500;

const ABOVE: &str = "# Metrics

<!-- Generated from the declarations in the code. Change those, and run `cargo test -p end-to-end --test \
                     together metrics`: it says where the page as it must be lies. -->

Each binary shows these at `/metrics` on its admin port, beside those of the process (`process_…`). Counters and
histograms whose labels can be listed stand at zero from the start.
";

#[test]
fn the_page_shows_every_metric_as_it_is_declared() {
    let sections = declared().map(|(binary, declared)| {
        let table = page(&declared);
        format!("\n## `{binary}`\n\n{table}")
    });
    let text = format!("{ABOVE}{}", sections.concat());
    let written = std::fs::read_to_string(workspace::root().join("docs/METRICS.md")).unwrap();
    if written != text {
        let right = Path::new(env!("CARGO_TARGET_TMPDIR")).join("METRICS.md");
        std::fs::write(&right, text).unwrap();
        panic!("docs/METRICS.md is out of date: copy {} there", right.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_keeps_the_conventions_is_bounded_and_stands_at_zero_before_anything_happens()
{
    preflight::ensure(&[preflight::PROMTOOL], &|_| ()).unwrap();
    let broker = Broker::shared().unwrap();
    let plan = Plan::for_test("metrics", broker).unwrap();
    let mut pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let texts = scraped(&mut pipeline);
    for ((binary, declared), text) in declared().iter().zip(&texts) {
        let shown = Metrics::parse(text);
        for metric in declared.iter().filter(|metric| metric.kind != "gauge" && is_listed(metric)) {
            let series = |series: &&String| series.starts_with(metric.name);
            assert!(shown.samples().keys().any(|name| series(&name)), "{binary}: {}", metric.name);
        }
    }

    let journeys = journeys::generate(SEED, SystemClock::new().now_millis(), 300);
    let shape = Shape::disordered(SEED, Duration::from_secs(1));
    assert_eq!(pipeline.send(schedule::schedule(&journeys, shape), |_| ()).await.all_refused(), 0);
    pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await;
    let texts = scraped(&mut pipeline);
    for text in &texts {
        judge(text);
        let series = Metrics::parse(text).samples().len();
        assert!(series < MOST_SERIES, "{series} series");
    }
    let [_, transform, deliver] = texts.map(|text| Metrics::parse(&text));
    let of = |name: &str| transform.sum(&format!("tributary_transform_{name}"), &[]);
    let taken_in = of("consumed_total") + of("taken_over_records_total");
    let waits = of("held_records") + of("waiting_for_links");
    let settled = of("records_total") + of("handed_over_records_total");
    assert_eq!(whole(taken_in), whole(settled + waits), "{transform:?}");
    assert!(taken_in > 300.0, "{transform:?}");
    let of = |name: &str| deliver.sum(&format!("tributary_deliver_{name}"), &[]);
    let accounted_for = of("records_total") + of("waiting_records");
    assert_eq!(whole(of("consumed_total")), whole(accounted_for), "{deliver:?}");
    assert!(accounted_for > 300.0, "{deliver:?}");
}

/// A number of records.
fn whole(number: f64) -> String {
    format!("{number:.0}")
}

/// Whether every series of it is known before anything has happened.
fn is_listed(metric: &Declared) -> bool {
    let is_open =
        |values| matches!(values, Values::Partitions | Values::Build | Values::Documented(_));
    !metric.labels.iter().any(|label| is_open(label.values))
}

fn scraped(pipeline: &mut Pipeline) -> [String; 3] {
    let listeners = pipeline.configuration.listeners;
    [listeners.ingest, listeners.transform, listeners.deliver].map(|port| {
        let (status, text) = http::get(port, "/metrics").unwrap();
        assert_eq!(status, 200);
        text
    })
}

/// What Prometheus' own tool has to say about names, units and help.
fn judge(text: &str) {
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
