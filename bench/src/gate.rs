//! Whether the tree is slower than what it is held against, beyond what a program differs from itself.
//!
//! Three sides take turns: the tree, the base, and the base once more. In each pass a ratio of the tree to the base is
//! taken, and one of the base to itself. What is judged is the median of the first. The second say what the machine adds:
//! how far the median of so many such ratios lies from what it should be is the *noise*. A median of the tree that lies
//! within the noise shows nothing. A single pass may lie far outside of it: that is what medians are for.
//!
//! Less than [`LEAST`] never counts, however still the machine is: two builds of the same code differ by some hundredths,
//! because nothing lies at the same address in both, and the base once more is the same build.

use std::fmt;

use crate::statistics::{Spread, count, ratios};

/// The smallest difference that counts.
const LEAST: f64 = 0.05;

/// By so many standard errors a median lies off less than once in some hundred runs.
const STANDARD_ERRORS: f64 = 3.0;

/// The standard error of a median is larger than that of a mean by the root of π/2, where values are spread normally.
const OF_A_MEDIAN: f64 = 1.2533;

/// Which values are the good ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Good {
    Low,
    High,
}

/// One thing that was measured of all three, pass by pass.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) good: Good,
    pub(crate) tree: Vec<f64>,
    pub(crate) base: Vec<f64>,
    pub(crate) again: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing that would stand out of the noise.
    AsBefore,
    Better,
    Worse,
    /// There is no pair to take a ratio of.
    Unmeasured,
}

impl Verdict {
    pub(crate) fn passes(self) -> bool {
        match self {
            Self::AsBefore | Self::Better => true,
            Self::Worse | Self::Unmeasured => false,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::AsBefore => "as before",
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::Unmeasured => "NOT MEASURED",
        }
    }
}

/// What came of one figure.
#[derive(Debug, Clone)]
pub(crate) struct Judgement {
    figure: Figure,
    /// The tree's by the base's.
    ratio: Option<Spread>,
    /// The base's by its own.
    itself: Option<Spread>,
    /// A difference up to here is none.
    pub(crate) allowed: f64,
    pub(crate) verdict: Verdict,
}

pub(crate) fn judge(figure: Figure) -> Judgement {
    let Figure { good, tree, base, again, .. } = &figure;
    let ratio = Spread::of(&ratios(tree, base));
    let itself = Spread::of(&ratios(again, base));
    let allowed = itself.map_or(LEAST, |itself| noise(itself).max(LEAST));
    let verdict = match (ratio, itself) {
        (Some(ratio), Some(_)) => decide(ratio.median, *good, allowed),
        (None, _) | (_, None) => Verdict::Unmeasured,
    };
    Judgement { figure, ratio, itself, allowed, verdict }
}

fn decide(ratio: f64, good: Good, allowed: f64) -> Verdict {
    // How many times as much it takes of what there should be little of.
    let (more, less) = match good {
        Good::Low => (ratio, 1.0 / ratio),
        Good::High => (1.0 / ratio, ratio),
    };
    if more > 1.0 + allowed {
        Verdict::Worse
    } else if less > 1.0 + allowed {
        Verdict::Better
    } else if more.is_nan() {
        Verdict::Unmeasured
    } else {
        Verdict::AsBefore
    }
}

/// By which part medians of one and the same program may differ: what the spread of the ratios makes likely, and no less
/// than what they did.
fn noise(itself: Spread) -> f64 {
    let Spread { median, variation, runs, .. } = itself;
    let likely = STANDARD_ERRORS * OF_A_MEDIAN * variation / count(runs).sqrt();
    let seen = median.max(1.0 / median) - 1.0;
    likely.max(seen)
}

