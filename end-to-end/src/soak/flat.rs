//! Whether something stays as it is: four quarters of a run, and what the last may be.
//!
//! Pure. A leak of any size grows in every quarter, whatever else a run does at its beginning: caches fill, pools
//! grow to what is needed, and that takes its time. So the last quarter is compared with the one before it, where
//! both should be over.

use std::fmt;
use std::time::Duration;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Count,
    Time,
}

impl Unit {
    /// How far the last quarter may lie above the third: as a part of it, and beyond that. Wide enough for what
    /// comes and goes, and narrower than what a leak does: a hundred bytes a webhook are more in a quarter of an hour
    /// at a hundred and fifty a second.
    fn tolerance(self) -> (f64, f64) {
        match self {
            Self::Bytes => (0.03, 4.0 * MIB),
            Self::Count => (0.05, 8.0),
            Self::Time => (0.15, 0.05),
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Bytes => format!("{:.1} MiB", value / MIB),
            Self::Count => format!("{value:.0}"),
            Self::Time => format!("{:.0} ms", value * 1_000.0),
        }
    }
}

const MIB: f64 = 1_048_576.0;

/// What stands for a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    Percentile(usize),
    Highest,
}

/// One thing that has to stay as it is, over the four quarters of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub name: String,
    pub unit: Unit,
    pub quarters: [f64; 4],
}

impl Row {
    /// Of values at moments since the beginning of a run of this length; times are in seconds. None if a quarter has
    /// no value: then nothing can be said.
    pub fn new(
        name: impl Into<String>,
        (unit, stands): (Unit, Stands),
        values: &[(Duration, f64)],
        length: Duration,
    ) -> Option<Self> {
        let mut quarters: [Vec<f64>; 4] = Default::default();
        for (at, value) in values {
            let quarter = at.as_millis() * 4 / length.as_millis().max(1);
            // What comes after the end belongs to it.
            let quarter = usize::try_from(quarter).unwrap_or(3).min(3);
            quarters[quarter].push(*value);
        }
        let mut stand = [0.0; 4];
        for (stand, values) in stand.iter_mut().zip(&mut quarters) {
            values.sort_by(f64::total_cmp);
            let place = match stands {
                Stands::Highest => values.len(),
                Stands::Percentile(percent) => (values.len() * percent).div_ceil(100),
            };
            *stand = *values.get(place.checked_sub(1)?)?;
        }
        Some(Self { name: name.into(), unit, quarters: stand })
    }

    /// Whether the last quarter is as the third, or less.
    pub fn is_flat(&self) -> bool {
        let (part, beyond) = self.unit.tolerance();
        let [_, _, third, last] = self.quarters;
        last <= third * (1.0 + part) + beyond
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:<34}", self.name)?;
        for quarter in self.quarters {
            write!(formatter, " {:>10}", self.unit.show(quarter))?;
        }
        if self.is_flat() { Ok(()) } else { write!(formatter, "  GROWS") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn row(what: (Unit, Stands), value: impl Fn(f64) -> f64) -> Row {
        let values: Vec<(Duration, f64)> = (0..360_u32)
            .map(|sample| (HOUR / 360 * sample, value(f64::from(sample) / 360.0)))
            .collect();
        Row::new("any", what, &values, HOUR).expect("each quarter has values")
    }

    const MEMORY: (Unit, Stands) = (Unit::Bytes, Stands::Percentile(50));

    #[test]
    fn what_rises_at_first_and_stays_is_flat() {
        let warm = row(MEMORY, |at| 100.0 * MIB * (at * 2.0).min(1.0));
        assert!(warm.is_flat(), "{warm}");
        assert!(row(MEMORY, |at| MIB * (100.0 - at)).is_flat());
    }

    #[test]
    fn a_leak_of_a_hundred_bytes_a_webhook_grows() {
        let leak = row(MEMORY, |at| 80.0 * MIB + at * 3_600.0 * 150.0 * 100.0);
        assert!(!leak.is_flat() && leak.to_string().ends_with("GROWS"), "{leak}");
    }

    #[test]
    fn handles_and_waits_that_pile_up_grow() {
        assert!(!row((Unit::Count, Stands::Highest), |at| 40.0 + 60.0 * at).is_flat());
        assert!(row((Unit::Count, Stands::Highest), |_| 40.0).is_flat());
        assert!(!row((Unit::Time, Stands::Percentile(99)), |at| 1.0 + 4.0 * at).is_flat());
    }

    #[test]
    fn a_single_peak_shows_where_the_highest_stands_and_not_in_a_median() {
        let peak = |at: f64| if at > 0.9 && at < 0.905 { 500.0 } else { 10.0 };
        assert!(!row((Unit::Count, Stands::Highest), peak).is_flat());
        assert!(row((Unit::Count, Stands::Percentile(50)), peak).is_flat());
    }

    #[test]
    fn nothing_is_said_of_a_quarter_without_values() {
        let values = [(Duration::ZERO, 1.0), (HOUR, 1.0)];
        assert_eq!(Row::new("any", MEMORY, &values, HOUR), None);
    }
}
