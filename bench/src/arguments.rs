//! What is asked for on the command line, and which stage does it.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use end_to_end::workspace;

use crate::against::Against;
use crate::ground::{Ground, Layout, Scale, results, say};
use crate::limits::Limit;
use crate::report::Report;
use crate::{deliver, faults, growth, ingest, latency, page, recovery, transform};

#[derive(Debug, Parser)]
#[command(name = "bench", about = "The benchmark behind `cargo xtask bench`")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measures stages and writes the page
    Measure(Measure),
    /// Measures this state of the workspace against an earlier one
    Against(Against),
    /// Runs as one of the limits that stages are held against
    #[command(subcommand)]
    Limit(Limit),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Measure {
    /// All, if none is named; `deliver` brings `faults` with it
    stages: Vec<Stage>,
    /// Fewer and shorter runs, which do not reach the page
    #[arg(long)]
    quick: bool,
    /// Keeps nobody to a core of their own; usual where there is only one
    #[arg(long)]
    free: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    Ingest,
    Transform,
    Deliver,
    Faults,
    EndToEnd,
    Recovery,
    Growth,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Transform => "transform",
            Self::Deliver => "deliver",
            Self::Faults => "faults",
            Self::EndToEnd => "end-to-end",
            Self::Recovery => "recovery",
            Self::Growth => "growth",
        }
    }

    fn run(self, ground: &Ground) -> Result<Report> {
        match self {
            Self::Ingest => ingest::run(ground),
            Self::Transform => transform::run(ground),
            Self::Deliver => deliver::run(ground),
            Self::Faults => faults::run(ground),
            Self::EndToEnd => latency::run(ground),
            Self::Recovery => recovery::run(ground),
            Self::Growth => growth::run(ground),
        }
    }
}

/// What is to be done, in the order of the page: what is named, or all. How `deliver` delivers is also how it does when a
/// destination fails.
fn wanted(named: &[Stage]) -> Vec<Stage> {
    let is_wanted = |stage: &Stage| {
        named.is_empty()
            || named.contains(stage)
            || *stage == Stage::Faults && named.contains(&Stage::Deliver)
    };
    Stage::value_variants().iter().copied().filter(is_wanted).collect()
}

/// Succeeds if ours brought out everything once and in order; goals may be missed, which the page then says.
pub(crate) fn measure(arguments: &Measure) -> Result<ExitCode> {
    let scale = if arguments.quick { Scale::Quick } else { Scale::Full };
    let layout = if arguments.free { Layout::Free } else { Layout::usual() };
    let mut correct = true;
    for stage in wanted(&arguments.stages) {
        let began = Instant::now();
        say(&format!("== {}", stage.name()));
        // All three binaries at once need all cores.
        let layout = if stage == Stage::EndToEnd { Layout::Free } else { layout };
        let ground = Ground::prepare(stage.name(), scale, layout)?;
        let report = stage.run(&ground)?;
        report.save(&results(scale)?)?;
        correct &= report.is_correct();
        say(&format!("{report}({} s)", began.elapsed().as_secs()));
        page::write(&results(scale)?, &page_of(scale)?)?;
    }
    say(&format!("figures: {}, page: {}", results(scale)?.display(), page_of(scale)?.display()));
    if correct {
        return Ok(ExitCode::SUCCESS);
    }
    say("Something was lost, doubled or out of order: no speed counts.");
    Ok(ExitCode::FAILURE)
}

fn page_of(scale: Scale) -> Result<std::path::PathBuf> {
    match scale {
        Scale::Full => Ok(workspace::root().join("docs").join("benchmarks.md")),
        Scale::Quick => Ok(results(scale)?.join("benchmarks.md")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::STAGES;

    #[test]
    fn the_page_shows_all_stages_in_their_order() {
        let names: Vec<&str> = wanted(&[]).into_iter().map(Stage::name).collect();
        assert_eq!(names, STAGES);
    }

    #[test]
    fn whoever_asks_for_deliver_is_told_of_its_faults() {
        assert_eq!(wanted(&[Stage::Deliver]), [Stage::Deliver, Stage::Faults]);
        assert_eq!(wanted(&[Stage::Faults]), [Stage::Faults]);
        assert_eq!(wanted(&[Stage::Growth, Stage::Ingest]), [Stage::Ingest, Stage::Growth]);
    }
}
