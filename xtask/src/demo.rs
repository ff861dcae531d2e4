//! `cargo xtask demo`: the whole job on one machine, and a verdict.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::broker::Broker;
use end_to_end::configuration::Listeners;
use end_to_end::journeys::{self, Journey};
use end_to_end::judge::Finding;
use end_to_end::pipeline::{self, Pipeline, Plan, Receivers};
use end_to_end::schedule::{self, Sending, Shape};
use end_to_end::sender::Tally;
use end_to_end::{processes, workspace};
use service::clock::{Clock, SystemClock};

use crate::display::{Bar, Steps, say};
use crate::plant::{self, Fault};
use crate::report;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// At least so many different webhooks are sent
    #[arg(long, default_value_t = 2000)]
    webhooks: usize,
    /// The same seed tells the same stories and shuffles them the same way
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Plants a fault; the demo must then fail
    #[arg(long)]
    plant: Option<Fault>,
}

/// The window that `transform` holds events for, and what the shuffle may use of it: sending takes time too.
const REORDER_WINDOW: Duration = Duration::from_secs(2);
const SHUFFLE_WITHIN: Duration = Duration::from_millis(900);
const STEP: Duration = Duration::from_millis(150);
/// Webhooks a second, roughly.
const PACE: u32 = 150;
/// Nothing more is coming when nothing came for so long: longer than the window and the first retry.
const QUIET: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_mins(1);

/// What was sent and what came of it.
pub(crate) struct Run {
    pub(crate) journeys: Vec<Journey>,
    pub(crate) sent: usize,
    pub(crate) unique: usize,
    pub(crate) disordered: usize,
    pub(crate) tally: Tally,
    pub(crate) findings: [Finding; 2],
}

#[tokio::main]
pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let steps = Steps::new();
    let (_broker, mut pipeline) = start(&steps, "demo", Receivers::Emulated, Vec::new()).await?;
    steps.finish();
    let run = send_and_settle(arguments, &pipeline).await?;
    let flawless = report::print(&run, &mut pipeline);
    say(&format!("logs: {}", pipeline::logs(&pipeline.setting.folder)));
    Ok(if flawless { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds, obtains and starts everything. The broker must outlive the pipeline.
pub(crate) async fn start(
    steps: &Steps,
    name: &str,
    receivers: Receivers,
    environment: Vec<(String, String)>,
) -> Result<(Broker, Pipeline)> {
    let folder = workspace::fresh_run_folder(name).context("making a folder for the run")?;
    let narrate = |news: &str| steps.news(news);
    processes::build(&folder, &narrate)?;
    steps.done("built ingest, transform and deliver");
    let broker = Broker::start(&folder, &narrate)?;
    steps.done(&format!("Apache Kafka answers at {}", broker.address()));
    let plan = Plan {
        brokers: broker.address().to_owned(),
        schema_registry: None,
        topic_prefix: format!("{name}-{:x}.", SystemClock::new().now_millis()),
        secrets: None,
        folder,
        listeners: Listeners::usual().context("choosing ports")?,
        reorder_window: REORDER_WINDOW,
        retry_delays: "[10s, 1m, 10m, 1h, 6h]".to_owned(),
        receivers,
        environment,
        binaries: None,
    };
    let pipeline = Pipeline::start(plan, &narrate).await?;
    steps.done("ingest, transform and deliver are ready");
    Ok((broker, pipeline))
}

async fn send_and_settle(arguments: &Arguments, pipeline: &Pipeline) -> Result<Run> {
    let now = SystemClock::new().now_millis();
    let journeys = journeys::generate(arguments.seed, now, arguments.webhooks);
    let sendings = lay_out(arguments, &journeys)?;
    let unique = journeys.iter().map(|journey| journey.webhooks.len()).sum();
    let (sent, disordered) = (sendings.len(), schedule::disordered(&sendings));
    let bar = Bar::new("sending webhooks", sent);
    let tally = pipeline.send(sendings, move |tally| bar.at(tally.answered())).await;
    let expected: usize = journeys.iter().map(|journey| journey.shown().len()).sum();
    let bar = Bar::new("events at both destinations", 2 * expected);
    let show = |shown: [usize; 2]| bar.at(shown[0] + shown[1]);
    let findings = pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &show).await;
    bar.finish();
    Ok(Run { journeys, sent, unique, disordered, tally, findings })
}

fn lay_out(arguments: &Arguments, journeys: &[Journey]) -> Result<Vec<Sending>> {
    let webhooks = u32::try_from(arguments.webhooks).context("too many webhooks")?;
    let shape = Shape {
        seed: arguments.seed,
        duplicates_percent: 10,
        shuffle_within: SHUFFLE_WITHIN,
        spread_over: Duration::from_secs(1) * webhooks / PACE,
        step: STEP,
    };
    let mut sendings = schedule::schedule(journeys, shape);
    if let Some(fault) = arguments.plant {
        plant::plant(fault, &mut sendings);
    }
    Ok(sendings)
}
