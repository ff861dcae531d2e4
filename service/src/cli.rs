//! The command line that all binaries share, and the way from there into work.
//!
//! `<binary> [run|check|setup|healthcheck] --config tributary.yaml`; `run` when nothing is said. A
//! binary with commands of its own gives an enum of them as `Own`. Whatever is asked for, the
//! configuration is read first, and everything wrong with it is printed at once.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::Binary;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Loader, LogFormat, Telemetry, Variables, Vocabulary};
use crate::exit::{self, Failure};
use crate::traces::{self, Farewell, Tracer};
use crate::{healthcheck, shutdown, telemetry};

/// What was asked for on the command line.
#[derive(Debug, Parser)]
#[command(version)]
pub struct CommandLine<Own: Subcommand> {
    /// What to do; `run` when nothing is said.
    #[command(subcommand)]
    command: Option<Wanted<Own>>,
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = "tributary.yaml")]
    config: PathBuf,
}

/// Work, or a question about an instance that already works.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Wanted<Own: Subcommand> {
    /// Whatever the binary does.
    #[command(flatten)]
    Work(Command<Own>),
    /// Ask the instance that runs beside this with the same configuration whether it is ready: exit 0
    /// if so, else say why not. For images, which have no shell and no curl.
    Healthcheck,
}

/// What a binary can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command<Own: Subcommand> {
    /// Do the work until told to end (the default).
    Run,
    /// Report all that is wrong with the configuration and what it points to, and change nothing.
    Check,
    /// Create what is missing; may be run again and again.
    Setup,
    /// A command that only this binary has.
    #[command(flatten)]
    Own(Own),
}

/// What the work of a binary begins with.
#[derive(Debug)]
pub struct Invocation<Own: Subcommand> {
    /// What to do.
    pub command: Command<Own>,
    /// The configuration, which is right.
    pub config: Arc<Config>,
    /// The system's clock.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the process is asked to end. `check` and `setup` are ended by the signal
    /// itself.
    pub shutdown: CancellationToken,
    /// Tells spans, where the environment asks for it; of `run` alone.
    pub tracer: Tracer,
}

