//! The subscription object: `customer.subscription.*`.

use schemas::event::Subscription;
use schemas::state::{Facts, SubscriptionFacts};
use schemas::vocabulary::{PeriodType, Store};
use schemas::{Money, Timestamp};

use super::super::super::Unreadable;
use super::super::super::json::{Fields, Read};
use super::super::super::price::{Period, Rate, Unit};
use super::super::{detail, status};
use super::digits;

/// Most items of one subscription that are believed (Stripe allows 20).
const MOST_ITEMS: usize = 100;
/// Most of one thing that somebody buys, and the longest period in units.
const MOST: i64 = 1_000_000_000;

/// One item: a price and how many of it.
#[derive(Clone, Default)]
struct Item<'a> {
    id: Option<&'a str>,
    price: Option<&'a str>,
    product: Option<&'a str>,
    cost: Option<Money>,
    quantity: Option<i64>,
    period: Option<Period>,
}

/// Fills in what the object says, and what it was before where an update tells.
pub(super) fn read(
    object: &Fields<'_>,
    previous: Option<&Fields<'_>>,
    facts: &mut Facts,
) -> Result<(), Unreadable> {
    let items = items(object)?;
    let word = object.require("/status", object.word("/status"))?;
    let cancel_at = object.seconds("/cancel_at")?;
    let at_period_end = object.flag("/cancel_at_period_end")?.unwrap_or(false);
    let scheduled = at_period_end || cancel_at.is_some();
    let shown = shown(object, &items, word, scheduled, cancel_at)?;
    facts.reason = shown.expiration_reason.clone().or_else(|| shown.cancel_reason.clone());
    facts.subscription = Some(SubscriptionFacts {
        shown,
        provider_status: Some(word.to_owned()),
        cancel_scheduled: Some(scheduled),
        collection_paused: Some(object.value("/pause_collection").is_some()),
    });
    keep(facts, detail::ITEMS, Some(listed(&items)));
    keep(facts, detail::RATE, rate(&items).map(|rate| rate.to_string()));
    if let Some(previous) = previous {
        facts.before = Some(before(previous, object)?);
        if previous.value("/items/data").is_some() {
            let items_before = items_before(previous, &items)?;
            keep(facts, detail::ITEMS_BEFORE, Some(listed(&items_before)));
            keep(facts, detail::RATE_BEFORE, rate(&items_before).map(|rate| rate.to_string()));
            if let (Some(before), Some(first)) = (&mut facts.before, items_before.first()) {
                before.shown.product_id = first.product.map(str::to_owned);
                before.shown.plan_id = first.price.map(str::to_owned);
            }
        }
    }
    Ok(())
}

fn shown(
    object: &Fields<'_>,
    items: &[Item<'_>],
    word: &str,
    scheduled: bool,
    cancel_at: Option<Timestamp>,
) -> Result<Subscription, Unreadable> {
    let (period_start, period_end) = period(object)?;
    let first = items.first().cloned().unwrap_or_default();
    let over = status::is_terminal(word);
    let ended_at = if over { object.seconds("/ended_at")? } else { None };
    let reason = object.word("/cancellation_details/reason")?;
    let cancel_reason = reason.or_else(|| object.text("/cancellation_details/feedback"));
    Ok(Subscription {
        id: object.require("/id", object.word("/id"))?.to_owned(),
        product_id: first.product.map(str::to_owned),
        plan_id: first.price.map(str::to_owned),
        price: first.cost,
        quantity: first.quantity,
        store: Some(Store::Stripe),
        period_type: Some(if word == "trialing" { PeriodType::Trial } else { PeriodType::Normal }),
        started_at: object.seconds("/start_date")?,
        period_start,
        period_end,
        expires_at: ended_at.or(cancel_at).or(period_end),
        auto_resume_at: object.seconds("/pause_collection/resumes_at")?,
        trial_ends_at: object.seconds("/trial_end")?,
        auto_renew: Some(!scheduled && !over),
        cancel_reason: cancel_reason.map(str::to_owned),
        expiration_reason: if over { reason.map(str::to_owned) } else { None },
        ..Subscription::default()
    })
}

/// The current period: of the item that ends last; before Basil, of the subscription itself.
fn period(object: &Fields<'_>) -> Result<(Option<Timestamp>, Option<Timestamp>), Unreadable> {
    let mut last = None;
    for item in object.list("/items/data", MOST_ITEMS)? {
        if let (start, Some(end)) = bounds(&item)?
            && last.is_none_or(|(_, latest)| end > latest)
        {
            last = Some((start, end));
        }
    }
    match last {
        Some((start, end)) => Ok((start, Some(end))),
        None => bounds(object),
    }
}

fn bounds(fields: &Fields<'_>) -> Result<(Option<Timestamp>, Option<Timestamp>), Unreadable> {
    let start = fields.seconds("/current_period_start")?;
    let end = fields.seconds("/current_period_end")?;
    fields.insist_on_order(start, end, "/current_period_end")?;
    Ok((start, end))
}

/// What an update says was different before. A key that is absent did not change.
fn before(previous: &Fields<'_>, object: &Fields<'_>) -> Result<SubscriptionFacts, Unreadable> {
    let schedule_moved = previous.has("/cancel_at") || previous.has("/cancel_at_period_end");
    let source = |pointer| if previous.has(pointer) { previous } else { object };
    let cancel_scheduled = if schedule_moved {
        let at = source("/cancel_at").seconds("/cancel_at")?.is_some();
        let at_end = source("/cancel_at_period_end").flag("/cancel_at_period_end")?;
        Some(at || at_end.unwrap_or(false))
    } else {
        None
    };
    Ok(SubscriptionFacts {
        shown: Subscription {
            trial_ends_at: previous.seconds("/trial_end")?,
            ..Subscription::default()
        },
        provider_status: previous.word("/status")?.map(str::to_owned),
        cancel_scheduled,
        collection_paused: previous
            .has("/pause_collection")
            .then(|| previous.value("/pause_collection").is_some()),
    })
}

fn items<'a>(object: &Fields<'a>) -> Result<Vec<Item<'a>>, Unreadable> {
    object.list("/items/data", MOST_ITEMS)?.iter().map(item).collect()
}

