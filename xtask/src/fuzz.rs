//! `cargo xtask fuzz`: one target after the other under libFuzzer, guided by the coverage of our own crates.
//!
//! No other toolchain is needed, and nothing that the ordinary build has built is built again: a wrapper around rustc
//! instruments the workspace's own crates alone (`fuzz/instrumented-rustc`). What the engine says of an input is not
//! shown, because it would show the input.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use end_to_end::{preflight, workspace};

use crate::display::{Steps, say};

mod account;

use self::account::Account;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long each target is tried, besides the kept inputs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// Says which targets there are
    #[arg(long)]
    list: bool,
    /// Runs this input of the target once, and nothing else
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
    /// Puts what was found to reach further among the kept inputs, as few as reach as far
    #[arg(long, conflicts_with = "input")]
    keep: bool,
}

/// The longest input, in bytes; the targets' own bound.
const LONGEST: usize = 16 * 1024;

/// Seconds after which an input takes for ever, on a machine that is busy with other things.
const TIMEOUT: u32 = 25;

/// Megabytes after which the process has taken too many. Schemas that were learned are never given back.
const MEMORY: u32 = 3_072;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let all = targets()?;
    if arguments.list {
        for name in &all {
            say(name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &arguments.target {
        ensure!(all.contains(name), "there is no target {name}; there are {}", all.join(", "));
    }
    let steps = Steps::new();
    preflight::ensure(preflight::BUILD, &|news| steps.news(news))?;
    steps.finish();
    let program = build()?;
    if let (Some(input), Some(name)) = (&arguments.input, &arguments.target) {
        let account = Engine { program: &program, name }.once(input)?;
        say(&account.to_string());
        return Ok(account.exit());
    }
    let chosen = all.iter().filter(|name| arguments.target.as_ref().is_none_or(|one| one == *name));
    let mut accounts = Vec::new();
    for name in chosen {
        let engine = Engine { program: &program, name };
        let account = engine.search(arguments.seconds)?;
        say(&account.to_string());
        if arguments.keep && account.is_clean() {
            engine.keep()?;
        }
        accounts.push(account);
    }
    Ok(if accounts.iter().all(Account::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The targets: each has a folder of kept inputs, as a test of theirs sees to.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in corpus().read_dir().context("looking for the targets")? {
        names.push(folder?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn corpus() -> PathBuf {
    workspace::root().join("fuzz").join("corpus")
}

/// Builds the program with all targets, next to this one.
fn build() -> Result<PathBuf> {
    say("== building, with the workspace's own crates instrumented");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = workspace::root();
    // Of the whole workspace, so that features are unified as for the tests and nothing else is built again.
    let status = Command::new(cargo)
        .args(["build", "--locked", "--workspace", "--bin", "fuzz"])
        .args(["--features", "fuzz/coverage-guided"])
        .env("RUSTC_WORKSPACE_WRAPPER", root.join("fuzz").join("instrumented-rustc"))
        .current_dir(&root)
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "building the targets: {status}");
    let own = std::env::current_exe().context("finding this program")?;
    Ok(own.with_file_name("fuzz"))
}

/// One target under the engine.
struct Engine<'a> {
    program: &'a Path,
    name: &'a str,
}

impl Engine<'_> {
    /// A folder of this target's that git ignores.
    fn folder(&self, of: &str) -> Result<PathBuf> {
        let folder = workspace::cache().join("fuzz").join(self.name).join(of);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    fn search(&self, seconds: u64) -> Result<Account> {
        let mut arguments = vec![
            format!("-max_total_time={seconds}").into(),
            // What is found goes into the first folder.
            self.folder("found")?.into_os_string(),
            corpus().join(self.name).into_os_string(),
        ];
        let regressions = workspace::root().join("fuzz").join("regressions").join(self.name);
        arguments.extend(regressions.is_dir().then(|| regressions.into_os_string()));
        self.run(arguments)
    }

    fn once(&self, input: &Path) -> Result<Account> {
        let input = std::path::absolute(input).context("finding the input")?;
        ensure!(input.is_file(), "there is no {}", input.display());
        self.run(vec![input.into_os_string()])
    }

    /// The kept inputs and those that were found, as few as reach as far, take the place of the kept ones.
    fn keep(&self) -> Result<()> {
        let merged = self.folder("merged")?;
        std::fs::remove_dir_all(&merged).context("emptying the folder of merged inputs")?;
        let (merged, kept) = (self.folder("merged")?, corpus().join(self.name));
        let folders =
            [&merged, &kept, &self.folder("found")?].map(|folder| folder.clone().into_os_string());
        let account = self.run([vec!["-merge=1".into()], folders.to_vec()].concat())?;
        ensure!(account.is_clean(), "merging the inputs of {}", self.name);
        std::fs::remove_dir_all(&kept).context("making room for the merged inputs")?;
        std::fs::create_dir_all(&kept).context("making room for the merged inputs")?;
        for input in merged.read_dir().context("reading the merged inputs")? {
            let input = input?;
            std::fs::copy(input.path(), kept.join(input.file_name()))
                .context("keeping an input")?;
        }
        Ok(())
    }

    fn run(&self, arguments: Vec<OsString>) -> Result<Account> {
        let failures = self.folder("failures")?;
        let mut child = Command::new(self.program)
            .env("TRIBUTARY_FUZZ_TARGET", self.name)
            .arg(format!("-artifact_prefix={}/", failures.display()))
            .args([format!("-timeout={TIMEOUT}"), format!("-rss_limit_mb={MEMORY}")])
            .args([format!("-max_len={LONGEST}"), "-print_final_stats=1".to_owned()])
            .args(arguments)
            .current_dir(workspace::root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting the targets")?;
        let mut account = Account::of(self.name);
        let said = child.stderr.take().context("listening to the engine")?;
        for line in BufReader::new(said).split(b'\n') {
            account.hear(&String::from_utf8_lossy(&line.context("listening to the engine")?));
        }
        account.ended(child.wait().context("waiting for the engine")?);
        Ok(account)
    }
}
