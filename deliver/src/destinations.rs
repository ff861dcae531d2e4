//! Destinations: what each receiver needs to be told an event, and what its answers mean.
//!
//! A destination decides and never acts. [`Destination::plan`] says what an event becomes, or why it is
//! not sent; a [`Conversation`] says which request comes next and what an answer means. Sending,
//! batching, pacing, retries, order and metrics exist once, outside. To add a destination, write a
//! folder with the same files as its neighbours and a row in `start`.

mod answer;
mod attributes;
mod audience;
pub mod customerio;
pub mod integrations;
pub mod intercom;
mod metadata;
mod names;
mod request;
#[cfg(test)]
pub(crate) mod samples;
mod telling;
pub mod webhook;

use schemas::LifecycleEvent;
use strum::{Display, EnumIter, IntoStaticStr, VariantNames};

pub use answer::{Answer, Reply, Transport, Verdict, trouble};
pub use attributes::{Attribute, DataType, Shown};
pub use audience::{Anonymous, Audience, Identifier, Identity, Recipient};
pub use integrations::Receiver;
pub use metadata::Fact;
pub use names::{Change, Changes, Names, Naming, Standing};
pub use request::{Elsewhere, Method, Request, segment};

/// What one receiver needs, decided without IO.
pub trait Destination: std::fmt::Debug + Send + Sync + 'static {
    /// What an event becomes.
    type Delivery: std::fmt::Debug + Send + Sync + 'static;
    /// How a group of deliveries is made.
    type Conversation: Conversation;

    /// Whether [`Self::plan`] takes so long that time has to be looked at between two.
    const PLANS_SLOWLY: bool = false;

    /// What has to be sent for `event`, or why nothing is.
    fn plan(&self, event: &LifecycleEvent) -> Plan<Self::Delivery>;

    /// What has to be sent so that the person shows what `snapshot` shows, whatever is switched off among events;
    /// or why nothing is. Nothing is told, and nothing newer is written over.
    fn refresh(&self, snapshot: &LifecycleEvent) -> Plan<Self::Delivery>;

    /// How much one conversation may carry.
    fn grouping(&self) -> Grouping;

    /// How much of [`Grouping::bytes`] a delivery takes.
    fn weight(delivery: &Self::Delivery) -> usize;

    /// Begins to deliver a group. Never called with an empty one.
    fn converse(&self, group: Vec<Self::Delivery>) -> Self::Conversation;

    /// A request without effect that succeeds when the destination is well and the credentials are
    /// right.
    fn probe(&self) -> Request;

    /// What a destination that is well answers to `request` about a person it has never met: for
    /// previews, which call nobody.
    fn first_answer(&self, request: &Request) -> Reply;

    /// Forgets what was learned about people: somebody else may have changed it since.
    fn forget(&self);
}

/// One group on its way, as a state machine.
pub trait Conversation: Send + 'static {
    /// The first request.
    fn begin(&mut self) -> Request;

    /// What the answer to the last request means.
    fn judge(&mut self, answer: &Answer) -> Turn;
}

/// What follows an answer.
#[derive(Debug)]
pub enum Turn {
    /// Another request.
    Ask(Request),
    /// It is over: one verdict for each delivery, in the order of the group.
    Over(Vec<Verdict>),
}

/// How much one conversation may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Deliveries.
    pub deliveries: usize,
    /// Sum of their weights.
    pub bytes: usize,
}

/// What an event becomes.
#[derive(Debug)]
pub enum Plan<D> {
    /// Nothing, for this reason.
    Skip(Skip),
    /// This.
    Send(D),
    /// Nothing can be made of it, and this is what becomes of it.
    End(Verdict),
}

/// Why an event is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Skip {
    /// It happened before the moment from which on the destination is told (`start:`).
    BeforeStart,
    /// Purchases of this environment do not go to this destination.
    Environment,
    /// The subscriber is anonymous.
    Anonymous,
    /// Nothing is known by which this destination identifies people.
    NoIdentity,
    /// The event is switched off.
    Disabled,
    /// It has no meaning of ours, and so no unified name.
    ProviderEvent,
    /// The provider's event is told under the provider's name already, by the first event it gave.
    ToldByFirst,
    /// The provider's own integration does not send it.
    NotInIntegration,
    /// Its type is of a later version than this program.
    UnknownType,
    /// This destination has nothing that corresponds to it.
    Unsupported,
    /// Transformation code cancelled it.
    Cancelled,
}

/// The names that may stand below `attributes:` where ours are the default ones: what people show, and
/// what goes with events.
pub fn our_attribute_names() -> Vec<&'static str> {
    let told = metadata::KEYS.into_iter().filter(|key| !Attribute::VARIANTS.contains(key));
    Attribute::VARIANTS.iter().copied().chain(told).collect()
}

impl Skip {
    /// The label.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// The same for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::BeforeStart => "it happened before `start`",
            Self::Environment => "purchases of this environment do not go to this destination",
            Self::Anonymous => "the subscriber is anonymous",
            Self::NoIdentity => "nothing is known by which people are identified here",
            Self::Disabled => "it is switched off, or not asked for",
            Self::ProviderEvent => "it has no meaning of ours, and so no unified name",
            Self::ToldByFirst => "told already, by the first event of the same webhook",
            Self::NotInIntegration => "the provider's own integration does not send it",
            Self::UnknownType => "its type is of a later version than this program",
            Self::Unsupported => "the destination has nothing that corresponds to it",
            Self::Cancelled => "transformation code cancelled it",
        }
    }
}
