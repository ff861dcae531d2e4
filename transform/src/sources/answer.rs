//! Building answers the way every mapping builds them.

use schemas::event::Offer;
use schemas::state::{Facts, SubscriptionState};
use schemas::vocabulary::OfferKind;
use schemas::{EventType, Timestamp};

use super::{Decision, Draft, Known, overlay};

/// Nothing that is told of a subscription or a person has changed.
pub(crate) const NO_CHANGE: &str = "no_lifecycle_change";
/// A payment or refund of nothing, of which there is nothing else to tell.
pub(crate) const ZERO_AMOUNT: &str = "zero_amount";
/// The subscription is over, and that was told.
pub(crate) const ALREADY_ENDED: &str = "already_ended";

/// The events, or the reason why there are none.
pub(crate) fn told(
    events: Vec<Draft>,
    subscription: Option<SubscriptionState>,
    otherwise: &'static str,
) -> Decision {
    let ignored = events.is_empty().then_some(otherwise);
    Decision { events, subscription, ignored, ..Decision::default() }
}

/// An event of this type, with the kind of offer that the type itself names.
pub(crate) fn of_type(event_type: EventType) -> Draft {
    let trial = matches!(
        event_type,
        EventType::TrialStarted
            | EventType::TrialConverted
            | EventType::TrialNotConverted
            | EventType::TrialEnding
            | EventType::TrialExtended
    );
    let intro = matches!(
        event_type,
        EventType::IntroOfferStarted
            | EventType::IntroOfferConverted
            | EventType::IntroOfferNotConverted
    );
    let kind = match (trial, intro) {
        (true, _) => Some(OfferKind::FreeTrial),
        (_, true) => Some(OfferKind::IntroOffer),
        (false, false) => None,
    };
    Draft { offer: kind.map(|kind| Offer { kind, id: None }), ..Draft::new(event_type) }
}

/// An event that speaks of the facts' amount and reason.
pub(crate) fn about_money(event_type: EventType, facts: &Facts) -> Draft {
    Draft { money: facts.money.clone(), reason: facts.reason.clone(), ..Draft::new(event_type) }
}

/// The movement of money, unless it is unknown or none.
pub(crate) fn transaction(facts: &Facts) -> Option<Draft> {
    let money = facts.money.clone().filter(|money| money.amount != 0)?;
    Some(Draft { money: Some(money), ..Draft::new(EventType::TransactionProcessed) })
}

/// What is known of the subscription that facts name without showing it; a new one is dated before
/// everything, so that the first object that shows it counts as news.
pub(crate) fn named(facts: &Facts, known: &Known<'_>) -> Option<SubscriptionState> {
    let id = &facts.subscription.as_ref()?.shown.id;
    Some(match known.subscription {
        Some(state) => state.clone(),
        None => SubscriptionState {
            facts_at: Timestamp::from_millis(0),
            ..overlay::continued(None, facts, id)
        },
    })
}
