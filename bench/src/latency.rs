//! Webhook accepted → destination called: how long, at half of the rate that is possible.
//!
//! The run itself is that of `cargo xtask soak`, which also judges what the destinations show.

use std::time::Duration;

use anyhow::Result;
use end_to_end::destinations::Where;
use end_to_end::judge::Finding;
use end_to_end::soak::{self, Soak, Verdict};

use crate::ground::{Ground, say};
use crate::report::{Counters, Goal, Report, Row};
use crate::statistics::Spread;

const SEED: u64 = 1;
/// The goals, beside the reorder window, in milliseconds.
const HALF_WITHIN: f64 = 50.0;
const ALMOST_ALL_WITHIN: f64 = 250.0;

pub(crate) fn run(ground: &Ground) -> Result<Report> {
    let length = Duration::from_secs(ground.scale.pick(120, 10));
    let windows = [Duration::ZERO, Duration::from_secs(1)];
    let windows = &windows[..ground.scale.pick(2, 1)];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut rows, mut counters) = (Vec::new(), Vec::new());
    for &window in windows {
        // Without a window nothing may come out of order, or it would be told as late.
        let disorder = window.mul_f64(0.3);
        let soak = Soak { reorder_window: window, disorder, ..Soak::usual(length, SEED) };
        let verdict = runtime.block_on(soak::run(soak, &say))?;
        rows.extend(figures(window, &verdict));
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
