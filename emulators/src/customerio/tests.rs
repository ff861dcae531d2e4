use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Map;

use super::*;
use crate::people::Standing;

const T: u64 = 1_767_225_600;
const ULIDS: [&str; 3] =
    ["01KDVDBK00AAAAAAAAAAAAAAA0", "01KDVDBK00AAAAAAAAAAAAAAA1", "01KDVDBK00AAAAAAAAAAAAAAA2"];

struct Bench {
    workspace: Workspace,
    rules: Vec<Rule>,
}

impl Bench {
    fn new() -> Self {
        Self { workspace: Workspace::new(Settings::default()), rules: Vec::new() }
    }

    fn send(&mut self, path: &str, body: impl Into<String>) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        let basic = format!("Basic {}", STANDARD.encode("emulator-site:emulator-key"));
        headers.insert("authorization", basic.parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        self.send_with(headers, path, body)
    }

    fn send_with(
        &mut self,
        headers: HeaderMap,
        path: &str,
        body: impl Into<String>,
    ) -> (u16, Value) {
        let request = Received {
            method: Method::POST,
            path: path.to_owned(),
            query: String::new(),
            headers,
            body: Bytes::from(body.into()),
        };
        let now = Moment { elapsed: Duration::ZERO, unix: Duration::from_secs(T + 1000) };
        let mut findings = Findings::of_request(0);
        let reply = self.workspace.apply(&request, now, &mut findings);
        self.rules = findings.rules();
        (reply.status, reply.body.unwrap_or_default())
    }

    fn entity(&mut self, item: &Value) -> u16 {
        self.send("/api/v2/entity", item.to_string()).0
    }

    /// Sends an entity that must be refused, and says for which rule.
    fn refused(&mut self, item: &Value) -> Rule {
        let (status, body) = self.send("/api/v2/entity", item.to_string());
        assert_eq!(status, 400, "{item}");
        assert!(body["errors"][0]["reason"].is_string(), "{body}");
        *self.rules.last().unwrap()
    }

    /// Sends an entity that must be accepted, and says what was wrong with it.
    fn accepted(&mut self, item: &Value) -> Vec<Rule> {
        assert_eq!(self.entity(item), 200, "{item}");
        self.rules.clone()
    }

    fn person(&self, who: &str) -> Person {
        self.workspace.person(who).unwrap()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "reads better with json! at the call")]
fn identify(id: &str, timestamp: u64, attributes: Value) -> Value {
    json!({"type": "person", "action": "identify", "identifiers": {"id": id},
        "timestamp": timestamp, "attributes": attributes})
}

fn event(id: &str, name: &str, ulid: &str) -> Value {
    json!({"type": "person", "action": "event", "identifiers": {"id": id}, "name": name,
        "id": ulid, "timestamp": T, "attributes": {"plan": "pro"}})
}

#[test]
fn refuses_wrong_credentials() {
    let mut bench = Bench::new();
    let (status, _) = bench.send_with(HeaderMap::new(), "/api/v2/batch", "{}");
    assert_eq!((status, &bench.rules[..]), (401, &[Rule::Unauthorized][..]));
}

#[test]
fn keeps_events_in_order_and_ignores_a_repeated_ulid_in_any_case() {
    let mut bench = Bench::new();
    assert_eq!(bench.accepted(&identify("ann", T, json!({"plan": "pro"}))), []);
    assert_eq!(bench.accepted(&event("ann", "started", ULIDS[0])), []);
    assert_eq!(bench.accepted(&event("ann", "renewed", ULIDS[1])), []);
    assert_eq!(bench.accepted(&event("ann", "started", &ULIDS[0].to_lowercase())), []);
    let ann = bench.person("ann");
    let names: Vec<_> = ann.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!((names, ann.ignored_duplicates), (vec!["started", "renewed"], 1));
}

#[test]
fn notes_an_id_reused_for_another_event() {
    let mut bench = Bench::new();
    bench.entity(&identify("ann", T, json!({})));
    bench.entity(&event("ann", "started", ULIDS[0]));
    assert_eq!(bench.accepted(&event("ann", "renewed", ULIDS[0])), [Rule::EventIdReused]);
    assert_eq!(bench.person("ann").events.len(), 1);
}

#[test]
fn ignores_an_attribute_update_older_than_the_last() {
    let mut bench = Bench::new();
    bench.entity(&identify("ann", T + 10, json!({"plan": "pro", "seats": 1})));
    assert_eq!(bench.accepted(&identify("ann", T, json!({"plan": "free"}))), []);
    assert_eq!(bench.person("ann").attributes["plan"], "pro");
    bench.entity(&identify("ann", T + 10, json!({"plan": "max", "seats": null})));
    let ann = bench.person("ann");
    assert_eq!(Value::Object(ann.attributes), json!({"plan": "max"}));
    assert_eq!((ann.updates, ann.ignored_updates), (2, 1));
}

