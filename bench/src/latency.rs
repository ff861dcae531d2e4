//! Webhook accepted → destination called: how long, at half of the rate that is possible, and when idle; and which leg of
//! the way takes how much of it.
//!
//! The run itself is that of `cargo xtask soak`, which also judges what the destinations show.

use std::time::Duration;

use anyhow::{Result, ensure};
use end_to_end::destinations::Where;
use end_to_end::judge::Finding;
use end_to_end::soak::{self, Soak, Verdict};
use schemas::topics::Topic;

use crate::budget::{self, Clocks, Load};
use crate::follower::{Follower, Read};
use crate::ground::{Ground, say};
use crate::report::{Counters, Goal, Report, Row};
use crate::statistics::Spread;

const SEED: u64 = 1;
/// The goals, beside the reorder window, in milliseconds.
const HALF_WITHIN: f64 = 50.0;
const ALMOST_ALL_WITHIN: f64 = 250.0;

pub(crate) fn run(ground: &Ground) -> Result<Report> {
    let length = Duration::from_secs(ground.scale.pick(120, 10));
    let calm = Duration::from_secs(ground.scale.pick(90, 20));
    let windows = [Duration::ZERO, Duration::from_secs(1)];
    let windows = &windows[..ground.scale.pick(2, 1)];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut rows, mut counters) = (Vec::new(), Vec::new());
    for &window in windows {
        // Without a window nothing may come out of order, or it would be told as late.
        let disorder = window.mul_f64(0.3);
        let soak = Soak { reorder_window: window, disorder, calm, ..Soak::usual(length, SEED) };
        let clocks = Clocks::read();
        let running = soak::run_at(&ground.broker, None, soak, &say, |pipeline| {
            let topic = Topic::Events.name(&pipeline.configuration.topic_prefix);
            Follower::start(ground.cluster(), topic)
        });
        let (verdict, follower) = runtime.block_on(running)?;
        let read = follower?.end()?;
        rows.extend(figures(window, &verdict));
        rows.extend(legs(window, clocks, &verdict, &read)?);
        let named = |finding: &Finding| Counters {
            side: format!("tributary, window {} ms: {}", window.as_millis(), finding.destination),
            lost: finding.lost,
            doubled: finding.doubled,
            disordered: finding.out_of_order,
            misjudged: finding.violations + finding.strangers,
        };
        counters.extend(verdict.findings.iter().map(named));
    }
    Ok(Report {
        stage: ground.stage.to_owned(),
        title: "end to end: webhook accepted → destination called".to_owned(),
        circumstances: ground.circumstances(),
        method: vec![
            format!(
                "All three binaries with their default intervals, webhooks of all four providers, both emulated destinations. First as many \
                 webhooks as are taken at once show the saturated rate; then half of it for {} s. From the 200 of `ingest` to the \
                 arrival of the call.",
                length.as_secs()
            ),
            format!(
                "Idle: after that, four webhooks a second for at most {} s. The legs of the way were seen from outside, event by event: by \
                 the sender, by the timestamp of the event's record, by a reader beside `deliver` and by the destination, whose \
                 clock shows whole milliseconds. Of each event they make up the whole; their medians do so about, the slowest of \
                 a hundred do not.",
                calm.as_secs()
            ),
            "With a reorder window an event waits for it on purpose: its goal is the window and the same.".to_owned(),
        ],
        rows,
        counters,
        charts: Vec::new(),
    })
}

fn figures(window: Duration, verdict: &Verdict) -> Vec<Row> {
    let millis = window.as_secs_f64() * 1e3;
    let one = |value: f64| Spread::of(&[value]);
    let mut rows = Vec::new();
    for (at, latencies) in Where::BOTH.into_iter().zip(&verdict.latencies) {
        for (percent, within) in [(50, HALF_WITHIN), (99, ALMOST_ALL_WITHIN)] {
            let what = format!("window {millis} ms: {}, {percent} of 100 within", at.name());
            let took = latencies.percentile(percent).as_secs_f64() * 1e3;
            rows.push(Row::new(&what, "ms", Goal::AtMost(millis + within), one(took)));
        }
    }
    let saturated = format!("window {millis} ms: saturated rate");
    rows.push(Row::new(&saturated, "/s", Goal::None, one(verdict.saturated)));
    rows
}

/// The table of the legs. Every event that a destination was told of must have been read.
fn legs(window: Duration, clocks: Clocks, verdict: &Verdict, read: &[Read]) -> Result<Vec<Row>> {
    let mut loads = Vec::new();
    for (name, ways) in [("idle", &verdict.calm), ("half load", &verdict.steady)] {
        let both = ways.each_ref().map(|ways| budget::join(clocks, ways, &verdict.journeys, read));
        let missed: usize = both.iter().map(|(_, missed)| missed).sum();
        let told: usize = ways.iter().map(Vec::len).sum();
        ensure!(missed == 0, "{name}: {missed} of {told} events were told and not read");
        say(&format!("  {name}: {told} events on their way to a destination"));
        loads.push(Load { name, legs: both.map(|(legs, _)| legs) });
    }
    let table = format!("window {} ms: a leg takes", window.as_millis());
    Ok(budget::rows(&table, &loads))
}
