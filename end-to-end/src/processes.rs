//! The three binaries: built, started, watched, killed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::metrics::Metrics;
use crate::supervise::{Program, Signal, Supervised};
use crate::{Narrate, http, preflight, workspace};

/// The option by which librdkafka tells the broker who it is.
const CLIENT_ID: &str = "TRIBUTARY__KAFKA__PROPERTIES__CLIENT_ID";

/// Where Cargo puts what is shipped, in its target folder.
const RELEASE: &str = "release";

const POLL: Duration = Duration::from_millis(50);
const BUILD_POLL: Duration = Duration::from_millis(250);

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binary {
    Ingest,
    Transform,
    Deliver,
}

impl Binary {
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Transform, Self::Deliver];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Transform => "transform",
            Self::Deliver => "deliver",
        }
    }
}

/// Why a binary does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error(transparent)]
    Preflight(#[from] preflight::PreflightError),
    #[error("building the binaries failed:\n{log}")]
    Build { log: String },
    #[error("{doing} {name} failed")]
    Io { doing: &'static str, name: &'static str, source: std::io::Error },
    #[error("{name} {command} ended with {status}:\n{log}")]
    Command { name: &'static str, command: &'static str, status: String, log: String },
    #[error("{name} was not ready within {} s:\n{log}", within.as_secs())]
    NotReady { name: &'static str, within: Duration, log: String },
}

/// Builds all binaries as the tests and the demo run them, beside this program. Cargo's own lines are passed on as they
/// come.
///
/// # Errors
/// When the machine lacks a tool, or the build fails; then with the end of Cargo's output.
pub fn build(folder: &Path, narrate: Narrate<'_>) -> Result<(), ProcessError> {
    // The whole workspace, as the tests do: features are unified alike, and nothing is built twice.
    cargo_build(&workspace::root(), &["--bins"], None, folder, narrate)
}

/// Builds the three as they are shipped, and another program in the same way. Gives the folder in which all of them lie.
///
/// # Errors
/// As [`build`].
pub fn build_release(
    beside: Option<&str>,
    folder: &Path,
    narrate: Narrate<'_>,
) -> Result<PathBuf, ProcessError> {
    let programs = release_of(Binary::ALL.map(Binary::name).into_iter().chain(beside));
    cargo_build(&workspace::root(), &programs, None, folder, narrate)?;
    Ok(target().join(RELEASE))
}

/// Builds the three of another state of this workspace as they are shipped, by the same compiler and into a target folder of
/// its own. Gives the folder in which they lie.
///
/// # Errors
/// As [`build`].
pub fn build_release_of(
    root: &Path,
    target: &Path,
    folder: &Path,
    narrate: Narrate<'_>,
) -> Result<PathBuf, ProcessError> {
    let programs = release_of(Binary::ALL.map(Binary::name));
    cargo_build(root, &programs, Some(target), folder, narrate)?;
    Ok(target.join(RELEASE))
}

fn release_of<'a>(programs: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let programs = programs.into_iter().flat_map(|program| ["--bin", program]);
    std::iter::once("--release").chain(programs).collect()
}

fn cargo_build(
    root: &Path,
    what: &[&str],
    target: Option<&Path>,
    folder: &Path,
    narrate: Narrate<'_>,
) -> Result<(), ProcessError> {
    preflight::ensure(preflight::BUILD, narrate)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut building = Program::new(cargo, folder.join("build.log"))
        .arguments(["build", "--locked", "--workspace", "--manifest-path"])
        .arguments([root.join("Cargo.toml")])
        .arguments(target.iter().flat_map(|target| [Path::new("--target-dir"), *target]))
        .arguments(what)
        .start()
        .map_err(|source| ProcessError::Io { doing: "starting", name: "cargo build", source })?;
    loop {
        let ended = building.wait(BUILD_POLL).map_err(|source| ProcessError::Io {
            doing: "waiting for",
            name: "cargo build",
            source,
        })?;
        match ended {
            None => narrate(&format!("building:{}", building.last_words(1))),
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(ProcessError::Build { log: building.last_words(40) }),
        }
    }
}

/// Where a binary lies that was built as this program was: beside it, or beside the folder of the tests.
pub fn path(binary: Binary) -> PathBuf {
    let target = target();
    let own = std::env::current_exe().unwrap_or_default();
    let profile = own.strip_prefix(&target).ok().and_then(|own| own.components().next());
    profile.map_or_else(|| target.join("debug"), |profile| target.join(profile)).join(binary.name())
}

/// Cargo marks its target folder with a tag file, and this program lies in it.
fn target() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map_or_else(|| workspace::root().join("target"), Path::to_path_buf)
}

/// How a binary is run.
#[derive(Debug, Clone)]
pub struct Setting {
    pub configuration: PathBuf,
    /// Where its log goes, as `<binary>.log`.
    pub folder: PathBuf,
    pub environment: Vec<(String, String)>,
    /// Where the binaries lie, unless they were built as this program was ([`path`]).
    pub binaries: Option<PathBuf>,
}

impl Setting {
    fn executable(&self, binary: Binary) -> PathBuf {
        self.binaries.as_ref().map_or_else(|| path(binary), |folder| folder.join(binary.name()))
    }

