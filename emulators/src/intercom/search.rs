//! `POST /contacts/search`: filters, nested at most twice, over the contacts already indexed.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::contacts::{Contact, Contacts};
use super::refusals::Refusal;
use crate::people::Standing;
use crate::violations::Rule;

const FILTERS_IN_A_GROUP: usize = 15;
const ON_ONE_VALUE: [&str; 10] = ["=", "!=", "<", "<=", ">", ">=", "~", "!~", "^", "$"];
const NESTED_GROUPS: usize = 2;
const RESULTS_ON_A_PAGE: usize = 50;

/// Answers a search over `contacts`, leaving out whom the index does not know yet.
pub(super) fn search(
    body: &Map<String, Value>,
    contacts: &Contacts,
    now: Duration,
    delay: Duration,
) -> Result<Value, Refusal> {
    let query = body.get("query").ok_or_else(|| Refusal::missing("query"))?;
    check(query, 0)?;
    let found: Vec<Value> = candidates(query, contacts)
        .filter(|contact| contact.person.standing == Standing::Active)
        .filter(|contact| Duration::from_secs(contact.created_at) + delay <= now)
        .map(Contact::to_json)
        .filter(|contact| matches(query, contact))
        .collect();
    let total = found.len();
    let page: Vec<Value> = found.into_iter().take(RESULTS_ON_A_PAGE).collect();
    Ok(json!({
        "type": "list",
        "data": page,
        "total_count": total,
        "pages": {"type": "pages", "page": 1, "per_page": RESULTS_ON_A_PAGE,
            "total_pages": total.div_ceil(RESULTS_ON_A_PAGE)},
    }))
}

/// Everybody whom a query may match: by an address nobody else has to be looked at, or a long run would slow down with
/// every contact it makes.
fn candidates<'a>(
    query: &Value,
    contacts: &'a Contacts,
) -> Box<dyn Iterator<Item = &'a Contact> + 'a> {
    match (query["field"].as_str(), query["operator"].as_str(), query["value"].as_str()) {
        (Some("email"), Some("="), Some(email)) if !email.is_empty() => {
            Box::new(contacts.with_email(email))
        }
        _ => Box::new(contacts.iter()),
    }
}

fn check(query: &Value, depth: usize) -> Result<(), Refusal> {
    let refuse = |message| Err(Refusal::invalid(Rule::InvalidField, "query", message));
    match (query["operator"].as_str(), &query["value"], query["field"].as_str()) {
        (Some("AND" | "OR"), Value::Array(filters), _) => {
            if filters.len() > FILTERS_IN_A_GROUP {
                return refuse("has more than 15 filters in a group");
            }
            if depth >= NESTED_GROUPS {
                return refuse("is nested more than twice");
            }
            filters.iter().try_for_each(|filter| check(filter, depth + 1))
        }
        (Some("IN" | "NIN"), Value::Array(_), Some(_)) => Ok(()),
        (Some(operator), Value::Array(_), Some(_)) if ON_ONE_VALUE.contains(&operator) => {
            refuse("has a list for one value")
        }
        (Some(operator), Value::Object(_), Some(_)) if ON_ONE_VALUE.contains(&operator) => {
            refuse("has an object for a value")
        }
        (Some(operator), _, Some(_)) if ON_ONE_VALUE.contains(&operator) => Ok(()),
        _ => refuse("has an unknown operator or no field"),
    }
}

fn matches(query: &Value, contact: &Value) -> bool {
    let operator = query["operator"].as_str().unwrap_or_default();
    let value = &query["value"];
    if let ("AND" | "OR", Some(filters)) = (operator, value.as_array()) {
        return if operator == "AND" {
            filters.iter().all(|filter| matches(filter, contact))
        } else {
            filters.iter().any(|filter| matches(filter, contact))
        };
    }
    let path = query["field"].as_str().unwrap_or_default();
    let actual = path.splitn(2, '.').fold(contact, |inside, step| &inside[step]);
    let (have, want) = (text(actual), text(value));
    match operator {
        "=" => have == want,
        "!=" => have != want,
        "IN" => value.as_array().is_some_and(|values| values.iter().any(|one| text(one) == have)),
        "NIN" => value.as_array().is_some_and(|values| values.iter().all(|one| text(one) != have)),
        "~" => have.contains(&want),
        "!~" => !have.contains(&want),
        "^" => have.starts_with(&want),
        "$" => have.ends_with(&want),
        _ => actual
            .as_f64()
            .zip(want.parse().ok())
            .is_some_and(|(have, want)| compares(operator, have, want)),
    }
}

fn compares(operator: &str, have: f64, want: f64) -> bool {
    match operator {
        ">" => have > want,
        ">=" => have >= want,
        "<=" => have <= want,
        _ => have < want,
    }
}

/// Values are compared as text without regard to case: the search takes numbers as text as well.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.to_lowercase(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
