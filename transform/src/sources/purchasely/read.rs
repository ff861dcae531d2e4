//! From the bytes of a Purchasely webhook to facts.
//!
//! Moments come twice, as milliseconds and as text; either will do. Amounts come in the customer's
//! currency, and in the app's under a name that ends in it (`amount_in_eur`): the customer's counts,
//! the other only where the first is missing.

use std::collections::BTreeMap;

use schemas::event::{Offer, Subscription, Transfer};
use schemas::state::{Facts, Identity, SubscriptionFacts};
use schemas::vocabulary::{OfferKind, PeriodType, Store};
use schemas::{Environment, Money, Timestamp};

use super::super::advice::UNSUPPORTED_API_VERSION;
use super::super::json::{Fields, Json, Object, Read, is_currency, parse};
use super::super::{RawView, Reading, SourceSettings, Treatment, Unreadable, person};
use super::meaning::{TREATMENTS, offer_event};
use super::{detail, rank};

/// The version of the body that is understood.
const API_VERSION: i64 = 3;

/// Reads one record.
pub(super) fn read(raw: &RawView<'_>, settings: &SourceSettings) -> Reading {
    let payload = match parse(raw.body) {
        Ok(payload) => payload,
        Err(unreadable) => return Reading::Parked(unreadable),
    };
    let body = Fields::of(&payload);
    if is_another_version(&body) {
        return Reading::Ignored(UNSUPPORTED_API_VERSION);
    }
    let also = settings.also.iter().any(|listed| listed == raw.event_type);
    match TREATMENTS.iter().find(|(name, _)| *name == raw.event_type) {
        Some((_, Treatment::Ignored(reason))) if !also => return Reading::Ignored(reason),
        None if !also => return Reading::Ignored("unknown_event_type"),
        Some(_) | None => {}
    }
    match facts(raw, &body, settings) {
        Ok(facts) => Reading::Facts(Box::new(facts)),
        Err(unreadable) => Reading::Parked(unreadable),
    }
}

/// A body of version 2 nests what is told under `properties` and calls itself by `name`.
fn is_another_version(body: &Fields<'_>) -> bool {
    match body.value("/api_version") {
        Some(version) => version.as_i64() != Some(API_VERSION),
        None => !body.has("/event_name") && body.has("/name"),
    }
}

fn facts(
    raw: &RawView<'_>,
    body: &Fields<'_>,
    settings: &SourceSettings,
) -> Result<Facts, Unreadable> {
    let occurred_at = body.require("/event_created_at_ms", moment(body, "event_created_at"))?;
    let environment = match body.word("/environment")? {
        Some("PRODUCTION") => Environment::Production,
        Some("SANDBOX") => Environment::Sandbox,
        Some(_) => Environment::Unknown,
        None => settings.environment.unwrap_or(Environment::Production),
    };
    let one_time = is_one_time(body, raw.event_type)?;
    let mut details = BTreeMap::new();
    if one_time {
        details.insert(detail::ONE_TIME.to_owned(), "true".to_owned());
    }
    if let Some(source) = body.word("/source_event_name")? {
        details.insert(detail::SOURCE_EVENT.to_owned(), source.to_owned());
    }
    let moves_money = raw.event_type == "TRANSACTION_PROCESSED";
    Ok(Facts {
        rank: rank::rank(raw.event_type),
        environment,
        person: who(raw, body, settings),
        subscription: subscription(body, raw.event_type, one_time)?,
        money: if moves_money { amount(body, "amount")? } else { None },
        offer: offer(body, raw.event_type)?,
        transfer: transfer(body, raw.subscriber_id)?,
        details,
        ..raw.facts(occurred_at)
    })
}

fn is_one_time(body: &Fields<'_>, event_type: &str) -> Result<bool, Unreadable> {
    let kept = matches!(
        body.word("/purchase_type")?,
        Some("CONSUMABLE" | "NON_CONSUMABLE" | "NON_RENEWING_SUBSCRIPTION")
    );
    Ok(kept || event_type.starts_with("ONE_TIME_PURCHASE_"))
}

fn subscription(
    body: &Fields<'_>,
    event_type: &str,
    one_time: bool,
) -> Result<Option<SubscriptionFacts>, Unreadable> {
    let (own, of_store) = if one_time {
        ("/purchasely_one_time_purchase_id", "/store_transaction_id")
    } else {
        ("/purchasely_subscription_id", "/store_original_transaction_id")
    };
    let id = match body.word(own)? {
        Some(id) => Some(id),
        None => body.word(of_store)?,
    };
    let Some(id) = id else {
        let mapped = TREATMENTS.contains(&(event_type, Treatment::Mapped));
        return if one_time || !mapped {
            Ok(None)
        } else {
            Err(body.problem(own, "missing, and no transaction of the store either"))
        };
    };
    let renews_at = moment(body, "next_renewal_at")?;
    let mut expires_at = moment(body, "effective_next_renewal_at")?.or(renews_at);
    if event_type == "SUBSCRIPTION_DEFERRED" {
        expires_at = moment(body, "defer_end_at")?.or(expires_at);
    }
    let period_type = body.word("/offer_type")?.map(period_type);
    let provider_status = body.word("/subscription_status")?;
    let purchased_at = moment(body, "purchased_at")?;
    if !matches!(provider_status, Some("DEACTIVATED" | "REVOKED")) {
        // The renewal of what is over may have been due before it was bought for the last time.
        body.insist_on_order(purchased_at, renews_at, "/next_renewal_at")?;
    }
    let shown = Subscription {
        id: id.to_owned(),
        product_id: first_word(body, &["/product", "/store_product_id"])?,
        plan_id: first_word(body, &["/plan"])?,
        price: amount(body, "plan_price")?,
        store: body.word("/store")?.map(store),
        period_type,
        started_at: moment(body, "original_purchased_at")?,
        period_start: purchased_at,
        period_end: renews_at,
        expires_at,
        grace_expires_at: moment(body, "grace_period_expires_at")?,
        auto_resume_at: moment(body, "auto_resume_at")?,
        trial_ends_at: renews_at.filter(|_| period_type == Some(PeriodType::Trial)),
        ..Subscription::default()
    };
    let provider_status = provider_status.map(str::to_owned);
    Ok(Some(SubscriptionFacts { shown, provider_status, ..SubscriptionFacts::default() }))
}

