//! Reading an event: its contact, its time, its name, and what Intercom keeps of its metadata.

use serde_json::{Map, Value};

use super::contacts::Reference;
use super::refusals::Refusal;
use crate::violations::{Findings, Rule};

/// Keys kept of an event's metadata, in the order in which they were sent.
const METADATA_LIMIT: usize = 10;
/// Unix seconds have ten digits from 2001 to 2286.
pub(super) const UNIX_SECONDS: std::ops::RangeInclusive<u64> = 1_000_000_000..=9_999_999_999;

/// An event as Intercom reads it.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) contact: Reference,
    pub(super) name: String,
    pub(super) created_at: u64,
    pub(super) metadata: Map<String, Value>,
}

/// Reads the body of `POST /events`.
pub(super) fn read(
    body: &Map<String, Value>,
    findings: &mut Findings,
) -> Result<Submission, Refusal> {
    for field in body.keys() {
        let known = ["event_name", "created_at", "id", "user_id", "email", "metadata"];
        if !known.contains(&field.as_str()) {
            findings.note(Rule::UnknownField, field.clone());
        }
    }
    let sent = match body.get("event_name") {
        Some(Value::String(name)) if !name.trim().is_empty() => name,
        Some(Value::String(_) | Value::Null) | None => return Err(Refusal::missing("event_name")),
        Some(_) => return Err(Refusal::invalid(Rule::InvalidField, "event_name", "is no text")),
    };
    let name = sent.trim().replace(['.', '$'], "-");
    if name != *sent {
        findings.note(Rule::EventNameRewritten, "dots, dollar signs or outer spaces");
    }
    let created_at = match body.get("created_at") {
        None | Some(Value::Null) => return Err(Refusal::missing("created_at")),
        Some(value) => {
            value.as_u64().filter(|seconds| UNIX_SECONDS.contains(seconds)).ok_or_else(|| {
                Refusal::invalid(Rule::NotUnixSeconds, "created_at", "is not in Unix seconds")
            })?
        }
    };
    let contact = reference(body, findings)?;
    let metadata = match body.get("metadata") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(metadata)) => kept(metadata, findings)?,
        Some(_) => return Err(Refusal::invalid(Rule::InvalidField, "metadata", "is no object")),
    };
    Ok(Submission { contact, name, created_at, metadata })
}

fn reference(body: &Map<String, Value>, findings: &mut Findings) -> Result<Reference, Refusal> {
    let mut references = Vec::new();
    for (field, kind) in [
        ("id", Reference::ContactId as fn(String) -> Reference),
        ("user_id", Reference::ExternalId),
        ("email", Reference::Email),
    ] {
        match body.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if !text.is_empty() => references.push(kind(text.clone())),
            Some(_) => return Err(Refusal::invalid(Rule::InvalidField, field, "is no text")),
        }
    }
    if references.len() > 1 {
        findings.note(Rule::NotOneIdentifier, "more than one of id, user_id, email");
    }
    references.into_iter().next().ok_or_else(|| {
        let message = "one of id, user_id, email is required";
        let rule = Rule::NotOneIdentifier;
        Refusal::fault(400, "parameter_not_found", message, rule, message)
    })
}

/// The first ten keys; refuses amounts that are no money.
fn kept(
    metadata: &Map<String, Value>,
    findings: &mut Findings,
) -> Result<Map<String, Value>, Refusal> {
    if metadata.len() > METADATA_LIMIT {
        findings.note(Rule::TooManyMetadataKeys, format!("{} keys", metadata.len()));
    }
    for (key, value) in metadata {
        match judge(key, value) {
            Judgement::Documented => {}
            Judgement::Undocumented(why) => {
                findings.note(Rule::InvalidMetadata, format!("metadata.{key} {why}"));
            }
            Judgement::NoMoney(why) => {
                let field = format!("metadata.{key}");
                return Err(Refusal::invalid(Rule::InvalidMetadata, &field, why));
            }
        }
    }
    let first = metadata.iter().take(METADATA_LIMIT);
    Ok(first.map(|(key, value)| (key.clone(), value.clone())).collect())
}

enum Judgement {
    Documented,
    /// Stored, but of no use in Intercom.
    Undocumented(&'static str),
    NoMoney(&'static str),
}

/// Metadata values are texts, numbers, times (`*_date`), links, rich links and money
/// (Intercom's description of `POST /events`, API 2.16).
fn judge(key: &str, value: &Value) -> Judgement {
    match value {
        Value::Number(number) if key.ends_with("_date") => {
            match number.as_u64().filter(|seconds| UNIX_SECONDS.contains(seconds)) {
                Some(_) => Judgement::Documented,
                None => Judgement::Undocumented("is not in Unix seconds"),
            }
        }
        Value::String(_) if key.ends_with("_date") => {
            Judgement::Undocumented("is named as a time and is text")
        }
        Value::String(_) | Value::Number(_) => Judgement::Documented,
        Value::Object(fields) if fields.contains_key("amount") => judge_money(fields),
        Value::Object(fields) => {
            let text = |field: &str| fields.get(field).and_then(Value::as_str);
            let is_link = text("url")
                .is_some_and(|url| url.starts_with("https://") || url.starts_with("http://"));
            if fields.len() == 2 && is_link && text("value").is_some() {
                Judgement::Documented
            } else {
                Judgement::Undocumented("is nested")
            }
        }
        Value::Bool(_) => Judgement::Undocumented("is a boolean"),
        Value::Null => Judgement::Undocumented("is null"),
        Value::Array(_) => Judgement::Undocumented("is a list"),
    }
}

fn judge_money(fields: &Map<String, Value>) -> Judgement {
    let amount = fields.get("amount").and_then(Value::as_u64).is_some_and(|amount| amount > 0);
    let currency = fields.get("currency").and_then(Value::as_str).is_some_and(|code| {
        code.len() == 3 && code.bytes().all(|letter| letter.is_ascii_alphabetic())
    });
    match (amount, currency && fields.len() == 2) {
        (true, true) => Judgement::Documented,
        (false, _) => Judgement::NoMoney("has an amount that is no positive integer"),
        (true, false) => Judgement::NoMoney("is not an amount and a currency"),
    }
}
