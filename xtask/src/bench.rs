//! `cargo xtask bench`: each binary beside its peers and the limits of the machine. What measures is a program of its
//! own (`bench/`), so that this one need not be built with a Kafka client.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use end_to_end::{processes, workspace};

use crate::display::{Steps, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which stages, all if none is named: ingest, transform, deliver, end-to-end, recovery, growth
    stages: Vec<String>,
    /// Fewer and shorter runs, a few minutes in all, which do not reach docs/benchmarks.md
    #[arg(long)]
    quick: bool,
    /// Keeps nobody to a core of their own; usual where there is only one
    #[arg(long)]
    free: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = workspace::fresh_run_folder("bench").context("making a folder")?;
    let steps = Steps::new();
    processes::build(&folder, &|news| steps.news(news))?;
    steps.finish();
    let own = std::env::current_exe().context("finding this program")?;
    let status = Command::new(own.with_file_name("bench"))
        .arg("measure")
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
