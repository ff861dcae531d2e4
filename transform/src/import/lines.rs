//! JSON lines: the body of a record on each line, one subscriber a line.

use std::io::{self, BufRead};

use schemas::Timestamp;
use serde_json::{Map, Value};

use super::told::{FileError, Piece, Read, Refusal};

/// Longest line that is read, in bytes: more than any record may have.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The fields of a body, and of its parts.
const BODY: &[&str] = &["as_of", "source", "environment", "subscriber", "subscriptions", "totals"];
const PERSON: &[&str] = &["id", "user_id", "email", "anonymous", "aliases", "attributes"];
const SUBSCRIPTION: &[&str] = &[
    "id",
    "environment",
    "status",
    "in_billing_retry",
    "collection_paused",
    "product_id",
    "plan_id",
    "pending_product_id",
    "price",
    "billing_period",
    "quantity",
    "entitlements",
    "store",
    "period_type",
    "started_at",
    "period_start",
    "period_end",
    "expires_at",
    "grace_expires_at",
    "auto_resume_at",
    "trial_ends_at",
    "auto_renew",
    "cancel_reason",
    "expiration_reason",
    "provider_status",
];
const TOTAL: &[&str] = &["environment", "amount", "currency", "exponent"];

/// Reads the whole file.
pub(super) fn read(mut file: impl BufRead, each: &mut dyn FnMut(Read)) -> Result<(), FileError> {
    let mut text = Vec::new();
    let mut line = 0;
    loop {
        text.clear();
        let read = io::Read::take(&mut file, LONGEST).read_until(b'\n', &mut text);
        if read.map_err(FileError::Unreadable)? == 0 {
            return Ok(());
        }
        line += 1;
        if text.trim_ascii().is_empty() {
            continue;
        }
        each(match serde_json::from_slice::<Map<String, Value>>(&text) {
            // The parser's own message could quote the line.
            Err(_) => Read::Refused(Refusal::row(line, "not a JSON object"), None),
            Ok(body) => {
                let subscriber = subscriber(&body);
                match piece(line, body) {
                    Ok(piece) => Read::Piece(Box::new(piece)),
                    Err(refusal) => Read::Refused(refusal, subscriber),
                }
            }
        });
    }
}

fn subscriber(body: &Map<String, Value>) -> Option<String> {
    Some(body.get("subscriber")?.get("id")?.as_str()?.to_owned())
}

fn piece(line: u64, mut body: Map<String, Value>) -> Result<Piece, Refusal> {
    let known = |path: &str, told: &Map<String, Value>, known: &[&str]| match told
        .keys()
        .find(|name| !known.contains(&name.as_str()))
    {
        Some(name) => Err(Refusal::new(line, &format!("{path}{name}"), "not known")),
        None => Ok(()),
    };
    known("", &body, BODY)?;
    let id = subscriber(&body).ok_or_else(|| Refusal::new(line, "subscriber/id", "missing"))?;
    let Some(Value::Object(mut person)) = body.remove("subscriber") else {
        return Err(Refusal::new(line, "subscriber", "not an object"));
    };
    known("subscriber/", &person, PERSON)?;
    person.remove("id");
    let environment = body.remove("environment");
    let mut listed = |name: &str, fields: &[&str]| -> Result<Vec<Value>, Refusal> {
        let members = list(line, name, body.remove(name))?;
        let members = members.into_iter().enumerate().map(|(index, told)| {
            let Value::Object(mut told) = told else {
                return Err(Refusal::new(line, &format!("{name}/{index}"), "not an object"));
            };
            known(&format!("{name}/{index}/"), &told, fields)?;
            if let Some(environment) = &environment {
                told.entry("environment").or_insert_with(|| environment.clone());
            }
            Ok(Value::from(told))
        });
        members.collect()
    };
    let (subscriptions, totals) =
        (listed("subscriptions", SUBSCRIPTION)?, listed("totals", TOTAL)?);
    Ok(Piece {
        line,
        subscriber: id,
        source: body.get("source").and_then(Value::as_str).map(str::to_owned),
        as_of: body.get("as_of").map(|told| moment(line, told)).transpose()?,
        person,
        subscriptions,
        totals,
    })
}

fn list(line: u64, name: &str, told: Option<Value>) -> Result<Vec<Value>, Refusal> {
    match told {
        Some(Value::Array(members)) => Ok(members),
        Some(Value::Null) | None => Ok(Vec::new()),
        Some(_) => Err(Refusal::new(line, name, "not a list")),
    }
}

fn moment(line: u64, told: &Value) -> Result<Timestamp, Refusal> {
    let moment = match told.as_str() {
        Some(text) => Timestamp::from_rfc3339(text),
        None => told.as_i64().map(Timestamp::from_millis),
    };
    moment.ok_or_else(|| Refusal::new(line, "as_of", "not a time"))
}
