//! Metrics as data.
//!
//! Each binary declares its metrics in one place as constants, with name, help and label names, and
//! makes them real through a [`Registry`]. A family takes exactly as many label values as were
//! declared, which the compiler checks; nothing outside this module names the library that counts.
//!
//! Label values must come from a bounded set: names from the configuration and words from enums,
//! never ids, URLs or texts of errors.

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, TextEncoder};

/// One label combination of a [`Counter`].
pub type CounterSeries = prometheus::IntCounter;
/// One label combination of a [`Gauge`].
pub type GaugeSeries = prometheus::Gauge;
/// One label combination of a [`Histogram`].
pub type HistogramSeries = prometheus::Histogram;

/// Upper bounds in seconds, from a local call to a slow remote one.
pub const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Declares something that only grows. The name ends in `_total`.
#[derive(Clone, Copy, Debug)]
pub struct Counter<const LABELS: usize> {
    /// Begins with `tributary_`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Names of the labels.
    pub labels: [&'static str; LABELS],
}

/// Declares something that goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<const LABELS: usize> {
    /// Begins with `tributary_`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Names of the labels.
    pub labels: [&'static str; LABELS],
}

/// Declares a distribution.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<const LABELS: usize> {
    /// Begins with `tributary_` and ends with the unit, as in `_seconds` or `_bytes`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Names of the labels.
    pub labels: [&'static str; LABELS],
    /// Upper bounds, ascending; see [`SECONDS`].
    pub buckets: &'static [f64],
}

/// A registered counter. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CounterFamily<const LABELS: usize>(IntCounterVec);

/// A registered gauge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GaugeFamily<const LABELS: usize>(GaugeVec);

/// A registered histogram. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HistogramFamily<const LABELS: usize>(HistogramVec);

impl<const LABELS: usize> CounterFamily<LABELS> {
    /// The series of these label values, which exists from now on, at zero.
    pub fn with(&self, values: [&str; LABELS]) -> CounterSeries {
        self.0.with_label_values(&values)
    }
}

impl<const LABELS: usize> GaugeFamily<LABELS> {
    /// The series of these label values, which exists from now on, at zero.
    pub fn with(&self, values: [&str; LABELS]) -> GaugeSeries {
        self.0.with_label_values(&values)
    }

    /// Forgets a series, for example of a partition that went elsewhere.
    pub fn remove(&self, values: [&str; LABELS]) {
        // The only error is that there was no such series.
        drop(self.0.remove_label_values(&values));
    }
}

impl<const LABELS: usize> HistogramFamily<LABELS> {
    /// The series of these label values, which exists from now on, empty.
    pub fn with(&self, values: [&str; LABELS]) -> HistogramSeries {
        self.0.with_label_values(&values)
    }
}

/// Why a metric cannot be registered. Always a mistake in a declaration.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// The name breaks a convention.
    #[error("metric `{name}`: the name must {must}")]
    Name {
        /// As declared.
        name: &'static str,
        /// What it must do instead.
        must: &'static str,
    },
    /// The library refuses it, for example because the name is taken.
    #[error("metric `{name}`")]
    Refused {
        /// As declared.
        name: &'static str,
        /// Why.
        #[source]
        cause: prometheus::Error,
    },
}

/// A declared metric, for documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// As it is scraped.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Names of the labels.
    pub labels: Vec<&'static str>,
}

/// All metrics of one process.
#[derive(Debug)]
pub struct Registry {
    registry: prometheus::Registry,
    declared: Vec<Declared>,
}

impl Registry {
    /// A registry with the metrics every process has: CPU, memory, threads and open files.
    pub fn new() -> Result<Self, DeclarationError> {
        let registry = prometheus::Registry::new();
        registry
            .register(Box::new(ProcessCollector::for_self()))
            .map_err(|cause| DeclarationError::Refused { name: "process", cause })?;
        Ok(Self { registry, declared: Vec::new() })
    }

