//! A long time at a steady rate, and a verdict: `cargo xtask soak`.
//!
//! First as many webhooks as are taken at once show how fast all of it goes here, until both destinations have
//! everything: the saturated rate. Then half of that comes in for as long as asked, and nothing may grow: memory, file
//! handles, threads, lag, latency ([`flat`]). At the end both destinations have to show every story, once and in order.

pub mod flat;
mod gauges;

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;
use service::clock::{Clock, SystemClock};
use tokio::task::{JoinSet, block_in_place};

use self::flat::{Row, Stands, Unit};
use self::gauges::Reading;
use crate::broker::{Broker, BrokerError};
use crate::destinations::Where;
use crate::journeys::{self, Journey};
use crate::judge::Finding;
use crate::latency::{Arrival, Clocks, Latencies};
use crate::pipeline::{Pipeline, PipelineError, Plan};
use crate::processes;
use crate::schedule::{self, Sending, Shape};
use crate::sender::{self, Manners, Order, Tally};
use crate::{Narrate, workspace};

/// Webhooks that are sent at once to see how fast they are told.
const AT_ONCE: usize = 8_000;
/// What is sent is made up so much at a time, because an hour of it would not be small.
const PORTION: Duration = Duration::from_mins(1);
const DUPLICATES_PERCENT: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);
/// Clearly below the reorder window, and well above the time between a person's webhooks.
const DISORDER: Duration = Duration::from_millis(300);
/// What the store may take is taken by and by, as ever more people become known. So it is the least with which twelve
/// partitions keep it: within the first half it is all in use, and the rest must stay as it is.
const STORE_MEMORY: &str = "64MiB";
const LOOKS_EVERY: Duration = Duration::from_secs(10);
const TELLS_EVERY: Duration = Duration::from_mins(1);

const QUIET: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_mins(2);

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("a part of the run did not come to its end")]
    Torn(#[from] tokio::task::JoinError),
    #[error("nothing that was sent at once was told, so that there is no rate to take the half of")]
    NoRate,
}

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    pub length: Duration,
    pub seed: u64,
    pub reorder_window: Duration,
    /// How far a webhook may come after one that happened later; below the window, or it is told as late.
    pub disorder: Duration,
}

