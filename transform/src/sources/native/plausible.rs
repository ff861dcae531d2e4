//! What of a lifecycle event is believed, however it was written.
//!
//! What a producer says is kept in the subscriber's state and repeated in every event, so nothing it says
//! may be without bounds. What decides something and is absurd parks the record, with the way to the
//! field; what decides nothing is left out. An empty text says nothing, as everywhere.

use schemas::event::{LifecycleEvent, Subscription};
use schemas::{Money, Timestamp};

use super::super::json::{LARGEST_AMOUNT, LAST_MILLISECOND, LONGEST_WORD, is_currency};
use super::super::{Unreadable, person};

/// Most members of a list that are believed, and most of them that are kept.
pub(super) const MOST_LISTED: usize = 1000;
const MOST_KEPT: usize = 64;
/// Most units of something that somebody buys.
const MOST_UNITS: i64 = 1_000_000_000;
/// Most decimal digits of a currency.
const MOST_DIGITS: i32 = 4;

/// The event as far as it is believed, or what is absurd about it.
pub(super) fn plausible(mut event: LifecycleEvent) -> Result<LifecycleEvent, Unreadable> {
    moment("/occurred_at", Some(event.occurred_at))?;
    name("/provider_event_type", &event.provider_event_type)?;
    let subscriber = &mut event.subscriber;
    name("/subscriber/id", &subscriber.id)?;
    word("/subscriber/user_id", &mut subscriber.user_id)?;
    subscriber.email = subscriber.email.take().filter(|address| person::may_be_email(address));
    words("/subscriber/aliases", &mut subscriber.aliases)?;
    if let Some(told) = &mut event.subscription {
        subscription(told)?;
    }
    money("/money", &mut event.money)?;
    if let Some(payment) = &mut event.payment {
        word("/payment/id", &mut payment.id)?;
        word("/payment/method", &mut payment.method)?;
    }
    if let Some(offer) = &mut event.offer {
        text(&mut offer.id);
    }
    if let Some(transfer) = &mut event.transfer {
        words("/transfer/from", &mut transfer.from)?;
        words("/transfer/to", &mut transfer.to)?;
    }
    text(&mut event.reason);
    Ok(event)
}

fn subscription(told: &mut Subscription) -> Result<(), Unreadable> {
    if told.id.is_empty() {
        return absurd("/subscription/id", "missing");
    }
    name("/subscription/id", &told.id)?;
    word("/subscription/product_id", &mut told.product_id)?;
    word("/subscription/plan_id", &mut told.plan_id)?;
    word("/subscription/billing_period", &mut told.billing_period)?;
    money("/subscription/price", &mut told.price)?;
    if told.quantity.is_some_and(|quantity| !(0..=MOST_UNITS).contains(&quantity)) {
        return absurd("/subscription/quantity", "an absurd number");
    }
    words("/subscription/entitlements", &mut told.entitlements)?;
    word("/subscription/previous_product_id", &mut told.previous_product_id)?;
    moment("/subscription/started_at", told.started_at)?;
    moment("/subscription/period_start", told.period_start)?;
    moment("/subscription/period_end", told.period_end)?;
    if told.period_start.zip(told.period_end).is_some_and(|(start, end)| end < start) {
        return absurd("/subscription/period_end", "the end of a negative period");
    }
    moment("/subscription/expires_at", told.expires_at)?;
    moment("/subscription/grace_expires_at", told.grace_expires_at)?;
    moment("/subscription/auto_resume_at", told.auto_resume_at)?;
    moment("/subscription/trial_ends_at", told.trial_ends_at)?;
    word("/subscription/cancel_reason", &mut told.cancel_reason)?;
    word("/subscription/expiration_reason", &mut told.expiration_reason)
}

fn moment(path: &str, told: Option<Timestamp>) -> Result<(), Unreadable> {
    match told {
        Some(moment) if !(0..=LAST_MILLISECOND).contains(&moment.millis()) => {
            absurd(path, "an absurd time")
        }
        Some(_) | None => Ok(()),
    }
}

/// An amount, in a currency that is written one way only: sums are kept by it.
fn money(path: &str, told: &mut Option<Money>) -> Result<(), Unreadable> {
    let Some(money) = told else { return Ok(()) };
    if !is_currency(&money.currency) {
        return absurd(&format!("{path}/currency"), "not a currency code");
    }
    if !(-LARGEST_AMOUNT..=LARGEST_AMOUNT).contains(&money.amount) {
        return absurd(&format!("{path}/amount"), "an absurd amount");
    }
    if !(0..=MOST_DIGITS).contains(&money.exponent) {
        return absurd(&format!("{path}/exponent"), "absurd");
    }
    money.currency.make_ascii_uppercase();
    Ok(())
}

/// An id or a word that decides something.
fn word(path: &str, told: &mut Option<String>) -> Result<(), Unreadable> {
    *told = told.take().filter(|word| !word.is_empty());
    told.as_ref().map_or(Ok(()), |word| name(path, word))
}

fn name(path: &str, told: &str) -> Result<(), Unreadable> {
    if told.len() > LONGEST_WORD { absurd(path, "absurdly long") } else { Ok(()) }
}

/// Text that decides nothing.
fn text(told: &mut Option<String>) {
    *told = told.take().filter(|text| is_word(text));
}

/// A list of words; members that are none are left out.
fn words(path: &str, told: &mut Vec<String>) -> Result<(), Unreadable> {
    if told.len() > MOST_LISTED {
        return absurd(path, "an absurdly long list");
    }
    told.retain(|word| is_word(word));
    told.truncate(MOST_KEPT);
    Ok(())
}

fn is_word(text: &str) -> bool {
    (1..=LONGEST_WORD).contains(&text.len())
}

fn absurd(path: &str, problem: &'static str) -> Result<(), Unreadable> {
    Err(Unreadable { path: path.to_owned(), problem })
}
