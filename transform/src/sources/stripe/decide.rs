//! What Stripe's facts mean, held against what is known.

mod cancel;
mod invoice;
mod payment;
mod schedule;
mod subscription;

use schemas::state::{Facts, SubscriptionState};
use schemas::{EventType, Timestamp};

use super::super::{Decision, Draft, Known, overlay};
use super::{Family, catalogue, detail};

/// Nothing that is told of a subscription or a person has changed.
const NO_CHANGE: &str = "no_lifecycle_change";
/// A facts record that this version does not understand, left by a later one.
const NOT_UNDERSTOOD: &str = "not_understood";

/// Decides.
pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    match Family::of(&facts.provider_event_type) {
        Family::Customer => customer(facts),
        Family::Subscription => subscription::decide(facts, known),
        Family::Invoice => invoice::decide(facts, known),
        Family::Checkout => payment::checkout(facts, known),
        Family::ChargeRefund | Family::Refund => payment::refund(facts),
        Family::Dispute => payment::dispute(facts),
        Family::Schedule => schedule::decide(facts, known),
        Family::Link => Decision::ignored(catalogue::LINK_ONLY, None),
        Family::PassedOn => told(vec![Draft::new(EventType::ProviderEvent)], None, NO_CHANGE),
    }
}

fn customer(facts: &Facts) -> Decision {
    let event_type = match facts.provider_event_type.as_str() {
        "customer.created" => EventType::CustomerCreated,
        "customer.deleted" => EventType::CustomerDeleted,
        _ if facts.details.contains_key(detail::CHANGED) => EventType::CustomerUpdated,
        _ => return Decision::ignored(NO_CHANGE, None),
    };
    told(vec![Draft::new(event_type)], None, NO_CHANGE)
}

/// The events, or the reason why there are none.
fn told(
    events: Vec<Draft>,
    subscription: Option<SubscriptionState>,
    otherwise: &'static str,
) -> Decision {
    let ignored = events.is_empty().then_some(otherwise);
    Decision { events, subscription, ignored }
}

/// The movement of money, unless it is none.
fn transaction(facts: &Facts) -> Option<Draft> {
    let money = facts.money.clone().filter(|money| money.amount != 0)?;
    Some(Draft { money: Some(money), ..Draft::new(EventType::TransactionProcessed) })
}

/// An event that speaks of the facts' amount and reason.
fn about_money(event_type: EventType, facts: &Facts) -> Draft {
    Draft { money: facts.money.clone(), reason: facts.reason.clone(), ..Draft::new(event_type) }
}

/// What is known of the subscription that facts name without showing it; a new one is dated before
/// everything, so that the first object that shows it counts as news.
fn named(facts: &Facts, known: &Known<'_>) -> Option<SubscriptionState> {
    let id = &facts.subscription.as_ref()?.shown.id;
    Some(match known.subscription {
        Some(state) => state.clone(),
        None => SubscriptionState {
            facts_at: Timestamp::from_millis(0),
            ..overlay::continued(None, facts, id)
        },
    })
}
