//! What a binary counts, read from its `/metrics` as anybody's Prometheus would.

use std::collections::BTreeMap;

/// The samples of one binary at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the Prometheus text format; lines that are no samples are passed over.
    pub fn parse(text: &str) -> Self {
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self { samples: lines.filter_map(sample).collect() }
    }

    /// The sum of all series of `name` whose labels hold every one of `labels` (`source="dodo"`). A counter that was
    /// never touched is absent and counts as 0.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.samples
            .iter()
            .filter(|(series, _)| {
                let (own, rest) = series.split_once('{').unwrap_or((series, ""));
                own == name && labels.iter().all(|label| rest.contains(label))
            })
            // The sum of no floats is -0, which reads badly.
            .fold(0.0, |sum, (_, value)| sum + value)
    }

    /// All samples, by name with labels.
    pub fn samples(&self) -> &BTreeMap<String, f64> {
        &self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_the_series_of_a_name_by_label() {
        let metrics = Metrics::parse(
            "# HELP x_total what\n# TYPE x_total counter\n\
             x_total{source=\"a\",reason=\"p\"} 2\nx_total{source=\"b\",reason=\"p\"} 3\n\
             x_total_more 100\nx 1\n",
        );
        assert!((metrics.sum("x_total", &[]) - 5.0).abs() < f64::EPSILON);
        assert!((metrics.sum("x_total", &["source=\"b\""]) - 3.0).abs() < f64::EPSILON);
        assert!(metrics.sum("absent", &[]).abs() < f64::EPSILON);
        assert_eq!(metrics.samples().len(), 4);
    }
}