#[test]
fn an_event_before_its_identify_creates_a_profile_and_is_noted() {
    let mut bench = Bench::new();
    assert_eq!(bench.accepted(&event("ann", "started", ULIDS[0])), [Rule::EventBeforeIdentify]);
    bench.entity(&identify("ann", T, json!({})));
    assert_eq!(bench.accepted(&event("ann", "renewed", ULIDS[1])), []);
    assert_eq!(bench.person("ann").events.len(), 2);
}

#[test]
fn an_identify_may_stand_before_its_event_in_the_same_batch() {
    let mut bench = Bench::new();
    let batch =
        json!({"batch": [identify("ann", T, json!({})), event("ann", "started", ULIDS[0])]});
    let (status, body) = bench.send("/api/v2/batch", batch.to_string());
    assert_eq!((status, body, &bench.rules[..]), (200, json!({}), &[][..]));
}

#[test]
fn answers_207_with_the_places_of_bad_items_and_applies_the_others() {
    let mut bench = Bench::new();
    let mut bad = event("ann", "renewed", ULIDS[1]);
    bad["action"] = json!("payment_completed");
    let batch =
        json!({"batch": [identify("ann", T, json!({})), bad, event("ann", "started", ULIDS[0])]});
    let (status, body) = bench.send("/api/v2/batch", batch.to_string());
    assert_eq!((status, body["errors"].as_array().unwrap().len()), (207, 1));
    assert_eq!(body["errors"][0]["batch_index"], 1);
    assert_eq!(body["errors"][0]["field"], "action");
    assert_eq!(bench.rules, [Rule::UnknownAction]);
    assert_eq!(bench.person("ann").events.len(), 1);
}

#[test]
fn notes_two_events_of_one_person_in_a_batch() {
    let mut bench = Bench::new();
    bench.entity(&identify("ann", T, json!({})));
    let batch = json!({"batch": [event("ann", "a", ULIDS[0]), event("ann", "b", ULIDS[1])]});
    assert_eq!(bench.send("/api/v2/batch", batch.to_string()).0, 200);
    assert_eq!(bench.rules, [Rule::TwoEventsOfOnePersonInBatch]);
}

