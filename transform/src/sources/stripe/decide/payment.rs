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

/// `charge.refunded`: what is new of the total. What was told of the charge before says so where the
/// payload does not.
pub(super) fn refunded(facts: &Facts, known: &Known<'_>) -> Decision {
    let (name, highest) = told_of_charge(facts, known);
    let mut facts = facts.clone();
    if facts.details.contains_key(detail::WHOLE_TOTAL)
        && let Some(money) = &mut facts.money
    {
        money.amount = money.amount.saturating_add(highest.unwrap_or(0)).min(0);
    }
    let total = facts.details.get(detail::REFUNDED).and_then(|total| total.parse::<i64>().ok());
    returned(&facts, EventType::PaymentRefunded, name.zip(total.max(highest)))
}

/// `refund.failed`: the money is back, and may be refunded once more.
pub(super) fn refund_failed(facts: &Facts, known: &Known<'_>) -> Decision {
    let (name, highest) = told_of_charge(facts, known);
    let back = facts.money.as_ref().map_or(0, |money| money.amount);
    let left = highest.map(|highest| highest.saturating_sub(back).max(0));
    returned(facts, EventType::RefundReversed, name.zip(left))
}

/// Under what name the highest total of a charge is remembered, and what it is.
fn told_of_charge(facts: &Facts, known: &Known<'_>) -> (Option<String>, Option<i64>) {
    let name = facts.details.get(detail::CHARGE).map(|charge| format!("refunded {charge}"));
    let told = name.as_ref().and_then(|name| known.subscriber.told.get(name)?.parse().ok());
    (name, told)
}

fn returned(facts: &Facts, event_type: EventType, total: Option<(String, i64)>) -> Decision {
    let remembered = total.into_iter().map(|(name, total)| (name, total.to_string())).collect();
    let events = match transaction(facts) {
        Some(transaction) => vec![about_money(event_type, facts), transaction],
        None => Vec::new(),
    };
    Decision { told: remembered, ..told(events, None, ZERO_AMOUNT) }
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
