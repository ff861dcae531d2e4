//! What is told of an import: how much of it went, and what was refused and why. It shows lines and columns, and
//! nothing of what stands there.

use serde_json::{Value, json};

use super::gather::Outcome;
use super::told::Refusal;

/// Lines that are named of one kind of refusal.
const NAMED: usize = 5;

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// Nothing was to be sent.
    DryRun,
    /// So many records are in the topic.
    Sent(usize),
}

/// The numbers of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) read: u64,
    pub(super) left_out: u64,
    pub(super) subscribers: usize,
    pub(super) refused: usize,
    pub(super) shared: usize,
}

impl Numbers {
    pub(super) fn of(outcome: &Outcome) -> Self {
        Self {
            read: outcome.read,
            left_out: outcome.left_out,
            subscribers: outcome.records.len(),
            refused: outcome.refused,
            shared: outcome.shared,
        }
    }
}

/// What was refused, for people: one line for each place and problem, with the first lines of the file that
/// have it.
pub(super) fn refusals(all: &[Refusal]) -> Vec<String> {
    let same =
        |one: &Refusal, other: &Refusal| one.place == other.place && one.problem == other.problem;
    let told = all.chunk_by(same).filter_map(|kind| {
        let Refusal { place, problem, .. } = kind.first()?;
        let lines: Vec<_> = kind.iter().take(NAMED).map(|one| one.line.to_string()).collect();
        let more = match kind.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let word = if kind.len() == 1 { "line" } else { "lines" };
        Some(format!("refused: {place}: {problem} ({word} {}{more})", lines.join(", ")))
    });
    told.collect()
}

/// The same for programs: one object each.
pub(super) fn objects(all: &[Refusal]) -> Vec<Value> {
    let object = |Refusal { place, problem, line }: &Refusal| json!({"refused": {"line": line, "place": place, "problem": problem}});
    all.iter().map(object).collect()
}

/// The end, for people.
pub(super) fn lines(numbers: Numbers, done: Done) -> Vec<String> {
    let Numbers { read, left_out, subscribers, refused, shared } = numbers;
    let mut lines = vec![match done {
        Done::DryRun => format!("subscribers: {subscribers} would be imported, of {read} read"),
        Done::Sent(sent) => {
            format!("subscribers: {sent} of {subscribers} imported, of {read} read")
        }
    }];
    if left_out > 0 {
        lines.push(format!("left out: {left_out}, of another source or no subscription yet"));
    }
    if refused > 0 {
        lines.push(format!("subscribers: {refused} not imported, because something was refused"));
    }
    if shared > 0 {
        lines.push(format!(
            "people: {shared} are several subscribers, each with a story of its own"
        ));
    }
    lines
}

/// The same for programs.
pub(super) fn summary(numbers: Numbers, done: Done, refusals: usize) -> Value {
    let Numbers { read, left_out, subscribers, refused, shared } = numbers;
    let sent = match done {
        Done::DryRun => None,
        Done::Sent(sent) => Some(sent),
    };
    json!({
        "read": read, "left_out": left_out, "subscribers": subscribers, "imported": sent,
        "dry_run": done == Done::DryRun, "refusals": refusals, "subscribers_refused": refused,
        "people_shared": shared,
    })
}