    fn program(&self, under: &[OsString], binary: Binary, command: &'static str) -> Program {
        let executable = self.executable(binary).into_os_string();
        let mut words = under.iter().cloned().chain([executable]);
        let first = words.next().unwrap_or_default();
        Program::new(first, self.folder.join(format!("{}.log", binary.name())))
            .arguments(words)
            .arguments([command, "--config"])
            .arguments([&self.configuration])
            // Whoever stands between it and the broker tells it by this.
            .environment([(CLIENT_ID.to_owned(), binary.name().to_owned())])
            .environment(self.environment.iter().cloned())
    }

    /// Runs a command that ends by itself, such as `setup` or `check`.
    ///
    /// # Errors
    /// When it does not end with 0 within `limit`.
    pub fn command(
        &self,
        binary: Binary,
        command: &'static str,
        limit: Duration,
    ) -> Result<(), ProcessError> {
        let name = binary.name();
        let io = |doing| move |source| ProcessError::Io { doing, name, source };
        let mut running = self.program(&[], binary, command).start().map_err(io("starting"))?;
        match running.wait(limit).map_err(io("waiting for"))? {
            Some(status) if status.success() => Ok(()),
            ended => {
                let status = ended.map_or_else(|| "no end".to_owned(), |status| status.to_string());
                let log = running.last_words(20);
                Err(ProcessError::Command { name, command, status, log })
            }
        }
    }

    /// What a command that ends by itself prints.
    ///
    /// # Errors
    /// When it does not end with 0.
    pub fn told(
        &self,
        binary: Binary,
        command: &'static str,
        arguments: &[&str],
    ) -> Result<String, ProcessError> {
        let name = binary.name();
        let output = Command::new(self.executable(binary))
            .arg(command)
            .args(arguments)
            .arg("--config")
            .arg(&self.configuration)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .map_err(|source| ProcessError::Io { doing: "asking", name, source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let status = output.status.to_string();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(ProcessError::Command { name, command, status, log })
    }
}

/// A binary that was started, and may meanwhile have been killed. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    binary: Binary,
    admin_port: u16,
    program: Program,
    running: Option<Supervised>,
}

impl Process {
    /// Starts `run`. Ready it is later, see [`Process::wait_until_ready`].
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(binary: Binary, setting: &Setting, admin_port: u16) -> Result<Self, ProcessError> {
        Self::start_under(&[], binary, setting, admin_port)
    }

    /// The same under a command that ends in running what follows it, such as `unshare`.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start_under(
        under: &[OsString],
        binary: Binary,
        setting: &Setting,
        admin_port: u16,
    ) -> Result<Self, ProcessError> {
        let program = setting.program(under, binary, "run");
        let mut process = Self { binary, admin_port, program, running: None };
        process.start_again()?;
        Ok(process)
    }

    pub fn binary(&self) -> Binary {
        self.binary
    }

    /// Its process, as the system knows it, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(Supervised::pid)
    }

    /// Starts it once more after its end, with the same configuration.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start_again(&mut self) -> Result<(), ProcessError> {
        self.running = Some(self.program.start().map_err(self.io("starting"))?);
        Ok(())
    }

    /// Waits until `/readyz` says 200.
    ///
    /// # Errors
    /// When it ends instead, or is not ready within `limit`; then with the end of its log.
    pub fn wait_until_ready(&mut self, limit: Duration) -> Result<(), ProcessError> {
        let name = self.binary.name();
        let deadline = Instant::now() + limit;
        loop {
            if self.is_ready() {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                let log = self.last_words(20);
                let status = status.to_string();
                return Err(ProcessError::Command { name, command: "run", status, log });
            }
            if Instant::now() >= deadline {
                return Err(ProcessError::NotReady {
                    name,
                    within: limit,
                    log: self.last_words(20),
                });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Whether `/readyz` says 200 now.
    pub fn is_ready(&self) -> bool {
        http::get(self.admin_port, "/readyz").is_ok_and(|(status, _)| status == 200)
    }

    /// What it counts now.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metrics(&self) -> Result<Metrics, ProcessError> {
        let (_, text) =
            http::get(self.admin_port, "/metrics").map_err(self.io("reading the metrics of"))?;
        Ok(Metrics::parse(&text))
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        let io = self.io("watching");
        self.running.as_mut().map_or(Ok(None), Supervised::ended).map_err(io)
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// When it does not go.
    pub fn kill(&mut self) -> Result<(), ProcessError> {
        self.end(Signal::Kill, Duration::from_secs(10)).map(drop)
    }

    /// SIGTERM, and waits for its end, which a well-behaved binary reaches with exit code 0.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus, ProcessError> {
        self.end(Signal::Terminate, limit)
    }

    /// Freezes or thaws it, or whatever else.
    pub fn signal(&mut self, signal: Signal) {
        if let Some(running) = &mut self.running {
            running.signal(signal);
        }
    }

    fn end(&mut self, signal: Signal, limit: Duration) -> Result<ExitStatus, ProcessError> {
        self.signal(signal);
        let io = self.io("waiting for");
        let ended = self.running.as_mut().map_or(Ok(None), |running| running.wait(limit));
        match ended.map_err(io)? {
            Some(status) => Ok(status),
            None => Err(ProcessError::Command {
                name: self.binary.name(),
                command: "run",
                status: format!("no end within {} s of a signal", limit.as_secs()),
                log: self.last_words(20),
            }),
        }
    }

    fn last_words(&self, lines: usize) -> String {
        self.running.as_ref().map(|running| running.last_words(lines)).unwrap_or_default()
    }

    fn io(&self, doing: &'static str) -> impl Fn(std::io::Error) -> ProcessError + use<> {
        let name = self.binary.name();
        move |source| ProcessError::Io { doing, name, source }
    }
}
