//! Stripe: snapshot events, `{"id": …, "created": …, "type": …, "data": {"object": …}}`.
//!
//! `data.object` is the whole resource as it was when the event happened, and an update says in
//! `data.previous_attributes` what it was before, so most events stand alone. Deliveries come in any
//! order, whole seconds make ties normal, and the shape of subscriptions and invoices changed with API
//! version 2025-03-31 ("Basil"): both shapes are read. The subscription object alone says what status a
//! subscription has; invoices say what was paid.
//! Facts: <https://docs.stripe.com/api/events>, <https://docs.stripe.com/changelog> (November 2026).

mod catalogue;
mod decide;
mod links;
mod rank;
mod read;
mod status;
#[cfg(test)]
mod tests;

use schemas::Provider;
use schemas::state::{Facts, SubscriptionState};

use super::{Decision, Known, Links, Mapper, RawView, Reading, SourceSettings, Treatment};

/// The mapping of Stripe's events.
#[derive(Clone, Copy, Debug)]
pub struct Stripe;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Customer,
    Subscription,
    Invoice,
    Checkout,
    ChargeRefund,
    Refund,
    Dispute,
    Schedule,
    /// It teaches who the person is and gives nothing else.
    Link,
    /// It means nothing to us and is passed on because the source asks for it.
    PassedOn,
}

impl Family {
    fn of(event_type: &str) -> Self {
        match catalogue::treatment(event_type) {
            Some(Treatment::Ignored(catalogue::LINK_ONLY)) => Self::Link,
            Some(Treatment::Ignored(_)) | None => Self::PassedOn,
            Some(Treatment::Mapped) => {
                let (object, _) = event_type.rsplit_once('.').unwrap_or_default();
                match object {
                    "customer" => Self::Customer,
                    "customer.subscription" => Self::Subscription,
                    "invoice" => Self::Invoice,
                    "checkout.session" => Self::Checkout,
                    "charge" => Self::ChargeRefund,
                    "refund" => Self::Refund,
                    "charge.dispute" => Self::Dispute,
                    "subscription_schedule" => Self::Schedule,
                    _ => Self::PassedOn,
                }
            }
        }
    }
}

/// Names of the facts that `read` leaves in `Facts::details` for `decide`, and of those that a state
/// keeps in `SubscriptionState::told`.
mod detail {
    /// Prices and quantities of the items, `price*quantity` joined by commas.
    pub(super) const ITEMS: &str = "items";
    /// The same before the change.
    pub(super) const ITEMS_BEFORE: &str = "items_before";
    /// What all items cost a month.
    pub(super) const RATE: &str = "rate";
    /// The same before the change.
    pub(super) const RATE_BEFORE: &str = "rate_before";
    /// Why an invoice was made.
    pub(super) const BILLING_REASON: &str = "billing_reason";
    /// A checkout session was a purchase of its own, paid and without an invoice.
    pub(super) const ONE_TIME: &str = "one_time";
    /// The charge that a refund is of.
    pub(super) const CHARGE: &str = "charge";
    /// All that was refunded of the charge, in minor units.
    pub(super) const REFUNDED: &str = "refunded";
    /// The payload does not say how much of that is new.
    pub(super) const WHOLE_TOTAL: &str = "whole_total";
    /// The status of a dispute.
    pub(super) const VERDICT: &str = "verdict";
    /// The update changed what we tell of a customer.
    pub(super) const CHANGED: &str = "changed";
    /// Digest of what a schedule will change; empty when nothing.
    pub(super) const PHASES: &str = "phases";
    /// The first price that a schedule will change to.
    pub(super) const NEXT_PRICE: &str = "next_price";
}

impl Mapper for Stripe {
    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn treatments(&self) -> &'static [(&'static str, Treatment)] {
        catalogue::TREATMENTS
    }

    fn read(&self, raw: &RawView<'_>, settings: &SourceSettings) -> Reading {
        read::read(raw, settings)
    }

    fn decide(&self, facts: &Facts, known: &Known<'_>) -> Decision {
        decide::decide(facts, known)
    }

    fn imported(&self, state: &mut SubscriptionState) {
        decide::imported(state);
    }

    fn links(&self, raw: &RawView<'_>, _: &Reading) -> Links {
        links::links(raw.event_type, raw.body)
    }
}
