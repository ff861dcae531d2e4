//! The `deliver` binary.

use std::process::ExitCode;

use clap::Subcommand;
use deliver::configure::{attribute_names, event_names};
use deliver::test_transform::BUILT_IN;
use service::Binary;
use service::cli::{Command, Invocation, launch_with};
use service::config::Vocabulary;
use service::exit::Failure;

/// Commands that only this binary has.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Own {
    /// See and deal with the events that were parked.
    Dead(deliver::dead::Arguments),
    /// Show one person's story: what was received of them, what it became, and where each event is.
    Trace(deliver::trace::Arguments),
    /// Show subscribers at the destinations once more, as they are known now, without telling an event.
    Refresh(deliver::refresh::Arguments),
    /// Show the requests that a webhook would cause, without making any.
    Preview(deliver::preview::Arguments),
    /// Show what transformation code makes of webhooks, without making any request.
    TestTransform(deliver::test_transform::Arguments),
}

#[global_allocator]
static ALLOCATOR: service::Allocator = service::ALLOCATOR;

fn main() -> ExitCode {
    if let Some(ended) = deliver::transformation::run_scripts_if_asked() {
        return ended;
    }
    let vocabulary = Vocabulary { events: &event_names(), attributes: &attribute_names() };
    let instead = |own: &Own| matches!(own, Own::TestTransform(_)).then_some(BUILT_IN);
    launch_with(Binary::Deliver, vocabulary, instead, work)
}

async fn work(invocation: Invocation<Own>) -> Result<(), Failure> {
    let Invocation { command, config, clock, shutdown, tracer } = invocation;
    match command {
        Command::Run => deliver::run::run(&config, clock, shutdown, tracer).await,
        Command::Check => deliver::preflight::check(&config, clock).await,
        Command::Setup => deliver::preflight::setup(&config, clock).await,
        Command::Own(Own::Dead(arguments)) => {
            deliver::dead::work(arguments, &config, clock, shutdown).await
        }
        Command::Own(Own::Trace(arguments)) => {
            deliver::trace::work(arguments, config, clock, shutdown).await
        }
        Command::Own(Own::Refresh(arguments)) => {
            deliver::refresh::work(arguments, config, clock, shutdown).await
        }
        Command::Own(Own::Preview(arguments)) => {
            deliver::preview::work(arguments, &config, &clock).await
        }
        Command::Own(Own::TestTransform(arguments)) => {
            deliver::test_transform::work(arguments, &config, &clock).await
        }
    }
}
