use std::time::Duration;

use axum::http::{HeaderMap, Method};
use bytes::Bytes;

use super::*;

const T: u64 = 1_767_225_600;

struct Bench {
    workspace: Workspace,
    now: u64,
    rules: Vec<Rule>,
}

impl Bench {
    fn new() -> Self {
        let settings = Settings { requests_per_ten_seconds: 1000, ..Settings::default() };
        Self { workspace: Workspace::new(settings), now: T, rules: Vec::new() }
    }

    /// A workspace in which the contact `ann` and the attribute `plan` exist.
    fn with_ann() -> Self {
        let mut bench = Self::new();
        let plan = json!({"name": "plan", "model": "contact", "data_type": "string"});
        assert_eq!(bench.post("/data_attributes", &plan).status, 200);
        let ann = json!({"external_id": "ann", "email": "ann@example.com"});
        assert_eq!(bench.post("/contacts", &ann).status, 200);
        bench
    }

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer emulator-token"),
            ("intercom-version", "2.16"),
            ("accept", "application/json"),
            ("content-type", "application/json"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    fn send(&mut self, method: &str, path: &str, headers: HeaderMap, body: String) -> Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Received {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: Bytes::from(body),
        };
        let now = Moment { elapsed: Duration::ZERO, unix: Duration::from_secs(self.now) };
        let mut findings = Findings::of_request(0);
        let reply = self.workspace.apply(&request, now, &mut findings);
        self.rules = findings.rules();
        reply
    }

    fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, Self::headers(), String::new())
    }

    fn post(&mut self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, Self::headers(), body.to_string())
    }

    fn put(&mut self, id: &str, body: &Value) -> Reply {
        self.send("PUT", &format!("/contacts/{id}"), Self::headers(), body.to_string())
    }

    fn id_of(&self, external_id: &str) -> String {
        self.workspace.person(external_id).unwrap().vendor_id
    }

    /// Sends an event about `ann` with this metadata.
    fn metadata(&mut self, metadata: &Value) -> (u16, Vec<Rule>) {
        let mut event = event("ann", "renewed", T);
        event["metadata"] = metadata.clone();
        (self.post("/events", &event).status, self.rules.clone())
    }
}

fn event(user_id: &str, name: &str, created_at: u64) -> Value {
    json!({"user_id": user_id, "event_name": name, "created_at": created_at})
}

fn code(reply: &Reply) -> &str {
    let body = reply.body.as_ref().unwrap();
    assert_eq!(body["type"], "error.list");
    body["errors"][0]["code"].as_str().unwrap()
}

fn message(reply: &Reply) -> &str {
    reply.body.as_ref().unwrap()["errors"][0]["message"].as_str().unwrap()
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
}

#[test]
fn refuses_a_wrong_token_version_and_accept() {
    let mut bench = Bench::new();
    for (name, value, status, rule) in [
        ("authorization", "Bearer other", 401, Rule::Unauthorized),
        ("intercom-version", "2.13", 400, Rule::InvalidVersion),
        ("accept", "*/*", 406, Rule::NotAcceptable),
    ] {
        let mut headers = Bench::headers();
        headers.insert(name, value.parse().unwrap());
        let reply = bench.send("GET", "/me", headers, String::new());
        assert_eq!((reply.status, &bench.rules[..]), (status, &[rule][..]));
        let limited = header(&reply, "x-ratelimit-limit").is_some();
        assert_eq!(limited, status != 401, "limits are told to the authenticated only");
    }
    let mut headers = Bench::headers();
    headers.remove("intercom-version");
    assert_eq!(bench.send("GET", "/me", headers, String::new()).status, 400);
    assert_eq!(bench.get("/me").status, 200);
    assert_eq!(bench.rules, []);
}

#[test]
fn counts_down_the_window_and_answers_429_beyond_it() {
    let mut bench = Bench::new();
    bench.workspace.settings.requests_per_ten_seconds = 2;
    bench.now = T + 3;
    let first = bench.get("/me");
    assert_eq!(header(&first, "x-ratelimit-remaining"), Some("1"));
    assert_eq!(header(&first, "x-ratelimit-reset"), Some((T + 10).to_string().as_str()));
    assert_eq!(bench.get("/me").status, 200);
    let third = bench.get("/me");
    assert_eq!((third.status, code(&third)), (429, "rate_limit_exceeded"));
    bench.now = T + 10;
    assert_eq!(bench.get("/me").status, 200);
}

