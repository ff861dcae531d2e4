//! The whole pipeline on one machine: topics created, three binaries running, two emulators behind them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use emulators::{CustomerIo, CustomerIoSettings, Intercom, IntercomSettings, Person, Standing};

use service::clock::{Clock, SystemClock};

use crate::broker::Broker;
use crate::configuration::{Configuration, Listeners, Receiver};
use crate::journeys::Journey;
use crate::judge::{Finding, Seen, judge};
use crate::processes::{Binary, Process, ProcessError, Setting};
use crate::schedule::Sending;
use crate::sender::{self, Manners, Tally};
use crate::{Narrate, workspace};

const SETUP_WITHIN: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(200);

/// Calls in ten seconds that the Intercom emulator takes: so many that the run is as fast as the machine. What
/// happens at the vendor's real limit is a test of its own.
const INTERCOM_CALLS: u64 = 8_000;
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
    /// For configuration, logs and state.
    pub folder: PathBuf,
    pub listeners: Listeners,
    pub reorder_window: Duration,
    pub retry_delays: String,
    /// Destinations whose credentials are in the environment are the real ones.
    pub receivers: Receivers,
    pub environment: Vec<(String, String)>,
}

/// Whether anything may leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receivers {
    Emulated,
    RealWhereConfigured,
}

/// Both emulators.
#[derive(Debug, Clone)]
pub struct Destinations {
    pub customerio: CustomerIo,
    pub intercom: Intercom,
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
        let configuration = plan.configuration(&destinations);
        let file = plan.folder.join("tributary.yaml");
        std::fs::write(&file, configuration.render()).map_err(io("writing the configuration"))?;
        let Plan { folder, listeners, environment, .. } = plan;
        let setting = Setting { configuration: file, folder, environment };
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

    /// Sends everything to its `ingest`. `progress` hears how many have their answer.
    pub fn send<P: Fn(usize) + Send + Sync + 'static>(
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

    /// Starts one more `deliver`, configured alike but for its admin port. Not awaited.
    ///
    /// # Errors
    /// When there is no port or no folder to be had, or the process does not start.
    pub fn another_deliver(&self) -> Result<Process, PipelineError> {
        let folder = self.setting.folder.join("another");
        std::fs::create_dir_all(&folder).map_err(io("making the folder of another instance"))?;
        let mut configuration = self.configuration.clone();
        configuration.listeners.deliver = crate::ports::free().map_err(io("finding a port"))?;
        let file = folder.join("tributary.yaml");
        std::fs::write(&file, configuration.render())
            .map_err(io("writing the configuration of another instance"))?;
        let environment = self.setting.environment.clone();
        let setting = Setting { configuration: file, folder, environment };
        Ok(Process::start(Binary::Deliver, &setting, configuration.listeners.deliver)?)
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
            folder: workspace::fresh_run_folder(name)?,
            listeners: Listeners::free()?,
            reorder_window: Duration::from_secs(1),
            retry_delays: "[500ms, 1s]".to_owned(),
            receivers: Receivers::Emulated,
            environment: Vec::new(),
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

impl Destinations {
    /// Both emulators on free ports of this machine.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> std::io::Result<Self> {
        let local = || -> std::io::Result<SocketAddr> {
            Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, crate::ports::free()?)))
        };
        let intercom = IntercomSettings {
            requests_per_ten_seconds: INTERCOM_CALLS,
            ..IntercomSettings::default()
        };
        Ok(Self {
            customerio: CustomerIo::start(local()?, CustomerIoSettings::default()).await?,
            intercom: Intercom::start(local()?, intercom).await?,
        })
    }

    /// What both show now, compared with what the journeys must lead to.
    pub fn findings(&self, journeys: &[Journey]) -> [Finding; 2] {
        let customerio = seen(&self.customerio.people());
        let intercom = seen(&self.intercom.people());
        [
            judge("customerio", journeys, &customerio, self.customerio.violations().len()),
            judge("intercom", journeys, &intercom, self.intercom.violations().len()),
        ]
    }

    /// Waits until nothing is missing any more and nothing has come for `quiet`, or until nothing has come for
    /// `patience` although something is missing. `progress` hears how many events each shows.
    pub async fn settle(
        &self,
        journeys: &[Journey],
        quiet: Duration,
        patience: Duration,
        progress: &(dyn Fn([usize; 2]) + Sync),
    ) -> [Finding; 2] {
        let mut last = 0;
        let mut since = Instant::now();
        loop {
            let requests = self.customerio.requests().len() + self.intercom.requests().len();
            if requests != last {
                last = requests;
                since = Instant::now();
            }
            let findings = self.findings(journeys);
            progress([findings[0].shown, findings[1].shown]);
            let complete = !findings.iter().any(Finding::is_incomplete);
            let still_for = since.elapsed();
            if still_for >= patience || (complete && still_for >= quiet) {
                return findings;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Each person's event names, under what identifies the person. An alias shows nothing of its own.
pub fn seen(people: &[Person]) -> Seen {
    people
        .iter()
        .filter(|person| person.standing != Standing::Merged)
        .map(|person| {
            let who = person.id.as_ref().or(person.email.as_ref()).unwrap_or(&person.vendor_id);
            let events = person.events.iter().map(|event| event.name.clone()).collect();
            (who.clone(), events)
        })
        .collect()
}

/// The logs of a run, for whoever wants to know more.
pub fn logs(folder: &Path) -> String {
    format!("{}/*.log", folder.display())
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> PipelineError {
    move |source| PipelineError::Io { doing, source }
}
