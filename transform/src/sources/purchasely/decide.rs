//! What Purchasely's facts mean: mostly what they are called.
//!
//! The status is read from the payload, which every event of a subscription repeats. Only three rows
//! look at more: the access granted anew with each renewal, the end of a subscription at the person it
//! left, and money.

use schemas::state::{Facts, SubscriptionFacts, SubscriptionState};
use schemas::vocabulary::PeriodType;
use schemas::{EventType, Status};

use super::super::overlay::{continued, lay_over, stored};
use super::super::{Decision, Draft, Known};
use super::{detail, meaning};

/// In `SubscriptionState::told`: access is granted at present.
const GRANTED: &str = "granted";

/// Says what the facts mean.
pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    let Some(event_type) = meaning::meaning(&facts.provider_event_type) else {
        return told(facts, vec![EventType::ProviderEvent], None);
    };
    let one_time = facts.details.contains_key(detail::ONE_TIME);
    let next = match &facts.subscription {
        Some(subscription) if !one_time => Some(after(facts, subscription, known, event_type)),
        Some(_) | None => None,
    };
    if event_type == EventType::SubscriptionStarted && one_time {
        told(facts, vec![EventType::PurchaseCompleted], None)
    } else if event_type == EventType::EntitlementGranted && is_granted(facts, known, one_time) {
        Decision::ignored("no_lifecycle_change", next)
    } else if event_type == EventType::TransactionProcessed {
        transaction(facts, next)
    } else {
        told(facts, vec![event_type], next)
    }
}

/// Money moved. A refund that was not told as one (the event that moved it is a refund, or is not
/// named) is told here; a negative amount of a change of plan is a settlement.
fn transaction(facts: &Facts, next: Option<SubscriptionState>) -> Decision {
    let Some(money) = facts.money.as_ref() else {
        return Decision::ignored("unknown_amount", next);
    };
    if money.amount == 0 {
        return Decision::ignored("zero_amount", next);
    }
    let source = facts.details.get(detail::SOURCE_EVENT);
    let refund = money.amount < 0 && source.is_none_or(|name| name.contains("REFUND"));
    let events = if refund {
        vec![EventType::PaymentRefunded, EventType::TransactionProcessed]
    } else {
        vec![EventType::TransactionProcessed]
    };
    told(facts, events, next)
}

/// Whether access was already granted: it is granted again with every renewal. Asked of what is
/// stored, so that a late event does not repeat what was told.
fn is_granted(facts: &Facts, known: &Known<'_>, one_time: bool) -> bool {
    let id = facts.subscription.as_ref().map(|subscription| subscription.shown.id.as_str());
    !one_time
        && id
            .and_then(|id| stored(known, facts.environment, id))
            .is_some_and(|state| state.told.contains_key(GRANTED))
}

/// What Purchasely's events would have left of a subscription that an import tells: that access is granted.
pub(super) fn imported(state: &mut SubscriptionState) {
    if !state.ended && !state.in_billing_retry {
        state.told.insert(GRANTED.to_owned(), String::new());
    }
}

/// The subscription after the event.
fn after(
    facts: &Facts,
    subscription: &SubscriptionFacts,
    known: &Known<'_>,
    event_type: EventType,
) -> SubscriptionState {
    let mut next = continued(known.subscription, facts, &subscription.shown.id);
    lay_over(&mut next.current, &subscription.shown);
    if matches!(
        event_type,
        EventType::SubscriptionResumed
            | EventType::SubscriptionRenewed
            | EventType::PauseCancelled
            | EventType::CancelledDuringPause
    ) {
        // The pause is over, and with it the moment it was to end.
        next.current.auto_resume_at = subscription.shown.auto_resume_at;
    }
    let takes = event_type == EventType::EntitlementRevoked;
    if let Some(word) = subscription.provider_status.as_deref()
        && !(takes && next.ended)
    {
        // What went to somebody else goes on there, and says so even where access to it is taken.
        next.provider_status = Some(word.to_owned());
        follow(&mut next, word);
    }
    let left = event_type == EventType::SubscriptionTransferred;
    let over = left || event_type == EventType::SubscriptionExpired;
    if left || (over && subscription.provider_status.is_none()) {
        // It goes on at somebody else, or ended without a word of status: over for this person.
        follow(&mut next, "DEACTIVATED");
    }
    if event_type == EventType::EntitlementGranted {
        next.told.insert(GRANTED.to_owned(), String::new());
    } else if next.ended || takes {
        next.told.remove(GRANTED);
    }
    next
}

/// Takes the status, and all that goes with it, from the provider's word and the kind of period. A
/// word of a later version changes nothing.
fn follow(next: &mut SubscriptionState, word: &str) {
    let trial = next.current.period_type == Some(PeriodType::Trial);
    let intro = next.current.period_type == Some(PeriodType::Intro);
    let status = match word {
        "AUTO_RENEWING" if trial => Status::Trial,
        "AUTO_RENEWING" if intro => Status::Intro,
        "AUTO_RENEWING" => Status::Active,
        "AUTO_RENEWING_CANCELED" if trial => Status::CancelledTrial,
        "AUTO_RENEWING_CANCELED" => Status::Cancelled,
        "IN_GRACE_PERIOD" if trial => Status::GracePeriodTrial,
        "IN_GRACE_PERIOD" => Status::GracePeriod,
        "ON_HOLD" | "UNPAID" | "DEACTIVATED" | "REVOKED" => Status::Expired,
        "PAUSED" => Status::Paused,
        _ => return,
    };
    next.cancel_scheduled = word == "AUTO_RENEWING_CANCELED";
    next.in_grace = word == "IN_GRACE_PERIOD";
    next.in_billing_retry = matches!(word, "ON_HOLD" | "UNPAID");
    next.paused = word == "PAUSED";
    next.ended = matches!(word, "DEACTIVATED" | "REVOKED");
    next.trial_open = trial && !next.ended;
    next.intro_open = intro && !next.ended;
    next.current.auto_renew = Some(!next.cancel_scheduled && !next.ended);
    next.current.status = Some(status);
    if !next.in_grace {
        next.current.grace_expires_at = None;
    }
}

fn told(
    facts: &Facts,
    events: Vec<EventType>,
    subscription: Option<SubscriptionState>,
) -> Decision {
    let draft = |event_type| Draft {
        money: facts.money.clone(),
        offer: facts.offer.clone(),
        transfer: facts.transfer.clone(),
        ..Draft::new(event_type)
    };
    Decision {
        events: events.into_iter().map(draft).collect(),
        subscription,
        ..Decision::default()
    }
}
