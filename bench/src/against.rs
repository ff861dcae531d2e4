//! `cargo xtask bench --against <revision>`: the tree and an earlier state of it, one beside the other.
//!
//! No peers and no limits, only the three binaries of both, on the same broker and in turns, the earlier ones twice:
//! [`gate`](crate::gate) says what may be concluded from that.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::gate::{Figure, Good, Judgement, judge};
use crate::ground::{Ground, Layout, Scale, say};
use crate::outcome::Judged;
use crate::payload::Renewals;
use crate::report::Counters;
use crate::sample::{Sample, Series};
use crate::statistics::interleaved;
use crate::{deliver, ingest, transform};

const SIDES: [&str; 3] = ["tree", "base", "base once more"];
/// Before anything counts: everybody is known, and connections are open.
const WARM: usize = 2;

#[derive(Debug, clap::Args)]
pub(crate) struct Against {
    /// All, if none is named
    stages: Vec<Stage>,
    /// Where the earlier binaries lie
    #[arg(long)]
    binaries: PathBuf,
    /// What they are called
    #[arg(long)]
    name: String,
    /// Fewer and shorter runs
    #[arg(long)]
    quick: bool,
    /// Keeps nobody to a core of their own; usual where there is only one
    #[arg(long)]
    free: bool,
}

/// Those that can be compared in little time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    Ingest,
    Transform,
    Deliver,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Transform => "transform",
            Self::Deliver => "deliver",
        }
    }

    fn measure(self, grounds: &[Ground; 3]) -> Result<[Series; 3]> {
        match self {
            Self::Ingest => compare_ingest(grounds),
            Self::Transform => compare_transform(grounds),
            Self::Deliver => compare_deliver(grounds),
        }
    }
}

/// Succeeds if the tree is nowhere slower than the base, and nobody lost, doubled or disordered anything.
pub(crate) fn run(arguments: &Against) -> Result<ExitCode> {
    let Against { stages, binaries, name, quick, free } = arguments;
    let scale = if *quick { Scale::Quick } else { Scale::Full };
    let layout = if *free { Layout::Free } else { Layout::usual() };
    let stages = if stages.is_empty() { Stage::value_variants() } else { stages.as_slice() };
    let ground = Ground::prepare("against", scale, layout)?;
    say(&format!("the tree against {name}, {}", ground.circumstances()));
    let grounds = [
        ground.beside("tree", None)?,
        ground.beside("base", Some(binaries))?,
        ground.beside("again", Some(binaries))?,
    ];
    let mut told = Vec::new();
    let mut sound = true;
    for stage in stages {
        say(&format!("== {}", stage.name()));
        let series = stage.measure(&grounds)?;
        let judgements = figures(&series).map(judge);
        sound &= judgements.iter().all(|judgement| judgement.verdict.passes());
        sound &= series.iter().all(|series| series.flaws().sum() == 0);
        told.push(tell(*stage, &series, &judgements));
    }
    say(&told.join("\n"));
    if sound {
        say(&format!("The tree is not slower than {name} by what could be seen here."));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("Something is worse than in {name}, or came out wrong."));
    Ok(ExitCode::FAILURE)
}

fn figures([tree, base, again]: &[Series; 3]) -> [Figure; 2] {
    let figure = |what, unit, good, of: fn(&Sample) -> f64| Figure {
        what,
        unit,
        good,
        tree: tree.each(of),
        base: base.each(of),
        again: again.each(of),
    };
    [
        figure("processor time each", "µs", Good::Low, Sample::cost),
        figure("rate", "/s", Good::High, Sample::rate),
    ]
}

fn tell(stage: Stage, series: &[Series; 3], judgements: &[Judgement]) -> String {
    let mut lines = vec![stage.name().to_owned()];
    lines.extend(judgements.iter().map(ToString::to_string));
    for Counters { side, lost, doubled, disordered, misjudged } in series.iter().map(Counters::of) {
        if lost + doubled + disordered + misjudged > 0 {
            lines.push(format!(
                "  {side}: lost {lost}, doubled {doubled}, out of order {disordered}, misjudged {misjudged}"
            ));
        }
    }
    lines.join("\n")
}

