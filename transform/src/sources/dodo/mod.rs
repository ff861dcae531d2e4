//! Dodo Payments: `{"business_id": …, "type": …, "timestamp": …, "data": {"payload_type": …}}`.
//!
//! A retry keeps its `webhook-id`, `type` and `timestamp` and carries the **newest** data: the type says
//! what happened, `data.status` says how things are. So what was told moves by the type alone, the
//! status by the data, and a plan and its price only by the first activation and by `plan_changed`.
//! There is no status of a trial and nothing that says test mode; amounts are in minor units.
//! Facts: <https://docs.dodopayments.com/developer-resources/webhooks>, and the types of the official
//! JavaScript library 2.52.0 (November 2026).

mod catalogue;
mod decide;
mod rank;
mod read;
mod status;
#[cfg(test)]
mod tests;

use schemas::Provider;
use schemas::state::{Facts, SubscriptionState};

use super::{Decision, Known, Mapper, RawView, Reading, SourceSettings, Treatment};

/// The mapping of Dodo's events.
#[derive(Clone, Copy, Debug)]
pub struct Dodo;

/// Names of the facts that `read` leaves in `Facts::details` for `decide`, and of those that a state
/// keeps in `SubscriptionState::told`.
mod detail {
    /// The trial has a length.
    pub(super) const TRIAL: &str = "trial";
    /// The trial is paid for: `trial` and this make an introductory offer.
    pub(super) const PAID_TRIAL: &str = "paid_trial";
    /// What the subscription costs a month.
    pub(super) const RATE: &str = "rate";
    /// A change of plan is scheduled: its id.
    pub(super) const SCHEDULED_CHANGE: &str = "scheduled_change";
    /// The product it changes to.
    pub(super) const NEXT_PRODUCT: &str = "next_product";
    /// The subscription was cancelled for good at some time.
    pub(super) const CANCELLED: &str = "cancelled";
    /// A payment is for subscriptions, be they one or several.
    pub(super) const RECURRING: &str = "recurring";
    /// The dispute's id.
    pub(super) const DISPUTE: &str = "dispute";
    /// The entitlement of a grant.
    pub(super) const ENTITLEMENT: &str = "entitlement";
}

impl Mapper for Dodo {
    fn provider(&self) -> Provider {
        Provider::Dodo
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
}
