//! The providers at the edge: who sent this, about whom, and what is it called.
//!
//! Each provider is one folder with the same two pure functions. `authenticate` says whether the raw
//! bytes carry a valid signature for this source's secrets at this time; `locate` finds, in a body
//! that is already authenticated, the subscriber's id, the event's id and its type. Neither knows a
//! payload model: what an event means is decided behind the raw topic, so that a body nobody
//! understands yet is kept and not refused.

pub mod dodo;
mod field;
pub mod purchasely;
pub mod revenuecat;
mod signature;
pub mod stripe;

use std::fmt;
use std::time::Duration;

use hyper::HeaderMap;
use jiff::Timestamp;
use secrecy::SecretString;
use service::config::Provider;
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

/// What one provider brings to the edge.
#[derive(Debug)]
pub struct Adapter {
    /// Whether these bytes were signed with one of the secrets, within the tolerance around `now`.
    pub authenticate: fn(&HeaderMap, &[u8], &Credentials<'_>, Timestamp) -> Result<(), Refusal>,
    /// Where the ids are. Never fails: what cannot be found is absent.
    pub locate: fn(&HeaderMap, &[u8]) -> Located,
}

/// The adapter of a provider, or `None` where webhooks are not how it sends: existing producers
/// (`native`) write to the raw topic themselves.
pub fn adapter(provider: Provider) -> Option<&'static Adapter> {
    match provider {
        Provider::Stripe => Some(&stripe::ADAPTER),
        Provider::Dodo => Some(&dodo::ADAPTER),
        Provider::Revenuecat => Some(&revenuecat::ADAPTER),
        Provider::Purchasely => Some(&purchasely::ADAPTER),
        Provider::Native => None,
    }
}

/// What a source is authenticated with, as it stands at this moment (secrets may be exchanged while
/// the process runs).
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// Signing secrets; any of them may have signed, so that one can be rotated.
    pub secrets: &'a [SecretString],
    /// Accepted values of the `Authorization` header (RevenueCat), verbatim.
    pub authorization: &'a [SecretString],
    /// How far the signed time may lie from the clock, in either direction.
    pub tolerance: Duration,
}

/// Why a request is not believed. The answer is 401 for all of them; the reason is for the metric
/// and never says anything about the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The source has no secret to compare with: nothing is ever accepted on trust.
    #[error("the source has no usable secret")]
    NoSecret,
    /// A header the scheme needs is absent, empty or given twice.
    #[error("a signature header is missing or given twice")]
    HeaderMissing,
    /// A header is there but is not of the scheme's form, or has no signature of a known version.
    #[error("a signature header is malformed")]
    HeaderMalformed,
    /// The signed time is further from the clock than the tolerance: a replay, or a wrong clock.
    #[error("the signed time is outside the tolerance")]
    OutsideWindow,
    /// No signature fits any secret.
    #[error("no signature matches")]
    Mismatch,
}

impl Refusal {
    /// The value of the `reason` label.
    pub fn label(self) -> &'static str {
        self.into()
    }

    /// Everything that [`Self::label`] gives.
    pub fn labels() -> Vec<&'static str> {
        Self::iter().map(Self::label).collect()
    }
}

/// What could be found in an authenticated body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// About whom it speaks.
    pub subscriber: Subscriber,
    /// The provider's id of this event: the same on every delivery attempt.
    pub event_id: Option<String>,
    /// The provider's name for what happened.
    pub event_type: Option<String>,
}

/// About whom a body speaks, as far as the body itself says.
#[derive(Clone, PartialEq, Eq)]
pub enum Subscriber {
    /// The provider's own id of the person, byte for byte.
    Known(String),
    /// No person is named, but a thing that will be linked to one.
    Linked {
        /// What kind of thing: `charge`, `payment_intent` or `invoice`.
        kind: &'static str,
        /// The provider's id of it.
        id: String,
    },
    /// Neither.
    Unknown,
}

/// Ids can be e-mail addresses where an app chose so, hence only the kind is shown.
impl fmt::Debug for Subscriber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subscriber::Known(_) => formatter.write_str("Known(..)"),
            Subscriber::Linked { kind, .. } => write!(formatter, "Linked({kind}, ..)"),
            Subscriber::Unknown => formatter.write_str("Unknown"),
        }
    }
}

impl Subscriber {
    fn known_or_unknown(id: Option<String>) -> Self {
        id.map_or(Subscriber::Unknown, Subscriber::Known)
    }
}
