//! The rules of Prometheus and what is beside them: cases that show when they fire, pages that say what to do.

use std::collections::BTreeSet;

use end_to_end::workspace;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::Value;

use super::catalogue::Catalogue;

const FILE: &str = "deploy/prometheus/rules.yaml";
const CASES: [&str; 2] =
    ["deploy/prometheus/rules.test.yaml", "deploy/prometheus/rules.long.test.yaml"];
/// How soon somebody has to look.
const SEVERITIES: [&str; 2] = ["page", "ticket"];
/// What every runbook answers.
const QUESTIONS: [&str; 4] =
    ["**What it means.**", "**What customers see.**", "**First look.**", "**What to do.**"];

/// A recording rule or an alert.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) expression: String,
    /// What an alert says; nothing for a recording rule.
    says: Option<Value>,
}

/// What is there of each alert, by its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    /// Cases in which it fires.
    pub(crate) firing: BTreeSet<String>,
    /// Cases in which it does not.
    pub(crate) quiet: BTreeSet<String>,
    pub(crate) runbooks: BTreeSet<String>,
}

impl Rule {
    /// All rules of the project.
    pub(crate) fn all() -> Vec<Self> {
        let file = yaml(FILE);
        let rules = items(&file["groups"]).iter().flat_map(|group| items(&group["rules"]));
        rules.map(Self::of).collect()
    }

    fn of(rule: &Value) -> Self {
        let says = rule.get("alert").map(|_| rule.clone());
        let name = if says.is_some() { "alert" } else { "record" };
        Self { name: text(&rule[name]), expression: text(&rule["expr"]), says }
    }

    pub(crate) fn is_alert(&self) -> bool {
        self.says.is_some()
    }

    /// What is wrong with it.
    pub(crate) fn faults(&self, catalogue: &Catalogue) -> Vec<String> {
        let mut faults = catalogue.faults(&self.expression);
        if let Some(says) = &self.says {
            if !SEVERITIES.contains(&text(&says["labels"]["severity"]).as_str()) {
                faults.push("nobody knows how soon to look: severity".to_owned());
            }
            let annotations = &says["annotations"];
            let unsaid = ["summary", "description"].into_iter();
            let unsaid = unsaid.filter(|name| text(&annotations[*name]).is_empty());
            faults.extend(unsaid.map(|name| format!("has no {name}")));
            if text(&annotations["runbook_url"]) != page(&self.name) {
                faults.push("does not lead to its runbook".to_owned());
            }
        }
        faults.into_iter().map(|fault| format!("{}: {fault}", self.name)).collect()
    }
}

impl Beside {
    /// What is there in the project.
    pub(crate) fn read() -> Self {
        let mut beside = Self::default();
        for case in CASES.map(yaml).iter().flat_map(|file| items(&file["tests"])) {
            for expected in items(&case["alert_rule_test"]) {
                let fires = !items(&expected["exp_alerts"]).is_empty();
                let alerts = if fires { &mut beside.firing } else { &mut beside.quiet };
                alerts.insert(text(&expected["alertname"]));
            }
        }
        for entry in workspace::root().join("deploy/runbooks").read_dir().unwrap() {
            let path = entry.unwrap().path();
            beside.runbooks.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
        beside
    }

    /// What is missing of alerts, or belongs to none.
    pub(crate) fn faults(&self, rules: &[Rule]) -> Vec<String> {
        let alerts = rules.iter().filter(|rule| rule.is_alert());
        let alerts: BTreeSet<_> = alerts.map(|rule| rule.name.clone()).collect();
        let parts = [
            ("case in which it fires", &self.firing),
            ("case in which it does not fire", &self.quiet),
            ("runbook", &self.runbooks),
        ];
        let faults = parts.into_iter().flat_map(|(what, there)| {
            let missing = alerts.difference(there).map(move |alert| format!("{alert}: no {what}"));
            let orphans = there.difference(&alerts);
            missing.chain(orphans.map(move |alert| format!("{what} of {alert}, which is no alert")))
        });
        faults.collect()
    }
}

/// What a runbook leaves unanswered, and metrics in it that do not exist.
pub(crate) fn faults_of_runbook(alert: &str, catalogue: &Catalogue) -> Vec<String> {
    let text = std::fs::read_to_string(workspace::root().join(page(alert))).unwrap();
    let unanswered = QUESTIONS.into_iter().filter(|question| !text.contains(question));
    let unanswered = unanswered.map(|question| format!("{alert}: does not say {question}"));
    let unknown = unknown_metrics(&text, catalogue);
    unanswered.chain(unknown.into_iter().map(|name| format!("{alert}: {name}?"))).collect()
}

/// Words in a page that look like metrics and are none.
pub(crate) fn unknown_metrics(page: &str, catalogue: &Catalogue) -> Vec<String> {
    let words =
        page.split(|letter: char| !letter.is_ascii_alphanumeric() && !"_:".contains(letter));
    let words = words.map(|word| word.trim_matches(':')).filter(|word| word.contains("tributary_"));
    let is_known = |word: &str| catalogue.names().any(|name| name == word);
    // A histogram is spoken of by its name alone.
    let is_known = |word: &str| is_known(word) || is_known(&format!("{word}_bucket"));
    words.filter(|word| !is_known(word)).map(str::to_owned).collect()
}

fn page(alert: &str) -> String {
    format!("deploy/runbooks/{alert}.md")
}

fn yaml(path: &str) -> Value {
    let file = std::fs::read_to_string(workspace::root().join(path)).unwrap();
    let documents = Yaml::load_from_str(&file).unwrap();
    let [document] = documents.as_slice() else { panic!("{path} is not one document") };
    json(document)
}

/// As far as these files go: keys are texts, and no number matters.
fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Sequence(items) => Value::Array(items.iter().map(json).collect()),
        Yaml::Mapping(entries) => {
            let entries = entries.iter().map(|(key, value)| (text(&json(key)), json(value)));
            Value::Object(entries.collect())
        }
        Yaml::Value(Scalar::String(text)) => Value::String(text.clone().into_owned()),
        Yaml::Representation(..)
        | Yaml::Value(_)
        | Yaml::Tagged(..)
        | Yaml::Alias(_)
        | Yaml::BadValue => Value::Null,
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
