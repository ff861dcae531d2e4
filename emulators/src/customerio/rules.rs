//! Reading one item: an operation, or the reason why Customer.io refuses it.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::ulid;
use crate::violations::{Findings, Rule};

const ID_LIMIT: usize = 150;
const ATTRIBUTE_NAME_LIMIT: usize = 150;
const ATTRIBUTE_VALUE_LIMIT: usize = 1000;
/// Per person, and per identify call.
pub(super) const ATTRIBUTE_COUNT_LIMIT: usize = 300;
const EVENT_NAME_LIMIT: usize = 100;
/// Unix seconds have ten digits from 2001 to 2286.
const UNIX_SECONDS: std::ops::RangeInclusive<u64> = 1_000_000_000..=9_999_999_999;
/// From here on an attribute named as a time can only be milliseconds.
const CERTAINLY_MILLISECONDS: f64 = 100_000_000_000.0;

/// How an item names a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identifier {
    Id(String),
    /// Lower case: addresses are compared without regard to case.
    Email(String),
    Phone(String),
    CioId(String),
}

/// What an item asks for.
#[derive(Debug)]
pub(super) enum Operation {
    Identify(Identify),
    Event(Event),
    Delete(Identifier),
    Suppress(Identifier),
    Unsuppress(Identifier),
    Merge {
        primary: Identifier,
        secondary: Identifier,
    },
    /// Valid, and without a bearing on anybody's story: devices, objects, relationships, metrics.
    Aside,
}

#[derive(Debug)]
pub(super) struct Identify {
    pub(super) who: Identifier,
    pub(super) timestamp: Option<u64>,
    pub(super) attributes: Map<String, Value>,
    pub(super) creation: Creation,
}

/// Whether an identify may create a person (`_update`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Creation {
    Allowed,
    Never,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) who: Identifier,
    pub(super) name: String,
    /// The id as sent, with the bits that identify it.
    pub(super) id: Option<(String, u128)>,
    pub(super) timestamp: Option<u64>,
    pub(super) attributes: Map<String, Value>,
}

type Fields = Map<String, Value>;

#[derive(Deserialize)]
struct People {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    identifiers: Fields,
    #[serde(default)]
    primary: Fields,
    #[serde(default)]
    secondary: Fields,
}

/// The people an item is about, as far as it can be read.
pub(super) fn people_of(text: &str) -> Vec<Identifier> {
    let Ok(people) = serde_json::from_str::<People>(text) else { return Vec::new() };
    if people.kind != "person" {
        return Vec::new();
    }
    [&people.identifiers, &people.primary, &people.secondary]
        .into_iter()
        .filter_map(|fields| identifier(fields, "identifiers").ok())
        .collect()
}

/// Reads one item.
pub(super) fn read_item(text: &str, findings: &mut Findings) -> Result<Operation, Refusal> {
    let fields: Fields =
        serde_json::from_str(text).map_err(|_| Refusal::malformed("not a JSON object"))?;
    match required_text(&fields, "type")? {
        "person" => read_person(&fields, findings),
        "object" => read_object(&fields, findings),
        "delivery" => read_delivery(&fields, findings),
        _ => Err(Refusal::invalid(Rule::UnknownAction, "type", "is no known type")),
    }
}

fn read_person(fields: &Fields, findings: &mut Findings) -> Result<Operation, Refusal> {
    let action = required_text(fields, "action")?;
    if action == "merge" {
        return read_merge(fields, findings);
    }
    let who = identifier(object(fields, "identifiers")?, "identifiers")?;
    let known: &[&str] = match action {
        "identify" => &["timestamp", "attributes", "cio_relationships"],
        "event" | "screen" | "page" => &["name", "id", "timestamp", "attributes"],
        "add_relationships" | "delete_relationships" => &["cio_relationships"],
        "add_device" | "delete_device" => &["device"],
        "delete" | "suppress" | "unsuppress" => &[],
        _ => return Err(Refusal::invalid(Rule::UnknownAction, "action", "is no known action")),
    };
    note_unknown(fields, known, findings);
    match action {
        "identify" => read_identify(fields, who, findings).map(Operation::Identify),
        "event" | "screen" | "page" => read_event(fields, who, findings).map(Operation::Event),
        "delete" => Ok(Operation::Delete(who)),
        "suppress" => Ok(Operation::Suppress(who)),
        "unsuppress" => Ok(Operation::Unsuppress(who)),
        "add_device" | "delete_device" => {
            let device = object(fields, "device")?;
            if action == "add_device" {
                required_text(device, "platform")?;
            }
            required_text(device, "token").map(|_| Operation::Aside)
        }
        _ => array(fields, "cio_relationships").map(|()| Operation::Aside),
    }
}

