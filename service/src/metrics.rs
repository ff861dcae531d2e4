//! Metrics as data.
//!
//! Each binary declares its metrics in one place as constants, with name, help and label names, and
//! makes them real through a [`Registry`]. A family takes exactly as many label values as were
//! declared, which the compiler checks; nothing outside this module names the library that counts.
//!
//! Label values come from a bounded set, which the declaration names: names from the configuration and words from
//! enums, never ids, URLs or texts of errors. Counters and histograms whose labels can all be listed stand at zero
//! from the start: what has not happened yet is told apart from what is not counted.

mod latest;
mod page;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, TextEncoder};

use crate::config::Config;

pub use latest::Latest;
pub use page::page;

/// A label, and what it can say.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The label.
    pub name: &'static str,
    /// What it can say.
    pub values: Values,
}

/// What a label can say.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// The configured sources.
    Sources,
    /// The same, and `none` for a request that names none of them.
    SourcesOrNone,
    /// The configured destinations.
    Destinations,
    /// The partitions that the process owns.
    Partitions,
    /// Exactly these words.
    Words(fn() -> Vec<&'static str>),
    /// What is known of the build.
    Build,
    /// Words that stand in this document.
    Documented(&'static str),
}

impl Label {
    /// A configured source.
    pub const SOURCE: Self = Self { name: "source", values: Values::Sources };
    /// A configured destination.
    pub const DESTINATION: Self = Self { name: "destination", values: Values::Destinations };
    /// A partition that the process owns.
    pub const PARTITION: Self = Self { name: "partition", values: Values::Partitions };
}

/// What is configured, as far as labels name it.
#[derive(Clone, Debug, Default)]
pub struct Dimensions {
    /// Names of the sources.
    pub sources: Vec<String>,
    /// Names of the destinations.
    pub destinations: Vec<String>,
}

impl Dimensions {
    /// What a configuration names.
    pub fn of(config: &Config) -> Self {
        Self {
            sources: config.sources.keys().cloned().collect(),
            destinations: config.destinations.keys().cloned().collect(),
        }
    }

    /// Everything a label can say, where that can be listed.
    fn values(&self, values: Values) -> Option<Vec<String>> {
        match values {
            Values::Sources => Some(self.sources.clone()),
            Values::SourcesOrNone => {
                Some(self.sources.iter().cloned().chain(["none".to_owned()]).collect())
            }
            Values::Destinations => Some(self.destinations.clone()),
            Values::Words(words) => Some(words().into_iter().map(str::to_owned).collect()),
            Values::Partitions | Values::Build | Values::Documented(_) => None,
        }
    }

    /// Every combination of what the labels can say; none at all where one of them cannot be listed.
    fn combinations(&self, labels: &[Label]) -> Vec<Vec<String>> {
        let listed: Option<Vec<_>> = labels.iter().map(|label| self.values(label.values)).collect();
        let Some(listed) = listed else { return Vec::new() };
        listed.iter().fold(vec![Vec::new()], |begun, values| {
            let with = |before: &Vec<String>| {
                let extended = values
                    .iter()
                    .map(|value| [before.as_slice(), std::slice::from_ref(value)].concat());
                extended.collect::<Vec<_>>()
            };
            begun.iter().flat_map(with).collect()
        })
    }
}

/// One label combination of a [`Counter`].
pub type CounterSeries = prometheus::IntCounter;
/// One label combination of a [`Gauge`].
pub type GaugeSeries = prometheus::Gauge;
/// One label combination of a [`Histogram`].
pub type HistogramSeries = prometheus::Histogram;

/// A number of things, as a gauge shows it.
#[expect(clippy::cast_precision_loss, reason = "nobody counts beyond what a float holds exactly")]
pub fn amount(number: u64) -> f64 {
    number as f64
}

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
    /// The labels.
    pub labels: [Label; LABELS],
}

/// Declares something that goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<const LABELS: usize> {
    /// Begins with `tributary_`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// The labels.
    pub labels: [Label; LABELS],
}

/// Declares a distribution.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<const LABELS: usize> {
    /// Begins with `tributary_` and ends with the unit, as in `_seconds` or `_bytes`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// The labels.
    pub labels: [Label; LABELS],
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
#[derive(Clone, Debug)]
pub struct Declared {
    /// As it is scraped.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// The labels.
    pub labels: Vec<Label>,
    /// Upper bounds of a histogram.
    pub buckets: &'static [f64],
}

const BUILD_INFO: Gauge<2> = Gauge {
    name: "tributary_build_info",
    help: "Always 1; its labels say what runs.",
    labels: [
        Label { name: "version", values: Values::Build },
        Label { name: "revision", values: Values::Build },
    ],
};

