//! From the bytes of a RevenueCat webhook to facts.
//!
//! Every field but the type, the time and something to know the subscription by may be missing. A
//! field that is there and has another type than documented is not guessed at: the record is parked.

use std::collections::BTreeMap;

use schemas::event::{Offer, Payment, Subscription, Transfer};
use schemas::state::{Facts, Identity, SubscriptionFacts};
use schemas::vocabulary::{OfferKind, PeriodType, Store};
use schemas::{Environment, Money};

use super::super::json::{Fields, Json, Object, of_unknown_type, parse};
use super::super::{RawView, Reading, SourceSettings, Treatment, Unreadable, person};
use super::{TREATMENTS, detail, rank, transfer};

/// What RevenueCat puts before an id that it made up for somebody not logged in.
pub(super) const ANONYMOUS: &str = "$RCAnonymousID:";
/// Most members of a list that are believed.
pub(super) const MOST_LISTED: usize = 1000;
/// Most ids of one person that are kept.
const MOST_ALIASES: usize = 32;
/// Most entitlements of one subscription that are kept.
const MOST_ENTITLEMENTS: usize = 64;

/// Reads one record.
pub(super) fn read(raw: &RawView<'_>, settings: &SourceSettings) -> Reading {
    let also = settings.also.iter().any(|listed| listed == raw.event_type);
    match TREATMENTS.iter().find(|(name, _)| *name == raw.event_type) {
        Some((_, Treatment::Ignored(reason))) if !also => return Reading::Ignored(reason),
        None if !also => return of_unknown_type(raw.body),
        Some(_) | None => {}
    }
    match facts(raw, settings) {
        Ok(facts) => Reading::Facts(Box::new(facts)),
        Err(unreadable) => Reading::Parked(unreadable),
    }
}

fn facts(raw: &RawView<'_>, settings: &SourceSettings) -> Result<Facts, Unreadable> {
    let payload = parse(raw.body)?;
    let payload = Fields::of(&payload);
    let event = payload
        .object("/event")
        .ok_or_else(|| payload.problem("/event", "missing or not an object"))?;
    let occurred_at = event.require("/event_timestamp_ms", event.millis("/event_timestamp_ms"))?;
    let environment = match event.word("/environment")? {
        Some("PRODUCTION") => Environment::Production,
        Some("SANDBOX") => Environment::Sandbox,
        Some(_) => Environment::Unknown,
        None => settings.environment.unwrap_or(Environment::Production),
    };
    let reason =
        if raw.event_type == "EXPIRATION" { "/expiration_reason" } else { "/cancel_reason" };
    let reason = event.word(reason)?;
    let transfer = transfer::read(&event, raw.event_type)?;
    let subscription = subscription(&event, raw.event_type)?;
    let period_type = subscription.as_ref().and_then(|told| told.shown.period_type);
    Ok(Facts {
        rank: rank::rank(raw.event_type),
        environment,
        person: who(raw, &payload, &event, transfer.as_ref(), settings)?,
        subscription,
        money: money(&event)?,
        payment: payment(&event)?,
        offer: offer(&event, period_type),
        transfer,
        reason: reason.map(str::to_owned),
        details: details(&event, raw.event_type)?,
        ..raw.facts(occurred_at)
    })
}

/// The store's transaction.
fn payment(event: &Fields<'_>) -> Result<Option<Payment>, Unreadable> {
    let id = event.word("/transaction_id")?.map(str::to_owned);
    Ok(id.map(|id| Payment { id: Some(id), method: None }))
}

