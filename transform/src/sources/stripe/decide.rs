//! What Stripe's facts mean, held against what is known.

mod cancel;
mod invoice;
mod ledger;
mod payment;
mod schedule;
mod subscription;

use schemas::EventType;
use schemas::state::Facts;

use super::super::answer::{NO_CHANGE, of_type, told};
use super::super::{Decision, Known};
use super::{Family, catalogue, detail};

/// A facts record that this version does not understand, left by a later one.
const NOT_UNDERSTOOD: &str = "not_understood";

pub(super) use subscription::imported;

/// Decides.
pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    match Family::of(&facts.provider_event_type) {
        Family::Customer => customer(facts),
        Family::Subscription => subscription::decide(facts, known),
        Family::Invoice => invoice::decide(facts, known),
        Family::Checkout => payment::checkout(facts, known),
        Family::ChargeRefund => payment::refunded(facts, known),
        Family::Refund => payment::refund_failed(facts, known),
        Family::Dispute => payment::dispute(facts),
        Family::Schedule => schedule::decide(facts, known),
        Family::Link => Decision::ignored(catalogue::LINK_ONLY, None),
        Family::PassedOn => told(vec![of_type(EventType::ProviderEvent)], None, NO_CHANGE),
    }
}

fn customer(facts: &Facts) -> Decision {
    let event_type = match facts.provider_event_type.as_str() {
        "customer.created" => EventType::CustomerCreated,
        "customer.deleted" => EventType::CustomerDeleted,
        _ if facts.details.contains_key(detail::CHANGED) => EventType::CustomerUpdated,
        _ => return Decision::ignored(NO_CHANGE, None),
    };
    told(vec![of_type(event_type)], None, NO_CHANGE)
}