/// Runs a binary from command line to exit code: reads the arguments and the configuration, begins
/// to log, and does the work on a runtime of its own.
///
/// `Run` logs as configured. The other commands are for people: they log warnings as text, unless
/// `RUST_LOG` says otherwise.
pub fn launch<Own, Work, Done>(binary: Binary, vocabulary: Vocabulary<'_>, work: Work) -> ExitCode
where
    Own: Subcommand + fmt::Debug,
    Work: FnOnce(Invocation<Own>) -> Done,
    Done: Future<Output = Result<(), Failure>>,
{
    launch_with(binary, vocabulary, |_| None, work)
}

/// The same, where some commands need no configuration: `instead` is what they are given when there is no file.
pub fn launch_with<Own, Work, Done>(
    binary: Binary,
    vocabulary: Vocabulary<'_>,
    instead: fn(&Own) -> Option<&'static str>,
    work: Work,
) -> ExitCode
where
    Own: Subcommand + fmt::Debug,
    Work: FnOnce(Invocation<Own>) -> Done,
    Done: Future<Output = Result<(), Failure>>,
{
    let line = match parse::<Own>(binary, std::env::args_os()) {
        Ok(line) => line,
        Err(error) => {
            let code = if error.use_stderr() { exit::CONFIGURATION } else { exit::OK };
            // Nobody is left to tell when the terminal is gone.
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    match begin(binary, vocabulary, line, instead, work) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(failure) => {
            drop(writeln!(std::io::stderr(), "{}", failure.report()));
            ExitCode::from(failure.code())
        }
    }
}

fn parse<Own: Subcommand>(
    binary: Binary,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<CommandLine<Own>, clap::Error> {
    let name: &'static str = binary.into();
    let command = CommandLine::<Own>::command().name(name).about(about(binary));
    let mut matches = command.try_get_matches_from(arguments)?;
    CommandLine::from_arg_matches_mut(&mut matches)
}

fn about(binary: Binary) -> &'static str {
    match binary {
        Binary::Ingest => "Receives webhooks and makes them durable",
        Binary::Transform => "Turns webhooks into lifecycle events, in order and once",
        Binary::Deliver => "Tells the destinations, subscriber by subscriber in order",
    }
}

fn begin<Own, Work, Done>(
    binary: Binary,
    vocabulary: Vocabulary<'_>,
    line: CommandLine<Own>,
    instead: fn(&Own) -> Option<&'static str>,
    work: Work,
) -> Result<(), Failure>
where
    Own: Subcommand,
    Work: FnOnce(Invocation<Own>) -> Done,
    Done: Future<Output = Result<(), Failure>>,
{
    let variables = Variables::of_process();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let loader = Loader { binary, variables: &variables, vocabulary, clock: Arc::clone(&clock) };
    let built_in = match &line.command {
        Some(Wanted::Work(Command::Own(own))) if !line.config.exists() => instead(own),
        Some(Wanted::Work(_) | Wanted::Healthcheck) | None => None,
    };
    let config = match built_in {
        Some(text) => loader.read("built in", text)?,
        None => loader.load(&line.config)?,
    };
    let command = match line.command.unwrap_or(Wanted::Work(Command::Run)) {
        Wanted::Work(command) => command,
        Wanted::Healthcheck => return healthcheck::ready(binary, &config).map_err(Failure::failed),
    };
    telemetry::init(&logs_of(&command, &config.telemetry)).map_err(Failure::failed)?;
    let (tracer, farewell) = match command {
        Command::Run => traces::begin(binary)
            .map_err(|error| Failure::Usage(Failure::failed(error).report()))?,
        Command::Check | Command::Setup | Command::Own(_) => (Tracer::off(), Farewell::default()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    let ended = runtime.block_on(async {
        let shutdown = match command {
            Command::Run | Command::Own(_) => shutdown::on_signals().map_err(Failure::failed)?,
            Command::Check | Command::Setup => CancellationToken::new(),
        };
        work(Invocation { command, config: Arc::new(config), clock, shutdown, tracer }).await
    });
    drop(farewell);
    ended
}

fn logs_of<Own: Subcommand>(command: &Command<Own>, configured: &Telemetry) -> Telemetry {
    match command {
        Command::Run => configured.clone(),
        Command::Check | Command::Setup | Command::Own(_) => {
            Telemetry { log: "warn".to_owned(), log_format: LogFormat::Text }
        }
    }
}

/// Tells whoever called `check`, `setup` or another command what it found: one line on standard output.
///
/// # Errors
/// When standard output is closed.
pub fn say(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(Failure::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No commands beside the common ones.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
    enum NoOwn {}

    #[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
    enum Extra {
        /// Shows what would be sent.
        Preview { payload: PathBuf },
    }

    fn line<Own: Subcommand>(arguments: &[&str]) -> Result<CommandLine<Own>, clap::Error> {
        let all = std::iter::once("deliver").chain(arguments.iter().copied());
        parse(Binary::Deliver, all.map(OsString::from))
    }

    #[test]
    fn runs_with_the_default_file_when_nothing_is_said() {
        let line = line::<NoOwn>(&[]).expect("valid");
        assert_eq!(line.command, None);
        assert_eq!(line.config, PathBuf::from("tributary.yaml"));
    }

    #[test]
    fn the_file_may_stand_before_or_after_the_command() {
        for arguments in [["check", "--config", "a.yaml"], ["--config", "a.yaml", "check"]] {
            let line = line::<NoOwn>(&arguments).expect("valid");
            assert_eq!(line.command, Some(Wanted::Work(Command::Check)));
            assert_eq!(line.config, PathBuf::from("a.yaml"));
        }
    }

    #[test]
    fn a_binary_can_have_commands_of_its_own() {
        let parsed = line::<Extra>(&["preview", "payload.json"]).expect("valid");
        let payload = PathBuf::from("payload.json");
        assert_eq!(parsed.command, Some(Wanted::Work(Command::Own(Extra::Preview { payload }))));
        let setup = line::<Extra>(&["setup"]).expect("valid");
        assert_eq!(setup.command, Some(Wanted::Work(Command::Setup)));
        assert!(line::<NoOwn>(&["preview", "payload.json"]).is_err());
    }

    #[test]
    fn every_binary_can_be_asked_whether_it_is_ready() {
        let asked = line::<NoOwn>(&["healthcheck", "--config", "a.yaml"]).expect("valid");
        assert_eq!(asked.command, Some(Wanted::Healthcheck));
        let asked = line::<Extra>(&["healthcheck"]).expect("valid");
        assert_eq!(asked.command, Some(Wanted::Healthcheck));
    }

    #[test]
    fn the_help_names_the_binary_and_is_no_error() {
        let help = line::<Extra>(&["--help"]).expect_err("help ends the parsing");
        assert!(!help.use_stderr());
        assert!(help.to_string().contains("Usage: deliver"), "{help}");
    }

    #[test]
    fn commands_for_people_log_warnings_as_text() {
        let configured = Telemetry { log: "info".to_owned(), log_format: LogFormat::Json };
        assert_eq!(logs_of(&Command::<NoOwn>::Run, &configured).log, "info");
        let check = logs_of(&Command::<NoOwn>::Check, &configured);
        assert_eq!((check.log.as_str(), check.log_format), ("warn", LogFormat::Text));
    }
}
