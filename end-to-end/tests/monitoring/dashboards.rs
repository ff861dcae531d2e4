//! The dashboards, and what each has to keep so that somebody who never saw them can read them.

use std::collections::BTreeSet;

use end_to_end::workspace;
use serde_json::Value;

use super::catalogue::Catalogue;
use super::queries::Query;

/// What a query takes the data source from, so that a dashboard works with anybody's.
const DATASOURCE: &str = "${datasource}";
/// Keeps installations apart that one Prometheus looks after.
const OF_THE_INSTALLATION: &str = "$namespace";
/// Shows no data of its own.
const ROW: &str = "row";

/// A dashboard as Grafana reads it.
#[derive(Debug, Clone)]
pub(crate) struct Dashboard {
    pub(crate) name: String,
    pub(crate) json: Value,
}

/// A query of a panel.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Dashboard and title of the panel.
    pub(crate) place: String,
    pub(crate) expression: String,
}

impl Dashboard {
    /// All dashboards of the project.
    pub(crate) fn all() -> Vec<Self> {
        let mut dashboards = Vec::new();
        for entry in workspace::root().join("deploy/grafana").read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                dashboards.push(Self { name, json });
            }
        }
        dashboards.sort_by(|one, other| one.name.cmp(&other.name));
        dashboards
    }

    /// What is wrong with it.
    pub(crate) fn faults(&self, catalogue: &Catalogue) -> Vec<String> {
        let mut faults = self.faults_of_the_whole();
        for panel in self.panels() {
            let title = panel["title"].as_str().unwrap_or_default();
            let found = faults_of_panel(panel, catalogue);
            faults
                .extend(found.into_iter().map(|fault| format!("{}, {title}: {fault}", self.name)));
        }
        faults
    }

    fn faults_of_the_whole(&self) -> Vec<String> {
        let Self { name, json } = self;
        let variables = items(&json["templating"]["list"]);
        let is_source =
            |variable: &Value| variable["name"] == "datasource" && variable["type"] == "datasource";
        let mut ids = BTreeSet::new();
        let checks = [
            (
                json["uid"] == format!("tributary-{name}"),
                "its uid is not tributary- and its file's name",
            ),
            (is_said(&json["title"]) && is_said(&json["description"]), "says not what it is for"),
            (json["editable"] == false, "is changed in Grafana and not in its file"),
            (json["schemaVersion"].is_u64(), "has no schemaVersion"),
            (variables.iter().any(is_source), "has no variable for the data source"),
            (
                self.panels().all(|panel| ids.insert(panel["id"].as_u64())),
                "has two panels of one id",
            ),
        ];
        let failed = checks.into_iter().filter(|(holds, _)| !holds);
        failed.map(|(_, fault)| format!("{name}: {fault}")).collect()
    }

    /// Those that show data.
    pub(crate) fn panels(&self) -> impl Iterator<Item = &Value> {
        items(&self.json["panels"]).iter().filter(|panel| panel["type"] != ROW)
    }

    /// What its panels ask, as written.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        self.panels().flat_map(|panel| {
            let place = format!("{}, {}", self.name, panel["title"].as_str().unwrap_or_default());
            items(&panel["targets"]).iter().map(move |target| Target {
                place: place.clone(),
                expression: target["expr"].as_str().unwrap_or_default().to_owned(),
            })
        })
    }
}

fn faults_of_panel(panel: &Value, catalogue: &Catalogue) -> Vec<String> {
    let defaults = &panel["fieldConfig"]["defaults"];
    let steps = items(&defaults["thresholds"]["steps"]).len();
    let targets = items(&panel["targets"]);
    let is_source = |of: &Value| of["datasource"]["uid"] == DATASOURCE;
    let checks = [
        (is_said(&panel["title"]), "has no title"),
        (is_said(&panel["description"]), "says not what it tells and what is worrying"),
        (is_said(&defaults["unit"]), "has no unit"),
        (is_source(panel) && targets.iter().all(is_source), "its data source is not the variable"),
        (steps > usize::from(panel["type"] == "stat"), "has no thresholds"),
        (!targets.is_empty(), "asks nothing"),
    ];
    let failed = checks.into_iter().filter(|(holds, _)| !holds);
    let mut faults: Vec<_> = failed.map(|(_, fault)| fault.to_owned()).collect();
    for target in targets {
        faults.extend(faults_of_target(target, catalogue));
    }
    let alerts = runbooks(panel);
    let lost = alerts.iter().filter(|path| !workspace::root().join(path).is_file());
    faults.extend(lost.map(|path| format!("there is no {path}")));
    faults
}

fn faults_of_target(target: &Value, catalogue: &Catalogue) -> Vec<String> {
    let expression = target["expr"].as_str().unwrap_or_default();
    let legend = target["legendFormat"].as_str().unwrap_or_default();
    let mut faults = catalogue.faults(expression);
    if legend.is_empty() {
        faults.push("has no legend".to_owned());
    }
    let labels = catalogue.labels(expression);
    let named = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let unknown = named.filter(|label| !labels.contains(*label));
    faults.extend(unknown.map(|label| format!("the legend names a label {label}")));
    for selector in Query::read(expression).selectors {
        let mut values = selector.matchers.iter().map(|matcher| matcher.value.as_str());
        if !values.any(|value| value == OF_THE_INSTALLATION) {
            faults.push(format!("{} is not of this installation", selector.metric));
        }
    }
    // What scrapes are far apart leaves nothing in a fixed range.
    let rates = expression.split("rate(").skip(1);
    let is_fixed = |rest: &str| {
        !rest.split_once('[').is_some_and(|(_, range)| range.starts_with("$__rate_interval]"))
    };
    if rates.into_iter().any(is_fixed) {
        faults.push("a rate is not over $__rate_interval".to_owned());
    }
    faults
}

/// The runbooks that a panel names.
pub(crate) fn runbooks(panel: &Value) -> Vec<String> {
    let description = panel["description"].as_str().unwrap_or_default();
    let words = description.split([' ', ',']).filter(|word| word.starts_with("deploy/runbooks/"));
    words.map(|word| word.trim_end_matches('.').to_owned()).collect()
}

fn is_said(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}
