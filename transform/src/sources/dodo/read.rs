//! From the bytes of a Dodo webhook to facts.

mod money;
mod subscription;

use schemas::Environment;
use schemas::event::Subscription;
use schemas::state::{Facts, Identity, SubscriptionFacts};

use super::super::json::{Fields, of_unknown_type, parse};
use super::super::{RawView, Reading, SourceSettings, Treatment, Unreadable, person};
use super::{catalogue, detail, rank};

/// Reads one record.
pub(super) fn read(raw: &RawView<'_>, settings: &SourceSettings) -> Reading {
    let also = settings.also.iter().any(|listed| listed == raw.event_type);
    match catalogue::treatment(raw.event_type) {
        Some(Treatment::Ignored(reason)) if !also => return Reading::Ignored(reason),
        None if !also => return of_unknown_type(raw.body),
        Some(_) | None => {}
    }
    match facts(raw, settings) {
        Ok(facts) => Reading::Facts(Box::new(facts)),
        Err(unreadable) => Reading::Parked(unreadable),
    }
}

fn facts(raw: &RawView<'_>, settings: &SourceSettings) -> Result<Facts, Unreadable> {
    let body = parse(raw.body)?;
    let payload = Fields::of(&body);
    let data = payload
        .object("/data")
        .ok_or_else(|| payload.problem("/data", "missing or not an object"))?;
    let occurred_at = payload.require("/timestamp", payload.rfc3339("/timestamp"))?;
    let mut facts = Facts {
        rank: rank::rank(raw.event_type),
        // The payload does not say; a test account is a source of its own.
        environment: settings.environment.unwrap_or(Environment::Production),
        person: who(raw, &payload, &data, settings),
        ..raw.facts(occurred_at)
    };
    if catalogue::treatment(raw.event_type) == Some(Treatment::Mapped) {
        by_family(&data, &mut facts)?;
    }
    Ok(facts)
}

fn by_family(data: &Fields<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let (family, _) = facts.provider_event_type.split_once('.').unwrap_or_default();
    match family {
        "subscription" => subscription::read(data, facts),
        "payment" => money::payment(data, facts),
        "refund" => money::refund(data, facts),
        "dispute" => money::dispute(data, facts),
        "entitlement_grant" => {
            let entitlement = data.require("/entitlement_id", data.word("/entitlement_id"))?;
            facts.details.insert(detail::ENTITLEMENT.to_owned(), entitlement.to_owned());
            facts.subscription = data.word("/subscription_id")?.map(named_only);
            Ok(())
        }
        _ => {
            facts.reason = data.text("/abandonment_reason").map(str::to_owned);
            Ok(())
        }
    }
}

fn who(
    raw: &RawView<'_>,
    payload: &Fields<'_>,
    data: &Fields<'_>,
    settings: &SourceSettings,
) -> Identity {
    let mut identity = person::learn(raw, payload, settings);
    if let Some(customer) = data.object("/customer") {
        identity.email = person::email(&customer, &["/email"]);
        let known_as = [("name", "/name"), ("phone", "/phone_number")];
        for (name, pointer) in known_as {
            person::attribute(&mut identity.attributes, name, customer.value(pointer));
        }
        person::attributes(&mut identity.attributes, &customer, "/metadata");
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
