//! The whole pipeline on one machine: topics created, three binaries running, two emulators behind them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use service::clock::{Clock, SystemClock};

use crate::broker::Broker;
use crate::configuration::{Configuration, Listeners, Receiver};
use crate::destinations::Destinations;
use crate::processes::{Binary, Process, ProcessError, Setting};
use crate::schedule::Sending;
use crate::sender::{self, Manners, Tally};
use crate::{Narrate, workspace};

const SETUP_WITHIN: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_mins(1);

/// Below the fair use that the Customer.io emulator watches.
const CALLS_PER_SECOND: u32 = 700;

/// Why the pipeline does not run.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("{doing} failed")]
    Io { doing: &'static str, source: std::io::Error },
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Plan {
    pub brokers: String,
    pub schema_registry: Option<String>,
    pub topic_prefix: String,
    /// Where the secrets of the sources are files; in the configuration itself if nowhere.
    pub secrets: Option<PathBuf>,
    /// For configuration, logs and state.
    pub folder: PathBuf,
    pub listeners: Listeners,
    pub reorder_window: Duration,
    pub retry_delays: String,
    /// Destinations whose credentials are in the environment are the real ones.
    pub receivers: Receivers,
    pub environment: Vec<(String, String)>,
    /// Where the binaries lie, unless they were built as this program was.
    pub binaries: Option<PathBuf>,
}

/// Whether anything may leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receivers {
    Emulated,
    RealWhereConfigured,
}

/// Everything that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Pipeline {
    pub destinations: Destinations,
    pub ingest: Process,
    pub transform: Process,
    pub deliver: Process,
    pub configuration: Configuration,
    pub setting: Setting,
}

impl Pipeline {
    /// Starts the emulators, creates topics and attributes (`setup`), starts the binaries and waits until they are
    /// ready.
    ///
    /// # Errors
    /// With the end of the log of whatever did not start.
    pub async fn start(plan: Plan, narrate: Narrate<'_>) -> Result<Self, PipelineError> {
        narrate("starting the emulators of Customer.io and Intercom");
        let destinations = Destinations::start().await.map_err(io("starting the emulators"))?;
        Self::start_before(destinations, plan, narrate)
    }

    /// The same with emulators that are there already.
    ///
    /// # Errors
    /// As [`Pipeline::start`].
    pub fn start_before(
        destinations: Destinations,
        plan: Plan,
        narrate: Narrate<'_>,
    ) -> Result<Self, PipelineError> {
        let configuration = plan.configuration(&destinations);
        let file = plan.folder.join("tributary.yaml");
        std::fs::write(&file, configuration.render()).map_err(io("writing the configuration"))?;
        let Plan { folder, listeners, environment, binaries, .. } = plan;
        let setting = Setting { configuration: file, folder, environment, binaries };
        for binary in Binary::ALL {
            narrate(&format!("{} setup", binary.name()));
            setting.command(binary, "setup", SETUP_WITHIN)?;
        }
        narrate("starting ingest, transform and deliver");
        let mut pipeline = Self {
            destinations,
            ingest: Process::start(Binary::Ingest, &setting, listeners.ingest)?,
            transform: Process::start(Binary::Transform, &setting, listeners.transform)?,
            deliver: Process::start(Binary::Deliver, &setting, listeners.deliver)?,
            configuration,
            setting,
        };
        for process in pipeline.processes() {
            narrate(&format!("waiting until {} is ready", process.binary().name()));
            process.wait_until_ready(READY_WITHIN)?;
        }
        Ok(pipeline)
    }

    /// Sends everything to its `ingest`. `progress` hears of each final answer.
    pub fn send<P: Fn(&Tally) + Send + Sync + 'static>(
        &self,
        sendings: Vec<Sending>,
        progress: P,
    ) -> impl Future<Output = Tally> + use<P> {
        let manners = Manners::to(self.configuration.listeners.webhooks);
        sender::send(sendings, manners, progress)
    }

    pub fn processes(&mut self) -> [&mut Process; 3] {
        [&mut self.ingest, &mut self.transform, &mut self.deliver]
    }

    /// Starts one more `deliver`, as [`Beside::start`] does.
    ///
    /// # Errors
    /// As [`Beside::start`].
    pub fn another_deliver(&self) -> Result<Process, PipelineError> {
        Ok(self.beside().prepare(Binary::Deliver, "another")?.start(&[])?)
    }

    /// What it takes to run more of the same beside it.
    pub fn beside(&self) -> Beside {
        Beside { configuration: self.configuration.clone(), setting: self.setting.clone() }
    }
}

