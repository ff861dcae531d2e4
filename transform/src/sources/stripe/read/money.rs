//! What was paid, failed, refunded or disputed: invoices, checkout sessions, charges, refunds and
//! disputes.

use schemas::Money;
use schemas::state::Facts;

use super::super::super::Unreadable;
use super::super::super::json::Fields;
use super::super::detail;
use super::{digits, named_only};

/// Most refunds of one charge that are believed (a page of Stripe's lists has 100 at most).
const MOST_REFUNDS: usize = 100;

/// An invoice: what was paid of it, or what is due; Basil moved the subscription into `parent`.
pub(super) fn invoice(object: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let amount = match facts.provider_event_type.as_str() {
        "invoice.paid" => "/amount_paid",
        _ => "/amount_due",
    };
    facts.money = Some(required_money(object, amount)?);
    let subscription = match object.reference("/parent/subscription_details/subscription")? {
        Some(id) => Some(id),
        None => object.reference("/subscription")?,
    };
    facts.subscription = subscription.map(named_only);
    if let Some(reason) = object.word("/billing_reason")? {
        facts.details.insert(detail::BILLING_REASON.to_owned(), reason.to_owned());
    }
    Ok(())
}

/// A checkout session. One that made an invoice or a subscription is told by those.
pub(super) fn checkout(object: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let paid = object.word("/payment_status")? == Some("paid");
    let one_time = object.word("/mode")? == Some("payment");
    if let Some(currency) = object.currency("/currency")? {
        facts.money = digits::magnitude(object, "/amount_total", currency)?;
    }
    facts.subscription = object.reference("/subscription")?.map(named_only);
    if one_time && paid && object.reference("/invoice")?.is_none() {
        facts.money = Some(required_money(object, "/amount_total")?);
        facts.details.insert(detail::ONE_TIME.to_owned(), String::new());
    }
    Ok(())
}

/// A refunded charge: what this refund added to the total. Newer payloads say what the total was;
/// older ones list their refunds, the latest first. Where neither is there, only what was told before
/// says what is new.
pub(super) fn charge_refund(
    object: &Fields<'_>,
    previous: Option<&Fields<'_>>,
    facts: &mut Facts,
) -> Result<(), Unreadable> {
    let currency = object.require("/currency", object.currency("/currency"))?;
    let total = required_money(object, "/amount_refunded")?;
    let before = match previous {
        Some(previous) => digits::magnitude(previous, "/amount_refunded", currency)?,
        None => None,
    };
    let listed = object.list("/refunds/data", MOST_REFUNDS)?;
    let latest = listed.first();
    let returned = match (&before, latest) {
        (Some(before), _) => total.amount.saturating_sub(before.amount),
        (None, Some(latest)) => required_money(latest, "/amount")?.amount,
        (None, None) => total.amount,
    };
    if before.is_none() && latest.is_none() {
        facts.details.insert(detail::WHOLE_TOTAL.to_owned(), String::new());
    }
    facts.details.insert(detail::REFUNDED.to_owned(), total.amount.to_string());
    if let Some(charge) = object.word("/id")? {
        facts.details.insert(detail::CHARGE.to_owned(), charge.to_owned());
    }
    facts.money = Some(Money::minor(returned, currency).negated());
    facts.reason = latest.and_then(|refund| refund.text("/reason").map(str::to_owned));
    Ok(())
}

/// A refund that did not arrive: the money is back.
pub(super) fn refund(object: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    facts.money = Some(required_money(object, "/amount")?);
    facts.reason = object.text("/failure_reason").map(str::to_owned);
    if let Some(charge) = object.reference("/charge")? {
        facts.details.insert(detail::CHARGE.to_owned(), charge.to_owned());
    }
    Ok(())
}

/// A dispute: the amount of the charge that is in question, without the fee.
pub(super) fn dispute(object: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let disputed = required_money(object, "/amount")?;
    facts.money = Some(match facts.provider_event_type.as_str() {
        "charge.dispute.funds_withdrawn" => disputed.negated(),
        _ => disputed,
    });
    facts.reason = object.text("/reason").map(str::to_owned);
    if let Some(verdict) = object.word("/status")? {
        facts.details.insert(detail::VERDICT.to_owned(), verdict.to_owned());
    }
    Ok(())
}

fn required_money(object: &Fields<'_>, pointer: &str) -> Result<Money, Unreadable> {
    let currency = object.require("/currency", object.currency("/currency"))?;
    object.require(pointer, digits::magnitude(object, pointer, currency))
}
