//! What requests about a contact look like, and what is answered about one who is new.

use serde_json::{Map, Value, json};

use crate::destinations::{Identifier, Reply, Request, segment};

/// What is answered about a person who is not there yet. The id stands for the one Intercom will give.
pub(super) fn first_answer(request: &Request) -> Reply {
    let looks_up = request.path.starts_with("/contacts/find_by_external_id/");
    let (status, body) = match request.path.as_str() {
        _ if looks_up => (404, json!({})),
        "/contacts/search" => (200, json!({"type": "list", "data": []})),
        "/events" => (202, json!({})),
        _ => (200, json!({"type": "contact", "id": "NEWCONTACT"})),
    };
    Reply { status, body: body.to_string().into_bytes(), ..Reply::default() }
}

/// The field by which a contact goes.
pub(super) fn named(identifier: &Identifier) -> Map<String, Value> {
    let (field, text) = match identifier {
        Identifier::Id(id) => ("external_id", id),
        Identifier::Email(email) => ("email", email),
    };
    Map::from_iter([(field.to_owned(), Value::from(text.as_str()))])
}

/// By id directly; by address only the search can, which learns of new contacts late.
pub(super) fn find(identifier: &Identifier) -> Request {
    match identifier {
        Identifier::Id(id) => {
            Request::get(format!("/contacts/find_by_external_id/{}", segment(id)))
        }
        Identifier::Email(email) => {
            let query = json!({"field": "email", "operator": "=", "value": email});
            Request::post("/contacts/search", &json!({ "query": query }))
        }
    }
}
