//! The `deliver` binary.

use std::process::ExitCode;

use service::Binary;
use service::cli::{Command, Invocation, NoOwn, launch};
use service::config::Vocabulary;
use service::exit::Failure;

fn main() -> ExitCode {
    let events = deliver::configure::event_names();
    let attributes = deliver::configure::attribute_names();
    launch(Binary::Deliver, Vocabulary { events: &events, attributes: &attributes }, work)
}

async fn work(invocation: Invocation<NoOwn>) -> Result<(), Failure> {
    let Invocation { command, config, clock, shutdown } = invocation;
    match command {
        Command::Run => deliver::run::run(&config, clock, shutdown).await,
        Command::Check => deliver::preflight::check(&config, clock).await,
        Command::Setup => deliver::preflight::setup(&config, clock).await,
        Command::Own(none) => match none {},
    }
}
