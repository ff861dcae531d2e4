//! An existing subscriber as of a moment: the native type of record that changes state and gives no event.
//!
//! It may be written for a source of any provider, because existing subscribers are the provider's own. What
//! becomes of it is [`import`](crate::advance::import())'s to say. Of what it leaves out nothing is said.

use schemas::state::{Facts, Imported, ImportedSubscription, ImportedTotal};
use schemas::{Environment, Status};

use super::super::json::{Fields, parse};
use super::super::{RawView, Reading, Source, Unreadable};
use super::{event, json, plausible};

/// The `ce_type` of such a record, at sources of every provider.
pub const TYPE: &str = "native.subscriber_imported";

/// Most subscriptions of one subscriber that are believed.
pub(crate) const MOST_SUBSCRIPTIONS: usize = 1000;
/// Most sums of one subscriber that are believed.
const MOST_TOTALS: usize = 64;

/// Reads such a record of `source`.
pub fn read(raw: &RawView<'_>, source: &Source) -> Reading {
    match facts(raw, source) {
        Ok(Some(facts)) => Reading::Facts(Box::new(facts)),
        Ok(None) => Reading::KeyMismatch,
        Err(unreadable) => Reading::Parked(unreadable),
    }
}

/// What it says; `None` when of somebody else than its key.
fn facts(raw: &RawView<'_>, source: &Source) -> Result<Option<Facts>, Unreadable> {
    let payload = parse(raw.body)?;
    let body = Fields::of(&payload);
    let as_of = body.require("/as_of", json::moment(&body, "/as_of"))?;
    let usual = source.settings.environment.unwrap_or(Environment::Production);
    let environment = environment(&body, usual)?;
    let mut subscriber = json::subscriber(raw, &body, &source.settings)?;
    plausible::subscriber(&mut subscriber)?;
    if subscriber.id != raw.subscriber_id {
        return Ok(None);
    }
    let mut person = event::who(&subscriber);
    source.mapper.imported_person(&mut person);
    let mut subscriptions: Vec<ImportedSubscription> = Vec::new();
    for (index, listed) in body.list("/subscriptions", MOST_SUBSCRIPTIONS)?.iter().enumerate() {
        let base = format!("/subscriptions/{index}");
        let told = subscription(listed, &base, environment)?;
        let same = |known: &ImportedSubscription| {
            known.environment == told.environment && known.shown.id == told.shown.id
        };
        if subscriptions.iter().any(same) {
            return Err(listed.problem("/id", "listed twice"));
        }
        subscriptions.push(told);
    }
    Ok(Some(Facts {
        // What happened at that very moment is in it.
        rank: i32::MAX,
        environment,
        person,
        imported: Some(Imported { subscriptions, totals: totals(&body, environment)? }),
        provider_event_type: TYPE.to_owned(),
        ..raw.facts(as_of)
    }))
}

fn environment(told: &Fields<'_>, usual: Environment) -> Result<Environment, Unreadable> {
    let Some(word) = told.word("/environment")? else { return Ok(usual) };
    let known = word.parse().ok().filter(|environment| *environment != Environment::Unknown);
    known.ok_or_else(|| told.problem("/environment", "neither production nor sandbox"))
}

fn totals(body: &Fields<'_>, usual: Environment) -> Result<Vec<ImportedTotal>, Unreadable> {
    let mut totals: Vec<ImportedTotal> = Vec::new();
    for (index, listed) in body.list("/totals", MOST_TOTALS)?.iter().enumerate() {
        let environment = environment(listed, usual)?;
        let mut told = json::money(listed, "")?;
        plausible::money(&format!("/totals/{index}"), &mut told)?;
        let sum = told.ok_or_else(|| listed.problem("", "missing"))?;
        let same = |total: &ImportedTotal| {
            total.environment == environment && total.sum.currency == sum.currency
        };
        if totals.iter().any(same) {
            return Err(listed.problem("/currency", "listed twice"));
        }
        totals.push(ImportedTotal { environment, sum });
    }
    Ok(totals)
}

fn subscription(
    listed: &Fields<'_>,
    base: &str,
    usual: Environment,
) -> Result<ImportedSubscription, Unreadable> {
    let mut shown = json::listed(listed)?;
    plausible::subscription(base, &mut shown)?;
    // What is compared with before is no import's to say.
    shown.previous_status = None;
    shown.previous_product_id = None;
    let status = shown.status.filter(|status| *status != Status::Unknown);
    let status = status.ok_or_else(|| listed.problem("/status", "missing, or no status"))?;
    let in_billing_retry = listed.flag("/in_billing_retry")?.unwrap_or(false);
    if in_billing_retry && status != Status::Expired {
        return Err(listed.problem("/in_billing_retry", "only what is expired is in billing retry"));
    }
    Ok(ImportedSubscription {
        environment: environment(listed, usual)?,
        shown,
        provider_status: listed.word("/provider_status")?.map(str::to_owned),
        collection_paused: listed.flag("/collection_paused")?.unwrap_or(false),
        in_billing_retry,
        pending_product: listed.word("/pending_product_id")?.map(str::to_owned),
    })
}