/// Which subscription it speaks of, and how it shows it. Only a purchase moves the product, the price
/// and the period: elsewhere they may be those of an older transaction.
fn subscription(
    event: &Fields<'_>,
    event_type: &str,
) -> Result<Option<SubscriptionFacts>, Unreadable> {
    let product = event.word("/product_id")?;
    let id = match event.word("/original_transaction_id")? {
        Some(id) => Some(id),
        None => product,
    };
    let Some(id) = id else {
        return match event_type {
            "SUBSCRIBER_ALIAS"
            | "TRANSFER"
            | "PRICE_INCREASE_CONSENT_REQUIRED"
            | "PRICE_INCREASE_CONSENT_APPROVED"
            | "NON_RENEWING_PURCHASE" => Ok(None),
            _ if !is_mapped(event_type) => Ok(None),
            _ => Err(event.problem("/original_transaction_id", "missing, and no product either")),
        };
    };
    if matches!(event_type, "SUBSCRIBER_ALIAS" | "TRANSFER") || !is_mapped(event_type) {
        return Ok(None);
    }
    let purchase = matches!(event_type, "INITIAL_PURCHASE" | "RENEWAL" | "NON_RENEWING_PURCHASE");
    let period_type = event.word("/period_type")?.map(period_type);
    let purchased_at = event.millis("/purchased_at_ms")?;
    let expires_at = event.millis("/expiration_at_ms")?;
    if purchase {
        event.insist_on_order(purchased_at, expires_at, "/expiration_at_ms")?;
    }
    let price = if purchase { money(event)?.filter(|price| price.amount > 0) } else { None };
    let shown = Subscription {
        id: id.to_owned(),
        product_id: product.map(str::to_owned),
        price,
        entitlements: entitlements(event)?,
        store: event.word("/store")?.map(store),
        period_type,
        started_at: purchased_at.filter(|_| event_type == "INITIAL_PURCHASE"),
        period_start: purchased_at.filter(|_| purchase),
        period_end: expires_at.filter(|_| purchase),
        expires_at,
        grace_expires_at: event.millis("/grace_period_expiration_at_ms")?,
        auto_resume_at: event.millis("/auto_resume_at_ms")?,
        trial_ends_at: expires_at.filter(|_| period_type == Some(PeriodType::Trial)),
        cancel_reason: event.word("/cancel_reason")?.map(str::to_owned),
        expiration_reason: event.word("/expiration_reason")?.map(str::to_owned),
        ..Subscription::default()
    };
    Ok(Some(SubscriptionFacts { shown, ..SubscriptionFacts::default() }))
}

fn is_mapped(event_type: &str) -> bool {
    TREATMENTS.contains(&(event_type, Treatment::Mapped))
}

fn period_type(word: &str) -> PeriodType {
    match word {
        "NORMAL" => PeriodType::Normal,
        "TRIAL" => PeriodType::Trial,
        "INTRO" => PeriodType::Intro,
        "PROMOTIONAL" => PeriodType::Promotional,
        "PREPAID" => PeriodType::Prepaid,
        _ => PeriodType::Unknown,
    }
}

fn store(word: &str) -> Store {
    match word {
        "APP_STORE" => Store::AppStore,
        "MAC_APP_STORE" => Store::MacAppStore,
        "PLAY_STORE" => Store::PlayStore,
        "AMAZON" => Store::Amazon,
        "STRIPE" => Store::Stripe,
        "PADDLE" => Store::Paddle,
        "RC_BILLING" => Store::RcBilling,
        "ROKU" => Store::Roku,
        "PROMOTIONAL" => Store::Promotional,
        "TEST_STORE" => Store::TestStore,
        _ => Store::Unknown,
    }
}

/// The entitlements named. Null means that none is known here, and never all of them.
fn entitlements(event: &Fields<'_>) -> Result<Vec<String>, Unreadable> {
    let named: Vec<String> = event
        .list("/entitlement_ids", MOST_LISTED)?
        .iter()
        .filter_map(|element| element.text("").map(str::to_owned))
        .take(MOST_ENTITLEMENTS)
        .collect();
    if named.is_empty() {
        Ok(event.text("/entitlement_id").map(str::to_owned).into_iter().collect())
    } else {
        Ok(named)
    }
}

/// What the customer paid, in their currency. Family sharing and granted access cost nobody anything,
/// whatever price is shown with them.
fn money(event: &Fields<'_>) -> Result<Option<Money>, Unreadable> {
    if event.flag("/is_family_share")? == Some(true) || event.word("/store")? == Some("PROMOTIONAL")
    {
        return Ok(None);
    }
    match event.currency("/currency")? {
        Some(currency) => event.major("/price_in_purchased_currency", currency),
        None => Ok(None),
    }
}

