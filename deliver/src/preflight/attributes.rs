//! Intercom's custom attributes: declared before use, and with the type that is written.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use super::ask;
use crate::destinations::Request;
use crate::dispatch::Caller;

/// Name and data type in Intercom's words.
type Declaration = (String, &'static str);

#[derive(Deserialize)]
struct List {
    data: Vec<Declared>,
}

#[derive(Deserialize)]
struct Declared {
    name: String,
    #[serde(default)]
    data_type: String,
    #[serde(default)]
    archived: bool,
}

/// Whether everything in use is declared as it is used.
pub(super) async fn check(
    caller: &Caller,
    wanted: &BTreeSet<Declaration>,
) -> Result<String, String> {
    let Comparison { missing, unfit } = compare(wanted, &list(caller).await?);
    let mut wrong = unfit;
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        wrong.insert(0, format!("run `deliver setup`: attributes are not declared: {names}"));
    }
    if wrong.is_empty() {
        Ok(format!("{} attributes declared", wanted.len()))
    } else {
        Err(wrong.join("; "))
    }
}

/// Those of the attributes in use that the workspace does not know.
///
/// # Errors
/// When one is known as something else: what is of another type or archived must be put right by hand.
pub(super) async fn missing(
    caller: &Caller,
    wanted: &BTreeSet<Declaration>,
) -> Result<Vec<Declaration>, String> {
    let Comparison { missing, unfit } = compare(wanted, &list(caller).await?);
    if unfit.is_empty() { Ok(missing) } else { Err(unfit.join("; ")) }
}

/// Declares one.
pub(super) async fn declare(caller: &Caller, name: &str, data_type: &str) -> Result<(), String> {
    let body = json!({"name": name, "model": "contact", "data_type": data_type});
    ask(caller, &Request::post("/data_attributes", &body)).await.map(drop)
}

async fn list(caller: &Caller) -> Result<Vec<Declared>, String> {
    let request = Request::get("/data_attributes?model=contact&include_archived=true");
    let reply = ask(caller, &request).await?;
    let list: List = serde_json::from_slice(&reply.body)
        .map_err(|_| "the list of attributes cannot be read".to_owned())?;
    Ok(list.data)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Comparison {
    missing: Vec<Declaration>,
    unfit: Vec<String>,
}

fn compare(wanted: &BTreeSet<Declaration>, declared: &[Declared]) -> Comparison {
    let mut comparison = Comparison::default();
    for (name, data_type) in wanted {
        // Names are compared without regard to case there.
        match declared.iter().find(|one| one.name.eq_ignore_ascii_case(name)) {
            None => comparison.missing.push((name.clone(), data_type)),
            Some(one) if one.archived => {
                comparison.unfit.push(format!("the attribute {name} is archived"));
            }
            Some(one) if !takes(&one.data_type, data_type) => {
                let told = &one.data_type;
                let message =
                    format!("the attribute {name} is declared as {told}, not {data_type}");
                comparison.unfit.push(message);
            }
            Some(_) => {}
        }
    }
    comparison
}

/// Whether an attribute of one type takes what is written for another.
fn takes(declared: &str, written: &str) -> bool {
    declared == written
        || matches!((declared, written), ("float", "integer") | ("datetime", "date"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_can_be_declared_and_what_is_something_else_cannot() {
        let wanted = [
            ("expires_at".to_owned(), "date"),
            ("plan_id".to_owned(), "string"),
            ("quantity".to_owned(), "integer"),
            ("started_at".to_owned(), "date"),
            ("store".to_owned(), "string"),
            ("total_spent".to_owned(), "float"),
        ];
        let declared = serde_json::from_value::<List>(json!({"data": [
            {"name": "Expires_At", "data_type": "datetime"},
            {"name": "quantity", "data_type": "float"},
            {"name": "started_at", "data_type": "string"},
            {"name": "store", "data_type": "string", "archived": true},
            {"name": "total_spent", "data_type": "integer"},
        ]}));
        let comparison = compare(&wanted.into_iter().collect(), &declared.unwrap().data);
        assert_eq!(comparison.missing, [("plan_id".to_owned(), "string")]);
        assert_eq!(
            comparison.unfit,
            [
                "the attribute started_at is declared as string, not date",
                "the attribute store is archived",
                "the attribute total_spent is declared as integer, not float",
            ]
        );
    }
}
