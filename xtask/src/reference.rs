//! `cargo xtask config-reference`: the page of all options, from where they are declared.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use end_to_end::workspace;

use crate::display::say;

pub(crate) fn write() -> Result<ExitCode> {
    std::fs::write(page(), service::config::reference()).context("writing the page")?;
    say("wrote docs/configuration.md");
    Ok(ExitCode::SUCCESS)
}

/// Fails when the page does not say what the code says.
pub(crate) fn check() -> Result<()> {
    let written = std::fs::read_to_string(page()).context("reading docs/configuration.md")?;
    ensure!(
        written == service::config::reference(),
        "docs/configuration.md is out of date: run cargo xtask config-reference"
    );
    Ok(())
}

fn page() -> PathBuf {
    workspace::root().join("docs").join("configuration.md")
}