#[test]
fn an_event_for_an_unknown_contact_is_404_and_noted() {
    let mut bench = Bench::new();
    let reply = bench.post("/events", &event("ann", "renewed", T));
    assert_eq!((reply.status, code(&reply)), (404, "not_found"));
    assert_eq!(bench.rules, [Rule::EventForUnknownContact]);
}

#[test]
fn takes_events_with_an_empty_202_and_ignores_the_same_name_and_second() {
    let mut bench = Bench::with_ann();
    let reply = bench.post("/events", &event("ann", "renewed", T));
    assert_eq!((reply.status, reply.body), (202, None));
    assert_eq!(bench.post("/events", &event("ann", "Renewed", T)).status, 202);
    assert_eq!(bench.post("/events", &event("ann", "renewed", T + 1)).status, 202);
    assert_eq!(bench.rules, []);
    let ann = bench.workspace.person("ann").unwrap();
    let seconds: Vec<_> = ann.events.iter().map(|event| event.at).collect();
    assert_eq!((seconds, ann.ignored_duplicates), (vec![T, T + 1], 1));
}

#[test]
fn notes_two_different_events_that_intercom_merges() {
    let mut bench = Bench::with_ann();
    bench.metadata(&json!({"invoice": "1"}));
    assert_eq!(bench.metadata(&json!({"invoice": "2"})), (202, vec![Rule::DistinctEventsMerged]));
    assert_eq!(bench.workspace.person("ann").unwrap().events.len(), 1);
}

#[test]
fn refuses_events_without_name_time_or_contact_and_times_in_milliseconds() {
    let mut bench = Bench::with_ann();
    for (field, value, rule) in [
        ("event_name", json!(""), Rule::MissingField),
        ("event_name", json!(7), Rule::InvalidField),
        ("created_at", json!(null), Rule::MissingField),
        ("created_at", json!(T * 1000), Rule::NotUnixSeconds),
        ("created_at", json!("2026-01-01T00:00:00Z"), Rule::NotUnixSeconds),
        ("user_id", json!(null), Rule::NotOneIdentifier),
        ("user_id", json!(7), Rule::InvalidField),
        ("metadata", json!([]), Rule::InvalidField),
    ] {
        let mut event = event("ann", "renewed", T);
        event[field] = value;
        assert_eq!(bench.post("/events", &event).status, 400, "{event}");
        assert_eq!(bench.rules, [rule], "{event}");
    }
    let mut both = event("ann", "renewed", T);
    both["email"] = json!("ann@example.com");
    assert_eq!(bench.post("/events", &both).status, 202);
    assert_eq!(bench.rules, [Rule::NotOneIdentifier]);
}

#[test]
fn keeps_the_first_ten_metadata_keys_in_the_order_sent() {
    let mut bench = Bench::with_ann();
    let keys = ["z", "b", "y", "c", "x", "d", "w", "e", "v", "f", "a"];
    let metadata: Map<String, Value> =
        keys.iter().map(|key| ((*key).to_owned(), json!(1))).collect();
    let noted = bench.metadata(&Value::Object(metadata));
    assert_eq!(noted, (202, vec![Rule::TooManyMetadataKeys]));
    let ann = bench.workspace.person("ann").unwrap();
    let kept: Vec<_> = ann.events[0].attributes.keys().map(String::as_str).collect();
    assert_eq!(kept, keys[..10]);
}

#[test]
fn takes_the_documented_kinds_of_metadata_only() {
    let documented = json!({
        "text": "x", "number": 3.5, "renewal_date": T, "link": "https://example.com",
        "rich": {"url": "https://example.com", "value": "x"},
        "price": {"amount": 999, "currency": "usd"},
    });
    assert_eq!(Bench::with_ann().metadata(&documented), (202, vec![]));
    for value in
        [json!(true), json!(null), json!([1]), json!({"a": 1}), json!({"url": "x", "value": "y"})]
    {
        let noted = Bench::with_ann().metadata(&json!({"key": value}));
        assert_eq!(noted, (202, vec![Rule::InvalidMetadata]), "{value}");
    }
    for value in [json!(T * 1000), json!("2026-01-01")] {
        let noted = Bench::with_ann().metadata(&json!({"renewal_date": value}));
        assert_eq!(noted, (202, vec![Rule::InvalidMetadata]), "{value}");
    }
    for money in [
        json!({"amount": 0, "currency": "usd"}),
        json!({"amount": -5, "currency": "usd"}),
        json!({"amount": 9.99, "currency": "usd"}),
        json!({"amount": 999, "currency": "dollars"}),
        json!({"amount": 999}),
    ] {
        let noted = Bench::with_ann().metadata(&json!({"price": money}));
        assert_eq!(noted, (400, vec![Rule::InvalidMetadata]), "{money}");
    }
}

