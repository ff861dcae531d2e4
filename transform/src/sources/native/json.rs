//! From JSON with the lifecycle event's own field names to a lifecycle event.
//!
//! Required are `type`, `occurred_at` and `subscriber.id`. Moments are RFC 3339 text or milliseconds
//! since the epoch; amounts are whole minor units, as everywhere in the lifecycle event. What of it is
//! believed is [`super::plausible`]'s to say.

use schemas::event::{LifecycleEvent, Offer, Payment, Subscriber, Subscription, Transfer};
use schemas::{Environment, EventType, Money, Provider, Timestamp};

use super::super::json::{Fields, Json, Read, parse};
use super::super::{RawView, SourceSettings, Unreadable, person};
use super::plausible::MOST_LISTED;

/// Reads the event told. What only `transform` can say (sequence, source …) is left empty.
pub(super) fn event(
    raw: &RawView<'_>,
    settings: &SourceSettings,
) -> Result<LifecycleEvent, Unreadable> {
    let payload = parse(raw.body)?;
    let body = Fields::of(&payload);
    let told_type = body.require("/type", body.word("/type"))?;
    let provider_event_type = body.word("/provider_event_type")?.unwrap_or(told_type).to_owned();
    let environment = match body.word("/environment")? {
        Some(word) => word.parse().unwrap_or(Environment::Unknown),
        None => settings.environment.unwrap_or(Environment::Production),
    };
    Ok(LifecycleEvent {
        event_id: String::new(),
        ordinal: 0,
        event_type: told_type.parse().unwrap_or(EventType::Unknown),
        occurred_at: body.require("/occurred_at", moment(&body, "/occurred_at"))?,
        received_at: raw.received_at,
        sequence: 0,
        epoch: Timestamp::default(),
        late: false,
        source: String::new(),
        provider: Provider::Native,
        provider_event_id: raw.event_id.to_owned(),
        provider_event_type,
        environment,
        distinct_second: 0,
        subscriber: subscriber(raw, &body, settings)?,
        subscription: subscription(&body)?,
        money: money(&body, "/money")?,
        payment: payment(&body)?,
        offer: offer(&body)?,
        transfer: transfer(&body)?,
        reason: body.text("/reason").map(str::to_owned),
        payload: None,
    })
}

/// Who it is.
pub(super) fn subscriber(
    raw: &RawView<'_>,
    body: &Fields<'_>,
    settings: &SourceSettings,
) -> Result<Subscriber, Unreadable> {
    let learned = person::learn(raw, body, settings);
    let mut attributes = learned.attributes;
    person::attributes(&mut attributes, body, "/subscriber/attributes");
    let id = body.require("/subscriber/id", body.word("/subscriber/id"))?;
    let told_user = body.word("/subscriber/user_id")?.map(str::to_owned);
    Ok(Subscriber {
        key: String::new(),
        id: id.to_owned(),
        user_id: learned.user_id.or(told_user),
        anonymous: body.flag("/subscriber/anonymous")?.unwrap_or(false),
        email: person::email(body, &["/subscriber/email"]),
        aliases: words(body, "/subscriber/aliases")?,
        status: None,
        total_spent: None,
        attributes,
    })
}

fn subscription(body: &Fields<'_>) -> Result<Option<Subscription>, Unreadable> {
    let Some(told) = body.object("/subscription") else {
        return match body.value("/subscription") {
            Some(_) => Err(body.problem("/subscription", "not an object")),
            None => Ok(None),
        };
    };
    listed(&told).map(Some)
}

/// The subscription that an object shows.
pub(super) fn listed(told: &Fields<'_>) -> Result<Subscription, Unreadable> {
    Ok(Subscription {
        id: told.require("/id", told.word("/id"))?.to_owned(),
        product_id: word(told, "/product_id")?,
        plan_id: word(told, "/plan_id")?,
        billing_period: word(told, "/billing_period")?,
        price: money(told, "/price")?,
        quantity: told.integer("/quantity")?,
        entitlements: words(told, "/entitlements")?,
        store: told.word("/store")?.and_then(|word| word.parse().ok()),
        period_type: told.word("/period_type")?.and_then(|word| word.parse().ok()),
        status: told.word("/status")?.and_then(|word| word.parse().ok()),
        previous_status: told.word("/previous_status")?.and_then(|word| word.parse().ok()),
        previous_product_id: word(told, "/previous_product_id")?,
        started_at: moment(told, "/started_at")?,
        period_start: moment(told, "/period_start")?,
        period_end: moment(told, "/period_end")?,
        expires_at: moment(told, "/expires_at")?,
        grace_expires_at: moment(told, "/grace_expires_at")?,
        auto_resume_at: moment(told, "/auto_resume_at")?,
        trial_ends_at: moment(told, "/trial_ends_at")?,
        auto_renew: told.flag("/auto_renew")?,
        cancel_reason: word(told, "/cancel_reason")?,
        expiration_reason: word(told, "/expiration_reason")?,
    })
}

fn payment(body: &Fields<'_>) -> Result<Option<Payment>, Unreadable> {
    match (body.object("/payment"), body.value("/payment")) {
        (Some(told), _) => {
            Ok(Some(Payment { id: word(&told, "/id")?, method: word(&told, "/method")? }))
        }
        (None, Some(_)) => Err(body.problem("/payment", "not an object")),
        (None, None) => Ok(None),
    }
}

fn offer(body: &Fields<'_>) -> Result<Option<Offer>, Unreadable> {
    let kind = body.word("/offer/kind")?.and_then(|word| word.parse().ok());
    let id = body.text("/offer/id").map(str::to_owned);
    Ok(kind.map(|kind| Offer { kind, id }))
}

fn transfer(body: &Fields<'_>) -> Result<Option<Transfer>, Unreadable> {
    match (body.object("/transfer"), body.value("/transfer")) {
        (Some(told), _) => {
            Ok(Some(Transfer { from: words(&told, "/from")?, to: words(&told, "/to")? }))
        }
        (None, Some(_)) => Err(body.problem("/transfer", "not an object")),
        (None, None) => Ok(None),
    }
}

/// An amount in minor units; the digits of its currency are those of ISO 4217 unless it says itself.
pub(super) fn money(fields: &Fields<'_>, pointer: &str) -> Read<Money> {
    if fields.value(pointer).is_none() {
        return Ok(None);
    }
    let (currency, amount) = (format!("{pointer}/currency"), format!("{pointer}/amount"));
    let code = fields.require(&currency, fields.currency(&currency))?;
    let mut money = fields.require(&amount, fields.minor(&amount, code))?;
    if let Some(told) = fields.integer(&format!("{pointer}/exponent"))? {
        // What does not even fit is as absurd as the largest number that does.
        money.exponent = i32::try_from(told).unwrap_or(i32::MAX);
    }
    Ok(Some(money))
}

/// RFC 3339 text or milliseconds since the epoch.
pub(super) fn moment(fields: &Fields<'_>, pointer: &str) -> Read<Timestamp> {
    match fields.value(pointer) {
        Some(Json::String(_)) => fields.rfc3339(pointer),
        _ => fields.millis(pointer),
    }
}

fn word(fields: &Fields<'_>, pointer: &str) -> Read<String> {
    Ok(fields.word(pointer)?.map(str::to_owned))
}

fn words(fields: &Fields<'_>, pointer: &str) -> Result<Vec<String>, Unreadable> {
    let listed = fields.list(pointer, MOST_LISTED)?;
    Ok(listed.iter().filter_map(|element| element.text("").map(str::to_owned)).collect())
}
