//! Money that went back, and came again. A refund is always news, also about what has ended.

use schemas::state::SubscriptionState;
use schemas::{EventType, Money, Status};

use super::super::{Decision, Draft};
use super::decide::{Question, events_with, keep_status, told};
use super::period;

/// Refunded by the store. The price is shown negative; access is lost only when the end was moved to
/// the past with it.
pub(super) fn refunded(question: Question<'_>) -> Decision {
    let facts = question.facts;
    let money = facts.money.as_ref().map(|money| magnitude(money).negated());
    let mut next = question.next();
    let status = next.current.status;
    let revoked = period::is_past_its_end(&question.told.shown, facts.occurred_at);
    if revoked {
        next.ended = true;
        next.in_grace = false;
        next.in_billing_retry = false;
        next.paused = false;
        next.trial_open = false;
        next.intro_open = false;
        next.current.status = Some(period::standing(&next, facts.occurred_at));
    } else {
        keep_status(&mut next, facts, status);
    }
    let refund = vec![EventType::PaymentRefunded];
    let mut decision = events_with(facts, refund, money, kept(question, next));
    if revoked {
        let (offer, reason) = (facts.offer.clone(), facts.reason.clone());
        let end = Draft { offer, reason, ..Draft::new(EventType::SubscriptionRefunded) };
        decision.events.push(end);
    }
    decision
}

/// A refund was taken back by the store.
pub(super) fn reversed(question: Question<'_>) -> Decision {
    let facts = question.facts;
    let mut next = question.next();
    let status = next.current.status;
    if question.told.shown.expires_at.is_some_and(|end| end > facts.occurred_at) {
        next.ended = false;
        next.in_billing_retry = false;
        next.paused = false;
        next.told.remove(told::EXPIRED);
        next.current.cancel_reason = None;
        next.current.expiration_reason = None;
        next.current.status = Some(Status::Active);
    } else {
        keep_status(&mut next, facts, status);
    }
    let money = facts.money.as_ref().map(magnitude);
    events_with(facts, vec![EventType::RefundReversed], money, kept(question, next))
}

/// What never ends and was not known as a subscription is a one-time purchase: nothing to keep of it.
fn kept(question: Question<'_>, next: SubscriptionState) -> Option<SubscriptionState> {
    let one_time =
        question.told.shown.expires_at.is_none() && question.known.subscription.is_none();
    (!one_time).then_some(next)
}

fn magnitude(money: &Money) -> Money {
    if money.amount < 0 { money.negated() } else { money.clone() }
}
