//! What `transform` knows of one subscriber: the value of `subscriptions.state`.
//!
//! The compacted topic is the truth and a local store only a cache of it, so this record is all that a
//! restart, a rebalance or a lost disk leaves. Deduplication ids and held facts expire; the sequence,
//! the subscriptions and the identity never do.

mod sums;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::sums::{Opening, Span, Total};
use crate::event::{Offer, Payment, Subscription, Transfer};
use crate::headers::Header;
use crate::money::Money;
use crate::time::Timestamp;
use crate::vocabulary::Environment;

/// One subscriber.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename = "SubscriberState")]
pub struct SubscriberState {
    /// Sequence of the latest event emitted; 0 before the first.
    pub sequence: i64,
    /// Ids of provider events already accepted: packed, see `SeenIds` in `transform`.
    #[serde(with = "serde_bytes")]
    pub seen: Vec<u8>,
    /// Accepted, waiting for the reorder window.
    pub held: Vec<Held>,
    /// The latest place in the order that was emitted: what sorts before it is late.
    pub emitted_up_to: Option<OrderKey>,
    /// One per subscription and environment.
    pub subscriptions: Vec<SubscriptionState>,
    /// Who it is, as far as learned.
    pub identity: Identity,
    /// Sums of `transaction_processed`, one per environment and currency, in order of latest use.
    pub totals: Vec<Total>,
    /// The latest distinct seconds handed out, ascending, at most 64.
    pub seconds: Vec<i64>,
    /// Records of this key that wait to learn whose they are, in order of offset.
    #[serde(default)]
    pub waiting: Vec<KeptRecord>,
    /// Transfers by which subscriptions left, in the order in which they were processed.
    #[serde(default)]
    pub left: Vec<Left>,
    /// Facts about the subscriber already told that must not be told twice.
    #[serde(default)]
    pub told: BTreeMap<String, String>,
    /// When the subscriber's other ids were announced as links for the last time.
    #[serde(default)]
    pub links_announced_at: Option<Timestamp>,
    /// When the raw topic took in the first record known of the subscriber: the epoch of its events.
    #[serde(default)]
    pub begun_at: Option<Timestamp>,
    /// When the raw topic took in that the person is to be forgotten. Then this and what waits is all there
    /// is, and nothing is told of them.
    #[serde(default)]
    pub forgotten_at: Option<Timestamp>,
}

/// A record of `subscriptions.raw`, kept as it was.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "KeptRecord")]
pub struct KeptRecord {
    /// Its offset in its partition.
    pub offset: i64,
    /// When the raw topic took it in (the broker's clock).
    pub appended_at: Timestamp,
    /// Its headers.
    pub headers: Vec<Header>,
    /// Its bytes.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// Bodies name people, hence only the position is shown.
impl std::fmt::Debug for KeptRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("KeptRecord")
            .field("offset", &self.offset)
            .field("appended_at", &self.appended_at)
            .finish_non_exhaustive()
    }
}

/// What one transfer took away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Left")]
pub struct Left {
    /// When it took effect.
    pub occurred_at: Timestamp,
    /// When the raw topic took it in; forgotten some time after that.
    pub noted_at: Timestamp,
    /// Environments do not mix.
    pub environment: Environment,
    /// The subscriber key it was addressed to.
    pub to: String,
    /// Ids of what went with it.
    pub subscriptions: Vec<String>,
}

/// In which role a subscriber meets a provider event. A transfer is one event that two people accept,
/// and they may be the same person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename = "Role", rename_all = "snake_case")]
pub enum Role {
    /// It is about the subscriber.
    #[default]
    Own,
    /// Subscriptions leave the subscriber.
    Sender,
    /// Subscriptions come to the subscriber.
    Receiver,
    /// Subscriptions come from somebody who had passed them on before they arrived there.
    Forward,
}

/// Where an event stands among those of its subscriber: by time, then cause, then id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename = "OrderKey")]
pub struct OrderKey {
    /// When it occurred.
    pub occurred_at: Timestamp,
    /// Causal rank among events of the same moment: causes before effects.
    pub rank: i32,
    /// The provider's event id.
    pub provider_event_id: String,
}

/// Facts that wait for the reorder window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Held")]
pub struct Held {
    /// What was read from the record.
    pub facts: Facts,
    /// When the raw topic took it in (the broker's clock); it is due a window later.
    pub appended_at: Timestamp,
}

/// What was read from one raw record: all that mapping it needs, and its bytes only where they have to
/// go on to somebody else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Facts")]
pub struct Facts {
    /// The provider's id of the event or delivery (`ce_id`).
    pub provider_event_id: String,
    /// The provider's own name of the event.
    pub provider_event_type: String,
    /// When it happened, by the provider's clock.
    pub occurred_at: Timestamp,
    /// When the raw topic took it in.
    pub received_at: Timestamp,
    /// Causal rank among events of the same moment.
    pub rank: i32,
    /// Production or sandbox.
    pub environment: Environment,
    /// What it says about the person.
    pub person: Identity,
    /// What it says about a subscription, after the event.
    pub subscription: Option<SubscriptionFacts>,
    /// The same before the event, where the provider tells.
    pub before: Option<SubscriptionFacts>,
    /// The movement of money.
    pub money: Option<Money>,
    /// The payment it speaks of.
    #[serde(default)]
    pub payment: Option<Payment>,
    /// The offer it speaks of.
    pub offer: Option<Offer>,
    /// From whom to whom.
    pub transfer: Option<Transfer>,
    /// The reason given.
    pub reason: Option<String>,
    /// Further facts by which the provider's table distinguishes (`billing_reason` …).
    pub details: BTreeMap<String, String>,
    /// W3C trace context of the webhook.
    pub traceparent: Option<String>,
    /// A transfer between two people, as one side of it.
    #[serde(default)]
    pub hand_over: Option<HandOver>,
    /// What an import says of the subscriber as of `occurred_at`; it gives no event.
    #[serde(default)]
    pub imported: Option<Imported>,
    /// The provider's body, where events are to carry it and it is not kept in `hand_over`.
    #[serde(default, with = "serde_bytes")]
    pub payload: Option<Vec<u8>>,
}

