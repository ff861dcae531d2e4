//! `cargo xtask bench`: each binary beside its peers and the limits of the machine, or beside an earlier state of itself.
//! What measures is a program of its own (`bench/`), so that this one need not be built with a Kafka client.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use end_to_end::{processes, workspace};

use crate::base::{Base, Built, NEWEST};
use crate::display::{Steps, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which stages, all if none is named: ingest, transform, deliver (with faults), end-to-end, recovery, growth; the first three
    /// with --against
    stages: Vec<String>,
    /// Instead: whether it has become slower than a tag, commit or branch; without one, than the newest tag v*
    #[arg(long, value_name = "REVISION", num_args = 0..=1, default_missing_value = NEWEST)]
    against: Option<String>,
    /// Fewer and shorter runs, a few minutes in all, which do not reach docs/benchmarks.md
    #[arg(long)]
    quick: bool,
    /// Keeps nobody to a core of their own; usual where there is only one
    #[arg(long)]
    free: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let base = arguments.against.as_deref().map(Base::find).transpose()?;
    let folder = workspace::fresh_run_folder("bench").context("making a folder")?;
    let steps = Steps::new();
    let narrate = |news: &str| steps.news(news);
    let binaries = processes::build_release(Some("bench"), &folder, &narrate)?;
    let what = match base {
        None => vec!["measure".into()],
        Some(base) => against(&base.build(&folder, &narrate)?),
    };
    steps.finish();
    // Where it lies, it finds the binaries.
    let status = Command::new(binaries.join("bench"))
        .args(what)
        .args(&arguments.stages)
        .args(arguments.quick.then_some("--quick"))
        .args(arguments.free.then_some("--free"))
        .current_dir(workspace::root())
        .status()
        .context("starting the benchmark")?;
    if !status.success() {
        say(&format!("logs: {}/bench-*", workspace::cache().join("runs").display()));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn against(base: &Built) -> Vec<OsString> {
    let Built { name, binaries } = base;
    vec!["against".into(), "--name".into(), name.into(), "--binaries".into(), binaries.into()]
}
