//! The subscription: `subscription.*`.

use schemas::event::Subscription;
use schemas::state::{Facts, SubscriptionFacts};
use schemas::vocabulary::Store;
use schemas::{Money, Timestamp};

use super::super::super::Unreadable;
use super::super::super::json::Fields;
use super::super::super::price::{Period, Rate, Unit};
use super::super::detail;

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;
/// The longest trial that is believed: a hundred years.
const MOST_DAYS: i64 = 36_500;
/// Most of one thing that somebody buys, and the longest period in units.
const MOST: i64 = 1_000_000_000;

/// Fills in what the data say.
pub(super) fn read(data: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let status = data.require("/status", data.word("/status"))?;
    let scheduled = data.flag("/cancel_at_next_billing_date")?.unwrap_or(false);
    let currency = data.currency("/currency")?;
    let price = match currency {
        Some(currency) => data.minor("/recurring_pre_tax_amount", currency)?,
        None => None,
    };
    let cancelled_at = data.rfc3339("/cancelled_at")?;
    let rate = rate(data, price.as_ref())?;
    let trial_days = data.count("/trial_period_days", 0..=MOST_DAYS)?.unwrap_or(0);
    let shown = shown(data, price, status, scheduled, trial_days)?;
    facts.reason.clone_from(&shown.cancel_reason);
    facts.subscription = Some(SubscriptionFacts {
        shown,
        provider_status: Some(status.to_owned()),
        cancel_scheduled: Some(scheduled),
        collection_paused: None,
    });
    let paid_trial = data.integer("/trial_amount")?.is_some_and(|amount| amount > 0);
    let change = data.object("/scheduled_change");
    let next_product = match &change {
        Some(change) => change.word("/product_id")?,
        None => None,
    };
    let change_id = match &change {
        Some(change) => change.word("/id")?.or(next_product),
        None => None,
    };
    for (name, value) in [
        (detail::TRIAL, (trial_days > 0).then(String::new)),
        (detail::PAID_TRIAL, paid_trial.then(String::new)),
        (detail::RATE, rate.map(|rate| rate.to_string())),
        (detail::SCHEDULED_CHANGE, change_id.map(str::to_owned)),
        (detail::NEXT_PRODUCT, next_product.map(str::to_owned)),
        (detail::CANCELLED, cancelled_at.map(|_| String::new())),
    ] {
        if let Some(value) = value {
            facts.details.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

fn shown(
    data: &Fields<'_>,
    price: Option<Money>,
    status: &str,
    scheduled: bool,
    trial_days: i64,
) -> Result<Subscription, Unreadable> {
    let started_at = data.rfc3339("/created_at")?;
    let period_start = data.rfc3339("/previous_billing_date")?;
    let period_end = data.rfc3339("/next_billing_date")?;
    data.insist_on_order(period_start, period_end, "/next_billing_date")?;
    let over = matches!(status, "cancelled" | "expired" | "failed");
    let cancelled_at = if over && !scheduled { data.rfc3339("/cancelled_at")? } else { None };
    Ok(Subscription {
        id: data.require("/subscription_id", data.word("/subscription_id"))?.to_owned(),
        product_id: data.word("/product_id")?.map(str::to_owned),
        price,
        quantity: data.count("/quantity", 0..=MOST)?,
        store: Some(Store::Dodo),
        billing_period: billing_period(data)?,
        started_at,
        period_start,
        period_end,
        expires_at: cancelled_at.or(period_end),
        grace_expires_at: data.rfc3339("/past_due_ends_at")?,
        trial_ends_at: started_at.and_then(|start| trial_end(start, trial_days)),
        auto_renew: Some(!scheduled && !over),
        cancel_reason: data.text("/cancellation_feedback").map(str::to_owned),
        ..Subscription::default()
    })
}

fn trial_end(start: Timestamp, days: i64) -> Option<Timestamp> {
    (days > 0).then(|| start.plus_millis(days * DAY))
}

/// How often it is paid for; nothing is said in a unit that is not known.
fn billing_period(data: &Fields<'_>) -> Result<Option<String>, Unreadable> {
    let unit = data.word("/payment_frequency_interval")?.and_then(Unit::parse);
    let count = data.integer("/payment_frequency_count")?.unwrap_or(1);
    Ok(unit.and_then(|unit| unit.duration(count)))
}

/// What it costs a month. The amount is what each payment charges, so the quantity is already in it.
fn rate(data: &Fields<'_>, price: Option<&Money>) -> Result<Option<Rate>, Unreadable> {
    let unit = data.word("/payment_frequency_interval")?.and_then(Unit::parse);
    let count = data.count("/payment_frequency_count", 1..=MOST)?.unwrap_or(1);
    let period = unit.and_then(|unit| Period::of(count, unit));
    Ok(price.zip(period).map(|(price, period)| Rate::of(price, 1, period)))
}
