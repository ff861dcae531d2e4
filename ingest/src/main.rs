//! The `ingest` binary.

use std::process::ExitCode;

use clap::Subcommand;
use ingest::missed;
use service::Binary;
use service::cli::{Command, Invocation, launch};
use service::config::Vocabulary;
use service::exit::Failure;

/// What only `ingest` can do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Own {
    /// Get events that were announced while nobody answered.
    Missed(missed::Arguments),
}

#[global_allocator]
static ALLOCATOR: service::Allocator = service::ALLOCATOR;

fn main() -> ExitCode {
    launch(Binary::Ingest, Vocabulary::default(), work)
}

async fn work(invocation: Invocation<Own>) -> Result<(), Failure> {
    let Invocation { command, config, clock, shutdown, tracer } = invocation;
    match command {
        Command::Run => ingest::run::run(&config, clock, shutdown, tracer).await,
        Command::Check => ingest::preflight::check(&config).await,
        Command::Setup => ingest::preflight::setup(&config).await,
        Command::Own(Own::Missed(arguments)) => {
            missed::work(arguments, &config, clock, shutdown).await
        }
    }
}
