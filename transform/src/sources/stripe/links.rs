//! Which charges, payment intents and invoices an event shows to be its customer's.
//!
//! Disputes and refunds name such a thing and no customer, and wait under its key. That key is made at
//! the edge from the id as it stands in the body, and so is it here, byte for byte. Only few fields are
//! looked at and nothing is unreadable: what has another shape teaches nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Links;

/// Longest id that is taken for one, in bytes; the edge has the same limit.
const LONGEST: usize = 1024;

/// Objects that name things of their customer.
const TEACHERS: [&str; 5] =
    ["charge.", "payment_intent.", "invoice.", "invoice_payment.", "checkout.session."];

/// Disputes are among the charges' events and are what the links are for.
const LEARNERS: [&str; 1] = ["charge.dispute."];

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: Resource<'a>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    charge: Option<&'a RawValue>,
    #[serde(borrow, default)]
    latest_charge: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payment_intent: Option<&'a RawValue>,
    #[serde(borrow, default)]
    invoice: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Expanded<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
}

/// What the body of an event of this type teaches.
pub(super) fn links(event_type: &str, body: &[u8]) -> Links {
    let begins = |names: &[&str]| names.iter().any(|name| event_type.starts_with(name));
    if !begins(&TEACHERS) || begins(&LEARNERS) {
        return Links::default();
    }
    let Ok(event) = serde_json::from_slice::<Event<'_>>(body) else { return Links::default() };
    let object = event.data.object;
    let own = match object.object.as_deref() {
        Some(kind @ ("charge" | "payment_intent" | "invoice")) => Some((kind, object.id)),
        Some(_) | None => None,
    };
    let named = [
        ("charge", object.charge),
        ("charge", object.latest_charge),
        ("payment_intent", object.payment_intent),
        ("invoice", object.invoice),
    ];
    let things = own.into_iter().chain(named).filter_map(|(kind, field)| {
        let id = reference(field?)?;
        Some(format!("{kind}/{id}"))
    });
    Links { things: things.collect(), aliases: Vec::new() }
}

/// The id in a field that is an id or, expanded, the object with it.
fn reference(field: &RawValue) -> Option<String> {
    text(field).or_else(|| {
        let expanded: Expanded<'_> = serde_json::from_str(field.get()).ok()?;
        text(expanded.id)
    })
}

/// A text as it reads, a number as its digits.
fn text(field: &RawValue) -> Option<String> {
    let raw = field.get();
    let text = match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(raw).ok()?,
        b'-' | b'0'..=b'9' => raw.to_owned(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= LONGEST).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn things(event_type: &str, object: &str) -> Vec<String> {
        let body = format!(r#"{{"type":"{event_type}","data":{{"object":{object}}}}}"#);
        links(event_type, body.as_bytes()).things
    }

    #[test]
    fn a_payment_teaches_itself_and_what_it_names() {
        let charge = r#"{"object":"charge","id":"ch_1","payment_intent":"pi_1","invoice":null}"#;
        assert_eq!(things("charge.succeeded", charge), ["charge/ch_1", "payment_intent/pi_1"]);
        let intent = r#"{"object":"payment_intent","id":"pi_1","latest_charge":{"id":"ch_1"}}"#;
        assert_eq!(
            things("payment_intent.succeeded", intent),
            ["payment_intent/pi_1", "charge/ch_1"]
        );
        let invoice = r#"{"object":"invoice","id":"in_1","charge":"ch_1","lines":{"data":[]}}"#;
        assert_eq!(things("invoice.paid", invoice), ["invoice/in_1", "charge/ch_1"]);
        let session = r#"{"object":"checkout.session","id":"cs_1","payment_intent":"pi_1"}"#;
        assert_eq!(things("checkout.session.completed", session), ["payment_intent/pi_1"]);
    }

    #[test]
    fn an_id_is_read_as_the_edge_reads_it() {
        let odd = r#"{"object":"charge","id":"ch_\u00e9/1","invoice":42,"payment_intent":""}"#;
        assert_eq!(things("charge.updated", odd), ["charge/ch_é/1", "invoice/42"]);
        let long = format!(r#"{{"object":"charge","id":"{}"}}"#, "x".repeat(LONGEST + 1));
        assert!(things("charge.updated", &long).is_empty());
    }

    #[test]
    fn what_teaches_nothing_is_no_trouble() {
        let dispute = r#"{"object":"dispute","id":"dp_1","charge":"ch_1"}"#;
        assert!(things("charge.dispute.created", dispute).is_empty());
        assert!(things("customer.updated", r#"{"object":"customer","id":"cus_1"}"#).is_empty());
        assert!(things("charge.succeeded", r#"{"object":7,"id":{}}"#).is_empty());
        assert_eq!(links("charge.succeeded", b"no json"), Links::default());
        assert_eq!(links("charge.succeeded", br#"{"data":{"object":null}}"#), Links::default());
    }
}
