//! From the bytes of a Stripe event to facts.
//!
//! What a row of the mapping hangs on must be there and of its type, or the record is parked with the
//! place of the problem; decoration (names, comments) is left out when it is not usable.

mod digits;
mod money;
mod schedule;
mod subscription;

use schemas::Environment;
use schemas::event::Subscription;
use schemas::state::{Facts, Identity, SubscriptionFacts};

use super::super::advice::THIN_EVENT;
use super::super::json::{Fields, of_unknown_type, parse};
use super::super::{RawView, Reading, SourceSettings, Treatment, Unreadable, person};
use super::{Family, catalogue, detail, rank};

/// Reads one record.
pub(super) fn read(raw: &RawView<'_>, settings: &SourceSettings) -> Reading {
    if raw.event_type.starts_with("v1.") || raw.event_type.starts_with("v2.") {
        return Reading::Ignored(THIN_EVENT);
    }
    let also = settings.also.iter().any(|listed| listed == raw.event_type);
    match catalogue::treatment(raw.event_type) {
        Some(Treatment::Ignored(reason)) if !also && reason != catalogue::LINK_ONLY => {
            return Reading::Ignored(reason);
        }
        None if !also => return of_unknown_type(raw.body),
        Some(_) | None => {}
    }
    match facts(raw, settings) {
        Ok(Some(facts)) => Reading::Facts(Box::new(facts)),
        Ok(None) => Reading::Ignored(THIN_EVENT),
        Err(unreadable) => Reading::Parked(unreadable),
    }
}

/// The facts; `None` for a thin event.
fn facts(raw: &RawView<'_>, settings: &SourceSettings) -> Result<Option<Facts>, Unreadable> {
    let body = parse(raw.body)?;
    let payload = Fields::of(&body);
    if payload.text("/object") == Some("v2.core.event") {
        return Ok(None);
    }
    let object = payload
        .object("/data/object")
        .ok_or_else(|| payload.problem("/data/object", "missing or not an object"))?;
    let previous = payload.object("/data/previous_attributes");
    let family = Family::of(raw.event_type);
    let occurred_at = payload.require("/created", payload.seconds("/created"))?;
    let mut facts = Facts {
        rank: rank::rank(raw.event_type),
        environment: environment(&payload, settings)?,
        person: who(raw, &payload, &object, family, settings),
        ..raw.facts(occurred_at)
    };
    match family {
        Family::Subscription => subscription::read(&object, previous.as_ref(), &mut facts)?,
        Family::Invoice => money::invoice(&object, &mut facts)?,
        Family::Checkout => money::checkout(&object, &mut facts)?,
        Family::ChargeRefund => money::charge_refund(&object, previous.as_ref(), &mut facts)?,
        Family::Refund => money::refund(&object, &mut facts)?,
        Family::Dispute => money::dispute(&object, &mut facts)?,
        Family::Schedule => schedule::read(&object, &mut facts)?,
        Family::Customer => {
            if customer_changed(previous.as_ref()) {
                facts.details.insert(detail::CHANGED.to_owned(), String::new());
            }
        }
        Family::Link | Family::PassedOn => {}
    }
    Ok(Some(facts))
}

fn environment(payload: &Fields<'_>, settings: &SourceSettings) -> Result<Environment, Unreadable> {
    match (payload.flag("/livemode")?, settings.environment) {
        (Some(true), _) => Ok(Environment::Production),
        (Some(false), _) => Ok(Environment::Sandbox),
        (None, Some(configured)) => Ok(configured),
        (None, None) => Err(payload.problem("/livemode", "missing")),
    }
}

/// Whether an update speaks of something we tell of a customer; without a word on what changed, yes.
fn customer_changed(previous: Option<&Fields<'_>>) -> bool {
    previous.is_none_or(|previous| {
        ["/email", "/name", "/phone", "/metadata"].iter().any(|told| previous.has(told))
    })
}

/// What the object says about its customer. The billing details of a charge are those of the card's
/// holder, who may be somebody else, and are not believed.
fn who(
    raw: &RawView<'_>,
    payload: &Fields<'_>,
    object: &Fields<'_>,
    family: Family,
    settings: &SourceSettings,
) -> Identity {
    let mut identity = person::learn(raw, payload, settings);
    let expanded = object.object("/customer");
    let (fields, prefix) = match family {
        Family::Customer => (Some(object), ""),
        Family::Invoice if expanded.is_none() => (Some(object), "/customer_"),
        Family::Checkout if expanded.is_none() => (Some(object), "/customer_details/"),
        Family::Subscription
        | Family::Invoice
        | Family::Checkout
        | Family::ChargeRefund
        | Family::Refund
        | Family::Dispute
        | Family::Schedule
        | Family::Link
        | Family::PassedOn => (expanded.as_ref(), ""),
    };
    let Some(fields) = fields else { return identity };
    let at =
        |name: &str| if prefix.is_empty() { format!("/{name}") } else { format!("{prefix}{name}") };
    identity.email = person::email(fields, &[&at("email"), "/customer_email"]);
    for name in ["name", "phone"] {
        person::attribute(&mut identity.attributes, name, fields.value(&at(name)));
    }
    if prefix.is_empty() {
        person::attributes(&mut identity.attributes, fields, "/metadata");
    }
    identity
}

/// Facts about a subscription of which only the id is said.
fn named_only(id: &str) -> SubscriptionFacts {
    SubscriptionFacts {
        shown: Subscription { id: id.to_owned(), ..Subscription::default() },
        ..SubscriptionFacts::default()
    }
}
