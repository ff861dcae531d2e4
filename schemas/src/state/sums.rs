//! What somebody has paid, as the state remembers it.

use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::time::Timestamp;
use crate::vocabulary::Environment;

/// Money moved in one environment and currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Total")]
pub struct Total {
    /// Environments do not mix.
    pub environment: Environment,
    /// The sum: of the opening, if there is one, and the spans.
    pub sum: Money,
    /// What an import said had moved by a moment: the sum counts from there.
    #[serde(default)]
    pub opening: Option<Opening>,
    /// What moved after the opening, in order of time: the latest movements each by itself, older ones
    /// together.
    #[serde(default)]
    pub spans: Vec<Span>,
}

/// A sum as of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Opening")]
pub struct Opening {
    /// All that moved up to and including this moment is in it.
    pub as_of: Timestamp,
    /// Minor units.
    pub amount: i64,
}

/// What moved from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Span")]
pub struct Span {
    /// When its first movement occurred.
    pub first: Timestamp,
    /// When its last movement occurred.
    pub last: Timestamp,
    /// Minor units.
    pub amount: i64,
}