    /// Makes a declared counter real.
    pub fn counter<const LABELS: usize>(
        &mut self,
        declaration: &Counter<LABELS>,
    ) -> Result<CounterFamily<LABELS>, DeclarationError> {
        let Counter { name, help, labels } = *declaration;
        if !name.ends_with("_total") {
            return Err(DeclarationError::Name { name, must: "end in `_total`" });
        }
        let made = IntCounterVec::new(Opts::new(name, help), &labels);
        self.register(Declared { name, kind: "counter", help, labels: labels.into() }, made)
            .map(CounterFamily)
    }

    /// Makes a declared gauge real.
    pub fn gauge<const LABELS: usize>(
        &mut self,
        declaration: &Gauge<LABELS>,
    ) -> Result<GaugeFamily<LABELS>, DeclarationError> {
        let Gauge { name, help, labels } = *declaration;
        let made = GaugeVec::new(Opts::new(name, help), &labels);
        self.register(Declared { name, kind: "gauge", help, labels: labels.into() }, made)
            .map(GaugeFamily)
    }

    /// Makes a declared histogram real.
    pub fn histogram<const LABELS: usize>(
        &mut self,
        declaration: &Histogram<LABELS>,
    ) -> Result<HistogramFamily<LABELS>, DeclarationError> {
        let Histogram { name, help, labels, buckets } = *declaration;
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let made = HistogramVec::new(options, &labels);
        self.register(Declared { name, kind: "histogram", help, labels: labels.into() }, made)
            .map(HistogramFamily)
    }

    fn register<Family: Collector + Clone + 'static>(
        &mut self,
        declared: Declared,
        made: Result<Family, prometheus::Error>,
    ) -> Result<Family, DeclarationError> {
        let name = declared.name;
        if !name.starts_with("tributary_") {
            return Err(DeclarationError::Name { name, must: "begin with `tributary_`" });
        }
        let refused = |cause| DeclarationError::Refused { name, cause };
        let family = made.map_err(refused)?;
        self.registry.register(Box::new(family.clone())).map_err(refused)?;
        self.declared.push(declared);
        Ok(family)
    }

    /// What was declared, in that order.
    pub fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// All values now, in Prometheus' text format 0.0.4.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKIPPED: Counter<2> = Counter {
        name: "tributary_test_skipped_total",
        help: "What was skipped.",
        labels: ["destination", "reason"],
    };

    #[test]
    fn values_appear_with_their_labels_beside_those_of_the_process() {
        let mut registry = Registry::new().expect("fresh");
        let skipped = registry.counter(&SKIPPED).expect("valid");
        skipped.with(["intercom", "no_identity"]).inc_by(3);
        let open = Gauge { name: "tributary_test_open", help: "Whether it is open.", labels: [] };
        registry.gauge(&open).expect("valid").with([]).set(1.0);
        let text = registry.text().expect("encodes");
        let line = r#"tributary_test_skipped_total{destination="intercom",reason="no_identity"} 3"#;
        assert!(text.contains(line), "{text}");
        assert!(text.contains("tributary_test_open 1"), "{text}");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
        let names: Vec<_> = registry.declared().iter().map(|metric| metric.name).collect();
        assert_eq!(names, ["tributary_test_skipped_total", "tributary_test_open"]);
    }

    #[test]
    fn a_removed_series_is_not_shown() {
        let mut registry = Registry::new().expect("fresh");
        let lag = Gauge { name: "tributary_test_lag", help: "Lag.", labels: ["partition"] };
        let lag = registry.gauge(&lag).expect("valid");
        lag.with(["3"]).set(7.0);
        lag.remove(["3"]);
        lag.remove(["4"]);
        assert!(!registry.text().expect("encodes").contains("tributary_test_lag"));
    }

    #[test]
    fn a_name_must_follow_the_convention_and_be_free() {
        let mut registry = Registry::new().expect("fresh");
        let unfinished = Counter { name: "tributary_test_skipped", ..SKIPPED };
        assert!(matches!(registry.counter(&unfinished), Err(DeclarationError::Name { .. })));
        let foreign = Counter { name: "skipped_total", ..SKIPPED };
        assert!(matches!(registry.counter(&foreign), Err(DeclarationError::Name { .. })));
        registry.counter(&SKIPPED).expect("free");
        assert!(matches!(registry.counter(&SKIPPED), Err(DeclarationError::Refused { .. })));
    }
}
