//! `cargo xtask chart`: the Helm chart is judged, or those of its files written that are made from others.
//!
//! The work is done by `deploy/helm/check`, in Python, because that is how Helm and the schemas of Kubernetes can be had
//! without a cluster and without building them. `end-to-end/tests/chart.rs` starts the real binaries with what the chart
//! gives them. [`deep`] asks a real API server.

pub(crate) mod deep;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use end_to_end::chart;

use crate::display::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Writes values.schema.json and the table of values in the chart's README
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.write {
        finish(command()?.arg("write"))?;
    }
    check()?;
    Ok(ExitCode::SUCCESS)
}

/// Fails when the chart is not what it must be, and after having said why.
pub(crate) fn check() -> Result<()> {
    say("== the chart");
    finish(command()?.arg("check"))
}

fn command() -> Result<Command> {
    chart::command("check.py", &|news| say(news)).context("making ready to judge the chart")
}

fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().context("starting the checks of the chart")?;
    ensure!(status.success(), "the chart is not as it must be: see above");
    Ok(())
}
