//! Payments, refunds and disputes.

use schemas::event::Payment;
use schemas::state::Facts;

use super::super::super::Unreadable;
use super::super::super::json::Fields;
use super::super::detail;
use super::named_only;

/// Most subscriptions that one payment is believed to be for.
const MOST_SUBSCRIPTIONS: usize = 1000;

/// A payment, in the currency the customer paid. One for several subscriptions names none of them in
/// `subscription_id`.
pub(super) fn payment(data: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let currency = data.require("/currency", data.currency("/currency"))?;
    facts.money = Some(data.require("/total_amount", data.magnitude("/total_amount", currency))?);
    facts.reason = data.text("/error_code").map(str::to_owned);
    let listed = data.list("/subscription_ids", MOST_SUBSCRIPTIONS)?;
    let only = match listed.as_slice() {
        [only] => only.word("")?,
        [] | [_, _, ..] => None,
    };
    let named = data.word("/subscription_id")?.or(only);
    if named.is_some() || !listed.is_empty() {
        facts.details.insert(detail::RECURRING.to_owned(), String::new());
    }
    facts.subscription = named.map(named_only);
    facts.payment = Some(Payment {
        id: data.word("/payment_id")?.map(str::to_owned),
        method: data.word("/payment_method")?.map(str::to_owned),
    });
    Ok(())
}

/// A refund; its amount may be left out.
pub(super) fn refund(data: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    if let Some(currency) = data.currency("/currency")? {
        facts.money = data.magnitude("/amount", currency)?.map(|money| money.negated());
    }
    facts.reason = data.text("/reason").map(str::to_owned);
    Ok(())
}

/// A dispute; its amount is a number in some deliveries and text in others.
pub(super) fn dispute(data: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let currency = data.require("/currency", data.currency("/currency"))?;
    facts.money = Some(data.require("/amount", data.magnitude("/amount", currency))?);
    if let Some(dispute) = data.word("/dispute_id")? {
        facts.details.insert(detail::DISPUTE.to_owned(), dispute.to_owned());
    }
    facts.reason = data.text("/reason").map(str::to_owned);
    Ok(())
}