fn first_word(body: &Fields<'_>, pointers: &[&str]) -> Result<Option<String>, Unreadable> {
    for pointer in pointers {
        if let Some(word) = body.word(pointer)? {
            return Ok(Some(word.to_owned()));
        }
    }
    Ok(None)
}

/// A moment by its name: `<name>_ms`, else `<name>` as text.
fn moment(body: &Fields<'_>, name: &str) -> Read<Timestamp> {
    match body.millis(&format!("/{name}_ms"))? {
        Some(moment) => Ok(Some(moment)),
        None => body.rfc3339(&format!("/{name}")),
    }
}

/// An amount by its name: what the customer paid, else what the app was paid in its own currency.
fn amount(body: &Fields<'_>, name: &str) -> Read<Money> {
    if let Some(currency) = body.currency("/customer_currency")? {
        let paid = body.major(&format!("/{name}_in_customer_currency"), currency)?;
        if paid.is_some() {
            return Ok(paid);
        }
    }
    let prefix = format!("{name}_in_");
    let mut names = body.value("").and_then(Json::as_object).into_iter().flat_map(Object::members);
    let in_app_currency = names.find_map(|(field, value)| {
        let code = field.strip_prefix(&prefix).filter(|_| !matches!(value, Json::Null))?;
        is_currency(code).then_some((field, code))
    });
    match in_app_currency {
        Some((field, code)) => body.major(&format!("/{field}"), code),
        None => Ok(None),
    }
}

fn period_type(offer_type: &str) -> PeriodType {
    match offer_type {
        "NONE" => PeriodType::Normal,
        "FREE_TRIAL" => PeriodType::Trial,
        "INTRO_OFFER" | "PROMO_CODE" | "PROMOTIONAL_OFFER" => PeriodType::Intro,
        _ => PeriodType::Unknown,
    }
}

/// Two stores are spelled in two ways: as the documentation does, and as Purchasely's own consumer.
fn store(word: &str) -> Store {
    match word {
        "APPLE_APP_STORE" => Store::AppStore,
        "GOOGLE_PLAY_STORE" => Store::PlayStore,
        "AMAZON_APPSTORE" | "AMAZON_APP_STORE" => Store::Amazon,
        "HUAWEI_APPGALLERY" | "HUAWEI_APP_GALLERY" => Store::HuaweiAppGallery,
        "STRIPE" => Store::Stripe,
        _ => Store::Unknown,
    }
}

/// The offer: by the event's name where that names one (the period then no longer shows an offer that
/// ended), else by the period.
fn offer(body: &Fields<'_>, event_type: &str) -> Result<Option<Offer>, Unreadable> {
    let kind = match (offer_event(event_type), body.word("/offer_type")?) {
        (Some((_, kind)), _) => kind,
        (None, Some("FREE_TRIAL")) => OfferKind::FreeTrial,
        (None, Some("INTRO_OFFER")) => OfferKind::IntroOffer,
        (None, Some("PROMO_CODE")) => OfferKind::PromoCode,
        (None, Some("PROMOTIONAL_OFFER")) => OfferKind::PromotionalOffer,
        (None, Some(_) | None) => return Ok(None),
    };
    Ok(Some(Offer { kind, id: body.text("/offer_identifier").map(str::to_owned) }))
}

/// From whom it came or to whom it went; each side has its own event, and the other side is named.
fn transfer(body: &Fields<'_>, own: &str) -> Result<Option<Transfer>, Unreadable> {
    let own = vec![own.to_owned()];
    let from =
        first_word(body, &["/transferred_from_user_id", "/transferred_from_anonymous_user_id"])?;
    if let Some(from) = from {
        return Ok(Some(Transfer { from: vec![from], to: own }));
    }
    let to = first_word(body, &["/transferred_to_user_id", "/transferred_to_anonymous_user_id"])?;
    Ok(to.map(|to| Transfer { from: own, to: vec![to] }))
}

fn who(raw: &RawView<'_>, body: &Fields<'_>, settings: &SourceSettings) -> Identity {
    let mut identity = person::learn(raw, body, settings);
    let logged_in = body.text("/user_id").map(str::to_owned);
    let made_up = body.text("/anonymous_user_id");
    identity.user_id = identity.user_id.or(logged_in);
    identity.anonymous = identity.user_id.is_none() && made_up.is_some();
    let other = made_up.filter(|id| *id != identity.id);
    identity.aliases.extend(other.map(str::to_owned));
    identity
}
