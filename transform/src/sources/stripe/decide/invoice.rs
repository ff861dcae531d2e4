//! Invoices: renewals, conversions, payments and their failures.
//!
//! An invoice never moves the status of its subscription, except the one that converts a trial.

use schemas::EventType;
use schemas::state::{Facts, SubscriptionState};

use super::super::super::answer::{
    NO_CHANGE, ZERO_AMOUNT, about_money, named, of_type, told, transaction,
};
use super::super::super::{Decision, Known};
use super::super::{detail, status};

/// Marks in a state that its trial was converted or not, and does not open again.
pub(super) const TRIAL_OVER: &str = "trial_over";

pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    let event_type = match facts.provider_event_type.as_str() {
        "invoice.payment_failed" => EventType::PaymentFailed,
        "invoice.payment_action_required" => EventType::PaymentActionRequired,
        "invoice.upcoming" => EventType::RenewalUpcoming,
        _ => return paid(facts, known),
    };
    told(vec![about_money(event_type, facts)], named(facts, known), NO_CHANGE)
}

fn paid(facts: &Facts, known: &Known<'_>) -> Decision {
    let Some(mut state) = named(facts, known) else {
        let mut events = vec![about_money(EventType::PurchaseCompleted, facts)];
        events.extend(transaction(facts));
        return told(events, None, ZERO_AMOUNT);
    };
    let reason = facts.details.get(detail::BILLING_REASON).map(String::as_str);
    let is_cycle = reason == Some("subscription_cycle");
    let mut events = Vec::new();
    if (is_cycle || reason == Some("subscription_update")) && awaits_conversion(&state) {
        convert(&mut state);
        events.push(of_type(EventType::TrialConverted));
    } else if is_cycle && !state.ended {
        events.push(of_type(EventType::SubscriptionRenewed));
    }
    events.extend(transaction(facts));
    told(events, Some(state), ZERO_AMOUNT)
}

/// The trial is open, and the subscription no longer in it.
fn awaits_conversion(state: &SubscriptionState) -> bool {
    state.trial_open
        && !state.ended
        && state.provider_status.as_deref().is_some_and(|word| word != "trialing")
}

/// The trial has been paid for: whatever Stripe still says of it, the subscription is active.
fn convert(state: &mut SubscriptionState) {
    state.trial_open = false;
    state.told.insert(TRIAL_OVER.to_owned(), String::new());
    let shown = state.provider_status.replace("active".to_owned());
    state.current.status = status::status(state);
    state.provider_status = shown;
}