impl Facts {
    /// Nothing but that something happened, in production and to nobody in particular.
    pub fn bare(
        provider_event_id: &str,
        provider_event_type: &str,
        occurred_at: Timestamp,
    ) -> Self {
        Self {
            provider_event_id: provider_event_id.to_owned(),
            provider_event_type: provider_event_type.to_owned(),
            occurred_at,
            received_at: occurred_at,
            rank: 0,
            environment: Environment::Production,
            person: Identity::default(),
            subscription: None,
            before: None,
            money: None,
            payment: None,
            offer: None,
            transfer: None,
            reason: None,
            details: BTreeMap::new(),
            traceparent: None,
            hand_over: None,
            imported: None,
            payload: None,
        }
    }
}

/// A subscriber as of a moment, told by an import.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Imported")]
pub struct Imported {
    /// Its subscriptions; of one that is not listed nothing is said.
    pub subscriptions: Vec<ImportedSubscription>,
    /// All that had moved up to and including that moment; of a currency that is not listed nothing is
    /// said.
    pub totals: Vec<ImportedTotal>,
}

/// One subscription as of that moment. Absent means: the import does not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "ImportedSubscription")]
pub struct ImportedSubscription {
    /// Environments do not mix.
    pub environment: Environment,
    /// The subscription, status included.
    pub shown: Subscription,
    /// The provider's own status word.
    pub provider_status: Option<String>,
    /// Charges are suspended, access is kept.
    pub collection_paused: bool,
    /// Expired, and may recover.
    pub in_billing_retry: bool,
    /// A change of product that was announced and has not happened yet.
    pub pending_product: Option<String>,
}

/// A sum in one environment and currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "ImportedTotal")]
pub struct ImportedTotal {
    /// Environments do not mix.
    pub environment: Environment,
    /// The sum.
    pub sum: Money,
}

/// One side of a transfer of subscriptions from one person to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "HandOver")]
pub struct HandOver {
    /// Which side.
    pub role: Role,
    /// The raw record, to be copied to whom it concerns next. Its headers say what came with it.
    pub record: KeptRecord,
}

/// What one event says about a subscription. Absent means: the payload does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename = "SubscriptionFacts")]
pub struct SubscriptionFacts {
    /// The subscription as the payload shows it (its status fields stay empty: deciding them is the
    /// mapper's).
    pub shown: Subscription,
    /// The provider's own status word.
    pub provider_status: Option<String>,
    /// A cancellation is scheduled: it will not renew.
    pub cancel_scheduled: Option<bool>,
    /// Charges are suspended, access is kept.
    pub collection_paused: Option<bool>,
}

/// What is known of one subscription of the subscriber.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "SubscriptionState")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts: each can hold beside any other"
)]
pub struct SubscriptionState {
    /// Environments do not mix.
    pub environment: Environment,
    /// As the latest event left it, status included.
    pub current: Subscription,
    /// The provider's own status word.
    pub provider_status: Option<String>,
    /// A cancellation is scheduled.
    pub cancel_scheduled: bool,
    /// Charges are suspended, access is kept.
    pub collection_paused: bool,
    /// A trial began and has neither been converted nor ended.
    pub trial_open: bool,
    /// A paid introductory offer is running.
    pub intro_open: bool,
    /// Billing trouble with access kept.
    pub in_grace: bool,
    /// Billing trouble without access.
    pub in_billing_retry: bool,
    /// Paused by the customer.
    pub paused: bool,
    /// Over: comes back only by an event that says so.
    pub ended: bool,
    /// A change of product that was announced and has not happened yet.
    pub pending_product: Option<String>,
    /// Facts already told that must not be told twice (scheduled phases, refunded totals, grants …).
    pub told: BTreeMap<String, String>,
    /// When the latest facts occurred.
    pub facts_at: Timestamp,
    /// When it became this subscriber's: by its first facts here, or by the transfer that brought it.
    #[serde(default)]
    pub owned_since: Timestamp,
}

/// What a transfer brings to its receiver: the header `tributary-moved`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Moved")]
pub struct Moved {
    /// When it takes effect for the receiver.
    pub effective_at: Timestamp,
    /// What it brings, as the sender knew it.
    pub subscriptions: Vec<SubscriptionState>,
}

/// Who a subscriber is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Identity")]
pub struct Identity {
    /// The provider's own id.
    pub id: String,
    /// The id in the user's own systems.
    pub user_id: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Other ids of the same person.
    pub aliases: Vec<String>,
    /// No id known so far identifies a person.
    pub anonymous: bool,
    /// Attributes the provider keeps about the person.
    pub attributes: BTreeMap<String, String>,
}

/// What a partition of `subscriptions.state` says about itself, under a reserved key: written by every
/// transaction, so that a restore that is not what the committed offset stands for is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "PartitionRecord")]
pub struct PartitionRecord {
    /// Made up when the partition was first owned; another one means another changelog.
    pub incarnation: String,
    /// The offset of `subscriptions.raw` that the same transaction committed.
    pub next_raw_offset: i64,
    /// Format of the state records.
    pub format: i32,
    /// Partition count the keys were spread over.
    pub partitions: i32,
}
