//! Gauges whose series come and go.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::GaugeFamily;

/// Series of a gauge of which only the latest are shown: those of partitions that went elsewhere, for example, are
/// not. Several of these may share a family, as long as their series differ.
#[derive(Debug)]
pub struct Latest<const LABELS: usize> {
    family: GaugeFamily<LABELS>,
    shown: Mutex<BTreeSet<[String; LABELS]>>,
}

impl<const LABELS: usize> Latest<LABELS> {
    /// Shows nothing yet.
    pub fn of(family: GaugeFamily<LABELS>) -> Self {
        Self { family, shown: Mutex::default() }
    }

    /// Shows these, and none that was shown before and is not among them.
    pub fn show(&self, series: impl IntoIterator<Item = ([String; LABELS], f64)>) {
        let mut latest = BTreeSet::new();
        for (labels, value) in series {
            self.family.with(labels.each_ref().map(String::as_str)).set(value);
            latest.insert(labels);
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for labels in shown.difference(&latest) {
            self.family.remove(labels.each_ref().map(String::as_str));
        }
        *shown = latest;
    }
}

impl<const LABELS: usize> Drop for Latest<LABELS> {
    fn drop(&mut self) {
        self.show([]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Dimensions, Gauge, Label, Registry};

    #[test]
    fn only_the_latest_series_are_shown_and_none_when_there_is_nobody_to_show_them() {
        let mut registry = Registry::new(Dimensions::default()).expect("fresh");
        let labels = [Label::PARTITION];
        let lag = Gauge { name: "tributary_test_lag_records", help: "Lag.", labels };
        let lag = registry.gauge(&lag).expect("valid");
        let (ours, theirs) = (Latest::of(lag.clone()), Latest::of(lag));
        let partition = |number: u8, records| ([number.to_string()], records);
        theirs.show([partition(9, 9.0)]);
        ours.show([partition(1, 5.0), partition(2, 7.0)]);
        ours.show([partition(2, 6.0)]);
        let shown = |registry: &Registry| {
            let text = registry.text().expect("encodes");
            let lines = text.lines().filter(|line| line.starts_with("tributary_test"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let series = |number, records| {
            format!("tributary_test_lag_records{{partition=\"{number}\"}} {records}")
        };
        assert_eq!(shown(&registry), [series(2, 6), series(9, 9)]);
        drop(ours);
        assert_eq!(shown(&registry), [series(9, 9)]);
    }
}
