//! A table of one's own: CSV with a heading, one row a subscription.
//!
//! Rows of one subscriber may stand anywhere; what they say of the person must agree. A row without a
//! `subscription_id` tells of the person and the sum alone. An empty cell says nothing.

use std::collections::BTreeMap;
use std::io;

use csv::StringRecord;
use schemas::Timestamp;
use serde_json::{Map, Value};

use super::rows::Rows;
use super::told::{FileError, Piece, Read, Refusal};

/// Where in the record's body a column belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Row,
    Person,
    Subscription,
    Price,
    Total,
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Flag,
    Moment,
    /// Texts, with a semicolon between two.
    Texts,
}

/// A column: its name, where it belongs, under which name, and what it holds.
type Column = (&'static str, Part, &'static str, Kind);

const SUBSCRIBER: &str = "subscriber_id";
const SUBSCRIPTION: &str = "subscription_id";
/// A column of which the rest of the name is that of an attribute.
const ATTRIBUTE: &str = "attribute.";

const NO_FLAG: &str = "neither true nor false";
const NO_MOMENT: &str = "not a time such as 2026-12-01T00:00:00Z, nor milliseconds";

/// Every column; `docs/importing.md` says what they mean.
const COLUMNS: [Column; 37] = [
    (SUBSCRIBER, Part::Row, "id", Kind::Text),
    ("source", Part::Row, "source", Kind::Text),
    ("as_of", Part::Row, "as_of", Kind::Moment),
    ("environment", Part::Row, "environment", Kind::Text),
    ("user_id", Part::Person, "user_id", Kind::Text),
    ("email", Part::Person, "email", Kind::Text),
    ("anonymous", Part::Person, "anonymous", Kind::Flag),
    ("aliases", Part::Person, "aliases", Kind::Texts),
    (SUBSCRIPTION, Part::Subscription, "id", Kind::Text),
    ("status", Part::Subscription, "status", Kind::Text),
    ("in_billing_retry", Part::Subscription, "in_billing_retry", Kind::Flag),
    ("collection_paused", Part::Subscription, "collection_paused", Kind::Flag),
    ("product_id", Part::Subscription, "product_id", Kind::Text),
    ("plan_id", Part::Subscription, "plan_id", Kind::Text),
    ("pending_product_id", Part::Subscription, "pending_product_id", Kind::Text),
    ("price_amount", Part::Price, "amount", Kind::Number),
    ("price_currency", Part::Price, "currency", Kind::Text),
    ("price_exponent", Part::Price, "exponent", Kind::Number),
    ("billing_period", Part::Subscription, "billing_period", Kind::Text),
    ("quantity", Part::Subscription, "quantity", Kind::Number),
    ("entitlements", Part::Subscription, "entitlements", Kind::Texts),
    ("store", Part::Subscription, "store", Kind::Text),
    ("period_type", Part::Subscription, "period_type", Kind::Text),
    ("started_at", Part::Subscription, "started_at", Kind::Moment),
    ("period_start", Part::Subscription, "period_start", Kind::Moment),
    ("period_end", Part::Subscription, "period_end", Kind::Moment),
    ("expires_at", Part::Subscription, "expires_at", Kind::Moment),
    ("grace_expires_at", Part::Subscription, "grace_expires_at", Kind::Moment),
    ("auto_resume_at", Part::Subscription, "auto_resume_at", Kind::Moment),
    ("trial_ends_at", Part::Subscription, "trial_ends_at", Kind::Moment),
    ("auto_renew", Part::Subscription, "auto_renew", Kind::Flag),
    ("cancel_reason", Part::Subscription, "cancel_reason", Kind::Text),
    ("expiration_reason", Part::Subscription, "expiration_reason", Kind::Text),
    ("provider_status", Part::Subscription, "provider_status", Kind::Text),
    ("total_amount", Part::Total, "amount", Kind::Number),
    ("total_currency", Part::Total, "currency", Kind::Text),
    ("total_exponent", Part::Total, "exponent", Kind::Number),
];