/// Both people are named beside the operation, not in `identifiers`, and not by a phone number.
fn read_merge(fields: &Fields, findings: &mut Findings) -> Result<Operation, Refusal> {
    note_unknown(fields, &["primary", "secondary"], findings);
    if fields.contains_key("identifiers") {
        findings.note(Rule::UnknownField, "identifiers of a merge");
    }
    let named = |place| match identifier(object(fields, place)?, place)? {
        Identifier::Phone(_) => {
            Err(Refusal::invalid(Rule::NotOneIdentifier, place, "cannot be named by phone"))
        }
        by @ (Identifier::Id(_) | Identifier::Email(_) | Identifier::CioId(_)) => Ok(by),
    };
    Ok(Operation::Merge { primary: named("primary")?, secondary: named("secondary")? })
}

fn read_identify(
    fields: &Fields,
    who: Identifier,
    findings: &mut Findings,
) -> Result<Identify, Refusal> {
    let mut attributes = optional_object(fields, "attributes")?;
    let creation = match attributes.remove("_update") {
        None | Some(Value::Bool(false)) => Creation::Allowed,
        Some(Value::Bool(true)) => Creation::Never,
        Some(_) => {
            return Err(Refusal::invalid(
                Rule::InvalidField,
                "attributes._update",
                "is no boolean",
            ));
        }
    };
    if attributes.get("cio_subscription_preferences").is_some_and(|value| !value.is_object()) {
        let field = "attributes.cio_subscription_preferences";
        return Err(Refusal::invalid(Rule::InvalidField, field, "is no object"));
    }
    optional_array(fields, "cio_relationships")?;
    if attributes.len() > ATTRIBUTE_COUNT_LIMIT {
        return Err(Refusal::invalid(Rule::TooManyAttributes, "attributes", "has more than 300"));
    }
    for (name, value) in &attributes {
        check_attribute(name, value, findings)?;
    }
    let timestamp = timestamp(fields)?;
    if timestamp.is_none() {
        findings.note(Rule::MissingTimestamp, "identify: a late retry would undo a newer update");
    }
    Ok(Identify { who, timestamp, attributes, creation })
}

