//! The `ingest` binary.

use std::process::ExitCode;

use service::Binary;
use service::cli::{Command, Invocation, NoOwn, launch};
use service::config::Vocabulary;
use service::exit::Failure;

fn main() -> ExitCode {
    launch(Binary::Ingest, Vocabulary::default(), work)
}

async fn work(invocation: Invocation<NoOwn>) -> Result<(), Failure> {
    let Invocation { command, config, clock, shutdown } = invocation;
    match command {
        Command::Run => ingest::run::run(&config, clock, shutdown).await,
        Command::Check => ingest::preflight::check(&config).await,
        Command::Setup => ingest::preflight::setup(&config).await,
        Command::Own(none) => match none {},
    }
}
