//! Mapping: one folder per provider, two pure functions each.
//!
//! `read` takes the facts out of a record's bytes and knows nothing of what came before; what it
//! returns can wait in the reorder window. `decide` holds those facts against what is known of the
//! subscription and says, in our vocabulary, what happened. Neither does IO or reads a clock, and
//! neither ever fails a record silently: what gives no event is ignored with a reason or parked with
//! one.

pub mod advice;
mod answer;
pub mod dodo;
#[cfg(test)]
mod fold;
mod json;
pub mod native;
pub(crate) mod overlay;
mod person;
mod price;
pub mod purchasely;
mod registry;
pub mod revenuecat;
pub mod samples;
pub mod stripe;

use std::collections::BTreeMap;

pub use registry::{Source, Sources, mapper_of};
use schemas::event::{Offer, Transfer};
use schemas::state::{Facts, Identity, Role, SubscriberState, SubscriptionState};
use schemas::{Environment, EventType, Money, Provider, Timestamp};

/// A raw record, as `read` sees it.
#[derive(Clone, Copy, Debug)]
pub struct RawView<'a> {
    /// The bytes received.
    pub body: &'a [u8],
    /// `ce_id`: the provider's event or delivery id.
    pub event_id: &'a str,
    /// `ce_type` without its `<provider>.` prefix.
    pub event_type: &'a str,
    /// The id part of the subscriber key.
    pub subscriber_id: &'a str,
    /// The broker's append time: the stream's clock.
    pub received_at: Timestamp,
    /// W3C trace context, if any.
    pub traceparent: Option<&'a str>,
    /// Which side of a transfer the subscriber is on, should the record be one: the sender, unless it
    /// is a copy for a receiver.
    pub role: Role,
}

impl RawView<'_> {
    /// Facts of which nothing is known but that the record tells something, and when it happened: the mapping adds
    /// what it has read.
    pub fn facts(&self, occurred_at: Timestamp) -> Facts {
        Facts {
            received_at: self.received_at,
            traceparent: self.traceparent.map(str::to_owned),
            ..Facts::bare(self.event_id, self.event_type, occurred_at)
        }
    }
}

/// What the configuration says about a source, as far as mapping needs it.
#[derive(Clone, Debug, Default)]
pub struct SourceSettings {
    /// JSON pointers to the user id, tried in order.
    pub user_id: Vec<String>,
    /// Plans, lowest first; empty when not ranked.
    pub plans: Vec<String>,
    /// Provider types to pass on as `provider_event` although they mean nothing to us.
    pub also: Vec<String>,
    /// The environment of a source whose payloads do not say.
    pub environment: Option<Environment>,
    /// Whether events carry the provider's body.
    pub payload: Payload,
}

/// Whether events carry the provider's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// Nobody asks for it.
    #[default]
    Dropped,
    /// Transformation code is given it.
    Carried,
}

/// What became of the bytes of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// They say something about a subscriber.
    Facts(Box<Facts>),
    /// They mean nothing to us; the reason is counted.
    Ignored(&'static str),
    /// They should mean something and do not: the record is parked.
    Parked(Unreadable),
    /// They speak of another subscriber than the record's key: the record is parked.
    KeyMismatch,
}

/// Why a record of a known type could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Unreadable {
    /// JSON pointer to the field.
    pub path: String,
    /// What is wrong there, without the value.
    pub problem: &'static str,
}

/// One event that a provider event gives, before it has a place in the subscriber's sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What happened.
    pub event_type: EventType,
    /// The movement of money, for `transaction_processed` and what speaks of an amount.
    pub money: Option<Money>,
    /// The offer it speaks of.
    pub offer: Option<Offer>,
    /// From whom to whom.
    pub transfer: Option<Transfer>,
    /// Why, where the type needs one.
    pub reason: Option<String>,
}

impl Draft {
    /// An event with nothing but its type.
    pub fn new(event_type: EventType) -> Self {
        Self { event_type, money: None, offer: None, transfer: None, reason: None }
    }
}

/// What a provider event means, given what was known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The events, in order; their ordinals count from 0.
    pub events: Vec<Draft>,
    /// The subscription after it, when it speaks of one (also when it gives no event).
    pub subscription: Option<SubscriptionState>,
    /// Why it gives no event; `Some` exactly when `events` is empty.
    pub ignored: Option<&'static str>,
    /// Facts about the subscriber that have been told by now and must not be told again, added to those
    /// known (`Known::subscriber.told`).
    pub told: BTreeMap<String, String>,
}

impl Decision {
    /// Nothing happened, for `reason`; what is known of the subscription may still have moved.
    pub fn ignored(reason: &'static str, subscription: Option<SubscriptionState>) -> Self {
        Self { subscription, ignored: Some(reason), ..Self::default() }
    }
}

/// What is known when `decide` is asked.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The subscription the facts speak of; `None` when unknown, and for a late event, which is judged
    /// by its own content.
    pub subscription: Option<&'a SubscriptionState>,
    /// The whole subscriber.
    pub subscriber: &'a SubscriberState,
    /// Settings of the source.
    pub settings: &'a SourceSettings,
}

/// What a record of a known subscriber teaches about others that will not name one. All of it is the
/// part of their key after the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Things that are the subscriber's: announced by every record that names them.
    pub things: Vec<String>,
    /// Other ids of the same person, kept in the identity: announced when new, and now and then again.
    pub aliases: Vec<String>,
}

/// How a provider's event type is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It may give lifecycle events.
    Mapped,
    /// It never does, for this reason.
    Ignored(&'static str),
}

/// One provider's mapping.
pub trait Mapper: Sync {
    /// Whose events it reads.
    fn provider(&self) -> Provider;

    /// Every event type the provider is known to send, and how it is treated. What is not listed is
    /// ignored as `unknown_event_type`.
    fn treatments(&self) -> &'static [(&'static str, Treatment)];

    /// Takes the facts out of a record.
    fn read(&self, raw: &RawView<'_>, settings: &SourceSettings) -> Reading;

    /// Says what the facts mean. Total: any facts with any state give an answer.
    fn decide(&self, facts: &Facts, known: &Known<'_>) -> Decision;

    /// Which keys of other records the record teaches, whatever was read from it.
    fn links(&self, _raw: &RawView<'_>, _reading: &Reading) -> Links {
        Links::default()
    }

    /// Fills in what follows from the provider's ids about a person whom an import tells.
    fn imported_person(&self, _person: &mut Identity) {}

    /// Fills in what this mapping keeps of a subscription beside what an import can say, as the provider's
    /// own events would have left it: above all what was told before.
    fn imported(&self, _state: &mut SubscriptionState) {}

    /// The provider's id of the person to whom all subscriptions go, when the facts are a transfer of
    /// which the provider tells one of the two people only. `decide` is not asked about such facts.
    fn receiver<'a>(&self, _facts: &'a Facts) -> Option<&'a str> {
        None
    }
}
