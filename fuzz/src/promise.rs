//! Ending a run in which a promise was broken. What is said is a sentence from the source, never a value: values are
//! made of the input.

use std::fmt::{Debug, Display};

use crate::MARKER;

/// Ends the run unless the promise is kept.
#[track_caller]
pub(crate) fn keep(kept: bool, or: &'static str) {
    assert!(kept, "{or}");
}

/// The value of what must be there.
#[track_caller]
pub(crate) fn some<T>(value: Option<T>, or: &'static str) -> T {
    keep(value.is_some(), or);
    value.unwrap_or_else(|| unreachable!("it was looked at above"))
}

/// The value of what must not fail.
#[track_caller]
pub(crate) fn ok<T, E>(value: Result<T, E>, or: &'static str) -> T {
    some(value.ok(), or)
}

/// What people are told of an input holds nothing that stands there to be kept secret.
#[track_caller]
pub(crate) fn discreet(told: &impl Display) {
    keep(!told.to_string().contains(MARKER), "a text for people repeats what it must not");
}

/// The same of what is written to logs.
#[track_caller]
pub(crate) fn discreet_in_logs(logged: &impl Debug) {
    let shown = format!("{logged:?}");
    keep(!shown.contains(MARKER), "a Debug output repeats what it must not");
}
