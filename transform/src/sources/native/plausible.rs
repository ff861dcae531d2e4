//! What of a lifecycle event is believed, however it was written.
//!
//! What a producer says is kept in the subscriber's state and repeated in every event, so nothing it says
//! may be without bounds. What decides something and is absurd parks the record, with the way to the
//! field; what decides nothing is left out. An empty text says nothing, as everywhere.

use schemas::event::{LifecycleEvent, Subscriber, Subscription};
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
    subscriber(&mut event.subscriber)?;
    if let Some(told) = &mut event.subscription {
        subscription("/subscription", told)?;
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

/// Who it is, as far as it is believed.
pub(super) fn subscriber(told: &mut Subscriber) -> Result<(), Unreadable> {
    name("/subscriber/id", &told.id)?;
    word("/subscriber/user_id", &mut told.user_id)?;
    told.email = told.email.take().filter(|address| person::may_be_email(address));
    words("/subscriber/aliases", &mut told.aliases)
}

/// The subscription told at `base`, as far as it is believed.
pub(super) fn subscription(base: &str, told: &mut Subscription) -> Result<(), Unreadable> {
    let at = |field: &str| format!("{base}/{field}");
    if told.id.is_empty() {
        return absurd(&at("id"), "missing");
    }
    name(&at("id"), &told.id)?;
    word(&at("product_id"), &mut told.product_id)?;
    word(&at("plan_id"), &mut told.plan_id)?;
    word(&at("billing_period"), &mut told.billing_period)?;
    money(&at("price"), &mut told.price)?;
    if told.quantity.is_some_and(|quantity| !(0..=MOST_UNITS).contains(&quantity)) {
        return absurd(&at("quantity"), "an absurd number");
    }
    words(&at("entitlements"), &mut told.entitlements)?;
    word(&at("previous_product_id"), &mut told.previous_product_id)?;
    moment(&at("started_at"), told.started_at)?;
    moment(&at("period_start"), told.period_start)?;
    moment(&at("period_end"), told.period_end)?;
    if told.period_start.zip(told.period_end).is_some_and(|(start, end)| end < start) {
        return absurd(&at("period_end"), "the end of a negative period");
    }
    moment(&at("expires_at"), told.expires_at)?;
    moment(&at("grace_expires_at"), told.grace_expires_at)?;
    moment(&at("auto_resume_at"), told.auto_resume_at)?;
    moment(&at("trial_ends_at"), told.trial_ends_at)?;
    word(&at("cancel_reason"), &mut told.cancel_reason)?;
    word(&at("expiration_reason"), &mut told.expiration_reason)
}

/// A moment in historic time.
pub(super) fn moment(path: &str, told: Option<Timestamp>) -> Result<(), Unreadable> {
    match told {
        Some(moment) if !(0..=LAST_MILLISECOND).contains(&moment.millis()) => {
            absurd(path, "an absurd time")
        }
        Some(_) | None => Ok(()),
    }
}

/// An amount, in a currency that is written one way only: sums are kept by it.
pub(super) fn money(path: &str, told: &mut Option<Money>) -> Result<(), Unreadable> {
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
