//! The page that shows it: goal, measured, met or missed, for each figure of each stage.

use std::path::Path;

use anyhow::{Context, Result};

use crate::chart;
use crate::report::{Counters, Report};
use crate::table::{listed, tables};

/// In the order of the page.
pub(crate) const STAGES: [&str; 7] =
    ["ingest", "transform", "deliver", "faults", "end-to-end", "recovery", "growth"];

const HEAD: &str = "# Benchmarks

<!-- Written by `cargo xtask bench` from what it measured last. Change bench/src, not this page. -->

Each binary beside what a team would otherwise write with released libraries, and beside what the machine can do at
most. `cargo xtask bench` measures all stages, `cargo xtask bench ingest` one of them; `--quick` takes a few minutes and
does not touch this page. [performance.md](performance.md) says where the time goes.

How to read it:

- The machine is small and not alone, so that **ratios** and **processor time per event** count, not absolute rates.
  Sides take turns in one run (A B B A, again and again); a ratio is of neighbours, and its median stands with the least and
  the most. A figure whose coefficient of variation is above 0.3 is erratic: it proves nothing, unless every run of it
  lies on one side of the goal.
- Both sides have the same broker, the same payloads and the same durable settings: `acks=all`, idempotence, and exactly
  once where that is promised. Load and broker run on one core, what is measured on another, if there are two.
- Beside each speed stand the counters of what came out wrong. A run with an event lost, doubled or out of order scores
  zero.
- Processor time is user and system time of the process from `/proc`, memory its highest resident size.
";

/// Writes the page and its charts from the results of all stages that were ever measured.
pub(crate) fn write(results: &Path, page: &Path) -> Result<()> {
    let reports: Vec<Report> =
        STAGES.iter().filter_map(|stage| Report::load(results, stage)).collect();
    let folder = page.with_extension("");
    std::fs::create_dir_all(&folder).context("making the folder of the charts")?;
    for report in reports.iter().filter(|report| !report.charts.is_empty()) {
        let chart = folder.join(format!("{}.svg", report.stage));
        std::fs::write(chart, chart::svg(&report.charts)).context("writing a chart")?;
    }
    std::fs::write(page, text(&reports)).context("writing the page of the benchmarks")
}

fn text(reports: &[Report]) -> String {
    let mut text = HEAD.to_owned();
    let missing: Vec<&str> = STAGES
        .into_iter()
        .filter(|stage| !reports.iter().any(|report| report.stage == *stage))
        .collect();
    if !missing.is_empty() {
        put(&mut text, format_args!("\nNot measured yet: {}.\n", missing.join(", ")));
    }
    for report in reports {
        section(&mut text, report);
    }
    text
}

fn section(text: &mut String, report: &Report) {
    let Report { stage, title, circumstances, method, rows, counters, charts } = report;
    put(text, format_args!("\n## {title}\n\n`cargo xtask bench {stage}`, {circumstances}\n\n"));
    for line in method {
        put(text, format_args!("- {line}\n"));
    }
    text.push_str("\n| figure | goal | measured | |\n|---|---|---|---|\n");
    for row in listed(rows) {
        let (goal, measured, verdict) = (row.goal(), row.measured(), row.verdict().name());
        put(text, format_args!("| {} | {goal} | {measured} | {verdict} |\n", row.what));
    }
    for table in tables(rows) {
        text.push_str(&table.markdown());
    }
    if !counters.is_empty() {
        text.push_str("\n| came out wrong, all runs | lost | doubled | out of order | misjudged |\n|---|---|---|---|---|\n");
    }
    for Counters { side, lost, doubled, disordered, misjudged } in counters {
        put(text, format_args!("| {side} | {lost} | {doubled} | {disordered} | {misjudged} |\n"));
    }
    if !charts.is_empty() {
        put(text, format_args!("\n![{title}](benchmarks/{stage}.svg)\n"));
    }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.push_str(&what.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Goal, Row};
    use crate::statistics::Spread;

    #[test]
    fn the_page_that_is_kept_is_one_that_was_written_here() {
        assert!(include_str!("../../docs/benchmarks.md").starts_with(HEAD));
    }

    #[test]
    fn every_figure_stands_with_its_goal_and_verdict_and_what_was_not_measured_is_said() {
        let rows = vec![
            Row::new("fast", "×", Goal::AtLeast(3.0), Spread::of(&[3.5, 4.0, 3.8])),
            Row::new("small", "MB", Goal::AtMost(60.0), Spread::of(&[70.0])),
        ];
        let report = Report {
            stage: "ingest".to_owned(),
            title: "ingest".to_owned(),
            circumstances: "yesterday".to_owned(),
            method: vec!["as it is".to_owned()],
            rows,
            counters: Vec::new(),
            charts: Vec::new(),
        };
        let text = text(&[report]);
        assert!(
            text.contains("| fast | ≥ 3.00 × | 3.80 × (3.50 × – 4.00 ×, 3 runs) | met |"),
            "{text}"
        );
        assert!(text.contains("| small | ≤ 60.0 MB | 70.0 MB | **missed** |"));
        assert!(text.contains(
            "Not measured yet: transform, deliver, faults, end-to-end, recovery, growth."
        ));
    }
}
