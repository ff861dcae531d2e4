//! What may be said of measurements on a machine that others use too: medians, ranges and ratios of runs that stood
//! beside each other, never the best of anything.

use serde::{Deserialize, Serialize};

/// From this coefficient of variation on a figure is erratic and proves nothing.
const ERRATIC_FROM: f64 = 0.3;

/// Some measurements of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Standard deviation by mean.
    pub(crate) variation: f64,
    pub(crate) runs: usize,
}

impl Spread {
    /// Nothing of nothing.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { median, least, most, variation: variation(&sorted), runs: sorted.len() })
    }

    /// In another unit.
    #[must_use]
    pub(crate) fn scaled(self, by: f64) -> Self {
        let Self { median, least, most, .. } = self;
        Self { median: median * by, least: least * by, most: most * by, ..self }
    }

    pub(crate) fn is_erratic(&self) -> bool {
        self.variation > ERRATIC_FROM
    }
}

fn variation(values: &[f64]) -> f64 {
    let count = count(values.len());
    let mean = values.iter().sum::<f64>() / count;
    if mean == 0.0 || values.len() < 2 {
        return 0.0;
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0)).sqrt() / mean.abs()
}

/// Each of one side by the one of the other that ran beside it.
pub(crate) fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    let pairs = ours.iter().zip(theirs).filter(|(_, theirs)| **theirs > 0.0);
    pairs.map(|(ours, theirs)| ours / theirs).collect()
}

/// In which order sides take their turns: forwards and backwards in each block, so that what drifts meets all alike.
pub(crate) fn interleaved<T: Copy>(sides: &[T], blocks: usize) -> Vec<T> {
    let there_and_back = sides.iter().chain(sides.iter().rev()).copied();
    let block: Vec<T> = there_and_back.collect();
    block.iter().cycle().take(block.len() * blocks).copied().collect()
}

/// Counts here are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// What so many of a hundred did not exceed.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn a_spread_is_the_middle_and_both_ends() {
        let odd = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert!(near(odd.median, 2.0) && near(odd.least, 1.0) && near(odd.most, 3.0));
        assert!(near(Spread::of(&[4.0, 1.0]).unwrap().median, 2.5));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn what_varies_by_more_than_three_tenths_is_erratic() {
        assert!(!Spread::of(&[10.0, 12.0, 8.0]).unwrap().is_erratic());
        assert!(Spread::of(&[10.0, 20.0, 4.0]).unwrap().is_erratic());
        assert!(!Spread::of(&[5.0]).unwrap().is_erratic());
        assert!(!Spread::of(&[0.0, 0.0]).unwrap().is_erratic());
    }

    #[test]
    fn a_ratio_is_of_neighbours_and_never_by_nothing() {
        assert_eq!(ratios(&[2.0, 9.0, 1.0], &[1.0, 3.0, 0.0]), [2.0, 3.0]);
    }

    #[test]
    fn each_side_stands_first_as_often_as_last() {
        assert_eq!(interleaved(&['a', 'b'], 2), ['a', 'b', 'b', 'a', 'a', 'b', 'b', 'a']);
        assert_eq!(interleaved(&['a', 'b', 'c'], 1), ['a', 'b', 'c', 'c', 'b', 'a']);
    }

    #[test]
    fn a_percentile_is_what_so_many_did_not_exceed() {
        let mut values: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        assert!(near(percentile(&mut values, 50), 5.0));
        assert!(near(percentile(&mut values, 99), 10.0));
        assert!(near(percentile(&mut [], 50), 0.0));
    }
}