/// The revision that was built, if whoever built it said so by `TRIBUTARY_REVISION` in the environment.
const REVISION: &str = match option_env!("TRIBUTARY_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// All metrics of one process.
#[derive(Debug)]
pub struct Registry {
    families: prometheus::Registry,
    dimensions: Dimensions,
    declared: Vec<Declared>,
}

impl Registry {
    /// A registry with the metrics every process has: CPU, memory, threads and open files, and what runs.
    pub fn new(dimensions: Dimensions) -> Result<Self, DeclarationError> {
        let registry = prometheus::Registry::new();
        registry
            .register(Box::new(ProcessCollector::for_self()))
            .map_err(|cause| DeclarationError::Refused { name: "process", cause })?;
        let mut registry = Self { families: registry, dimensions, declared: Vec::new() };
        registry.gauge(&BUILD_INFO)?.with([env!("CARGO_PKG_VERSION"), REVISION]).set(1.0);
        Ok(registry)
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
        let made = IntCounterVec::new(Opts::new(name, help), &labels.map(|label| label.name));
        let declared =
            Declared { name, kind: "counter", help, labels: labels.into(), buckets: &[] };
        let family = self.register(declared, made)?;
        for values in self.dimensions.combinations(&labels) {
            family.with_label_values(&values);
        }
        Ok(CounterFamily(family))
    }

    /// Makes a declared gauge real.
    pub fn gauge<const LABELS: usize>(
        &mut self,
        declaration: &Gauge<LABELS>,
    ) -> Result<GaugeFamily<LABELS>, DeclarationError> {
        let Gauge { name, help, labels } = *declaration;
        let made = GaugeVec::new(Opts::new(name, help), &labels.map(|label| label.name));
        let declared = Declared { name, kind: "gauge", help, labels: labels.into(), buckets: &[] };
        self.register(declared, made).map(GaugeFamily)
    }

    /// Makes a declared histogram real.
    pub fn histogram<const LABELS: usize>(
        &mut self,
        declaration: &Histogram<LABELS>,
    ) -> Result<HistogramFamily<LABELS>, DeclarationError> {
        let Histogram { name, help, labels, buckets } = *declaration;
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let made = HistogramVec::new(options, &labels.map(|label| label.name));
        let declared = Declared { name, kind: "histogram", help, labels: labels.into(), buckets };
        let family = self.register(declared, made)?;
        for values in self.dimensions.combinations(&labels) {
            family.with_label_values(&values);
        }
        Ok(HistogramFamily(family))
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
        self.families.register(Box::new(family.clone())).map_err(refused)?;
        self.declared.push(declared);
        Ok(family)
    }

    /// What was declared, in that order.
    pub fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// All values now, in Prometheus' text format 0.0.4.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.families.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASON: Label =
        Label { name: "reason", values: Values::Words(|| vec!["no_identity", "sandbox"]) };

    const SKIPPED: Counter<2> = Counter {
        name: "tributary_test_skipped_total",
        help: "What was skipped.",
        labels: [Label::DESTINATION, REASON],
    };

    #[test]
    fn values_appear_with_their_labels_beside_those_of_the_process() {
        let mut registry = Registry::new(Dimensions::default()).expect("fresh");
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
        let own = ["tributary_test_skipped_total", "tributary_test_open"];
        assert_eq!(names, [&["tributary_build_info"], &own[..]].concat());
        let build = concat!(
            "tributary_build_info{revision=\"unknown\",version=\"",
            env!("CARGO_PKG_VERSION")
        );
        assert!(text.contains(build), "{text}");
    }

    #[test]
    fn what_can_be_listed_stands_at_zero_from_the_start_and_nothing_else_does() {
        let destinations = vec!["crm".to_owned(), "desk".to_owned()];
        let dimensions = Dimensions { sources: Vec::new(), destinations };
        let mut registry = Registry::new(dimensions).expect("fresh");
        registry.counter(&SKIPPED).expect("valid");
        let open = Label { name: "type", values: Values::Documented("docs/mappings.md") };
        let name = "tributary_test_read_total";
        let read = Counter { name, help: "Read.", labels: [Label::DESTINATION, open] };
        registry.counter(&read).expect("valid");
        let text = registry.text().expect("encodes");
        let zeros =
            text.lines().filter(|line| line.starts_with("tributary_") && line.ends_with(" 0"));
        assert_eq!(zeros.count(), 4, "{text}");
    }

    #[test]
    fn a_removed_series_is_not_shown() {
        let mut registry = Registry::new(Dimensions::default()).expect("fresh");
        let lag = Gauge { name: "tributary_test_lag", help: "Lag.", labels: [Label::PARTITION] };
        let lag = registry.gauge(&lag).expect("valid");
        lag.with(["3"]).set(7.0);
        lag.remove(["3"]);
        lag.remove(["4"]);
        assert!(!registry.text().expect("encodes").contains("tributary_test_lag"));
    }

    #[test]
    fn a_name_must_follow_the_convention_and_be_free() {
        let mut registry = Registry::new(Dimensions::default()).expect("fresh");
        let unfinished = Counter { name: "tributary_test_skipped", ..SKIPPED };
        assert!(matches!(registry.counter(&unfinished), Err(DeclarationError::Name { .. })));
        let foreign = Counter { name: "skipped_total", ..SKIPPED };
        assert!(matches!(registry.counter(&foreign), Err(DeclarationError::Name { .. })));
        registry.counter(&SKIPPED).expect("free");
        assert!(matches!(registry.counter(&SKIPPED), Err(DeclarationError::Refused { .. })));
    }
}
