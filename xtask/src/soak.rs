//! `cargo xtask soak`: a long time at a steady rate, and a verdict.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use end_to_end::soak::{self, Soak};
use end_to_end::{pipeline, workspace};

use crate::display::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long, beside the start and the end
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// The same seed: the same stories
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let length = Duration::from_secs(60 * arguments.minutes);
    let verdict = soak::run(Soak::usual(length, arguments.seed), &say).await?;
    say("");
    say(&verdict.to_string());
    if verdict.is_clean() {
        say("Nothing grew, and everything arrived once and in order.");
        return Ok(ExitCode::SUCCESS);
    }
    let logs = pipeline::logs(&workspace::cache().join("runs").join("soak"));
    say(&format!(
        "Something grew that must not, or did not arrive as it should; see above.\nlogs: {logs}"
    ));
    Ok(ExitCode::FAILURE)
}
