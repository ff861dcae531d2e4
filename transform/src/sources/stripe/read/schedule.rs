//! Subscription schedules: what will change, and when.

use schemas::state::Facts;
use sha2::{Digest, Sha256};

use super::super::super::Unreadable;
use super::super::super::json::Fields;
use super::super::detail;
use super::named_only;

/// Most phases of a schedule, and items of a phase, that are believed (Stripe allows 10 and 20).
const MOST_LISTED: usize = 100;

/// Fills in the digest of the phases to come that change what is bought.
pub(super) fn read(object: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    facts.subscription = object.reference("/subscription")?.map(named_only);
    let mut announced: Vec<String> = Vec::new();
    let mut items_before = None;
    for phase in object.list("/phases", MOST_LISTED)? {
        let start = phase.require("/start_date", phase.seconds("/start_date"))?;
        let items = items(&phase)?;
        let changes = items_before.as_ref().is_some_and(|before| *before != items);
        if changes && start > facts.occurred_at {
            if announced.is_empty()
                && let Some((price, _)) = items.first()
            {
                facts.details.insert(detail::NEXT_PRICE.to_owned(), price.clone());
            }
            announced.push(format!("{}:{items:?}", start.seconds()));
        }
        items_before = Some(items);
    }
    let digest = if announced.is_empty() {
        String::new()
    } else {
        hex::encode(&Sha256::digest(announced.join(";").as_bytes())[..16])
    };
    facts.details.insert(detail::PHASES.to_owned(), digest);
    Ok(())
}

/// Price and quantity of each item of a phase, in an order of their own.
fn items(phase: &Fields<'_>) -> Result<Vec<(String, i64)>, Unreadable> {
    let mut items = Vec::new();
    for item in phase.list("/items", MOST_LISTED)? {
        let price = match item.reference("/price")? {
            Some(price) => price,
            None => item.require("/plan", item.reference("/plan"))?,
        };
        items.push((price.to_owned(), item.integer("/quantity")?.unwrap_or(1)));
    }
    items.sort_unstable();
    Ok(items)
}
