//! Everything that can be asked for, and what is wrong with a query that asks for something else.
//!
//! A query for a metric that does not exist is no error to Prometheus: an alert on it never fires, a panel stays empty.
//! So each metric has to be declared by a binary, recorded by a rule, or be Prometheus' own; each label has to be one of
//! its labels; and each value that a matcher names has to be one that the declaration lists.

use std::collections::{BTreeMap, BTreeSet};

use service::metrics::{Declared, Dimensions, Registry, Values};

use super::queries::{Matcher, Query, Selector};
use super::rules::Rule;
use crate::declarations::declared;

/// Labels that whoever scrapes gives to every series.
const OF_THE_TARGET: [&str; 3] = ["namespace", "job", "instance"];
/// Labels of the series that Prometheus makes of the alerts; those of the rules beside them.
const OF_ALERTS: [&str; 3] = ["alertname", "alertstate", "severity"];

/// What a label can say; `None` where that is not known beforehand.
type Words = Option<BTreeSet<String>>;

/// Everything that can be asked for, with its labels.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    metrics: BTreeMap<String, BTreeMap<String, Words>>,
}

impl Catalogue {
    /// What the binaries declare, Prometheus adds, and these rules record.
    pub(crate) fn with(rules: &[Rule]) -> Self {
        let mut catalogue = Self { metrics: BTreeMap::new() };
        for (_, declared) in declared() {
            for metric in &declared {
                catalogue.declare(metric);
            }
        }
        for name in of_the_process().into_iter().chain(["up".to_owned()]) {
            catalogue.add(name, []);
        }
        catalogue.add("ALERTS".to_owned(), OF_ALERTS.map(|label| (label.to_owned(), None)));
        for rule in rules.iter().filter(|rule| !rule.is_alert()) {
            let labels = Query::read(&rule.expression).grouping;
            catalogue.add(rule.name.clone(), labels.into_iter().map(|label| (label, None)));
        }
        catalogue
    }

    fn declare(&mut self, metric: &Declared) {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| (label.name.to_owned(), words(label.values)))
            .collect();
        if metric.kind != "histogram" {
            return self.add(metric.name.to_owned(), labels);
        }
        for part in ["sum", "count"] {
            self.add(format!("{}_{part}", metric.name), labels.clone());
        }
        // From its third version on Prometheus writes `60.0` for `60`; a matcher has to fit both.
        let bounds = metric.buckets.iter().map(|bound| format!("{bound}([.]0)?"));
        let buckets = labels.into_iter().chain([("le".to_owned(), Some(bounds.collect()))]);
        self.add(format!("{}_bucket", metric.name), buckets);
    }

    /// A name may be that of metrics of several binaries.
    fn add(&mut self, name: String, labels: impl IntoIterator<Item = (String, Words)>) {
        let known = self.metrics.entry(name).or_default();
        known.extend(labels);
        known.extend(OF_THE_TARGET.map(|label| (label.to_owned(), None)));
        let jobs = declared().map(|(job, _)| job.to_owned());
        known.insert("job".to_owned(), Some(jobs.into()));
    }

    /// The names of all metrics, without those of the parts of histograms.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.metrics.keys().map(String::as_str)
    }

    /// What a query asks for that does not exist.
    pub(crate) fn faults(&self, expression: &str) -> Vec<String> {
        let Query { selectors, grouping } = Query::read(expression);
        let mut faults: Vec<_> =
            selectors.iter().flat_map(|selector| self.faults_of(selector)).collect();
        if selectors.is_empty() {
            faults.push(format!("asks for nothing: {expression}"));
        }
        let known: BTreeSet<_> = self.labels(expression);
        let unknown = grouping.iter().filter(|label| !known.contains(*label));
        faults.extend(unknown.map(|label| format!("no metric of the query has a label {label}")));
        faults
    }

    /// All labels that the series of a query may have.
    pub(crate) fn labels(&self, expression: &str) -> BTreeSet<String> {
        let selectors = Query::read(expression).selectors;
        let metrics = selectors.iter().filter_map(|selector| self.metrics.get(&selector.metric));
        metrics.flat_map(BTreeMap::keys).cloned().collect()
    }

    fn faults_of(&self, selector: &Selector) -> Vec<String> {
        let metric = &selector.metric;
        let Some(labels) = self.metrics.get(metric) else {
            return vec![format!("there is no metric {metric}")];
        };
        let fault = |matcher: &Matcher| {
            let Matcher { label, operator, value } = matcher;
            let Some(words) = labels.get(label) else {
                return Some(format!("{metric} has no label {label}"));
            };
            let is_open = value.is_empty() || value.contains('$') || value.contains('*');
            let words = words.as_ref().filter(|_| !is_open)?;
            let named: Vec<_> = match operator.as_str() {
                "=~" | "!~" => value.split('|').collect(),
                _ => vec![value.as_str()],
            };
            let unknown = named.into_iter().find(|word| !words.contains(*word))?;
            Some(format!("{label} of {metric} never says {unknown}"))
        };
        selector.matchers.iter().filter_map(fault).collect()
    }
}

fn words(values: Values) -> Words {
    match values {
        Values::Words(words) => Some(words().into_iter().map(str::to_owned).collect()),
        Values::Sources
        | Values::SourcesOrNone
        | Values::Destinations
        | Values::Partitions
        | Values::Build
        | Values::Documented(_) => None,
    }
}

/// What every process shows of itself.
fn of_the_process() -> Vec<String> {
    let text = Registry::new(Dimensions::default()).unwrap().text().unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE process_"));
    names.filter_map(|rest| Some(format!("process_{}", rest.split(' ').next()?))).collect()
}
