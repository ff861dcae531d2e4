//! Checkout sessions, refunds and disputes.

use schemas::EventType;
use schemas::state::Facts;

use super::super::super::answer::{NO_CHANGE, ZERO_AMOUNT, about_money, named, told, transaction};
use super::super::super::{Decision, Known};
use super::super::{catalogue, detail};

pub(super) fn checkout(facts: &Facts, known: &Known<'_>) -> Decision {
    let event_type = match facts.provider_event_type.as_str() {
        "checkout.session.expired" => EventType::CheckoutAbandoned,
        "checkout.session.async_payment_failed" => EventType::PaymentFailed,
        _ if facts.details.contains_key(detail::ONE_TIME) => {
            let mut events = vec![about_money(EventType::PurchaseCompleted, facts)];
            events.extend(transaction(facts));
            return told(events, None, ZERO_AMOUNT);
        }
        _ => return Decision::ignored(catalogue::LINK_ONLY, None),
    };
    told(vec![about_money(event_type, facts)], named(facts, known), NO_CHANGE)
}

/// `charge.refunded` and `refund.failed`: there and back.
pub(super) fn refund(facts: &Facts) -> Decision {
    let event_type = match facts.provider_event_type.as_str() {
        "refund.failed" => EventType::RefundReversed,
        _ => EventType::PaymentRefunded,
    };
    let Some(transaction) = transaction(facts) else {
        return Decision::ignored(ZERO_AMOUNT, None);
    };
    told(vec![about_money(event_type, facts), transaction], None, ZERO_AMOUNT)
}

/// A dispute is told when it opens and when somebody has won it; the money moves by itself.
pub(super) fn dispute(facts: &Facts) -> Decision {
    let verdict = facts.details.get(detail::VERDICT).map(String::as_str);
    let event_type = match (facts.provider_event_type.as_str(), verdict) {
        ("charge.dispute.funds_withdrawn" | "charge.dispute.funds_reinstated", _) => {
            return told(transaction(facts).into_iter().collect(), None, ZERO_AMOUNT);
        }
        ("charge.dispute.created", _) => EventType::DisputeOpened,
        ("charge.dispute.closed", Some("won")) => EventType::DisputeWon,
        ("charge.dispute.closed", Some("lost")) => EventType::DisputeLost,
        _ => return Decision::ignored(catalogue::DISPUTE_WITHOUT_VERDICT, None),
    };
    told(vec![about_money(event_type, facts)], None, NO_CHANGE)
}