/// The offer: what kind is known by the period, or by a code that was redeemed.
fn offer(event: &Fields<'_>, period_type: Option<PeriodType>) -> Option<Offer> {
    let code = event.text("/offer_code");
    let kind = match period_type {
        Some(PeriodType::Trial) => OfferKind::FreeTrial,
        Some(PeriodType::Intro) => OfferKind::IntroOffer,
        Some(
            PeriodType::Normal
            | PeriodType::Promotional
            | PeriodType::Prepaid
            | PeriodType::Unknown,
        )
        | None => code.map(|_| OfferKind::PromoCode)?,
    };
    Some(Offer { kind, id: code.map(str::to_owned) })
}

fn details(event: &Fields<'_>, event_type: &str) -> Result<BTreeMap<String, String>, Unreadable> {
    let mut details = BTreeMap::new();
    let mut note = |name: &str, value: &str| details.insert(name.to_owned(), value.to_owned());
    if event.flag("/is_trial_conversion")? == Some(true) {
        note(detail::TRIAL_CONVERSION, "true");
    }
    if let Some(product) = event.word("/new_product_id")? {
        note(detail::NEW_PRODUCT, product);
    }
    if let Some(transaction) = event.word("/transaction_id")? {
        note(detail::TRANSACTION, transaction);
    }
    let granted = event.word("/store")? == Some("PROMOTIONAL")
        || event.word("/period_type")? == Some("PROMOTIONAL");
    if event_type == "NON_RENEWING_PURCHASE" && !granted {
        note(detail::ONE_TIME, "true");
    }
    Ok(details)
}

/// The person. Everybody is looked for by all their ids, and the first that RevenueCat did not make up
/// is the app's own. Of a transfer, the ids of one list are one person's.
fn who(
    raw: &RawView<'_>,
    payload: &Fields<'_>,
    event: &Fields<'_>,
    transfer: Option<&Transfer>,
    settings: &SourceSettings,
) -> Result<Identity, Unreadable> {
    let mut identity = person::learn(raw, payload, settings);
    let listed = event.list("/aliases", MOST_LISTED)?;
    let ids: Vec<&str> = ["/app_user_id", "/original_app_user_id"]
        .into_iter()
        .filter_map(|pointer| event.text(pointer))
        .chain(listed.iter().filter_map(|alias| alias.text("")))
        .chain(transfer.into_iter().flat_map(|both| transfer::side(both, raw.role)))
        .collect();
    let named = ids.iter().find(|id| !id.starts_with(ANONYMOUS));
    identity.user_id = identity.user_id.or_else(|| named.map(|id| (*id).to_owned()));
    identity.anonymous = identity.user_id.is_none() && raw.subscriber_id.starts_with(ANONYMOUS);
    for id in ids {
        let known = id == identity.id || identity.aliases.iter().any(|alias| alias == id);
        if !known && identity.aliases.len() < MOST_ALIASES {
            identity.aliases.push(id.to_owned());
        }
    }
    attributes(event, &mut identity);
    Ok(identity)
}

/// Who is anonymous of those that an import tells, and by which id somebody is known who is not.
pub(super) fn imported(identity: &mut Identity) {
    let ids = std::iter::once(&identity.id).chain(&identity.aliases);
    let named = ids.into_iter().find(|id| !id.starts_with(ANONYMOUS)).cloned();
    identity.user_id = identity.user_id.take().or(named);
    identity.anonymous = identity.user_id.is_none();
}

/// Attributes the app set, and of RevenueCat's reserved ones (`$…`) those that say who somebody is;
/// advertising and device ids are left alone.
fn attributes(event: &Fields<'_>, identity: &mut Identity) {
    identity.email = person::email(event, &["/subscriber_attributes/$email/value"]);
    let into = &mut identity.attributes;
    for (name, reserved) in
        [("name", "$displayName"), ("phone", "$phoneNumber"), ("$customerioId", "$customerioId")]
    {
        let value = event.value(&format!("/subscriber_attributes/{reserved}/value"));
        person::attribute(into, name, value);
    }
    person::attribute(into, "app_id", event.value("/app_id"));
    let set = event.value("/subscriber_attributes").and_then(Json::as_object);
    let members = set.into_iter().flat_map(Object::members);
    for (name, attribute) in members.filter(|(name, _)| !name.starts_with('$')) {
        person::attribute(into, name, attribute.as_object().and_then(|set| set.get("value")));
    }
}