/// The items before the change; what an element leaves out is as it is now.
fn items_before<'a>(previous: &Fields<'a>, now: &[Item<'a>]) -> Result<Vec<Item<'a>>, Unreadable> {
    let listed = previous.list("/items/data", MOST_ITEMS)?;
    let read = listed.iter().enumerate().map(|(index, fields)| {
        let before = item(fields)?;
        let same = match before.id {
            Some(_) => now.iter().find(|item| item.id == before.id),
            None => now.get(index),
        };
        let now = same.cloned().unwrap_or_default();
        let same_price = before.price.is_none() || before.price == now.price;
        Ok(Item {
            id: before.id,
            price: before.price.or(now.price),
            product: before.product.or(now.product.filter(|_| same_price)),
            cost: before.cost.or(now.cost.filter(|_| same_price)),
            quantity: before.quantity.or(now.quantity),
            period: before.period.or(now.period.filter(|_| same_price)),
        })
    });
    read.collect()
}

/// One item; old API versions call its price `plan`.
fn item<'a>(fields: &Fields<'a>) -> Result<Item<'a>, Unreadable> {
    let quantity = fields.count("/quantity", 0..=MOST)?;
    let id = fields.word("/id")?;
    let Some(price) = fields.object("/price").or_else(|| fields.object("/plan")) else {
        return Ok(Item { id, quantity, ..Item::default() });
    };
    let cost = match price.currency("/currency")? {
        Some(currency) => first(digits::minor(&price, "/unit_amount", currency), || {
            digits::minor(&price, "/amount", currency)
        })?,
        None => None,
    };
    let count = first(price.count("/recurring/interval_count", 1..=MOST), || {
        price.count("/interval_count", 1..=MOST)
    })?;
    let unit = first(price.word("/recurring/interval"), || price.word("/interval"))?;
    Ok(Item {
        id,
        price: price.word("/id")?,
        product: price.reference("/product")?,
        cost,
        quantity,
        period: unit.and_then(Unit::parse).and_then(|unit| Period::of(count.unwrap_or(1), unit)),
    })
}

fn first<T>(read: Read<T>, otherwise: impl FnOnce() -> Read<T>) -> Read<T> {
    match read? {
        Some(value) => Ok(Some(value)),
        None => otherwise(),
    }
}

/// Prices and quantities, in an order of their own: items may be listed in any.
fn listed(items: &[Item<'_>]) -> String {
    let mut listed: Vec<String> = items
        .iter()
        .map(|item| format!("{}*{}", item.price.unwrap_or("?"), item.quantity.unwrap_or(1)))
        .collect();
    listed.sort_unstable();
    listed.join(",")
}

/// What all items cost a month; `None` when one does not say, or the currencies differ.
fn rate(items: &[Item<'_>]) -> Option<Rate> {
    let mut rates = items
        .iter()
        .map(|item| Some(Rate::of(item.cost.as_ref()?, item.quantity.unwrap_or(1), item.period?)));
    let first = rates.next()??;
    rates.try_fold(first, |sum, rate| sum.plus(&rate?))
}

fn keep(facts: &mut Facts, name: &str, value: Option<String>) {
    if let Some(value) = value {
        facts.details.insert(name.to_owned(), value);
    }
}
