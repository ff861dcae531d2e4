//! What was bought, renewed or granted: the events that move product, price and period.

use schemas::EventType;
use schemas::state::SubscriptionState;
use schemas::vocabulary::PeriodType;

use super::super::Decision;
use super::super::price::{Plan, change};
use super::decide::{Question, events_with, keep_status, told};
use super::{detail, period};

/// INITIAL_PURCHASE.
pub(super) fn first(question: Question<'_>) -> Decision {
    let facts = question.facts;
    let mut next = begun(question);
    let shown = &question.told.shown;
    let announced_by = change_announced(question);
    let events = if let Some(announcing) = announced_by {
        next.told.insert(told::CHANGED_FROM.to_owned(), announcing.current.id.clone());
        vec![changed(question, announcing, &next)]
    } else if period::is_promotional(shown) {
        vec![EventType::EntitlementGranted]
    } else {
        match shown.period_type {
            Some(PeriodType::Trial) => {
                vec![EventType::SubscriptionStarted, EventType::TrialStarted]
            }
            Some(PeriodType::Intro) => {
                vec![EventType::SubscriptionStarted, EventType::IntroOfferStarted]
            }
            Some(PeriodType::Promotional) => vec![EventType::EntitlementGranted],
            Some(PeriodType::Normal | PeriodType::Prepaid | PeriodType::Unknown) | None => {
                let came_back = question.was(|state| state.ended)
                    || question
                        .others()
                        .any(|state| state.ended && state.current.product_id == shown.product_id);
                let back = EventType::SubscriptionReactivated;
                vec![if came_back { back } else { EventType::SubscriptionStarted }]
            }
        }
    };
    events_with(facts, events, facts.money.clone(), Some(next))
}

/// RENEWAL: one base event, then all that it ended by coming.
pub(super) fn renewal(question: Question<'_>) -> Decision {
    let facts = question.facts;
    let next = begun(question);
    let conversion = facts.details.contains_key(detail::TRIAL_CONVERSION);
    let full_price = question.told.shown.period_type == Some(PeriodType::Normal);
    let base = if conversion {
        EventType::TrialConverted
    } else if full_price && question.was(|state| state.intro_open) {
        EventType::IntroOfferConverted
    } else if question.was(|state| state.ended) {
        EventType::SubscriptionReactivated
    } else {
        EventType::SubscriptionRenewed
    };
    let mut events = vec![base];
    if conversion && question.was(|state| state.told.contains_key(told::TRIAL_NOT_CONVERTED)) {
        events.push(EventType::SubscriptionReactivated);
    }
    if question.was(|state| state.in_grace) {
        events.push(EventType::RecoveredFromGracePeriod);
    }
    if question.was(|state| state.in_billing_retry) {
        events.push(EventType::RecoveredFromBillingRetry);
    }
    if question.was(|state| state.paused) {
        events.push(EventType::SubscriptionResumed);
    }
    if let Some(known) = question.known.subscription {
        let (before, after) = (&known.current.product_id, &next.current.product_id);
        if before.is_some() && before != after {
            events.push(changed(question, known, &next));
        }
    }
    events_with(facts, events, facts.money.clone(), Some(next))
}

/// NON_RENEWING_PURCHASE of access that was given, not sold.
pub(super) fn granted(question: Question<'_>) -> Decision {
    let next = begun(question);
    events_with(question.facts, vec![EventType::EntitlementGranted], None, Some(next))
}

/// Access for at most a day, while the store cannot be asked whether the purchase is real.
pub(super) fn temporary_grant(question: Question<'_>) -> Decision {
    let mut next = question.next();
    let status = next.current.status;
    if question.known.subscription.is_none() {
        let transaction = question.facts.details.get(detail::TRANSACTION);
        next.told.insert(told::GRANT.to_owned(), transaction.cloned().unwrap_or_default());
    }
    keep_status(&mut next, question.facts, status);
    events_with(question.facts, vec![EventType::EntitlementGranted], None, Some(next))
}

/// The state after a purchase: a new period, which clears what hung over from the one before.
fn begun(question: Question<'_>) -> SubscriptionState {
    let shown = &question.told.shown;
    let mut next = question.next();
    if shown.product_id.is_some() {
        next.current.product_id.clone_from(&shown.product_id);
    }
    if shown.price.is_none() {
        // A price that is not shown with the new period was that of another one.
        next.current.price = None;
    }
    next.cancel_scheduled = false;
    next.in_grace = false;
    next.in_billing_retry = false;
    next.paused = false;
    next.ended = false;
    next.trial_open = shown.period_type == Some(PeriodType::Trial);
    next.intro_open = shown.period_type == Some(PeriodType::Intro);
    if next.pending_product == next.current.product_id {
        next.pending_product = None;
    }
    for name in
        [told::EXPIRED, told::PAUSE, told::PRICE_CONSENT, told::TRIAL_NOT_CONVERTED, told::GRANT]
    {
        next.told.remove(name);
    }
    let current = &mut next.current;
    current.grace_expires_at = None;
    current.auto_resume_at = None;
    current.cancel_reason = None;
    current.expiration_reason = None;
    let renews = shown.period_type != Some(PeriodType::Prepaid) && !period::is_promotional(shown);
    current.auto_renew = Some(renews);
    current.status = Some(period::by_period(current));
    next
}

/// The subscription that announced a change to the product now bought. At Google a change is a new
/// purchase with a transaction of its own, so it may be another one; each announcement counts once.
fn change_announced(question: Question<'_>) -> Option<&SubscriptionState> {
    let product = question.told.shown.product_id.as_ref()?;
    let announces = |state: &&SubscriptionState| state.pending_product.as_ref() == Some(product);
    let carried_out = |state: &SubscriptionState| {
        question.others().any(|other| {
            other.told.get(told::CHANGED_FROM) == Some(&state.current.id)
                && other.current.product_id.as_ref() == Some(product)
        })
    };
    question
        .known
        .subscription
        .filter(announces)
        .or_else(|| question.others().filter(announces).find(|state| !carried_out(state)))
}

fn changed(
    question: Question<'_>,
    before: &SubscriptionState,
    after: &SubscriptionState,
) -> EventType {
    let (before, after) = (&before.current, &after.current);
    let (rate_before, rate_after) = (period::rate(before), period::rate(after));
    change(
        &Plan { plan: None, product: before.product_id.as_deref(), rate: rate_before.as_ref() },
        &Plan { plan: None, product: after.product_id.as_deref(), rate: rate_after.as_ref() },
        &question.known.settings.plans,
    )
}
