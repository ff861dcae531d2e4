//! `cargo xtask upgrade`: an earlier version is replaced by this one while webhooks come, then the way back is tried as
//! far as there is one, and a verdict.
//!
//! What `docs/operations.md` says about upgrade and rollback is what happens here.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use end_to_end::broker::Broker;
use end_to_end::configuration::Listeners;
use end_to_end::destinations::Destinations;
use end_to_end::journeys;
use end_to_end::judge::Finding;
use end_to_end::pipeline::{self, Pipeline, Plan, Receivers};
use end_to_end::processes::{self, Binary, Process, Setting};
use end_to_end::schedule::{self, Shape};
use end_to_end::workspace;
use service::clock::{Clock, SystemClock};
use service::exit::REFUSED;

use crate::base::{Base, Built, NEWEST};
use crate::display::{Steps, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The version that runs at first: a tag, a commit or a branch; without one, the newest tag v*
    #[arg(long, value_name = "REVISION", default_value = NEWEST, hide_default_value = true)]
    from: String,
    /// At least so many different webhooks are sent
    #[arg(long, default_value_t = 3000)]
    webhooks: usize,
    /// The same seed tells the same stories and shuffles them the same way
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Longer than a replacement takes, during which senders find nobody and come again.
const REORDER_WINDOW: Duration = Duration::from_secs(8);
/// All changes fall into this time.
const LASTS: Duration = Duration::from_mins(2);
/// How long each set of versions works before the next change.
const STAYS: Duration = Duration::from_secs(4);
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const READY_WITHIN: Duration = Duration::from_mins(1);
const SETUP_WITHIN: Duration = Duration::from_mins(1);
/// Nothing more is coming when nothing came for so long: longer than the window and the first retry.
const QUIET: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_mins(3);

/// In the order in which the documentation replaces them, which does not matter.
const ORDER: [Binary; 3] = [Binary::Deliver, Binary::Transform, Binary::Ingest];

/// One of the two that take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Earlier,
    This,
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Earlier => "the earlier version",
            Self::This => "this version",
        })
    }
}

/// The pipeline, and how a binary of each version is run in it.
struct Stage {
    pipeline: Pipeline,
    earlier: Setting,
    this: Setting,
}

