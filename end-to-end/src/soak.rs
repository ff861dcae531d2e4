//! A long time at a steady rate, and a verdict: `cargo xtask soak`.
//!
//! First as many webhooks as are taken at once show how fast all of it goes here, until both destinations have
//! everything: the saturated rate. Then half of that comes in for as long as asked, and nothing may grow: memory, file
//! handles, threads, lag, latency ([`flat`]). Where it is asked for, a calm time follows in which a webhook comes only now
//! and then. At the end both destinations have to show every story, once and in order.

pub mod flat;
mod gauges;
mod load;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use service::clock::{Clock, SystemClock};
use tokio::task::block_in_place;

use self::flat::{Row, Stands, Unit};
use self::gauges::Reading;
use self::load::{Portion, Sent, calmly, steadily};
use crate::broker::{Broker, BrokerError};
use crate::destinations::Where;
use crate::journeys::Journey;
use crate::judge::Finding;
use crate::latency::{Clocks, Latencies, Way};
use crate::pipeline::{Pipeline, PipelineError, Plan};
use crate::processes;
use crate::sender::{self, Manners, Order};
use crate::{Narrate, workspace};

/// Webhooks that are sent at once to see how fast they are told.
const AT_ONCE: usize = 8_000;
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
    /// For how long after the steady time a webhook comes only now and then.
    pub calm: Duration,
}

impl Soak {
    /// With a window and some disorder, as in any installation.
    pub fn usual(length: Duration, seed: u64) -> Self {
        let (reorder_window, disorder, calm) = (WINDOW, DISORDER, Duration::ZERO);
        Self { length, seed, reorder_window, disorder, calm }
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
    /// Of the same events, and of those of the calm time, in the same order.
    pub steady: [Vec<Way>; 2],
    pub calm: [Vec<Way>; 2],
    /// What was sent, without the bodies: the ways name places in it.
    pub journeys: Vec<Journey>,
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

/// Runs it: with lines about how it goes, and a verdict at the end. Ends all that it started.
///
/// # Errors
/// When something cannot be started, or does not answer any more: then there is nothing to judge.
pub async fn run(soak: Soak, narrate: Narrate<'_>) -> Result<Verdict, SoakError> {
    let folder = workspace::fresh_run_folder("soak").map_err(io("making a folder"))?;
    let binaries = processes::build_release(None, &folder, narrate).map_err(PipelineError::from)?;
    let broker = Broker::start_alone(&folder, narrate)?;
    let (verdict, ()) = run_at(&broker, Some(binaries), soak, narrate, |_| ()).await?;
    Ok(verdict)
}

/// The same at a broker that is there, with the binaries of a folder, or those that were built as this program was.
/// `beside` is called as soon as all of them are ready; what it starts is given back at the end.
///
/// # Errors
/// As [`run`].
pub async fn run_at<B>(
    broker: &Broker,
    binaries: Option<PathBuf>,
    soak: Soak,
    narrate: Narrate<'_>,
    beside: impl FnOnce(&Pipeline) -> B,
) -> Result<(Verdict, B), SoakError> {
    let mut pipeline = start(broker, binaries, soak, narrate).await?;
    let clocks = Clocks::read(&pipeline.destinations);
    let beside = beside(&pipeline);

    let mut sent = Sent::default();
    let saturated = saturate(&pipeline, soak, clocks, &mut sent).await?;
    let rate = saturated / 2.0;
    narrate(&format!("saturated at {saturated:.0} webhooks a second; {rate:.0} from now on"));

    let began = Instant::now();
    let port = pipeline.configuration.listeners.webhooks;
    let sending = tokio::spawn(steadily(soak, rate, port, sent));
    let readings = block_in_place(|| watch(&mut pipeline, began, soak.length, narrate))?;
    let mut sent = sending.await??;
    narrate("everything is sent; waiting until all of it is told");
    let mut findings = settle(&pipeline, &sent).await;
    let calm = Instant::now();
    if !soak.calm.is_zero() {
        narrate("now and then a webhook from now on");
        calmly(soak, port, &mut sent).await;
        findings = settle(&pipeline, &sent).await;
    }

    let mut rows = gauges::rows(&readings, soak.length);
    let ways = Where::BOTH.map(|at| {
        Way::all(&sent.tally, &clocks.arrivals(&pipeline.destinations, at, &sent.journeys))
    });
    let steady = ways.each_ref().map(|ways| taken_in(ways, began, Some(calm)));
    for (at, ways) in Where::BOTH.into_iter().zip(&steady) {
        rows.extend(latencies(at, ways, began, soak.length));
    }
    let calm = ways.each_ref().map(|ways| taken_in(ways, calm, None));
    let latencies = steady.each_ref().map(|ways| ways.iter().map(Way::took).collect());
    let (accepted, refused) = (sent.tally.all_accepted(), sent.tally.all_refused());
    let journeys = sent.journeys;
    let verdict = Verdict {
        saturated,
        rate,
        accepted,
        refused,
        rows,
        findings,
        latencies,
        steady,
        calm,
        journeys,
    };
    Ok((verdict, beside))
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> PipelineError {
    move |source| PipelineError::Io { doing, source }
}

async fn start(
    broker: &Broker,
    binaries: Option<PathBuf>,
    soak: Soak,
    narrate: Narrate<'_>,
) -> Result<Pipeline, PipelineError> {
    let plan = Plan::for_test("soak", broker).map_err(io("choosing ports"))?;
    let mut plan = Plan { reorder_window: soak.reorder_window, binaries, ..plan };
    let memory = ("TRIBUTARY__TRANSFORM__STORE_MEMORY".to_owned(), STORE_MEMORY.to_owned());
    plan.environment.push(memory);
    Pipeline::start(plan, narrate).await
}

/// Waits until both show all of it.
async fn settle(pipeline: &Pipeline, sent: &Sent) -> [Finding; 2] {
    pipeline.destinations.settle(&sent.journeys, QUIET, PATIENCE, &|_| ()).await
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
    settle(pipeline, sent).await;
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

/// Those whose webhooks were taken in since one moment, and before another.
fn taken_in(ways: &[Way], since: Instant, until: Option<Instant>) -> Vec<Way> {
    let within =
        |way: &&Way| way.accepted >= since && until.is_none_or(|until| way.accepted < until);
    ways.iter().filter(within).copied().collect()
}

fn latencies(at: Where, ways: &[Way], began: Instant, length: Duration) -> Vec<Row> {
    let taken: Vec<(Duration, f64)> = ways
        .iter()
        .map(|way| (way.accepted.duration_since(began), way.took().as_secs_f64()))
        .collect();
    let row = |percent| {
        let name = format!("{}: latency, {percent} of 100", at.name());
        Row::new(name, (Unit::Time, Stands::Percentile(percent)), &taken, length)
    };
    [50, 99].into_iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_belongs_to_the_time_in_which_its_webhook_was_taken_in() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let way = |seconds| Way {
            place: (0, 0),
            name: "any",
            sent: began,
            accepted: at(seconds),
            arrived: at(9),
        };
        let ways = [way(0), way(1), way(2), way(3)];
        assert_eq!(taken_in(&ways, at(1), Some(at(3))), ways[1..3]);
        assert_eq!(taken_in(&ways, at(3), None), ways[3..]);
    }
}
