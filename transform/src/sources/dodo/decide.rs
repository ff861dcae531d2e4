//! What Dodo's facts mean, held against what is known.

mod subscription;

use schemas::EventType;
use schemas::state::{Facts, SubscriptionState};

use super::super::answer::{
    NO_CHANGE, ZERO_AMOUNT, about_money, named, of_type, told, transaction,
};
use super::super::{Decision, Known, Treatment};
use super::{catalogue, detail};

/// Most entitlements of one subscription that are kept.
const MOST_ENTITLEMENTS: usize = 64;

pub(super) use subscription::imported;

/// Decides.
pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    if catalogue::treatment(&facts.provider_event_type) != Some(Treatment::Mapped) {
        return told(vec![of_type(EventType::ProviderEvent)], None, NO_CHANGE);
    }
    let one =
        |event_type| told(vec![about_money(event_type, facts)], named(facts, known), NO_CHANGE);
    match facts.provider_event_type.as_str() {
        "payment.succeeded" => paid(facts, known),
        "payment.failed" => one(EventType::PaymentFailed),
        "refund.succeeded" => refunded(facts),
        "dispute.opened" => one(EventType::DisputeOpened),
        "dispute.won" | "dispute.cancelled" => one(EventType::DisputeWon),
        "dispute.lost" | "dispute.accepted" | "dispute.expired" => lost(facts, known),
        "entitlement_grant.created" | "entitlement_grant.revoked" => grant(facts, known),
        "abandoned_checkout.detected" => one(EventType::CheckoutAbandoned),
        "abandoned_checkout.recovered" => one(EventType::CheckoutRecovered),
        _ => subscription::decide(facts, known),
    }
}

fn paid(facts: &Facts, known: &Known<'_>) -> Decision {
    let mut events = Vec::new();
    if !facts.details.contains_key(detail::RECURRING) {
        events.push(about_money(EventType::PurchaseCompleted, facts));
    }
    events.extend(transaction(facts));
    told(events, named(facts, known), ZERO_AMOUNT)
}

/// A refund; the movement is told where the amount is.
fn refunded(facts: &Facts) -> Decision {
    if facts.money.as_ref().is_some_and(|money| money.amount == 0) {
        return Decision::ignored(ZERO_AMOUNT, None);
    }
    let mut events = vec![about_money(EventType::PaymentRefunded, facts)];
    events.extend(transaction(facts));
    told(events, None, ZERO_AMOUNT)
}

/// A dispute that was lost takes the money with it, once: one that was accepted may be closed as lost.
fn lost(facts: &Facts, known: &Known<'_>) -> Decision {
    let name = facts.details.get(detail::DISPUTE).map(|dispute| format!("lost {dispute}"));
    if name.as_ref().is_some_and(|name| known.subscriber.told.contains_key(name)) {
        return Decision::ignored(NO_CHANGE, None);
    }
    let mut taken = facts.clone();
    taken.money = facts.money.as_ref().map(schemas::Money::negated);
    let mut events = vec![about_money(EventType::DisputeLost, facts)];
    events.extend(transaction(&taken));
    let remembered = name.into_iter().map(|name| (name, String::new())).collect();
    Decision { told: remembered, ..told(events, None, ZERO_AMOUNT) }
}

/// An entitlement given or taken, once.
fn grant(facts: &Facts, known: &Known<'_>) -> Decision {
    let entitlement = facts.details.get(detail::ENTITLEMENT).cloned().unwrap_or_default();
    let mut state = named(facts, known);
    let given = facts.provider_event_type == "entitlement_grant.created";
    let held = |state: &SubscriptionState| state.current.entitlements.contains(&entitlement);
    if given && known.subscription.is_some_and(held) {
        return Decision::ignored(NO_CHANGE, state);
    }
    if let Some(state) = &mut state {
        let entitlements = &mut state.current.entitlements;
        entitlements.retain(|held| *held != entitlement);
        if given && entitlements.len() < MOST_ENTITLEMENTS {
            entitlements.push(entitlement);
        }
    }
    let event_type =
        if given { EventType::EntitlementGranted } else { EventType::EntitlementRevoked };
    told(vec![of_type(event_type)], state, NO_CHANGE)
}