#[tokio::main]
pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let base = Base::find(&arguments.from)?;
    let folder = workspace::fresh_run_folder("upgrade").context("making a folder for the run")?;
    let steps = Steps::new();
    let narrate = |news: &str| steps.news(news);
    let this = processes::build_release(None, &folder, &narrate)?;
    steps.done("built ingest, transform and deliver");
    let base = base.build(&folder, &narrate)?;
    steps.done(&format!("built those of {}", base.name));
    let broker = Broker::start(&folder, &narrate)?;
    steps.done(&format!("Apache Kafka answers at {}", broker.address()));
    let stage = start(folder, &broker, (&base, this), &narrate).await?;
    steps.done(&format!("ingest, transform and deliver of {} are ready", base.name));
    steps.finish();
    let logs = pipeline::logs(&stage.this.folder);
    let flawless = send_meanwhile(stage, arguments).await?;
    say(&format!("logs: {logs}"));
    Ok(if flawless { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The whole pipeline in the earlier version.
async fn start(
    folder: PathBuf,
    broker: &Broker,
    (base, this): (&Built, PathBuf),
    narrate: end_to_end::Narrate<'_>,
) -> Result<Stage> {
    let destinations = Destinations::start().await.context("starting the emulators")?;
    let plan = Plan {
        brokers: broker.address().to_owned(),
        schema_registry: None,
        topic_prefix: format!("upgrade-{:x}.", SystemClock::new().now_millis()),
        secrets: None,
        folder,
        listeners: Listeners::free().context("choosing ports")?,
        reorder_window: REORDER_WINDOW,
        retry_delays: "[1s, 5s, 1m]".to_owned(),
        receivers: Receivers::Emulated,
        environment: Vec::new(),
        binaries: Some(base.binaries.clone()),
    };
    let pipeline = Pipeline::start_before(destinations, plan, narrate)?;
    let of = |name: &str, binaries| -> Result<Setting> {
        let folder = pipeline.setting.folder.join(name);
        std::fs::create_dir_all(&folder).context("making a folder for logs")?;
        Ok(Setting { folder, binaries, ..pipeline.setting.clone() })
    };
    let (earlier, this) =
        (of("earlier", pipeline.setting.binaries.clone())?, of("this", Some(this))?);
    Ok(Stage { pipeline, earlier, this })
}

/// Webhooks come all the while; true when every event arrived once and in order.
async fn send_meanwhile(mut stage: Stage, arguments: &Arguments) -> Result<bool> {
    let now = SystemClock::new().now_millis();
    let journeys = journeys::generate(arguments.seed, now, arguments.webhooks);
    let shape = Shape {
        seed: arguments.seed,
        duplicates_percent: 10,
        shuffle_within: Duration::from_secs(1),
        spread_over: LASTS,
        step: Duration::from_millis(150),
    };
    let sendings = schedule::schedule(&journeys, shape);
    let sent = sendings.len();
    say(&format!("sending {sent} webhooks of {} subscribers meanwhile", journeys.len()));
    let sending = tokio::spawn(stage.pipeline.send(sendings, |_| ()));
    stage.there_and_back().await?;
    ensure!(!sending.is_finished(), "the webhooks were all sent before the last change");
    let tally = sending.await.context("sending webhooks")?;
    let findings = stage.pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await;
    say("");
    for finding in &findings {
        say(&finding.to_string());
    }
    let (accepted, refused) = (tally.all_accepted(), tally.all_refused());
    say(&format!("{accepted} of {sent} webhooks were accepted, {refused} refused"));
    let flawless = accepted == sent && findings.iter().all(Finding::is_flawless);
    say(if flawless {
        "\nEverything arrived once and in order, whichever versions were running."
    } else {
        "\nSomething was lost, doubled, out of order or wrong; see above."
    });
    Ok(flawless)
}

impl Stage {
    async fn there_and_back(&mut self) -> Result<()> {
        for binary in Binary::ALL {
            self.this.command(binary, "setup", SETUP_WITHIN)?;
        }
        say("setup of this version: done");
        for binary in ORDER {
            self.replace(binary, Version::This).await?;
        }
        for binary in [Binary::Deliver, Binary::Ingest] {
            self.replace(binary, Version::Earlier).await?;
        }
        self.try_transform_back().await?;
        for binary in ORDER {
            self.replace(binary, Version::This).await?;
        }
        Ok(())
    }

    /// After both have worked side by side for a while.
    async fn replace(&mut self, binary: Binary, by: Version) -> Result<()> {
        tokio::time::sleep(STAYS).await;
        self.begin(binary, by)?.wait_until_ready(READY_WITHIN)?;
        say(&format!("{} of {by}: ready", binary.name()));
        Ok(())
    }

    /// It goes on where this one stood, or says that the state is not for it and ends.
    async fn try_transform_back(&mut self) -> Result<()> {
        tokio::time::sleep(STAYS).await;
        let transform = self.begin(Binary::Transform, Version::Earlier)?;
        match transform.wait_until_ready(READY_WITHIN) {
            Ok(()) => say("transform of the earlier version: ready"),
            Err(error) => {
                let code = transform.ended()?.and_then(|status| status.code());
                ensure!(code == Some(i32::from(REFUSED)), error);
                say("transform of the earlier version: ended with 78, the state is not for it");
            }
        }
        Ok(())
    }

    fn begin(&mut self, binary: Binary, version: Version) -> Result<&mut Process> {
        let Self { pipeline, earlier, this } = self;
        let listeners = pipeline.configuration.listeners;
        let (process, port) = match binary {
            Binary::Ingest => (&mut pipeline.ingest, listeners.ingest),
            Binary::Transform => (&mut pipeline.transform, listeners.transform),
            Binary::Deliver => (&mut pipeline.deliver, listeners.deliver),
        };
        // One that has ended by itself was told of already.
        if process.ended()?.is_none() {
            let status = process.terminate(ENDS_WITHIN)?;
            ensure!(status.success(), "{} ended with {status}", binary.name());
        }
        let setting = match version {
            Version::Earlier => earlier,
            Version::This => this,
        };
        *process = Process::start(binary, setting, port)?;
        Ok(process)
    }
}