/// What further instances have in common with the pipeline they join.
#[derive(Debug, Clone)]
pub struct Beside {
    configuration: Configuration,
    setting: Setting,
}

/// A further instance, not yet started.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub binary: Binary,
    /// Its own.
    pub state_dir: PathBuf,
    setting: Setting,
    admin_port: u16,
}

impl Beside {
    /// One more, configured alike but for its admin port and its folder, which is found under `name`.
    ///
    /// # Errors
    /// When there is no port or no folder to be had.
    pub fn prepare(&self, binary: Binary, name: &str) -> Result<Prepared, PipelineError> {
        let folder = self.setting.folder.join(name);
        std::fs::create_dir_all(&folder).map_err(io("making the folder of another instance"))?;
        let mut configuration = self.configuration.clone();
        let admin_port = crate::ports::free().map_err(io("finding a port"))?;
        let Listeners { ingest, transform, deliver, .. } = &mut configuration.listeners;
        let own = match binary {
            Binary::Ingest => ingest,
            Binary::Transform => transform,
            Binary::Deliver => deliver,
        };
        *own = admin_port;
        configuration.state_dir = folder.join("state");
        let file = folder.join("tributary.yaml");
        std::fs::write(&file, configuration.render())
            .map_err(io("writing the configuration of another instance"))?;
        let setting = Setting { configuration: file, folder, ..self.setting.clone() };
        Ok(Prepared { binary, state_dir: configuration.state_dir, setting, admin_port })
    }
}

impl Prepared {
    /// Starts it, under a command that ends in running what follows it, if there is one. Not awaited.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(&self, under: &[OsString]) -> Result<Process, ProcessError> {
        Process::start_under(under, self.binary, &self.setting, self.admin_port)
    }
}

impl Plan {
    /// For a test: topics, folder and ports of its own at this broker, emulated destinations, no registry. A
    /// failed delivery is soon tried again.
    ///
    /// # Errors
    /// When there is no folder or no port to be had.
    pub fn for_test(name: &str, broker: &Broker) -> std::io::Result<Self> {
        Ok(Self {
            brokers: broker.address().to_owned(),
            schema_registry: None,
            topic_prefix: format!("{name}-{:x}.", SystemClock::new().now_millis()),
            secrets: None,
            folder: workspace::fresh_run_folder(name)?,
            listeners: Listeners::free()?,
            reorder_window: Duration::from_secs(2),
            retry_delays: "[500ms, 1s]".to_owned(),
            receivers: Receivers::Emulated,
            environment: Vec::new(),
            binaries: None,
        })
    }

    fn configuration(&self, destinations: &Destinations) -> Configuration {
        let real = |variables: &[&str]| {
            self.receivers == Receivers::RealWhereConfigured
                && variables.iter().all(|variable| std::env::var_os(variable).is_some())
        };
        let receiver = |real: bool, base_url: String| {
            if real { Receiver::Real } else { Receiver::Emulator { base_url } }
        };
        Configuration {
            brokers: self.brokers.clone(),
            schema_registry: self.schema_registry.clone(),
            topic_prefix: self.topic_prefix.clone(),
            secrets: self.secrets.clone(),
            listeners: self.listeners,
            state_dir: self.folder.join("state"),
            reorder_window: self.reorder_window,
            retry_delays: self.retry_delays.clone(),
            rate_per_second: CALLS_PER_SECOND,
            customerio: receiver(
                real(&["CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY"]),
                destinations.customerio.base_url(),
            ),
            intercom: receiver(real(&["INTERCOM_ACCESS_TOKEN"]), destinations.intercom.base_url()),
        }
    }
}

/// The logs of a run, for whoever wants to know more.
pub fn logs(folder: &Path) -> String {
    format!("{}/*.log", folder.display())
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> PipelineError {
    move |source| PipelineError::Io { doing, source }
}