impl Soak {
    /// With a window and some disorder, as in any installation.
    pub fn usual(length: Duration, seed: u64) -> Self {
        Self { length, seed, reorder_window: WINDOW, disorder: DISORDER }
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Verdict {
    /// Webhooks a second, copies among them.
    pub saturated: f64,
    pub rate: f64,
    pub accepted: usize,
    pub refused: usize,
    pub rows: Vec<Row>,
    pub findings: [Finding; 2],
    /// Of the events of the steady time, in the order of [`Where::BOTH`].
    pub latencies: [Latencies; 2],
}

impl Verdict {
    /// Whether nothing grows, and all arrived once and in order.
    pub fn is_clean(&self) -> bool {
        self.refused == 0
            && self.rows.iter().all(Row::is_flat)
            && self.findings.iter().all(Finding::is_flawless)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { saturated, rate, accepted, refused, .. } = self;
        writeln!(formatter, "saturated at {saturated:.0} webhooks a second, then {rate:.0}")?;
        writeln!(formatter, "{accepted} answered 200, {refused} not")?;
        write!(formatter, "{:<34}", "in each quarter of the time")?;
        for quarter in ["first", "second", "third", "last"] {
            write!(formatter, " {quarter:>10}")?;
        }
        writeln!(formatter)?;
        for row in &self.rows {
            writeln!(formatter, "{row}")?;
        }
        for finding in &self.findings {
            writeln!(formatter, "{finding}")?;
        }
        Ok(())
    }
}

/// All that was sent, and what became of it.
#[derive(Debug, Default)]
struct Sent {
    journeys: Vec<Journey>,
    tally: Tally,
}

/// Runs it: with lines about how it goes, and a verdict at the end. Ends all that it started.
///
/// # Errors
/// When something cannot be started, or does not answer any more: then there is nothing to judge.
pub async fn run(soak: Soak, narrate: Narrate<'_>) -> Result<Verdict, SoakError> {
    let io = |doing| move |source| PipelineError::Io { doing, source };
    let folder = workspace::fresh_run_folder("soak").map_err(io("making a folder"))?;
    processes::build(&folder, narrate).map_err(PipelineError::from)?;
    let broker = Broker::start_alone(&folder, narrate)?;
    let plan = Plan::for_test("soak", &broker).map_err(io("choosing ports"))?;
    let mut plan = Plan { reorder_window: soak.reorder_window, ..plan };
    let memory = ("TRIBUTARY__TRANSFORM__STORE_MEMORY".to_owned(), STORE_MEMORY.to_owned());
    plan.environment.push(memory);
    let mut pipeline = Pipeline::start(plan, narrate).await?;
    let clocks = Clocks::read(&pipeline.destinations);

    let mut sent = Sent::default();
    let saturated = saturate(&pipeline, soak, clocks, &mut sent).await?;
    let rate = saturated / 2.0;
    narrate(&format!("saturated at {saturated:.0} webhooks a second; {rate:.0} from now on"));

    let began = Instant::now();
    let port = pipeline.configuration.listeners.webhooks;
    let sending = tokio::spawn(steadily(soak, rate, port, sent));
    let readings = block_in_place(|| watch(&mut pipeline, began, soak.length, narrate))?;
    let sent = sending.await??;
    narrate("everything is sent; waiting until all of it is told");
    let settling = pipeline.destinations.settle(&sent.journeys, QUIET, PATIENCE, &|_| ());
    let findings = settling.await;

    let mut rows = gauges::rows(&readings, soak.length);
    let latencies = Where::BOTH.map(|at| {
        let arrivals = clocks.arrivals(&pipeline.destinations, at, &sent.journeys);
        let taken = steady(&sent.tally, &arrivals, began);
        rows.extend(latencies(at, &taken, soak.length));
        taken.into_iter().map(|(_, took)| took).collect()
    });
    let (accepted, refused) = (sent.tally.all_accepted(), sent.tally.all_refused());
    Ok(Verdict { saturated, rate, accepted, refused, rows, findings, latencies })
}

/// How many webhooks a second are told to both destinations when there are always more. The first and the last tenth
/// are left out: there not everybody is busy.
async fn saturate(
    pipeline: &Pipeline,
    soak: Soak,
    clocks: Clocks,
    sent: &mut Sent,
) -> Result<f64, SoakError> {
    let now = SystemClock::new().now_millis();
    let portion = Portion {
        seed: soak.seed,
        webhooks: AT_ONCE,
        spread_over: Duration::ZERO,
        disorder: Duration::ZERO,
    };
    // What comes later than the reorder window is told as late, and here everything comes later than it should.
    let manners = Manners {
        order: Order::OneAfterTheOther,
        ..Manners::to(pipeline.configuration.listeners.webhooks)
    };
    let tally = sender::send(portion.sendings(now, &mut sent.journeys), manners, |_| ()).await;
    sent.tally.absorb(tally);
    pipeline.destinations.settle(&sent.journeys, QUIET, PATIENCE, &|_| ()).await;
    let mut slowest = Duration::ZERO;
    for at in Where::BOTH {
        let arrivals = clocks.arrivals(&pipeline.destinations, at, &sent.journeys);
        let Some(first) = arrivals.iter().map(|arrival| arrival.at).min() else {
            return Err(SoakError::NoRate);
        };
        let times: Latencies =
            arrivals.iter().map(|arrival| arrival.at.saturating_duration_since(first)).collect();
        slowest = slowest.max(times.percentile(90).saturating_sub(times.percentile(10)));
    }
    if slowest.is_zero() {
        return Err(SoakError::NoRate);
    }
    let told = u32::try_from(sent.tally.all_accepted()).unwrap_or(u32::MAX);
    Ok(f64::from(told) * 0.8 / slowest.as_secs_f64())
}

/// Part of what is sent.
#[derive(Debug, Clone, Copy)]
struct Portion {
    seed: u64,
    /// Copies among them.
    webhooks: usize,
    /// Within which time the stories begin.
    spread_over: Duration,
    /// How far a webhook may come after one that happened later.
    disorder: Duration,
}

impl Portion {
    /// Adds its stories to those that were told before, without the bodies, of which there would be too many.
    fn sendings(self, now_ms: i64, journeys: &mut Vec<Journey>) -> Vec<Sending> {
        let Self { seed, webhooks, spread_over, disorder } = self;
        let copied = 100 + usize::try_from(DUPLICATES_PERCENT).unwrap_or_default();
        let mut told = journeys::generate(seed, now_ms, webhooks * 100 / copied);
        let shape = Shape {
            duplicates_percent: DUPLICATES_PERCENT,
            shuffle_within: disorder,
            ..Shape::disordered(seed, spread_over)
        };
        let mut sendings = schedule::schedule(&told, shape);
        for sending in &mut sendings {
            sending.place.0 += journeys.len();
        }
        for webhook in told.iter_mut().flat_map(|journey| &mut journey.webhooks) {
            webhook.body = Value::Null;
        }
        journeys.append(&mut told);
        sendings
    }
}

/// Sends so many a second for the whole time.
async fn steadily(soak: Soak, rate: f64, port: u16, mut sent: Sent) -> Result<Sent, SoakError> {
    let began = tokio::time::Instant::now();
    let mut portions = JoinSet::new();
    let mut at = Duration::ZERO;
    while at < soak.length {
        let spread_over = PORTION.min(soak.length.saturating_sub(at));
        // Whole webhooks of a positive rate.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let webhooks = (rate * spread_over.as_secs_f64()) as usize;
        // Other people each time, because they are of another moment.
        let now = SystemClock::new().now_millis();
        let seed = soak.seed.wrapping_add(at.as_secs() + 1);
        let portion = Portion { seed, webhooks, spread_over, disorder: soak.disorder };
        let sendings = block_in_place(|| portion.sendings(now, &mut sent.journeys));
        tokio::time::sleep_until(began + at).await;
        portions.spawn(sender::send(sendings, Manners::to(port), |_| ()));
        at += spread_over;
    }
    while let Some(tally) = portions.join_next().await {
        sent.tally.absorb(tally?);
    }
    Ok(sent)
}

/// Looks at the gauges again and again, until the time is over.
fn watch(
    pipeline: &mut Pipeline,
    began: Instant,
    length: Duration,
    narrate: Narrate<'_>,
) -> Result<Vec<Reading>, SoakError> {
    let mut readings = Vec::new();
    let mut told = Duration::ZERO;
    while began.elapsed() < length {
        let reading = Reading::take(pipeline, began).map_err(PipelineError::from)?;
        if told <= began.elapsed() {
            told += TELLS_EVERY;
            let minutes = began.elapsed().as_secs() / 60;
            narrate(&format!("{minutes:>3} min  {}", reading.line()));
        }
        readings.push(reading);
        std::thread::sleep(LOOKS_EVERY);
    }
    Ok(readings)
}

/// How long events took that were taken in during the steady time, and when in it that was.
fn steady(tally: &Tally, arrivals: &[Arrival], began: Instant) -> Vec<(Duration, Duration)> {
    let taken = arrivals.iter().filter_map(|arrival| {
        let accepted = tally.accepted_at.get(&arrival.place)?.into_std();
        let since = accepted.checked_duration_since(began)?;
        Some((since, arrival.at.saturating_duration_since(accepted)))
    });
    taken.collect()
}

fn latencies(at: Where, taken: &[(Duration, Duration)], length: Duration) -> Vec<Row> {
    let taken: Vec<(Duration, f64)> =
        taken.iter().map(|(since, took)| (*since, took.as_secs_f64())).collect();
    let row = |percent| {
        let name = format!("{}: latency, {percent} of 100", at.name());
        Row::new(name, (Unit::Time, Stands::Percentile(percent)), &taken, length)
    };
    [50, 99].into_iter().filter_map(row).collect()
}
