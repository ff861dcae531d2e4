//! The lifecycle event: what happened to one subscriber at one moment, complete enough that a
//! destination needs nothing else.
//!
//! `lifecycle_event.avsc` is the contract, field by field with its documentation; these structs are
//! the same in Rust. Names and order of fields and records are those of the schema, because the codec
//! writes by position and reads by name. A field added later has a default there and
//! `#[serde(default)]` here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::time::Timestamp;
use crate::vocabulary::{Environment, EventType, OfferKind, PeriodType, Provider, Status, Store};

/// The `ce_type` by which a producer asks that a person be forgotten, and the `provider_event_type` of the
/// `customer_deleted` that this gives.
pub const FORGOTTEN: &str = "native.subscriber_forgotten";

/// One lifecycle event, the value of `subscriptions.events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "LifecycleEvent")]
pub struct LifecycleEvent {
    /// Identity of the event, 32 hexadecimal digits: the same on replay and in later versions.
    pub event_id: String,
    /// Place among the events of one provider event, from 0.
    pub ordinal: i32,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// When it happened, by the provider's clock (never later than five minutes after reception).
    pub occurred_at: Timestamp,
    /// When the raw topic took it in.
    pub received_at: Timestamp,
    /// Place among the events of the subscriber, from 1, without a gap.
    pub sequence: i64,
    /// When the raw topic took in the first record known of the subscriber. Sequences begin anew with a later
    /// epoch, after a rebuild from a shorter raw topic: of two events the one of the later epoch is the later.
    #[serde(default)]
    pub epoch: Timestamp,
    /// It came after the reorder window had let later events pass.
    pub late: bool,
    /// The configured source.
    pub source: String,
    /// The source's provider.
    pub provider: Provider,
    /// The provider's id of the event or delivery.
    pub provider_event_id: String,
    /// The provider's own name of the event.
    pub provider_event_type: String,
    /// Production or sandbox.
    pub environment: Environment,
    /// The second this event has for itself among the subscriber's events (Unix seconds).
    pub distinct_second: i64,
    /// The person.
    pub subscriber: Subscriber,
    /// The subscription it speaks of, after the event.
    pub subscription: Option<Subscription>,
    /// The movement of money, or for types other than `transaction_processed` the amount spoken of, where
    /// it is known.
    pub money: Option<Money>,
    /// The payment it speaks of, where the provider names one.
    pub payment: Option<Payment>,
    /// The offer it speaks of.
    pub offer: Option<Offer>,
    /// From whom to whom, for transfers.
    pub transfer: Option<Transfer>,
    /// Why, where the type needs one (`expiration_reason`, decline code, dispute reason …).
    pub reason: Option<String>,
    /// The provider's body, present only where a transformation is configured.
    #[serde(with = "serde_bytes")]
    pub payload: Option<Vec<u8>>,
}

impl LifecycleEvent {
    /// Whether the person asked to be forgotten: a deletion that holds at every destination, whatever its
    /// configuration does with a customer whom the provider deletes.
    pub fn is_erasure(&self) -> bool {
        self.event_type == EventType::CustomerDeleted && self.provider_event_type == FORGOTTEN
    }
}

/// The person, as known when the event was emitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Subscriber")]
pub struct Subscriber {
    /// `<source>/<id>`; never changes.
    pub key: String,
    /// The provider's own id.
    pub id: String,
    /// The id in the user's own systems, when known.
    pub user_id: Option<String>,
    /// No id known so far identifies a person.
    pub anonymous: bool,
    /// E-mail address, when known.
    pub email: Option<String>,
    /// Other ids of the same person at this source.
    pub aliases: Vec<String>,
    /// Status of the best subscription in this environment.
    pub status: Option<Status>,
    /// Sum of all `transaction_processed` in the currency of this event (else of the latest payment).
    pub total_spent: Option<Money>,
    /// Attributes the provider keeps about the person (name, phone, custom).
    pub attributes: BTreeMap<String, String>,
}

/// One subscription, after the event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Subscription")]
pub struct Subscription {
    /// The provider's id of the subscription (RevenueCat: original transaction).
    pub id: String,
    /// Product bought.
    pub product_id: Option<String>,
    /// Plan or price of the product.
    pub plan_id: Option<String>,
    /// Price per period before tax and discount, as the provider states it.
    pub price: Option<Money>,
    /// How often it is paid for, as an ISO 8601 duration (`P1M`, `P1Y`), where the provider says.
    #[serde(default)]
    pub billing_period: Option<String>,
    /// How many of it.
    pub quantity: Option<i64>,
    /// Entitlements it gives.
    pub entitlements: Vec<String>,
    /// Where it is sold.
    pub store: Option<Store>,
    /// Kind of the current period.
    pub period_type: Option<PeriodType>,
    /// Status after the event.
    pub status: Option<Status>,
    /// Status before the event.
    pub previous_status: Option<Status>,
    /// Product before the event, when it changed.
    pub previous_product_id: Option<String>,
    /// First start.
    pub started_at: Option<Timestamp>,
    /// Start of the current period.
    pub period_start: Option<Timestamp>,
    /// End of the current period.
    pub period_end: Option<Timestamp>,
    /// When access ends unless renewed.
    pub expires_at: Option<Timestamp>,
    /// Until when access is kept although a payment failed.
    pub grace_expires_at: Option<Timestamp>,
    /// When a pause ends by itself.
    pub auto_resume_at: Option<Timestamp>,
    /// When the trial ends.
    pub trial_ends_at: Option<Timestamp>,
    /// Whether it renews by itself.
    pub auto_renew: Option<bool>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// Why it ended.
    pub expiration_reason: Option<String>,
}

/// A payment, as the provider names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Payment")]
pub struct Payment {
    /// The provider's or the store's id of the payment or transaction.
    pub id: Option<String>,
    /// What it was paid with (`card`, `paypal` …), in the provider's words.
    pub method: Option<String>,
}

/// An offer, as the provider names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Offer")]
pub struct Offer {
    /// Kind of offer.
    pub kind: OfferKind,
    /// The provider's id or code of it.
    pub id: Option<String>,
}

/// The two sides of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Transfer")]
pub struct Transfer {
    /// Ids of the person who gives.
    pub from: Vec<String>,
    /// Ids of the person who receives.
    pub to: Vec<String>,
}