#[test]
fn refuses_the_121st_event_name() {
    let mut bench = Bench::with_ann();
    for number in 0..120 {
        let name = format!("event-{number}");
        assert_eq!(bench.post("/events", &event("ann", &name, T)).status, 202);
    }
    let reply = bench.post("/events", &event("ann", "one-more", T));
    assert_eq!((reply.status, code(&reply)), (422, "422"));
    assert_eq!(bench.rules, [Rule::TooManyEventNames]);
    assert_eq!(bench.post("/events", &event("ann", "EVENT-7", T + 1)).status, 202);
}

#[test]
fn rewrites_dots_in_event_names_and_notes_it() {
    let mut bench = Bench::with_ann();
    bench.post("/events", &event("ann", "subscription.renewed", T));
    assert_eq!(bench.rules, [Rule::EventNameRewritten]);
    let ann = bench.workspace.person("ann").unwrap();
    assert_eq!(ann.events[0].name, "subscription-renewed");
}

#[test]
fn finds_updates_and_shows_a_contact_and_the_last_write_wins() {
    let mut bench = Bench::with_ann();
    let found = bench.get("/contacts/find_by_external_id/ann").body.unwrap();
    let id = found["id"].as_str().unwrap();
    assert_eq!(id.len(), 24);
    for plan in ["pro", "free"] {
        let update = json!({"name": "Ann", "custom_attributes": {"plan": plan}});
        assert_eq!(bench.put(id, &update).status, 200);
    }
    let shown = bench.get(&format!("/contacts/{id}")).body.unwrap();
    assert_eq!(shown["custom_attributes"], json!({"plan": "free"}));
    assert_eq!((&shown["external_id"], &shown["name"]), (&json!("ann"), &json!("Ann")));
    assert_eq!(bench.get("/contacts/find_by_external_id/bob").status, 404);
    assert_eq!(bench.rules, [], "looking for somebody unknown is no violation");
}

#[test]
fn decodes_an_external_id_in_the_path() {
    let mut bench = Bench::new();
    bench.post("/contacts", &json!({"external_id": "a/b c%é"}));
    assert_eq!(bench.get("/contacts/find_by_external_id/a%2Fb%20c%25%C3%A9").status, 200);
}

#[test]
fn a_second_create_is_a_conflict_that_names_the_contact() {
    let mut bench = Bench::with_ann();
    let id = bench.id_of("ann");
    for body in [json!({"external_id": "ann"}), json!({"email": "ANN@example.com"})] {
        let reply = bench.post("/contacts", &body);
        assert_eq!((reply.status, code(&reply)), (409, "conflict"));
        let wanted = format!("A contact matching those details already exists with id={id}");
        assert_eq!(message(&reply), wanted);
        assert_eq!(bench.rules, []);
    }
    let shared = json!({"external_id": "bob", "email": "ann@example.com"});
    assert_eq!(bench.post("/contacts", &shared).status, 200);
    let by_email = json!({"email": "ann@example.com", "event_name": "renewed", "created_at": T});
    assert_eq!(bench.post("/events", &by_email).status, 409);
    assert_eq!(bench.rules, [Rule::AmbiguousEmail]);
    assert_eq!(bench.put(&id, &json!({"external_id": "bob"})).status, 409);
}

#[test]
fn an_archived_contact_is_hidden_in_conflict_and_not_to_be_written_to() {
    let mut bench = Bench::with_ann();
    let id = bench.id_of("ann");
    let archived = bench.post(&format!("/contacts/{id}/archive"), &json!({})).body.unwrap();
    assert_eq!(archived["archived"], true);
    assert_eq!(bench.get("/contacts/find_by_external_id/ann").status, 404);
    assert_eq!(bench.rules, []);
    let conflict = bench.post("/contacts", &json!({"external_id": "ann"}));
    assert!(message(&conflict).starts_with("An archived contact"), "{}", message(&conflict));
    assert_eq!(bench.put(&id, &json!({"name": "Ann"})).status, 404);
    assert_eq!(bench.rules, [Rule::ArchivedContact]);
    assert_eq!(bench.post("/events", &event("ann", "renewed", T)).status, 404);
    assert_eq!(bench.rules, [Rule::ArchivedContact]);
    bench.post(&format!("/contacts/{id}/unarchive"), &json!({}));
    assert_eq!(bench.post("/events", &event("ann", "renewed", T)).status, 202);
}

