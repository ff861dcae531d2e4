//! What is wrong with a configuration, collected instead of thrown: an operator who made three
//! mistakes hears about three, each with the place to correct.

use std::fmt;
use std::sync::Arc;

/// Who wrote a value: a line of the file, or an environment variable that overrides it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The file as a whole, for example when it cannot be read.
    File(Arc<str>),
    /// A line of the file, counted from 1.
    Line(Arc<str>, usize),
    /// The environment variable of this name.
    Variable(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(formatter, "{file}"),
            Self::Line(file, line) => write!(formatter, "{file}:{line}"),
            Self::Variable(name) => write!(formatter, "{name}"),
        }
    }
}

/// Where a value stands: who wrote it, and its path of keys such as `sources.dodo.secrets`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Who wrote the value.
    pub origin: Origin,
    /// Keys from the top, joined by dots; list items as `[0]`. Empty for the whole document.
    pub path: String,
}

impl Place {
    pub(super) fn new(origin: Origin, path: impl Into<String>) -> Self {
        Self { origin, path: path.into() }
    }

    pub(super) fn child(&self, key: &str, origin: &Origin) -> Self {
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { origin: origin.clone(), path }
    }

    pub(super) fn item(&self, index: usize, origin: &Origin) -> Self {
        Self { origin: origin.clone(), path: format!("{}[{index}]", self.path) }
    }
}

/// One mistake and where it stands. Never quotes a secret or a value from the environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where to correct it.
    pub place: Place,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.place.origin)?;
        if !self.place.path.is_empty() {
            write!(formatter, "{}: ", self.place.path)?;
        }
        formatter.write_str(&self.message)
    }
}

/// All mistakes found, in the order of the file. Displays as one line for each.
///
/// Any crate that judges values of its own adds to the same collection, so that a run of `check`
/// reports everything at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    /// No problems so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one. `message` must not quote secrets.
    pub fn push(&mut self, place: &Place, message: impl Into<String>) {
        self.found.push(Problem { place: place.clone(), message: message.into() });
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems, in the order of the file; those of the environment come last.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// `Ok` when nothing is wrong; otherwise the problems, sorted by place.
    pub fn into_result(mut self) -> Result<(), Self> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort();
        self.found.dedup();
        Err(self)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.found.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
