//! A real Apache Kafka (KRaft, one node or a cluster) for demos and tests, in whichever way this machine allows.
//!
//! `KAFKA_BROKERS`, when set, names a cluster that is already there; nothing is started then, and it cannot be
//! stopped either. Else a container is used if a Docker daemon answers, else the released artefacts from Maven
//! Central under Java 17+. The second and third run in the foreground of a [`Supervised`] process and are gone with
//! the process that started them; their data with them. The nodes of a cluster are always processes of this machine:
//! containers would not find each other.

mod cluster;
mod container;
mod guard;
mod maven;
mod readiness;
mod rights;
mod settings;
mod tools;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::java::JavaError;
use crate::supervise::{Program, Signal, Supervised};
use crate::{Narrate, ports};

pub use guard::{Guard, User};
pub use rights::{Kind, Operation, Pattern, Resource, Right};
pub use tools::Tool;

/// The release that is started.
pub const KAFKA_VERSION: &str = "4.3.1";

/// The port that everything about Kafka assumes; used when it is free.
const USUAL_PORT: u16 = 9092;
const READY_WITHIN: Duration = Duration::from_secs(90);
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error(transparent)]
    Java(#[from] JavaError),
    #[error("{doing} failed")]
    Io { doing: &'static str, source: std::io::Error },
    #[error("{doing} failed:\n{output}")]
    Command { doing: &'static str, output: String },
    #[error("the broker ended while starting:\n{log}")]
    EndedAtStart { log: String },
    #[error("no answer from a broker at {address} within {} s:\n{log}", within.as_secs())]
    NotReady { address: String, within: Duration, log: String },
    #[error("the broker given by KAFKA_BROKERS is not ours to stop")]
    NotOurs,
}

/// A broker that answers. Dropping it ends it, if it was started here.
#[derive(Debug)]
pub struct Broker {
    address: String,
    behind_proxy: Option<SocketAddr>,
    guarded: Option<String>,
    log: PathBuf,
    started: Option<Started>,
    /// Where it is not its own.
    _controller: Option<Started>,
    /// So many it has to know of before it counts as ready.
    brokers: i32,
}

/// What it is to have beside the listener that everybody may use.
#[derive(Clone, Copy, Default)]
struct Beside<'a> {
    proxied: Option<settings::Proxied>,
    guard: Option<&'a Guard>,
}

#[derive(Debug)]
struct Started {
    program: Program,
    running: Option<Supervised>,
    container: Option<container::Container>,
    /// Log segments and metadata; removed with the broker.
    _data: tempfile::TempDir,
}

impl Broker {
    /// Obtains and starts a broker, or takes the one that `KAFKA_BROKERS` names, and waits until it answers.
    /// Its log is `kafka.log` in `folder`.
    ///
    /// # Errors
    /// See [`BrokerError`]; what is missing on the machine is named with the command that installs it.
    pub fn start(folder: &Path, narrate: Narrate<'_>) -> Result<Self, BrokerError> {
        match std::env::var("KAFKA_BROKERS") {
            Ok(address) if !address.is_empty() => {
                narrate(&format!("using the Kafka at {address} (KAFKA_BROKERS)"));
                let log = folder.join("kafka.log");
                let broker = Self {
                    address,
                    behind_proxy: None,
                    guarded: None,
                    log,
                    started: None,
                    _controller: None,
                    brokers: 1,
                };
                broker.wait_until_ready(&mut None)?;
                Ok(broker)
            }
            _ => {
                let port = ports::free_or(USUAL_PORT).map_err(io("choosing a port"))?;
                Self::start_own(port, Beside::default(), folder, narrate)
            }
        }
    }

    /// Obtains and starts a broker of one's own, also when `KAFKA_BROKERS` names another: one that may be
    /// stopped. It takes a port that nobody else looks for while it is away.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_alone(folder: &Path, narrate: Narrate<'_>) -> Result<Self, BrokerError> {
        let port = ports::free().map_err(io("choosing a port"))?;
        Self::start_own(port, Beside::default(), folder, narrate)
    }

    /// Obtains and starts a broker of one's own, also when `KAFKA_BROKERS` names another: whoever connects to
    /// [`Broker::behind_proxy`] is told that it is to be found at `proxy_port` of this machine.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_behind(
        proxy_port: u16,
        folder: &Path,
        narrate: Narrate<'_>,
    ) -> Result<Self, BrokerError> {
        let free = || ports::free().map_err(io("choosing a port"));
        let proxied = settings::Proxied { port: free()?, advertised: proxy_port };
        let beside = Beside { proxied: Some(proxied), guard: None };
        Self::start_own(free()?, beside, folder, narrate)
    }

    /// Obtains and starts a broker of one's own that lets nobody in whom the guard does not know, and nobody do what
    /// was not allowed with [`Broker::allow`]. Always from the released artefacts, whose log says what was denied.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_guarded(
        guard: &Guard,
        folder: &Path,
        narrate: Narrate<'_>,
    ) -> Result<Self, BrokerError> {
        let port = ports::free().map_err(io("choosing a port"))?;
        Self::start_own(port, Beside { proxied: None, guard: Some(guard) }, folder, narrate)
    }

    /// The one broker that all tests of this process share, started by the first that asks.
    ///
    /// # Errors
    /// As [`Broker::start`], as text, because every later caller gets the same answer.
    pub fn shared() -> Result<&'static Self, String> {
        static SHARED: OnceLock<Result<Broker, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let folder =
                crate::workspace::fresh_run_folder(&format!("tests-{}", std::process::id()))
                    .map_err(|error| error.to_string())?;
            Self::start(&folder, &|_| ()).map_err(|error| error.to_string())
        });
        shared.as_ref().map_err(Clone::clone)
    }

    fn start_own(
        port: u16,
        Beside { proxied, guard }: Beside<'_>,
        folder: &Path,
        narrate: Narrate<'_>,
    ) -> Result<Self, BrokerError> {
        let controller_port = ports::free().map_err(io("choosing a port"))?;
        let data = data_folder()?;
        let guarded = guard.map(|_| ports::free()).transpose().map_err(io("choosing a port"))?;
        let controllers = vec![controller_port];
        let roles = settings::Roles::Both;
        let node = settings::Node { place: 0, controllers, port, proxied, guarded, roles };
        let log = folder.join("kafka.log");
        let (program, container) = if guard.is_none() && container::daemon_answers() {
            let (program, container) = container::prepare(&node, &log, narrate)?;
            (program, Some(container))
        } else {
            (maven::prepare(&node, guard, (data.path(), &log), narrate)?, None)
        };
        narrate(&format!("starting Apache Kafka {KAFKA_VERSION} on port {port}"));
        let mut broker = Self {
            address: format!("127.0.0.1:{port}"),
            behind_proxy: node.behind_proxy(),
            guarded: guarded.map(|port| format!("localhost:{port}")),
            log,
            started: Some(Started { program, container, running: None, _data: data }),
            _controller: None,
            brokers: 1,
        };
        broker.start_again()?;
        Ok(broker)
    }

    /// `host:port`, as clients want it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs one of Kafka's own tools against it; what that prints. The tools are those of the release, fetched once.
    ///
    /// # Errors
    /// [`BrokerError::Command`] with what it said when it does not succeed.
    pub fn tool(&self, tool: Tool, arguments: &[&str]) -> Result<String, BrokerError> {
        tools::run(tool, &self.address, arguments)
    }

    /// Where a proxy finds it, if it was started behind one.
    pub fn behind_proxy(&self) -> Option<SocketAddr> {
        self.behind_proxy
    }

    /// Where those come in whom the guard knows, if it was started with one.
    pub fn guarded(&self) -> Option<&str> {
        self.guarded.as_deref()
    }

    /// Gives these rights, of which none is there yet, and waits until they hold.
    ///
    /// # Errors
    /// When the broker refuses them.
    pub fn allow(&self, rights: &[Right]) -> Result<(), BrokerError> {
        rights::give(&self.address, rights)
    }

    /// Takes these rights away, all of which are there, and waits until that holds.
    ///
    /// # Errors
    /// When the broker refuses that.
    pub fn forbid(&self, rights: &[Right]) -> Result<(), BrokerError> {
        rights::take(&self.address, rights)
    }

    /// What was denied to these users since it was started, in the authorizer's words.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn denials(&self, users: &[String]) -> Result<Vec<String>, BrokerError> {
        let log = std::fs::read(&self.log).map_err(io("reading the broker's log"))?;
        Ok(guard::denials(&String::from_utf8_lossy(&log), users))
    }

    /// Starts it again after [`Broker::stop`] or [`Broker::kill`], on the same port with the same data.
    ///
    /// # Errors
    /// [`BrokerError::NotOurs`] when it was not started here; else as at the first start.
    pub fn start_again(&mut self) -> Result<(), BrokerError> {
        self.begin()?;
        self.wait_until_started()
    }

    fn begin(&mut self) -> Result<(), BrokerError> {
        let started = self.started.as_mut().ok_or(BrokerError::NotOurs)?;
        started.running = Some(started.program.start().map_err(io("starting the broker"))?);
        Ok(())
    }

    fn wait_until_started(&mut self) -> Result<(), BrokerError> {
        let mut running = self.started.as_mut().and_then(|started| started.running.take());
        let ready = self.wait_until_ready(&mut running);
        if let Some(started) = &mut self.started {
            started.running = running;
        }
        ready
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// [`BrokerError::NotOurs`] when it was not started here.
    pub fn stop(&mut self) -> Result<(), BrokerError> {
        self.end(Signal::Terminate)
    }

    /// Ends it as a crash does.
    ///
    /// # Errors
    /// [`BrokerError::NotOurs`] when it was not started here.
    pub fn kill(&mut self) -> Result<(), BrokerError> {
        self.end(Signal::Kill)
    }

    /// Stops its clock, as when the machine below it is moved: it does not know that time goes by.
    ///
    /// # Errors
    /// [`BrokerError::NotOurs`] when it was not started here.
    pub fn freeze(&mut self) -> Result<(), BrokerError> {
        self.signal(Signal::Stop)
    }

    /// Lets it go on after [`Broker::freeze`].
    ///
    /// # Errors
    /// [`BrokerError::NotOurs`] when it was not started here.
    pub fn thaw(&mut self) -> Result<(), BrokerError> {
        self.signal(Signal::Continue)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), BrokerError> {
        let started = self.started.as_mut().ok_or(BrokerError::NotOurs)?;
        match (&mut started.running, &started.container) {
            (_, Some(container)) => container.signal(signal)?,
            (Some(running), None) => running.signal(signal),
            (None, None) => {}
        }
        Ok(())
    }

    fn end(&mut self, signal: Signal) -> Result<(), BrokerError> {
        let started = self.started.as_mut().ok_or(BrokerError::NotOurs)?;
        if let Some(mut running) = started.running.take() {
            match &started.container {
                Some(container) => container.signal(signal)?,
                None => running.signal(signal),
            }
            running.wait(STOPS_WITHIN).map_err(io("waiting for the broker's end"))?;
        }
        Ok(())
    }

    fn wait_until_ready(&self, running: &mut Option<Supervised>) -> Result<(), BrokerError> {
        readiness::wait(&self.address, self.brokers, READY_WITHIN, || match running {
            None => Ok(()),
            Some(process) => match process.ended().map_err(io("watching the broker"))? {
                None => Ok(()),
                Some(_) => Err(BrokerError::EndedAtStart { log: process.last_words(15) }),
            },
        })
        .map_err(|error| match (error, &running) {
            (BrokerError::NotReady { address, within, .. }, Some(process)) => {
                BrokerError::NotReady { address, within, log: process.last_words(15) }
            }
            (error, _) => error,
        })
    }
}

fn data_folder() -> Result<tempfile::TempDir, BrokerError> {
    let folder = tempfile::Builder::new().prefix("tributary-kafka-").tempdir();
    folder.map_err(io("creating the broker's data folder"))
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> BrokerError {
    move |source| BrokerError::Io { doing, source }
}
