//! `cargo xtask deployment`: what `cargo xtask test` checks of the images and docker-compose.yml, alone.

use std::process::ExitCode;

use anyhow::{Context, Result};
use end_to_end::broker::Broker;
use end_to_end::{processes, workspace};

use crate::display::{Steps, say};
use crate::{compose, image};

pub(crate) fn run() -> Result<ExitCode> {
    compose::check()?;
    let steps = Steps::new();
    let narrate = |news: &str| steps.news(news);
    let folder = workspace::fresh_run_folder("deployment").context("making a folder")?;
    processes::build(&folder, &narrate)?;
    let broker = Broker::start(&folder, &narrate)?;
    steps.finish();
    say(&image::check(&broker, &folder)?.conclusion());
    Ok(ExitCode::SUCCESS)
}
