//! The benchmark: each binary beside a released peer and the limit of the machine, in one interleaved run.
//!
//! `cargo xtask bench` builds all binaries and starts this one. Each stage stands on a [`ground`] of its own, makes
//! [`sample`]s of all sides in turn, judges them by [`statistics`] and leaves a [`report`]; the [`page`] shows the last of
//! every stage. The programs in [`limits`] are this program again, as a process of its own.

mod against;
mod arguments;
mod budget;
mod chart;
mod deliver;
mod faults;
mod follower;
mod gate;
mod ground;
mod growth;
mod ingest;
mod latency;
mod lifecycle;
mod limits;
mod outcome;
mod page;
mod payload;
mod peer;
mod receiver;
mod recovery;
mod report;
mod sample;
mod statistics;
mod table;
mod topics;
mod transform;
mod usage;
mod volley;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: service::Allocator = service::ALLOCATOR;

fn main() -> ExitCode {
    let outcome = match arguments::Arguments::parse().command {
        arguments::Command::Limit(limit) => limits::run(limit).map(|()| ExitCode::SUCCESS),
        arguments::Command::Against(against) => against::run(&against),
        arguments::Command::Measure(measure) => arguments::measure(&measure),
    };
    outcome.unwrap_or_else(|error| {
        ground::say(&format!("failed: {error:#}"));
        ExitCode::FAILURE
    })
}