/// A column of this file.
enum Known<'a> {
    Column(&'a Column),
    Attribute(&'a str),
}

/// Reads the whole table.
pub(super) fn read(file: impl io::Read, each: &mut dyn FnMut(Read)) -> Result<(), FileError> {
    let rows = Rows::open(file)?;
    let heading = rows.heading().to_vec();
    let columns = columns(&heading)?;
    let subscriber = heading.iter().position(|name| name == SUBSCRIBER);
    let subscriber = subscriber.ok_or(FileError::MissingColumn(SUBSCRIBER))?;
    rows.for_each(|line, row| {
        let read = match row {
            Err(broken) => {
                let whose = broken.cell(subscriber);
                Read::Refused(broken.refusal, whose)
            }
            Ok(row) => match piece(line, row, &columns) {
                Ok(piece) => Read::Piece(Box::new(piece)),
                Err(refusal) => {
                    let whose = row.get(subscriber).map(str::trim);
                    Read::Refused(refusal, whose.map(str::to_owned))
                }
            },
        };
        each(read);
    })
}

fn columns(heading: &[String]) -> Result<Vec<Known<'_>>, FileError> {
    let known = |(place, name): (usize, &'_ String)| {
        if let Some(column) = COLUMNS.iter().find(|(known, ..)| known == name) {
            return Ok(Known::Column(column));
        }
        match heading.get(place).and_then(|name| name.strip_prefix(ATTRIBUTE)) {
            Some(attribute) if !attribute.is_empty() => Ok(Known::Attribute(attribute)),
            Some(_) | None => Err(unknown(place + 1, name)),
        }
    };
    heading.iter().enumerate().map(known).collect()
}

fn unknown(position: usize, name: &str) -> FileError {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    let names = COLUMNS.iter().map(|(known, ..)| *known);
    let nearest = names.min_by_key(distance).filter(|known| distance(known) <= 3);
    FileError::UnknownColumn {
        position,
        name: name.to_owned(),
        nearest: nearest.map(str::to_owned),
    }
}

fn piece(line: u64, row: &StringRecord, columns: &[Known<'_>]) -> Result<Piece, Refusal> {
    let mut parts: BTreeMap<Part, Map<String, Value>> = BTreeMap::new();
    let mut attributes = Map::new();
    let cells = row.iter().map(str::trim).zip(columns).filter(|(cell, _)| !cell.is_empty());
    for (cell, column) in cells {
        match column {
            Known::Attribute(name) => {
                attributes.insert((*name).to_owned(), cell.into());
            }
            Known::Column((name, part, field, kind)) => {
                let value =
                    value(cell, *kind).map_err(|problem| Refusal::new(line, name, problem))?;
                parts.entry(*part).or_default().insert((*field).to_owned(), value);
            }
        }
    }
    let mut take = |part: Part| parts.remove(&part).unwrap_or_default();
    let (mut row, mut person) = (take(Part::Row), take(Part::Person));
    let (mut subscription, price, mut total) =
        (take(Part::Subscription), take(Part::Price), take(Part::Total));
    if !attributes.is_empty() {
        person.insert("attributes".to_owned(), attributes.into());
    }
    if !price.is_empty() {
        subscription.insert("price".to_owned(), price.into());
    }
    if !subscription.is_empty() && !subscription.contains_key("id") {
        return Err(Refusal::new(line, SUBSCRIPTION, "missing"));
    }
    if let Some(environment) = row.remove("environment") {
        for told in [&mut subscription, &mut total].into_iter().filter(|told| !told.is_empty()) {
            told.insert("environment".to_owned(), environment.clone());
        }
    }
    let listed = |told: Map<String, Value>| (!told.is_empty()).then(|| Value::from(told));
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    Ok(Piece {
        line,
        subscriber: text(row.remove("id"))
            .ok_or_else(|| Refusal::new(line, SUBSCRIBER, "missing"))?,
        source: text(row.remove("source")),
        as_of: row.get("as_of").and_then(Value::as_i64).map(Timestamp::from_millis),
        person,
        subscriptions: listed(subscription).into_iter().collect(),
        totals: listed(total).into_iter().collect(),
    })
}

fn value(cell: &str, kind: Kind) -> Result<Value, &'static str> {
    Ok(match kind {
        Kind::Text => cell.into(),
        Kind::Texts => cell.split(';').map(str::trim).filter(|text| !text.is_empty()).collect(),
        Kind::Number => cell.parse::<i64>().map_err(|_| "not a whole number")?.into(),
        Kind::Flag => cell.to_ascii_lowercase().parse::<bool>().map_err(|_| NO_FLAG)?.into(),
        Kind::Moment => {
            let millis = match cell.parse::<i64>() {
                Ok(millis) => Some(millis),
                Err(_) => Timestamp::from_rfc3339(cell).map(Timestamp::millis),
            };
            millis.ok_or(NO_MOMENT)?.into()
        }
    })
}