#[test]
fn a_merged_contact_is_gone_and_its_link_names_the_last_of_the_chain() {
    let mut bench = Bench::with_ann();
    bench.post("/contacts", &json!({"external_id": "bob"}));
    bench.post("/contacts", &json!({"external_id": "cat"}));
    bench.post("/events", &event("ann", "renewed", T));
    let now = Moment { elapsed: Duration::ZERO, unix: Duration::from_secs(T) };
    for (from, into) in [("ann", "bob"), ("bob", "cat")] {
        let reply = bench.workspace.hook("merge", &json!({"from": from, "into": into}), now);
        assert_eq!(reply.unwrap().status, 204);
    }
    let reply = bench.get("/contacts/find_by_external_id/ann");
    assert_eq!((reply.status, code(&reply)), (410, "contact_merged"));
    let link = format!("</contacts/{}>; rel=\"canonical\"", bench.id_of("cat"));
    assert_eq!(header(&reply, "link"), Some(link.as_str()));
    assert_eq!(bench.rules, []);
    assert_eq!(bench.workspace.person("cat").unwrap().events.len(), 1);
    assert_eq!(bench.post("/events", &event("ann", "renewed", T + 1)).status, 404);
}

#[test]
fn refuses_custom_attributes_nobody_declared_or_of_another_type() {
    let mut bench = Bench::with_ann();
    let id = bench.id_of("ann");
    for (name, data_type) in [("seats", "integer"), ("renews_at", "date"), ("trial", "boolean")] {
        let body = json!({"name": name, "model": "contact", "data_type": data_type});
        assert_eq!(bench.post("/data_attributes", &body).status, 200);
    }
    let good = json!({"plan": "pro", "seats": 3, "renews_at": T, "trial": null});
    assert_eq!(bench.put(&id, &json!({"custom_attributes": good})).status, 200);
    for (custom, rule) in [
        (json!({"colour": "red"}), Rule::UndeclaredAttribute),
        (json!({"seats": "3"}), Rule::AttributeTypeMismatch),
        (json!({"renews_at": T * 1000}), Rule::AttributeTypeMismatch),
        (json!({"plan": 3}), Rule::AttributeTypeMismatch),
    ] {
        let reply = bench.put(&id, &json!({"custom_attributes": custom}));
        assert_eq!((reply.status, code(&reply)), (400, "parameter_invalid"));
        assert_eq!(bench.rules, [rule], "{custom}");
    }
    let create = json!({"external_id": "bob", "custom_attributes": {"colour": "red"}});
    assert_eq!(bench.post("/contacts", &create).status, 400);
    assert!(bench.workspace.person("bob").is_none());
}

#[test]
fn declares_and_lists_attributes() {
    let mut bench = Bench::with_ann();
    for body in [
        json!({"name": "Plan", "model": "contact", "data_type": "string"}),
        json!({"name": "!nv@lid", "model": "contact", "data_type": "string"}),
        json!({"name": "x", "model": "contact", "data_type": "text"}),
        json!({"name": "x", "model": "person", "data_type": "string"}),
        json!({"name": "x", "model": "contact", "data_type": "options", "options": [{"value": "a"}]}),
        json!({"name": "x", "model": "contact", "data_type": "string", "description": 7}),
        json!({"name": "x", "model": "contact", "data_type": "string", "messenger_writable": "no"}),
        json!({"name": "x", "model": "contact", "data_type": "string", "type": "string"}),
    ] {
        let reply = bench.post("/data_attributes", &body);
        assert_eq!((reply.status, code(&reply)), (400, "parameter_invalid"), "{body}");
    }
    let listed = bench.get("/data_attributes?model=contact").body.unwrap();
    let custom: Vec<_> =
        listed["data"].as_array().unwrap().iter().filter(|one| one["custom"] == true).collect();
    assert_eq!((custom.len(), &custom[0]["name"]), (1, &json!("plan")));
    assert_eq!(bench.get("/data_attributes?model=conversation").status, 422);
}

