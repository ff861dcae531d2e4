//! One run of one side, and all runs of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::statistics::{Spread, count, ratios};
use crate::usage::load_average;

/// What was wrong with what came out. Anything here makes the speed worthless.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flaws {
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) disordered: usize,
    /// Taken although nobody had signed it, or refused although somebody had; given up although it could be delivered.
    pub(crate) misjudged: usize,
}

impl Flaws {
    pub(crate) fn sum(self) -> usize {
        self.lost + self.doubled + self.disordered + self.misjudged
    }

    /// Both together.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
            disordered: self.disordered + other.disordered,
            misjudged: self.misjudged + other.misjudged,
        }
    }
}

/// One run of one side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) events: usize,
    pub(crate) took: Duration,
    /// User and system time of its process.
    pub(crate) cpu: Duration,
    /// The most memory its process ever had, in bytes.
    pub(crate) peak: f64,
    pub(crate) flaws: Flaws,
}

impl Sample {
    /// Events a second; a flawed run scores zero.
    pub(crate) fn rate(&self) -> f64 {
        self.scored(self.took)
    }

    /// Events for each second of processor time; a flawed run scores zero.
    pub(crate) fn thrift(&self) -> f64 {
        self.scored(self.cpu)
    }

    /// Microseconds of processor time an event.
    pub(crate) fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / count(self.events.max(1))
    }

    fn scored(&self, of: Duration) -> f64 {
        if self.flaws.sum() > 0 || of.is_zero() {
            return 0.0;
        }
        count(self.events) / of.as_secs_f64()
    }
}

/// All runs of one side, in the order in which they were made.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) side: String,
    pub(crate) samples: Vec<Sample>,
}

impl Series {
    pub(crate) fn new(side: impl Into<String>) -> Self {
        Self { side: side.into(), samples: Vec::new() }
    }

    pub(crate) fn each(&self, of: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.samples.iter().map(of).collect()
    }

    pub(crate) fn spread(&self, of: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(&self.each(of))
    }

    /// Of what ran beside each other.
    pub(crate) fn ratio(&self, other: &Self, of: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(&ratios(&self.each(&of), &other.each(&of)))
    }

    pub(crate) fn flaws(&self) -> Flaws {
        self.samples.iter().fold(Flaws::default(), |sum, sample| sum.and(sample.flaws))
    }
}

const COLUMNS: &str = "side,run,events,seconds,cpu_seconds,cpu_us_per_event,peak_bytes,lost,doubled,disordered,\
                       misjudged,load_1m_5m_15m";

/// Appends each run to a file as it ends, so that a run that breaks off leaves what it has.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    path: std::path::PathBuf,
}

impl Raw {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        std::fs::write(path, format!("{COLUMNS}\n")).context("writing the raw figures")?;
        Ok(Self { path: path.to_owned() })
    }

    pub(crate) fn note(&self, side: &str, run: usize, sample: &Sample) -> Result<()> {
        use std::io::Write;
        let mut file = std::fs::File::options()
            .append(true)
            .open(&self.path)
            .context("opening the raw figures")?;
        let Sample { events, took, cpu, peak, flaws } = sample;
        let Flaws { lost, doubled, disordered, misjudged } = flaws;
        let (seconds, cpu_seconds, cost) = (took.as_secs_f64(), cpu.as_secs_f64(), sample.cost());
        let load = load_average();
        writeln!(
            file,
            "{side},{run},{events},{seconds:.4},{cpu_seconds:.2},{cost:.2},{peak:.0},{lost},{doubled},{disordered},\
             {misjudged},{load}"
        )
        .context("writing the raw figures")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(flaws: Flaws) -> Sample {
        let (took, cpu) = (Duration::from_secs(2), Duration::from_secs(1));
        Sample { events: 100_000, took, cpu, peak: 0.0, flaws }
    }

    #[test]
    fn a_run_with_a_flaw_scores_zero() {
        let clean = sample(Flaws::default());
        assert!((clean.rate() - 50_000.0).abs() < 1e-6);
        assert!((clean.thrift() - 100_000.0).abs() < 1e-6);
        assert!((clean.cost() - 10.0).abs() < 1e-6);
        for flaws in [
            Flaws { lost: 1, ..Flaws::default() },
            Flaws { doubled: 1, ..Flaws::default() },
            Flaws { disordered: 1, ..Flaws::default() },
            Flaws { misjudged: 1, ..Flaws::default() },
        ] {
            let flawed = sample(flaws);
            assert!(flawed.rate().abs() < 1e-9 && flawed.thrift().abs() < 1e-9, "{flaws:?}");
        }
    }

    #[test]
    fn raw_figures_have_as_many_values_as_columns() {
        let path = std::env::temp_dir().join(format!("tributary-bench-{}.csv", std::process::id()));
        let raw = Raw::create(&path).unwrap();
        raw.note("ours", 1, &sample(Flaws::default())).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let widths: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(widths, [12, 12]);
    }
}
