//! What a file tells, piece by piece, and what of it is refused.

use schemas::Timestamp;
use serde_json::{Map, Value};

/// One piece of what a file tells of a subscriber: a row, a line, an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Piece {
    /// The line of the file on which it begins, from 1.
    pub(super) line: u64,
    /// The subscriber's id.
    pub(super) subscriber: String,
    /// The source it says it is from, where it says one.
    pub(super) source: Option<String>,
    /// The moment it says it tells of, where it says one.
    pub(super) as_of: Option<Timestamp>,
    /// The other fields of `subscriber` in the record's body.
    pub(super) person: Map<String, Value>,
    /// Members of `subscriptions` there.
    pub(super) subscriptions: Vec<Value>,
    /// Members of `totals` there.
    pub(super) totals: Vec<Value>,
}

/// Why something of a file is not imported. It shows where, and no value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("line {line}: {place}: {problem}")]
pub struct Refusal {
    /// The column or field; `row` for a whole one.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
    /// The line, from 1.
    pub line: u64,
}

impl Refusal {
    pub(super) fn new(line: u64, place: &str, problem: impl Into<String>) -> Self {
        Self { place: place.to_owned(), problem: problem.into(), line }
    }

    /// Of a row, line or object as a whole.
    pub(super) fn row(line: u64, problem: impl Into<String>) -> Self {
        Self::new(line, "row", problem)
    }
}

/// What is read of a file, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Read {
    /// Something of a subscriber.
    Piece(Box<Piece>),
    /// Something that cannot be used; with the subscriber it would have been of, where that can be told: of
    /// whom something is refused nothing is imported.
    Refused(Refusal, Option<String>),
    /// Something that is no subscription (yet).
    LeftOut,
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// It cannot be opened or read.
    #[error("the file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// It has no heading.
    #[error("line 1: the file is empty, or has no heading")]
    NoHeading,
    /// A column that means nothing here. Naming the nearest known one shows a slip of the pen.
    #[error("line 1: column {position}, {name:?}, is not known{}", near(nearest.as_deref()))]
    UnknownColumn {
        /// Its place, from 1.
        position: usize,
        /// Its name.
        name: String,
        /// The known column that is most like it.
        nearest: Option<String>,
    },
    /// A column stands there twice.
    #[error("line 1: column {0:?} stands there twice")]
    ColumnTwice(String),
    /// A column without which nothing can be told.
    #[error("line 1: there is no column {0:?}")]
    MissingColumn(&'static str),
}

impl FileError {
    /// What a CSV reader met; its own message could quote the file.
    pub(super) fn of(kind: csv::ErrorKind) -> Self {
        if let csv::ErrorKind::Io(cause) = kind {
            return Self::Unreadable(cause);
        }
        Self::Unreadable(std::io::Error::other("it is no CSV in UTF-8"))
    }
}

fn near(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest:?}?"))
}