impl fmt::Display for Judgement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { figure, ratio, itself, allowed, verdict } = self;
        let (what, unit) = (figure.what, figure.unit);
        let middle = |values: &[f64]| Spread::of(values).map_or(0.0, |spread| spread.median);
        let (tree, base) = (middle(&figure.tree), middle(&figure.base));
        let verdict = verdict.name();
        write!(formatter, "  {what:<26} {tree:>8.1} {unit}, base {base:>8.1} {unit}")?;
        if let (Some(ratio), Some(itself)) = (ratio, itself) {
            let of = |Spread { median, least, most, .. }: &Spread| {
                format!("{median:.3} ({least:.3} – {most:.3})")
            };
            let (ratio, passes, itself, percent) =
                (of(ratio), ratio.runs, of(itself), allowed * 100.0);
            write!(
                formatter,
                "; by the base {ratio} in {passes} passes, the base by itself {itself}: more than {percent:.1} % counts"
            )?;
        }
        write!(formatter, "; {verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: [f64; 4] = [10.0, 10.2, 9.9, 10.1];
    /// So near that less counts than what counts at least.
    const AGAIN: [f64; 4] = [10.1, 10.2, 10.0, 10.0];

    fn times(values: &[f64], by: f64) -> Vec<f64> {
        values.iter().map(|value| value * by).collect()
    }

    fn judged(good: Good, tree: &[f64], again: &[f64]) -> Judgement {
        let (tree, base, again) = (tree.to_vec(), BASE.to_vec(), again.to_vec());
        judge(Figure { what: "any", unit: "µs", good, tree, base, again })
    }

    fn verdict(good: Good, by: f64) -> Verdict {
        judged(good, &times(&BASE, by), &AGAIN).verdict
    }

    #[test]
    fn a_side_that_takes_a_tenth_more_is_worse() {
        assert_eq!(verdict(Good::Low, 1.1), Verdict::Worse);
        assert_eq!(verdict(Good::High, 1.0 / 1.1), Verdict::Worse);
        assert!(!Verdict::Worse.passes());
    }

    #[test]
    fn a_side_that_takes_a_tenth_less_is_better_and_passes() {
        assert_eq!(verdict(Good::Low, 1.0 / 1.1), Verdict::Better);
        assert_eq!(verdict(Good::High, 1.1), Verdict::Better);
        assert!(Verdict::Better.passes());
    }

    #[test]
    fn less_than_a_twentieth_is_nothing_however_still_the_machine_is() {
        for by in [1.0, 1.04, 0.97] {
            let tree = times(&BASE, by);
            assert_eq!(judged(Good::Low, &tree, &BASE).verdict, Verdict::AsBefore, "{by}");
        }
    }

    /// Passes of the base, and of the base once more, which was off by so much in every second of them, up and down.
    fn shaken(passes: usize, by: f64) -> (Vec<f64>, Vec<f64>) {
        let off = [1.0 + by, 1.0, 1.0 / (1.0 + by), 1.0];
        let again = off.iter().cycle().take(passes).map(|off| off * 10.0).collect();
        (vec![10.0; passes], again)
    }

    #[test]
    fn what_a_median_of_the_base_may_differ_from_itself_is_no_difference() {
        let (base, again) = shaken(16, 0.2);
        let of = |by| {
            let (tree, base, again) = (times(&base, by), base.clone(), again.clone());
            judge(Figure { what: "any", unit: "µs", good: Good::Low, tree, base, again })
        };
        let allowed = of(1.0).allowed;
        assert!(allowed > 0.1 && allowed < 0.14, "{allowed}");
        assert_eq!(of(1.1).verdict, Verdict::AsBefore);
        assert_eq!(of(1.15).verdict, Verdict::Worse);
    }

    #[test]
    fn more_passes_see_what_is_smaller() {
        let allowed = |passes| {
            let (base, again) = shaken(passes, 0.2);
            let tree = base.clone();
            judge(Figure { what: "any", unit: "µs", good: Good::Low, tree, base, again }).allowed
        };
        assert!(allowed(4) > allowed(16) && allowed(16) > allowed(64));
    }

    #[test]
    fn a_base_that_was_slower_than_itself_throughout_excuses_as_much() {
        let again = times(&BASE, 1.3);
        let judged = |by| judged(Good::High, &times(&BASE, 1.0 / by), &again);
        assert!((judged(1.0).allowed - 0.3).abs() < 1e-9);
        assert_eq!(judged(1.25).verdict, Verdict::AsBefore);
        assert_eq!(judged(1.35).verdict, Verdict::Worse);
    }

    #[test]
    fn one_bad_pass_of_the_tree_is_no_verdict() {
        let tree = [10.0, 20.0, 9.8, 10.1];
        assert_eq!(judged(Good::Low, &tree, &AGAIN).verdict, Verdict::AsBefore);
    }

    #[test]
    fn nothing_measured_is_no_pass() {
        for (tree, again) in [(&[][..], &AGAIN[..]), (&BASE[..], &[][..])] {
            let judged = judged(Good::Low, tree, again);
            assert_eq!(judged.verdict, Verdict::Unmeasured);
            assert!(!judged.verdict.passes());
        }
        assert_eq!(verdict(Good::High, f64::NAN), Verdict::Unmeasured);
        assert_eq!(verdict(Good::High, 0.0), Verdict::Worse);
    }
}