#[test]
fn checks_the_fields_of_a_contact() {
    let mut bench = Bench::with_ann();
    let id = bench.id_of("ann");
    for (body, rule) in [
        (json!({"role": "admin"}), Rule::InvalidField),
        (json!({"signed_up_at": T * 1000}), Rule::NotUnixSeconds),
        (json!({"name": 7}), Rule::InvalidField),
        (json!({"email": null}), Rule::InvalidField),
        (json!({"external_id": null}), Rule::InvalidField),
        (json!({"unsubscribed_from_emails": "yes"}), Rule::InvalidField),
        (json!({"custom_attributes": []}), Rule::InvalidField),
        (json!({"email_verified": true}), Rule::MissingField),
    ] {
        assert_eq!(bench.put(&id, &body).status, 400, "{body}");
        assert_eq!(bench.rules, [rule], "{body}");
    }
    assert_eq!(bench.put(&id, &json!({"plan": "pro"})).status, 200);
    assert_eq!(bench.rules, [Rule::UnknownField]);
    assert_eq!(bench.post("/contacts", &json!({"name": "Nobody"})).status, 400);
}

#[test]
fn the_search_knows_a_contact_only_after_a_while() {
    let mut bench = Bench::with_ann();
    let query = json!({"query": {"field": "email", "operator": "=", "value": "ann@example.com"}});
    assert_eq!(bench.post("/contacts/search", &query).body.unwrap()["total_count"], 0);
    bench.now = T + 120;
    let found = bench.post("/contacts/search", &query).body.unwrap();
    assert_eq!(found["data"][0]["external_id"], "ann");
    let nested = json!({"query": {"operator": "AND", "value": [
        {"field": "external_id", "operator": "IN", "value": ["bob", "ann"]},
        {"operator": "OR", "value": [
            {"field": "role", "operator": "!=", "value": "user"},
            {"field": "email", "operator": "$", "value": "example.com"},
        ]},
    ]}});
    assert_eq!(bench.post("/contacts/search", &nested).body.unwrap()["total_count"], 1);
}

#[test]
fn the_search_refuses_too_many_and_too_deep_filters() {
    let mut bench = Bench::new();
    let filter = json!({"field": "email", "operator": "=", "value": "x"});
    let group = |filters: Vec<Value>| json!({"operator": "AND", "value": filters});
    let wide = group(vec![filter.clone(); 16]);
    let deep = group(vec![group(vec![group(vec![filter.clone()])])]);
    for operator in ["<", "<=", ">", ">="] {
        let filter = json!({"field": "created_at", "operator": operator, "value": 1});
        let reply = bench.post("/contacts/search", &json!({"query": filter}));
        assert_eq!(reply.status, 200, "{operator}");
    }
    let unknown = json!({"field": "email", "operator": "LIKE", "value": "x"});
    for query in [wide, deep, unknown] {
        assert_eq!(bench.post("/contacts/search", &json!({"query": query})).status, 400, "{query}");
    }
}

#[test]
fn refuses_unknown_paths_methods_and_bodies() {
    let mut bench = Bench::new();
    assert_eq!(bench.get("/users").status, 404);
    assert_eq!(bench.rules, [Rule::UnknownEndpoint]);
    assert_eq!(bench.send("DELETE", "/contacts/1", Bench::headers(), String::new()).status, 405);
    assert_eq!(bench.send("POST", "/events", Bench::headers(), "[".to_owned()).status, 400);
    assert_eq!(bench.rules, [Rule::MalformedBody]);
    let mut headers = Bench::headers();
    headers.remove("content-type");
    bench.send("POST", "/contacts", headers, r#"{"external_id": "ann"}"#.to_owned());
    assert_eq!(bench.rules, [Rule::MissingContentType]);
}

#[test]
fn a_contact_has_one_key_however_it_is_named() {
    let mut bench = Bench::with_ann();
    let id = bench.id_of("ann");
    let key = |bench: &Bench, path: &str, body: Value| {
        bench.workspace.concerns(&Received {
            method: Method::POST,
            path: path.to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::from(body.to_string()),
        })
    };
    let ann = vec!["external_id:ann".to_owned()];
    assert_eq!(key(&bench, "/events", json!({"id": id})), ann);
    assert_eq!(key(&bench, "/events", json!({"user_id": "ann"})), ann);
    assert_eq!(key(&bench, "/events", json!({"email": "Ann@example.com"})), ann);
    assert_eq!(key(&bench, &format!("/contacts/{id}"), json!({})), ann);
    assert_eq!(key(&bench, "/contacts/find_by_external_id/ann", json!({})), ann);
    assert_eq!(key(&bench, "/contacts", json!({"external_id": "ann"})), ann);
    assert!(key(&bench, "/me", json!({})).is_empty());
    bench.workspace.reset();
    assert_eq!(key(&bench, "/events", json!({"user_id": "ann"})), ann);
}
