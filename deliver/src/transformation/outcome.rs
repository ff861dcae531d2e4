//! What came of asking a handler: the plan, what was put right, and how that is counted.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use service::metrics::CounterFamily;
use strum::{EnumIter, IntoStaticStr};

use crate::destinations::{Plan, Verdict};

/// What came of asking a handler; a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// Its calls are made as it said.
    Sent,
    /// Its calls are made, and something about them was put right.
    Corrected,
    /// The event is told as it would be without it.
    AsMapped,
    /// Its calls were made with the first event of the same webhook.
    ToldByFirst,
    /// It does not want the webhook told.
    Cancelled,
    /// It gave nothing that can be used.
    Failed,
    /// There is none for it: the source has no handler, or whatever it says the event is not for the destination, or
    /// tells of somebody who asked to be forgotten.
    NotAsked,
}

impl Outcome {
    /// The label.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// What is put right about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Corrected {
    /// An action that the API does not have became an event.
    Action,
    /// An operation without a type is one on a person.
    Type,
    /// A field that the operation does not have was left out.
    Field,
    /// A number that identifies somebody became text.
    Identifier,
    /// A text was cut to what the API takes.
    Length,
    /// A time that is none in seconds was replaced by the event's.
    Timestamp,
    /// An id that the API would not take was replaced by ours.
    Id,
    /// Headers were left out: the destination's own are sent.
    Headers,
}

/// Something that was put right.
#[derive(Clone, PartialEq, Eq)]
pub struct Correction {
    /// What.
    pub what: Corrected,
    /// For whoever tries a handler. It quotes what the handler said.
    pub text: String,
}

impl std::fmt::Debug for Correction {
    /// Without the text, which may name a person.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Correction({:?})", self.what)
    }
}

impl Correction {
    /// One of this kind.
    pub fn new(what: Corrected, text: impl Into<String>) -> Self {
        Self { what, text: text.into() }
    }
}

/// What becomes of an event, with what there is to say about it.
pub struct Considered<D> {
    /// What becomes of it.
    pub plan: Plan<D>,
    /// How that came about.
    pub outcome: Outcome,
    /// What was put right.
    pub corrections: Vec<Correction>,
    /// What the handler wrote to its console.
    pub console: Vec<String>,
}

impl<D: std::fmt::Debug> std::fmt::Debug for Considered<D> {
    /// Without what the handler wrote to its console, which may name a person.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plan, outcome, corrections, console } = self;
        formatter
            .debug_struct("Considered")
            .field("plan", plan)
            .field("outcome", outcome)
            .field("corrections", corrections)
            .field("console", &console.len())
            .finish()
    }
}

impl<D> Considered<D> {
    pub(super) fn new(outcome: Outcome, plan: Plan<D>) -> Self {
        Self { plan, outcome, corrections: Vec::new(), console: Vec::new() }
    }

    pub(super) fn failed(verdict: Verdict) -> Self {
        Self::new(Outcome::Failed, Plan::End(verdict))
    }
}

/// Counts for one destination, where somebody looks at the numbers.
#[derive(Debug, Default)]
pub struct Counts {
    family: Option<(String, CounterFamily<2>)>,
    warned: Mutex<BTreeSet<Corrected>>,
}

impl Counts {
    /// For the destination of this name.
    pub fn of(destination: &str, family: CounterFamily<2>) -> Self {
        Self { family: Some((destination.to_owned(), family)), warned: Mutex::default() }
    }

    pub(super) fn count<D>(&self, considered: &Considered<D>) {
        let Some((destination, family)) = &self.family else { return };
        family.with([destination.as_str(), considered.outcome.word()]).inc();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for correction in &considered.corrections {
            if warned.insert(correction.what) {
                let what: &str = correction.what.into();
                tracing::warn!(
                    destination,
                    corrected = what,
                    "calls of transformation code are put right; `deliver test-transform` shows how"
                );
            }
        }
    }
}