fn compare_ingest(grounds: &[Ground; 3]) -> Result<[Series; 3]> {
    let [tree, base, again] = grounds;
    let mut servers =
        [ingest::tributary(tree)?, ingest::tributary(base)?, ingest::tributary(again)?];
    let mut renewals = Renewals::of(ingest::SUBSCRIBERS)?;
    let requests = tree.scale.pick(25_000, 15_000);
    in_turns(tree, Stage::Ingest, &mut |place| {
        let (sample, _) = ingest::measure(&mut servers[place], &mut renewals, requests)?;
        Ok(sample)
    })
}

fn compare_transform(grounds: &[Ground; 3]) -> Result<[Series; 3]> {
    let [tree, base, again] = grounds;
    let reader = |ground| transform::tributary(ground, transform::SESSION_TIMEOUT, &[]);
    let mut readers = [reader(tree)?, reader(base)?, reader(again)?];
    let renewals = || Renewals::of(transform::SUBSCRIBERS);
    // Each side is told the same, from the beginning.
    let mut renewals = [renewals()?, renewals()?, renewals()?];
    let unique = tree.scale.pick(40_000, 15_000);
    in_turns(tree, Stage::Transform, &mut |place| {
        let webhooks = renewals[place].batch(unique);
        readers[place].measure(&webhooks, Judged::ByContent)
    })
}

fn compare_deliver(grounds: &[Ground; 3]) -> Result<[Series; 3]> {
    let [tree, base, again] = grounds;
    let mut deliverers =
        [deliver::tributary(tree)?, deliver::tributary(base)?, deliver::tributary(again)?];
    let [_, cell, _] = deliver::CELLS;
    let events = tree.scale.pick(15_000, 8_000);
    in_turns(tree, Stage::Deliver, &mut |place| deliverers[place].measure(cell, events))
}

/// Runs of all three, forwards and backwards, so that each of the base stands beside one of the tree and one of its own.
fn in_turns(
    ground: &Ground,
    stage: Stage,
    measure: &mut dyn FnMut(usize) -> Result<Sample>,
) -> Result<[Series; 3]> {
    let mut all = SIDES.map(|side| Series::new(format!("{}, {side}", stage.name())));
    for (place, side) in SIDES.iter().enumerate() {
        for _ in 0..WARM {
            let flaws = measure(place)?.flaws;
            ensure!(flaws.sum() == 0, "{side}, before anything was measured: {flaws:?}");
        }
    }
    let blocks = ground.scale.pick(10, 5);
    for (pass, sides) in interleaved(&[0, 1, 2], blocks).chunks(SIDES.len()).enumerate() {
        for &place in sides {
            let sample = measure(place)?;
            ground.tell(&mut all[place], pass, sample)?;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gate::Verdict;
    use crate::sample::Flaws;

    fn series(millis: u64) -> Series {
        let (took, cpu) = (Duration::from_millis(millis), Duration::from_millis(millis));
        let sample = Sample { events: 10_000, took, cpu, peak: 0.0, flaws: Flaws::default() };
        Series { side: "any".to_owned(), samples: vec![sample; 4] }
    }

    #[test]
    fn a_tree_that_takes_longer_is_worse_in_processor_time_and_in_rate() {
        let verdicts = |tree: u64| {
            figures(&[series(tree), series(300), series(300)]).map(judge).map(|it| it.verdict)
        };
        assert_eq!(verdicts(330), [Verdict::Worse; 2]);
        assert_eq!(verdicts(300), [Verdict::AsBefore; 2]);
        assert_eq!(verdicts(270), [Verdict::Better; 2]);
    }
}
