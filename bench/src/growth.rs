//! What an event costs when there are more subscribers, and more to remember of each.

use std::time::Duration;

use anyhow::Result;

use crate::ground::{Ground, say};
use crate::outcome::Judged;
use crate::payload::{Renewals, Webhook};
use crate::report::{Chart, Counters, Goal, Report, Row};
use crate::sample::{Sample, Series};
use crate::statistics::{Spread, ratios};
use crate::transform::{Reader, tributary};

const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// Subscribers that fit the cache.
const FEW: usize = 10_000;
/// Of the traffic that goes to them, when it is not spread evenly.
const PERCENT: usize = 95;
const STORE_MEMORY: &str = "128MiB";
/// What is told, and what a process has beside its store.
const MEMORY_BOUND: f64 = (128.0 + 256.0) * 1.048_576;
/// As many ids of each subscriber as days of one event each would leave.
const DAYS: usize = 35;
/// Days at each end that are held against each other.
const END: usize = 5;

pub(crate) fn run(ground: &Ground) -> Result<Report> {
    let many = ground.scale.pick(1_000_000, 50_000);
    let events = ground.scale.pick(50_000, 10_000);
    let runs = ground.scale.pick(5, 2);
    let mut reader =
        tributary(ground, SESSION_TIMEOUT, &[("TRANSFORM__STORE_MEMORY", STORE_MEMORY)])?;
    let mut few = Series::new(format!("tributary: {FEW} subscribers"));
    let mut spread = Series::new(format!("tributary: {many} subscribers, evenly"));
    let mut skewed = Series::new(format!("tributary: {many} subscribers, {PERCENT} % to {FEW}"));

    let all_days = ground.scale.pick(DAYS, DAYS / 3);
    let mut days = Vec::new();
    let mut renewals = Renewals::of(FEW)?;
    for day in 0..all_days {
        let webhooks: Vec<Webhook> = (0..FEW).map(|_| renewals.next()).collect();
        let sample = reader.measure(&webhooks, Judged::ByContent)?;
        if day + runs >= all_days {
            ground.tell(&mut few, day, sample)?;
        }
        days.push(sample);
    }
    say(&format!("  telling it of {many} subscribers"));
    // Others than before, who are told in turns; each is met for the first time here.
    let mut renewals = Renewals::after(&renewals, many)?;
    let mut told = 0;
    while told < many {
        let webhooks: Vec<Webhook> = (0..events).map(|_| renewals.next()).collect();
        reader.measure(&webhooks, Judged::ByContent)?;
        told += events;
    }
    for run in 0..runs {
        // A prime step meets everybody before it meets anybody twice.
        let evenly = |place: usize| place * 7_919 % many;
        let mut batch = |who: &dyn Fn(usize) -> usize| -> Vec<Webhook> {
            (0..events).map(|place| renewals.of_subscriber(who(run * events + place))).collect()
        };
        let webhooks = batch(&evenly);
        let sample = measure(&mut reader, &webhooks)?;
        ground.tell(&mut spread, run, sample)?;
        let webhooks = batch(&|place| {
            if place % 100 < PERCENT { place * 7_919 % FEW } else { evenly(place) }
        });
        let sample = measure(&mut reader, &webhooks)?;
        ground.tell(&mut skewed, run, sample)?;
    }
    Ok(report(ground, many, &days, &[&few, &spread, &skewed]))
}

fn measure(reader: &mut Reader, webhooks: &[Webhook]) -> Result<Sample> {
    reader.measure(webhooks, Judged::ByContent)
}

fn report(ground: &Ground, many: usize, days: &[Sample], all: &[&Series; 3]) -> Report {
    let [few, spread, skewed] = all;
    let costs = |samples: &[Sample]| -> Vec<f64> { samples.iter().map(Sample::cost).collect() };
    // The first day makes the subscribers known, which costs what no later day does.
    let (early, late) = (costs(&days[1..=END]), costs(&days[days.len() - END..]));
    let grown = Spread::of(&ratios(&late, &early));
    let by_few = |series: &Series| series.ratio(few, Sample::cost);
    let peak = Spread::of(&[days
        .iter()
        .chain(&skewed.samples)
        .map(|it| it.peak / 1e6)
        .fold(0.0, f64::max)]);
    let rows = vec![
        Row::new(
            &format!("processor time an event, {many} subscribers evenly by {FEW}"),
            "×",
            Goal::AtMost(3.0),
            by_few(spread),
        ),
        Row::new(
            &format!("the same when {PERCENT} % of the traffic goes to {FEW} of them"),
            "×",
            Goal::AtMost(1.2),
            by_few(skewed),
        ),
        Row::new(
            &format!(
                "processor time an event, {} ids remembered of each subscriber by 2 to 6",
                days.len()
            ),
            "×",
            Goal::AtMost(1.2),
            grown,
        ),
        Row::new("highest memory", "MB", Goal::AtMost(MEMORY_BOUND), peak),
    ];
    Report {
        stage: ground.stage.to_owned(),
        title: "growth: what an event costs when there is more to remember".to_owned(),
        circumstances: ground.circumstances(),
        method: vec![
            format!(
                "transform alone, as in its own stage, with `store_memory: {STORE_MEMORY}`. {FEW} subscribers are told of {DAYS} times, \
                 as one event a day would in the whole of the deduplication window; then {many} others are told of, and after that \
                 evenly, and with {PERCENT} % of the traffic to {FEW} of them."
            ),
            "The cost at the few subscribers is that of their last days, with everything remembered.".to_owned(),
        ],
        rows,
        counters: all.iter().map(|series| Counters::of(series)).collect(),
        charts: vec![Chart::of("processor time an event, µs", all, Sample::cost)],
    }
}
