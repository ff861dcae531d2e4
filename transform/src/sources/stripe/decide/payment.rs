//! Checkout sessions, refunds and disputes.

use schemas::state::Facts;
use schemas::{EventType, Money};

use super::super::super::answer::{NO_CHANGE, ZERO_AMOUNT, about_money, named, told, transaction};
use super::super::super::{Decision, Known};
use super::super::{catalogue, detail};
use super::ledger::Ledger;

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
    let total = facts.details.get(detail::REFUNDED).and_then(|total| total.parse::<i64>().ok());
    let book = Book::of(facts, known);
    let (Some(mut book), Some(total), Some(money)) = (book, total, facts.money.clone()) else {
        return returned(facts, EventType::PaymentRefunded, facts.money.clone(), None);
    };
    let moved = if facts.details.contains_key(detail::WHOLE_TOTAL) {
        let new = book.ledger.reached(total, facts.occurred_at);
        Money { amount: new.saturating_neg(), ..money }
    } else {
        book.ledger.added(money.amount.saturating_neg(), total, facts.occurred_at);
        money
    };
    let facts = Facts { money: Some(moved.clone()), ..facts.clone() };
    returned(&facts, EventType::PaymentRefunded, Some(moved), Some(book))
}

/// `refund.failed`: the money is back. Where a later total was told first, it has taken that into account,
/// and no more moves.
pub(super) fn refund_failed(facts: &Facts, known: &Known<'_>) -> Decision {
    let mut book = Book::of(facts, known);
    let mut moved = facts.money.clone();
    if let (Some(book), Some(money)) = (&mut book, &mut moved) {
        money.amount = book.ledger.failed(money.amount, facts.occurred_at);
    }
    returned(facts, EventType::RefundReversed, moved, book)
}

/// The ledger of a charge, and the name it is remembered under.
struct Book {
    name: String,
    ledger: Ledger,
}

impl Book {
    fn of(facts: &Facts, known: &Known<'_>) -> Option<Self> {
        let name = format!("refunded {}", facts.details.get(detail::CHARGE)?);
        let ledger = Ledger::read(known.subscriber.told.get(&name));
        Some(Self { name, ledger })
    }
}

/// Tells that the facts' amount went back or came back, and what moved by it.
fn returned(
    facts: &Facts,
    event_type: EventType,
    moved: Option<Money>,
    book: Option<Book>,
) -> Decision {
    let remembered = book.and_then(|book| Some((book.name, book.ledger.write()?)));
    let mut events = Vec::new();
    if facts.money.as_ref().is_some_and(|money| money.amount != 0) {
        events.push(about_money(event_type, facts));
        let movement = Facts { money: moved, ..facts.clone() };
        events.extend(transaction(&movement));
    }
    Decision { told: remembered.into_iter().collect(), ..told(events, None, ZERO_AMOUNT) }
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
