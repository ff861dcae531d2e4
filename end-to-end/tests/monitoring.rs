//! What an operator sees and is told: dashboards, alerts and runbooks fit what the binaries show, and each other.
//!
//! Neither Grafana nor Prometheus minds a query for something that does not exist: the panel stays empty, and the alert
//! never fires. So the files are held against the declarations of the metrics, and the queries are put to a real
//! Prometheus that looked after the three binaries.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test, what cannot be had fails it")]

mod catalogue;
mod dashboards;
mod prometheus;
mod queries;
mod rules;
mod scraped;

use std::collections::BTreeSet;

use end_to_end::workspace;
use serde_json::{Value, json};

use catalogue::Catalogue;
use dashboards::{Dashboard, runbooks};
use rules::{Beside, Rule, faults_of_runbook, unknown_metrics};

fn catalogue() -> Catalogue {
    Catalogue::with(&Rule::all())
}

#[test]
fn rules_ask_for_what_there_is_and_alerts_say_what_they_mean() {
    let (rules, catalogue) = (Rule::all(), catalogue());
    let faults: Vec<_> = rules.iter().flat_map(|rule| rule.faults(&catalogue)).collect();
    assert_eq!(faults, [""; 0]);
    assert!(rules.iter().filter(|rule| rule.is_alert()).count() > 20, "{rules:?}");
}

#[test]
fn every_alert_has_a_runbook_a_case_in_which_it_fires_and_one_in_which_not() {
    let (rules, beside, catalogue) = (Rule::all(), Beside::read(), catalogue());
    let runbooks = beside.runbooks.iter();
    let mut faults: Vec<_> =
        runbooks.flat_map(|alert| faults_of_runbook(alert, &catalogue)).collect();
    faults.extend(beside.faults(&rules));
    assert_eq!(faults, [""; 0]);
}

#[test]
fn dashboards_keep_the_rules_and_ask_for_what_there_is() {
    let (dashboards, catalogue) = (Dashboard::all(), catalogue());
    let faults: Vec<_> = dashboards.iter().flat_map(|one| one.faults(&catalogue)).collect();
    assert_eq!(faults, [""; 0]);
    let names: Vec<_> = dashboards.iter().map(|dashboard| dashboard.name.as_str()).collect();
    assert_eq!(names, ["destinations", "kafka-and-transform", "overview"]);
}

#[test]
fn every_alert_is_spoken_of_by_a_panel_and_by_the_page_of_monitoring() {
    let page = std::fs::read_to_string(workspace::root().join("docs/monitoring.md")).unwrap();
    let dashboards = Dashboard::all();
    let named: BTreeSet<_> =
        dashboards.iter().flat_map(Dashboard::panels).flat_map(runbooks).collect();
    for alert in Rule::all().into_iter().filter(Rule::is_alert).map(|rule| rule.name) {
        let runbook = format!("deploy/runbooks/{alert}.md");
        assert!(named.contains(&runbook), "no panel names {runbook}");
        assert!(page.contains(&format!("[{alert}](../{runbook})")), "no line leads to {runbook}");
    }
    assert_eq!(unknown_metrics(&page, &catalogue()), [""; 0]);
}

#[test]
fn a_planted_rule_on_what_does_not_exist_is_noticed() {
    let catalogue = catalogue();
    for (expression, fault) in [
        ("rate(tributary_deliver_sent_total[5m]) > 0", "no metric tributary_deliver_sent_total"),
        ("tributary_deliver_breaker{state=\"ajar\"} == 1", "never says ajar"),
        ("tributary_deliver_breaker{status=\"open\"} == 1", "has no label status"),
        ("sum by (provider) (tributary_deliver_breaker)", "a label provider"),
        ("up{job=\"deliverer\"} == 0", "never says deliverer"),
        ("destination:tributary_deliver_up:max == 0", "no metric destination:tributary_deliver_up"),
        ("destination:tributary_deliver_in_service:max{source=\"a\"} == 0", "has no label source"),
        ("tributary_deliver_end_to_end_seconds_bucket{le=~\"61([.]0)?\"}", "never says 61"),
        ("tributary_deliver_end_to_end_seconds > 1", "no metric tributary_deliver_end_to_end"),
        ("vector(1)", "asks for nothing"),
    ] {
        let faults = catalogue.faults(expression);
        assert!(faults.len() == 1 && faults[0].contains(fault), "{expression}: {faults:?}");
    }
}

#[test]
fn a_planted_alert_without_a_page_or_a_case_is_noticed() {
    let (rules, whole) = (Rule::all(), Beside::read());
    let mut lacking = whole.clone();
    lacking.runbooks.remove("TributaryLineStopped");
    lacking.firing.remove("TributaryDeadLetters");
    lacking.quiet.insert("TributaryUnheardOf".to_owned());
    assert_eq!(
        lacking.faults(&rules),
        [
            "TributaryDeadLetters: no case in which it fires",
            "case in which it does not fire of TributaryUnheardOf, which is no alert",
            "TributaryLineStopped: no runbook",
        ]
    );
}

#[test]
fn a_planted_fault_in_a_dashboard_is_noticed() {
    let (dashboards, catalogue) = (Dashboard::all(), catalogue());
    let panel = dashboards[0].json["panels"].as_array().unwrap();
    let panel = panel.iter().position(|panel| panel["type"] == "timeseries").unwrap();
    let planted: [(&str, Value, &str); 11] = [
        ("title", json!(""), "has no title"),
        ("description", json!(""), "what is worrying"),
        ("fieldConfig/defaults/unit", Value::Null, "has no unit"),
        ("fieldConfig/defaults/thresholds", Value::Null, "has no thresholds"),
        ("datasource/uid", json!("prometheus"), "is not the variable"),
        ("targets/0/legendFormat", json!(""), "has no legend"),
        ("targets/0/legendFormat", json!("{{provider}}"), "a label provider"),
        (
            "targets/0/expr",
            json!("up{namespace=~\"$namespace\"} + tributary_lost{namespace=~\"$namespace\"}"),
            "no metric",
        ),
        (
            "targets/0/expr",
            json!("sum by (destination, fate) (tributary_deliver_records_total)"),
            "this installation",
        ),
        (
            "targets/0/expr",
            json!(
                "sum by (destination, fate) (rate(tributary_deliver_records_total{namespace=~\"$namespace\"}[5m]))"
            ),
            "$__rate_interval",
        ),
        ("description", json!("Runbook: deploy/runbooks/TributaryUnheardOf.md."), "there is no"),
    ];
    for (place, value, fault) in planted {
        let mut dashboard = dashboards[0].clone();
        *dashboard.json.pointer_mut(&format!("/panels/{panel}/{place}")).unwrap() = value;
        let faults = dashboard.faults(&catalogue);
        assert!(faults.iter().any(|found| found.contains(fault)), "{place}, {fault}: {faults:?}");
    }
}