fn check_attribute(name: &str, value: &Value, findings: &mut Findings) -> Result<(), Refusal> {
    if name.len() > ATTRIBUTE_NAME_LIMIT {
        let message = "has a name of more than 150 bytes";
        return Err(Refusal::invalid(Rule::TooLong, "attributes", message));
    }
    let size = match value {
        Value::String(text) => text.len(),
        Value::Array(_) | Value::Object(_) => value.to_string().len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    if size > ATTRIBUTE_VALUE_LIMIT {
        let field = format!("attributes.{name}");
        return Err(Refusal::invalid(Rule::TooLong, &field, "is longer than 1000 bytes"));
    }
    if name.ends_with("_at") && value.as_f64().is_some_and(|time| time >= CERTAINLY_MILLISECONDS) {
        findings.note(Rule::NotUnixSeconds, format!("attributes.{name}"));
    }
    Ok(())
}

fn read_event(fields: &Fields, who: Identifier, findings: &mut Findings) -> Result<Event, Refusal> {
    let sent = required_text(fields, "name")?;
    let name = sent.trim();
    if name.is_empty() {
        return Err(Refusal::required("name"));
    }
    if name.len() > EVENT_NAME_LIMIT {
        return Err(Refusal::invalid(Rule::TooLong, "name", "is longer than 100 bytes"));
    }
    if name != sent {
        findings.note(Rule::EventNameRewritten, "spaces around it are dropped");
    }
    let id = match fields.get("id") {
        None | Some(Value::Null) => {
            findings.note(Rule::EventWithoutId, "a retry would be a second event");
            None
        }
        Some(Value::String(id)) => {
            let bits = ulid::parse(id)
                .ok_or_else(|| Refusal::invalid(Rule::InvalidUlid, "id", "is no ULID"))?;
            Some((id.clone(), bits))
        }
        Some(_) => return Err(Refusal::invalid(Rule::InvalidUlid, "id", "is no ULID")),
    };
    let timestamp = timestamp(fields)?;
    if timestamp.is_none() {
        findings.note(Rule::MissingTimestamp, "event: it would happen when it arrives");
    }
    let attributes = optional_object(fields, "attributes")?;
    for reserved in ["recipient", "from_address", "reply_to"] {
        if attributes.contains_key(reserved) {
            findings.note(Rule::ReservedAttribute, format!("attributes.{reserved}"));
        }
    }
    Ok(Event { who, name: name.to_owned(), id, timestamp, attributes })
}

fn read_object(fields: &Fields, findings: &mut Findings) -> Result<Operation, Refusal> {
    let identifiers = object(fields, "identifiers")?;
    if !identifiers.contains_key("cio_object_id") {
        required_text(identifiers, "object_type_id")?;
        required_text(identifiers, "object_id")?;
    }
    note_unknown(fields, &["attributes", "cio_relationships"], findings);
    match required_text(fields, "action")? {
        "identify" | "identify_anonymous" | "delete" => Ok(Operation::Aside),
        "add_relationships" | "delete_relationships" => {
            array(fields, "cio_relationships").map(|()| Operation::Aside)
        }
        _ => Err(Refusal::invalid(Rule::UnknownAction, "action", "is no known action")),
    }
}

fn read_delivery(fields: &Fields, findings: &mut Findings) -> Result<Operation, Refusal> {
    note_unknown(fields, &["name", "attributes"], findings);
    object(fields, "identifiers")?;
    required_text(object(fields, "attributes")?, "device_token")?;
    match (required_text(fields, "action")?, required_text(fields, "name")?) {
        ("event", "opened" | "converted" | "delivered") => Ok(Operation::Aside),
        _ => Err(Refusal::invalid(Rule::UnknownAction, "name", "is no known metric")),
    }
}

fn identifier(fields: &Fields, place: &str) -> Result<Identifier, Refusal> {
    let mut entries = fields.iter();
    let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
        let message = "must be exactly one of id, email, phone, cio_id";
        return Err(Refusal::invalid(Rule::NotOneIdentifier, place, message));
    };
    let value = match value.as_str() {
        Some(text) if !text.is_empty() => text,
        _ => return Err(Refusal::invalid(Rule::InvalidField, place, "is no text or empty")),
    };
    if value.len() > ID_LIMIT {
        return Err(Refusal::invalid(Rule::TooLong, place, "is longer than 150 bytes"));
    }
    match kind.as_str() {
        "id" => Ok(Identifier::Id(value.to_owned())),
        "email" if value.contains('@') => Ok(Identifier::Email(value.to_lowercase())),
        "email" => Err(Refusal::invalid(Rule::InvalidField, place, "is no e-mail address")),
        "phone" if is_e164(value) => Ok(Identifier::Phone(value.to_owned())),
        "phone" => Err(Refusal::invalid(Rule::InvalidField, place, "is not in E.164 form")),
        "cio_id" => Ok(Identifier::CioId(value.to_owned())),
        _ => Err(Refusal::invalid(Rule::NotOneIdentifier, place, "is no known identifier")),
    }
}

fn is_e164(phone: &str) -> bool {
    phone.strip_prefix('+').is_some_and(|digits| {
        (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn timestamp(fields: &Fields) -> Result<Option<u64>, Refusal> {
    match fields.get("timestamp") {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(seconds) if UNIX_SECONDS.contains(&seconds) => Ok(Some(seconds)),
            _ => {
                let message = "is not an integer of Unix seconds";
                Err(Refusal::invalid(Rule::NotUnixSeconds, "timestamp", message))
            }
        },
    }
}

fn required_text<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Err(Refusal::required(name)),
        Some(Value::String(text)) if text.is_empty() => Err(Refusal::required(name)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Refusal::invalid(Rule::InvalidField, name, "is no text")),
    }
}

fn object<'a>(fields: &'a Fields, name: &str) -> Result<&'a Fields, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Err(Refusal::required(name)),
        Some(value) => value
            .as_object()
            .ok_or_else(|| Refusal::invalid(Rule::InvalidField, name, "is no object")),
    }
}

fn optional_object(fields: &Fields, name: &str) -> Result<Fields, Refusal> {
    if fields.contains_key(name) { object(fields, name).cloned() } else { Ok(Fields::new()) }
}

fn array(fields: &Fields, name: &str) -> Result<(), Refusal> {
    match fields.get(name) {
        None => Err(Refusal::required(name)),
        Some(Value::Array(_)) => Ok(()),
        Some(_) => Err(Refusal::invalid(Rule::InvalidField, name, "is no array")),
    }
}

fn optional_array(fields: &Fields, name: &str) -> Result<(), Refusal> {
    if fields.contains_key(name) { array(fields, name) } else { Ok(()) }
}

fn note_unknown(fields: &Fields, known: &[&str], findings: &mut Findings) {
    for name in fields.keys() {
        if !["type", "action", "identifiers"].contains(&name.as_str())
            && !known.contains(&name.as_str())
        {
            findings.note(Rule::UnknownField, name.clone());
        }
    }
}
