//! Payments, refunds and disputes.

use schemas::event::Payment;
use schemas::state::Facts;
use serde_json::Value;

use super::super::super::Unreadable;
use super::super::super::json::Fields;
use super::super::detail;
use super::named_only;

/// A payment, in the currency the customer paid. One for several subscriptions names none of them in
/// `subscription_id`.
pub(super) fn payment(data: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let currency = data.require("/currency", data.currency("/currency"))?;
    facts.money = Some(data.require("/total_amount", data.minor("/total_amount", currency))?);
    facts.reason = data.text("/error_code").map(str::to_owned);
    let listed = data.value("/subscription_ids").and_then(Value::as_array).map_or(0, Vec::len);
    let only = if listed == 1 { data.word("/subscription_ids/0")? } else { None };
    let named = data.word("/subscription_id")?.or(only);
    if named.is_some() || listed > 0 {
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
        facts.money = data.minor("/amount", currency)?.map(|money| money.negated());
    }
    facts.reason = data.text("/reason").map(str::to_owned);
    Ok(())
}

/// A dispute; its amount is a number in some deliveries and text in others.
pub(super) fn dispute(data: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let currency = data.require("/currency", data.currency("/currency"))?;
    facts.money = Some(data.require("/amount", data.minor("/amount", currency))?);
    facts.reason = data.text("/reason").map(str::to_owned);
    Ok(())
}
