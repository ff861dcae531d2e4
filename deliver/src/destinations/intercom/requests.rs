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

/// By id directly; by address only the search can, which learns of new contacts late. An id that would lead out of the
/// path, as `..` does however it is written, is searched for as well.
pub(super) fn find(identifier: &Identifier) -> Request {
    match identifier {
        Identifier::Id(id) if !matches!(id.as_str(), "." | "..") => {
            Request::get(format!("/contacts/find_by_external_id/{}", segment(id)))
        }
        Identifier::Id(id) => search("external_id", id),
        Identifier::Email(email) => search("email", email),
    }
}

fn search(field: &str, value: &str) -> Request {
    let query = json!({"field": field, "operator": "=", "value": value});
    Request::post("/contacts/search", &json!({ "query": query }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::Method;

    #[test]
    fn an_id_that_would_lead_out_of_the_path_is_searched_for() {
        for id in [".", ".."] {
            let request = find(&Identifier::Id(id.to_owned()));
            assert_eq!((request.method, request.path.as_str()), (Method::Post, "/contacts/search"));
            let body: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
            assert_eq!(
                body["query"],
                json!({"field": "external_id", "operator": "=", "value": id})
            );
        }
        let request = find(&Identifier::Id("a/../b".to_owned()));
        assert_eq!(request.path, "/contacts/find_by_external_id/a%2F..%2Fb");
    }
}
