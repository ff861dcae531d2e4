//! `cargo xtask`: everything about this project that takes more than one command.
//!
//! What is started ends with this process, however it ends; see `end_to_end::supervise`.

mod base;
mod bench;
mod chaos;
mod chart;
mod compose;
mod demo;
mod deployment;
mod display;
mod features;
mod fuzz;
mod image;
mod plant;
mod reference;
mod reload;
mod report;
mod soak;
mod test;
mod up;
mod upgrade;

use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
enum Command {
    /// Runs the whole pipeline on this machine with invented subscribers, and says whether every event arrived once
    /// and in order
    Demo(demo::Arguments),
    /// Runs the whole pipeline on this machine for your own webhooks, until Ctrl-C
    Up(up::Arguments),
    /// Runs every check that CI runs
    Test(test::Arguments),
    /// Runs the whole pipeline while everything goes wrong, and says whether every event arrived once and in order
    Chaos(chaos::Arguments),
    /// Runs the whole pipeline for a long time at half the rate it can take, and says whether anything grows
    Soak(soak::Arguments),
    /// Replaces an earlier version by this one while webhooks come, tries the way back, and says whether every event
    /// arrived once and in order
    Upgrade(upgrade::Arguments),
    /// Measures each binary beside released peers and the limits of this machine, and writes docs/benchmarks.md
    Bench(bench::Arguments),
    /// Gives arbitrary bytes to whatever reads bytes of others, guided by coverage
    Fuzz(fuzz::Arguments),
    /// Judges the Helm chart, without a cluster
    Chart(chart::Arguments),
    /// Judges it before a real API server, which takes minutes to build the first time
    ChartDeep,
    /// Runs those of its checks that are about the images and docker-compose.yml
    Deployment,
    /// Writes docs/configuration.md from the declarations in the code
    ConfigReference,
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Up(arguments) => up::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Chaos(arguments) => chaos::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Upgrade(arguments) => upgrade::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Chart(arguments) => chart::run(&arguments),
        Command::ChartDeep => chart::deep::run(),
        Command::Deployment => deployment::run(),
        Command::ConfigReference => reference::write(),
    };
    outcome.unwrap_or_else(|error| {
        display::say(&format!("failed: {error:#}"));
        ExitCode::FAILURE
    })
}