#[test]
fn refuses_a_batch_that_is_malformed_empty_or_too_large() {
    let mut bench = Bench::new();
    for body in ["[]", "{", r#"{"batch": []}"#, r#"{"batch": {}}"#] {
        assert_eq!(bench.send("/api/v2/batch", body).0, 400, "{body}");
        assert_eq!(bench.rules, [Rule::MalformedBody]);
    }
    let item = identify("ann", T, json!({})).to_string();
    let count = BATCH_LIMIT / (item.len() + 1);
    let fill = |length: usize| {
        let body = format!(r#"{{"batch":[{}]}}"#, vec![item.as_str(); count - 1].join(","));
        let padding = " ".repeat(length - body.len());
        body + &padding
    };
    assert_eq!(bench.send("/api/v2/batch", fill(BATCH_LIMIT)).0, 200);
    assert_eq!(bench.send("/api/v2/batch", fill(BATCH_LIMIT + 1)).0, 400);
    assert_eq!(bench.rules, [Rule::BodyTooLarge]);
}

#[test]
fn refuses_an_item_of_more_than_32_000_bytes_only() {
    let mut bench = Bench::new();
    bench.entity(&identify("ann", T, json!({})));
    let sized = |ulid: &str, bytes: usize| {
        let mut item = event("ann", "started", ulid);
        item["attributes"] = json!({"text": ""});
        item["attributes"]["text"] = json!("x".repeat(bytes - item.to_string().len()));
        item
    };
    assert_eq!(bench.accepted(&sized(ULIDS[0], ITEM_LIMIT)), []);
    assert_eq!(bench.refused(&sized(ULIDS[1], ITEM_LIMIT + 1)), Rule::ItemTooLarge);
    let batch = json!({"batch": [sized(ULIDS[1], ITEM_LIMIT + 1)]});
    assert_eq!(bench.send("/api/v2/batch", batch.to_string()).0, 207);
}

#[test]
fn takes_exactly_one_identifier() {
    let mut bench = Bench::new();
    for (identifiers, rule) in [
        (json!({}), Rule::NotOneIdentifier),
        (json!({"id": "ann", "email": "ann@example.com"}), Rule::NotOneIdentifier),
        (json!({"anonymous_id": "x"}), Rule::NotOneIdentifier),
        (json!({"id": ""}), Rule::InvalidField),
        (json!({"id": 7}), Rule::InvalidField),
        (json!({"email": "ann"}), Rule::InvalidField),
        (json!({"phone": "0123"}), Rule::InvalidField),
        (json!({"id": "x".repeat(151)}), Rule::TooLong),
    ] {
        let mut item = identify("ann", T, json!({}));
        item["identifiers"] = identifiers;
        assert_eq!(bench.refused(&item), rule, "{item}");
    }
}

#[test]
fn takes_seconds_and_no_milliseconds() {
    let mut bench = Bench::new();
    for timestamp in [json!(T * 1000), json!("1767225600"), json!(1.5), json!(null), json!(-1)] {
        let mut item = identify("ann", T, json!({}));
        item["timestamp"] = timestamp;
        assert_eq!(bench.refused(&item), Rule::NotUnixSeconds, "{item}");
    }
    let attributes = json!({"expires_at": T * 1000, "renews_at": T});
    assert_eq!(bench.accepted(&identify("ann", T, attributes)), [Rule::NotUnixSeconds]);
}

#[test]
fn refuses_an_id_that_is_no_ulid_and_notes_a_missing_one() {
    let mut bench = Bench::new();
    bench.entity(&identify("ann", T, json!({})));
    assert_eq!(bench.refused(&event("ann", "started", "evt_1")), Rule::InvalidUlid);
    let mut item = event("ann", "started", "");
    item.as_object_mut().unwrap().remove("id");
    item.as_object_mut().unwrap().remove("timestamp");
    assert_eq!(bench.accepted(&item), [Rule::EventWithoutId, Rule::MissingTimestamp]);
}

#[test]
fn keeps_to_the_lengths_and_counts_of_names_and_values() {
    let mut bench = Bench::new();
    let many: Map<String, Value> = (0..301).map(|n| (format!("a{n}"), json!(n))).collect();
    for (attributes, rule) in [
        (json!({"x".repeat(151): 1}), Rule::TooLong),
        (json!({"note": "x".repeat(1001)}), Rule::TooLong),
        (Value::Object(many), Rule::TooManyAttributes),
    ] {
        assert_eq!(bench.refused(&identify("ann", T, attributes)), rule);
    }
    let most: Map<String, Value> = (0..300).map(|n| (format!("a{n}"), json!(n))).collect();
    assert_eq!(bench.accepted(&identify("ann", T, Value::Object(most))), []);
    let another = identify("ann", T, json!({"a0": 9, "b": 1}));
    assert_eq!(bench.accepted(&another), [Rule::TooManyAttributes]);
    assert_eq!(bench.person("ann").attributes.len(), 300);
    assert_eq!(bench.refused(&event("ann", &"x".repeat(101), ULIDS[0])), Rule::TooLong);
    let padded = event("ann", " started ", ULIDS[0]);
    assert_eq!(bench.accepted(&padded), [Rule::EventNameRewritten]);
    assert_eq!(bench.person("ann").events[0].name, "started");
}

#[test]
fn notes_what_customer_io_would_misread_or_drop() {
    let mut bench = Bench::new();
    bench.entity(&identify("ann", T, json!({})));
    let mut item = event("ann", "started", ULIDS[0]);
    item["attributes"] = json!({"recipient": "x@example.com"});
    item["sent_at"] = json!(T);
    assert_eq!(bench.accepted(&item), [Rule::UnknownField, Rule::ReservedAttribute]);
}

#[test]
fn an_address_finds_its_person_until_somebody_else_claims_it() {
    let mut bench = Bench::new();
    let by_email = json!({"type": "person", "action": "identify", "timestamp": T,
        "identifiers": {"email": "Ann@Example.com"}, "attributes": {"plan": "pro"}});
    bench.entity(&by_email);
    assert_eq!(bench.accepted(&identify("ann", T, json!({"email": "ann@example.com"}))), []);
    assert_eq!(bench.workspace.people().len(), 1);
    assert_eq!(bench.person("ann@example.com").id.as_deref(), Some("ann"));
    let claim = identify("bob", T, json!({"email": "ann@example.com", "plan": "free"}));
    assert_eq!(bench.accepted(&claim), [Rule::IdentityConflict]);
    assert_eq!(bench.person("bob").email, None);
    assert_eq!(bench.person("bob").attributes["plan"], "free");
}

#[test]
fn suppression_silences_deletion_does_not_and_update_never_creates() {
    let mut bench = Bench::new();
    let act =
        |action: &str| json!({"type": "person", "action": action, "identifiers": {"id": "ann"}});
    assert_eq!(bench.accepted(&identify("ann", T, json!({"_update": true}))), []);
    assert_eq!(bench.workspace.people().len(), 0);
    bench.entity(&identify("ann", T, json!({})));
    bench.entity(&act("suppress"));
    bench.entity(&event("ann", "started", ULIDS[0]));
    let ann = bench.person("ann");
    assert_eq!((ann.events.len(), ann.standing), (0, Standing::Suppressed));
    bench.entity(&act("unsuppress"));
    bench.entity(&act("delete"));
    assert_eq!(bench.person("ann").standing, Standing::Deleted);
    bench.entity(&event("ann", "renewed", ULIDS[1]));
    let again = bench.person("ann");
    assert_eq!((again.events.len(), again.standing), (1, Standing::Active));
}

#[test]
fn a_merge_names_its_two_people_beside_itself_and_not_by_phone() {
    let mut bench = Bench::new();
    let merge = |primary: Value, secondary: Value| json!({"type": "person", "action": "merge", "primary": primary, "secondary": secondary});
    let by_phone = merge(json!({"id": "ann"}), json!({"phone": "+4912345678"}));
    assert_eq!(bench.refused(&by_phone), Rule::NotOneIdentifier);
    let twice = merge(json!({"id": "ann", "email": "ann@example.com"}), json!({"id": "old"}));
    assert_eq!(bench.refused(&twice), Rule::NotOneIdentifier);
    let mut with_identifiers = merge(json!({"id": "ann"}), json!({"cio_id": "0a00"}));
    assert_eq!(bench.accepted(&with_identifiers), []);
    with_identifiers["identifiers"] = json!({"id": "ann"});
    assert_eq!(bench.accepted(&with_identifiers), [Rule::UnknownField]);
}

#[test]
fn a_merge_moves_the_story_if_the_primary_exists() {
    let mut bench = Bench::new();
    let merge = json!({"type": "person", "action": "merge", "primary": {"id": "ann"},
        "secondary": {"id": "old"}});
    bench.entity(&identify("old", T, json!({"plan": "pro"})));
    bench.entity(&event("old", "started", ULIDS[0]));
    bench.entity(&merge);
    assert_eq!(bench.person("old").events.len(), 1);
    bench.entity(&identify("ann", T, json!({})));
    bench.entity(&merge);
    assert_eq!(bench.person("ann").events.len(), 1);
    assert_eq!(bench.person("ann").attributes["plan"], "pro");
}

#[test]
fn takes_the_other_operations_of_the_specification_and_no_more() {
    let mut bench = Bench::new();
    let person = |action: &str, rest: Value| {
        let mut item = json!({"type": "person", "action": action, "identifiers": {"id": "ann"}});
        item.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        item
    };
    let object = json!({"type": "object", "action": "identify",
        "identifiers": {"object_type_id": "1", "object_id": "acme"}});
    let delivery = json!({"type": "delivery", "action": "event", "identifiers": {"id": "d"},
        "name": "opened", "attributes": {"device_token": "t"}});
    for item in [
        person("add_device", json!({"device": {"token": "t", "platform": "ios"}})),
        person("delete_device", json!({"device": {"token": "t"}})),
        person("add_relationships", json!({"cio_relationships": []})),
        object,
        delivery,
    ] {
        assert_eq!(bench.accepted(&item), [], "{item}");
    }
    assert_eq!(bench.refused(&person("add_device", json!({}))), Rule::MissingField);
    let without_platform = person("add_device", json!({"device": {"token": "t"}}));
    assert_eq!(bench.refused(&without_platform), Rule::MissingField);
    let preferences = json!({"attributes": {"cio_subscription_preferences": "all"}});
    assert_eq!(bench.refused(&person("identify", preferences)), Rule::InvalidField);
    let relationships = json!({"cio_relationships": {}});
    assert_eq!(bench.refused(&person("identify", relationships)), Rule::InvalidField);
    assert_eq!(bench.refused(&json!({"type": "company"})), Rule::UnknownAction);
    assert_eq!(bench.send("/api/v2/track", "{}").0, 404);
    assert_eq!(bench.rules, [Rule::UnknownEndpoint]);
}

#[test]
fn notes_the_second_in_which_fair_use_is_left() {
    let mut bench = Bench::new();
    bench.workspace.settings.fair_use_per_second = 2;
    let noted: Vec<usize> = (0..4)
        .map(|_| {
            bench.entity(&identify("ann", T, json!({})));
            bench.rules.iter().filter(|rule| **rule == Rule::RateAboveFairUse).count()
        })
        .collect();
    assert_eq!(noted, [0, 0, 1, 0]);
}
