//! What a stage came to: goals, figures, verdicts.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::sample::{Flaws, Series};
use crate::statistics::Spread;
use crate::table::{listed, tables};

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// A figure to know, with no goal.
    None,
}

/// Whether it was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// It varies too much to say.
    Erratic,
    /// There is nothing to judge: no figure, or no goal.
    Unjudged,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::Erratic => "erratic",
            Self::Unjudged => "",
        }
    }
}

/// Where a figure stands that is not one of the list: at its line and this column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) table: String,
    pub(crate) column: String,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// In a table: its line.
    pub(crate) what: String,
    /// Behind each number: `×`, `µs`, `MB`, `%`; nothing where things are counted.
    pub(crate) unit: String,
    pub(crate) goal: Goal,
    pub(crate) spread: Option<Spread>,
    #[serde(default)]
    pub(crate) place: Option<Place>,
}

impl Row {
    pub(crate) fn new(what: &str, unit: &str, goal: Goal, spread: Option<Spread>) -> Self {
        Self { what: what.to_owned(), unit: unit.to_owned(), goal, spread, place: None }
    }

    /// One of a table, to know, with no goal.
    pub(crate) fn placed(place: Place, line: &str, unit: &str, value: f64) -> Self {
        let row = Self::new(line, unit, Goal::None, Spread::of(&[value]));
        Self { place: Some(place), ..row }
    }

    /// A figure that is erratic and yet on one side of the goal in every run is no riddle.
    pub(crate) fn verdict(&self) -> Verdict {
        let Some(Spread { median, least, most, .. }) = self.spread else {
            return Verdict::Unjudged;
        };
        let (met, surely_met, surely_missed) = match self.goal {
            Goal::None => return Verdict::Unjudged,
            Goal::AtLeast(bound) => (median >= bound, least >= bound, most < bound),
            Goal::AtMost(bound) => (median <= bound, most <= bound, least > bound),
        };
        let erratic = self.spread.is_some_and(|spread| spread.is_erratic());
        match (erratic && !surely_met && !surely_missed, met) {
            (true, _) => Verdict::Erratic,
            (false, true) => Verdict::Met,
            (false, false) => Verdict::Missed,
        }
    }

    pub(crate) fn goal(&self) -> String {
        match self.goal {
            Goal::AtLeast(bound) => format!("≥ {}", self.number(bound)),
            Goal::AtMost(bound) => format!("≤ {}", self.number(bound)),
            Goal::None => "–".to_owned(),
        }
    }

    pub(crate) fn measured(&self) -> String {
        let Some(spread) = self.spread else { return "not measured".to_owned() };
        let Spread { median, least, most, runs, .. } = spread;
        if runs == 1 {
            return self.number(median);
        }
        let marked = if spread.is_erratic() { ", erratic" } else { "" };
        let (middle, least, most) = (self.number(median), self.number(least), self.number(most));
        format!("{middle} ({least} – {most}, {runs} runs{marked})")
    }

    fn number(&self, value: f64) -> String {
        let digits = if value.abs() >= 100.0 || self.unit.is_empty() {
            0
        } else if value.abs() >= 10.0 {
            1
        } else {
            2
        };
        format!("{value:.digits$} {}", self.unit).trim_end().to_owned()
    }
}

/// What was wrong with what one side brought out, over all its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) side: String,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) disordered: usize,
    pub(crate) misjudged: usize,
}

impl Counters {
    pub(crate) fn of(series: &Series) -> Self {
        let Flaws { lost, doubled, disordered, misjudged } = series.flaws();
        Self { side: series.side.clone(), lost, doubled, disordered, misjudged }
    }
}

/// One thing of all sides, beside each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) bars: Vec<(String, Spread)>,
}

impl Chart {
    pub(crate) fn of(
        title: &str,
        series: &[&Series],
        of: impl Fn(&crate::sample::Sample) -> f64,
    ) -> Self {
        let bars =
            series.iter().filter_map(|series| Some((series.side.clone(), series.spread(&of)?)));
        Self { title: title.to_owned(), bars: bars.collect() }
    }
}

/// All of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// As the command line calls it.
    pub(crate) stage: String,
    pub(crate) title: String,
    /// When and where.
    pub(crate) circumstances: String,
    /// What ran how.
    pub(crate) method: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) counters: Vec<Counters>,
    pub(crate) charts: Vec<Chart>,
}

impl Report {
    /// Whether our own side brought out everything once and in order.
    pub(crate) fn is_correct(&self) -> bool {
        let ours = self.counters.iter().filter(|counters| counters.side.starts_with("tributary"));
        ours.fold(0, |sum, it| sum + it.lost + it.doubled + it.disordered + it.misjudged) == 0
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing the result")?;
        std::fs::write(folder.join(format!("{}.json", self.stage)), text)
            .context("writing the result")
    }

    /// What a stage came to the last time, if ever.
    pub(crate) fn load(folder: &Path, stage: &str) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(format!("{stage}.json"))).ok()?;
        serde_json::from_str(&text).ok()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} ({})", self.title, self.circumstances)?;
        for row in listed(&self.rows) {
            let verdict = row.verdict().name().replace('*', "");
            let (what, goal, measured) = (&row.what, row.goal(), row.measured());
            writeln!(formatter, "  {what:<62} {goal:>12}  {measured}  {verdict}")?;
        }
        for table in tables(&self.rows) {
            write!(formatter, "{table}")?;
        }
        for Counters { side, lost, doubled, disordered, misjudged } in &self.counters {
            writeln!(
                formatter,
                "  {side:<28} lost {lost}, doubled {doubled}, out of order {disordered}, misjudged {misjudged}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goal: Goal, values: &[f64]) -> Row {
        Row::new("x", "×", goal, Spread::of(values))
    }

    #[test]
    fn a_goal_is_met_or_missed_by_the_median() {
        assert_eq!(row(Goal::AtLeast(3.0), &[2.9, 3.0, 3.1]).verdict(), Verdict::Met);
        assert_eq!(row(Goal::AtLeast(3.0), &[2.8, 2.9, 3.1]).verdict(), Verdict::Missed);
        assert_eq!(row(Goal::AtMost(35.0), &[34.0, 35.0, 36.0]).verdict(), Verdict::Met);
        assert_eq!(row(Goal::AtMost(35.0), &[35.5, 36.0]).verdict(), Verdict::Missed);
    }

    #[test]
    fn what_is_erratic_proves_nothing_unless_all_of_it_is_on_one_side() {
        assert_eq!(row(Goal::AtLeast(3.0), &[1.0, 4.0, 9.0]).verdict(), Verdict::Erratic);
        assert_eq!(row(Goal::AtLeast(3.0), &[4.0, 9.0, 20.0]).verdict(), Verdict::Met);
        assert_eq!(row(Goal::AtMost(3.0), &[4.0, 9.0, 20.0]).verdict(), Verdict::Missed);
    }

    #[test]
    fn nothing_measured_is_neither_met_nor_missed() {
        assert_eq!(row(Goal::AtLeast(3.0), &[]).verdict(), Verdict::Unjudged);
        assert_eq!(row(Goal::AtLeast(3.0), &[]).measured(), "not measured");
        assert_eq!(row(Goal::None, &[1.0]).verdict(), Verdict::Unjudged);
    }

    #[test]
    fn a_flawed_series_fails_its_goal_even_if_it_was_fast() {
        assert_eq!(row(Goal::AtLeast(3.0), &[0.0, 0.0]).verdict(), Verdict::Missed);
    }
}
