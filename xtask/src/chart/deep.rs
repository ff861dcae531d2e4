//! `cargo xtask chart-deep`: the Helm chart before a real API server, which knows what no schema says: defaults,
//! admission, rules in custom resources, what can never be changed.
//!
//! It is not part of `cargo xtask test`: the server is built first, which takes minutes. What can be known without it,
//! `cargo xtask chart` checks.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use end_to_end::api_server::ApiServer;
use end_to_end::{chart, pipeline, workspace};

use crate::display::{Steps, say};

pub(crate) fn run() -> Result<ExitCode> {
    let steps = Steps::new();
    let narrate = |news: &str| steps.news(news);
    let mut check =
        chart::command("deep.py", &narrate).context("making ready to judge the chart")?;
    let folder = workspace::fresh_run_folder("chart-deep").context("making a folder")?;
    let server = ApiServer::start(&folder, &narrate)?;
    steps.finish();
    let status = check.arg(server.kubeconfig()).status().context("starting the check")?;
    drop(server);
    let logs = pipeline::logs(&folder);
    ensure!(status.success(), "the chart is not as it must be: see above; logs: {logs}");
    say("the chart is as it must be");
    Ok(ExitCode::SUCCESS)
}
