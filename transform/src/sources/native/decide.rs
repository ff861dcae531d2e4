//! What a native event means: what it says.

use schemas::state::{Facts, SubscriptionFacts, SubscriptionState};
use schemas::{EventType, Status};

use super::super::overlay::{continued, lay_over};
use super::super::{Decision, Draft, Known};
use super::{detail, effect};

/// Says what the facts mean.
pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    let event_type = facts
        .details
        .get(detail::TYPE)
        .and_then(|name| name.parse().ok())
        .unwrap_or(EventType::ProviderEvent);
    let next = facts.subscription.as_ref().map(|told| after(facts, told, known, event_type));
    if event_type == EventType::TransactionProcessed {
        match &facts.money {
            None => return Decision::ignored("unknown_amount", next),
            Some(money) if money.amount == 0 => return Decision::ignored("zero_amount", next),
            Some(_) => {}
        }
    }
    let draft = Draft {
        money: facts.money.clone(),
        offer: facts.offer.clone(),
        transfer: facts.transfer.clone(),
        reason: facts.reason.clone(),
        ..Draft::new(event_type)
    };
    Decision { events: vec![draft], subscription: next, ..Decision::default() }
}

/// The subscription after the event: what the type does to it, and over that what the event says.
fn after(
    facts: &Facts,
    told: &SubscriptionFacts,
    known: &Known<'_>,
    event_type: EventType,
) -> SubscriptionState {
    let mut next = continued(known.subscription, facts, &told.shown.id);
    effect::apply(&mut next, event_type, told.shown.period_type);
    lay_over(&mut next.current, &told.shown);
    next.current.previous_status = told.shown.previous_status;
    next.current.previous_product_id.clone_from(&told.shown.previous_product_id);
    let said: Option<Status> = told.provider_status.as_ref().and_then(|word| word.parse().ok());
    if let Some(status) = said.filter(|status| *status != Status::Unknown) {
        next.current.status = Some(status);
    }
    next.provider_status.clone_from(&told.provider_status);
    next
}
