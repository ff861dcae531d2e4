//! What a handler is given, and what it returns.

use schemas::LifecycleEvent;
use serde_json::{Map, Value};

use super::Ids;
use crate::destinations::{Elsewhere, Method, Request};

/// The method that a webhook is given with.
const POST: &str = "POST";

/// Parts that one event may become.
const MOST_PARTS: usize = 32;

/// Headers of another host's call that are not the handler's to say.
const OURS: [&str; 13] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "te",
    "expect",
    "accept",
    "idempotency-key",
    "traceparent",
];

/// The webhook that a handler is given.
pub(super) struct Given<'a> {
    /// It in JSON.
    pub(super) json: String,
    url: &'a str,
    payload: Value,
}

/// A part of what a handler wants told.
#[derive(Debug)]
pub enum Part {
    /// The webhook as it was given.
    AsMapped,
    /// A call.
    Call(Call),
}

/// A call that a handler wants made.
pub struct Call {
    /// Where to.
    pub url: String,
    /// How.
    pub method: Method,
    /// Headers whose values are text.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub payload: Value,
}

impl std::fmt::Debug for Call {
    /// Without anything that may name a person or hold a credential.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Call").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Call {
    /// The request to another host.
    pub(super) fn elsewhere(self, origin: String, path: String, ids: &mut Ids<'_>) -> Request {
        let body = self.payload.to_string();
        let id = ids.next(&[self.method.name(), &origin, &path, &body]);
        let request = Request::with_body(self.method, path, body);
        request.identified(id).to(Elsewhere { origin, headers: self.headers })
    }
}

impl<'a> Given<'a> {
    /// The webhook of an event, with the event beside it. A body that is no JSON, as of a native event in Avro, is
    /// given as `null`.
    pub(super) fn of(event: &LifecycleEvent, payload: &[u8], url: &'a str) -> Option<Self> {
        // Read as a whole: text that only begins with a value would become part of the rest.
        let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
        let bare = LifecycleEvent { payload: None, ..event.clone() };
        let mut event_json = serde_json::to_value(&bare).ok()?;
        if let Value::Object(fields) = &mut event_json {
            fields.remove("payload");
        }
        let (event_type, shown_url) =
            (Value::from(event.provider_event_type.as_str()), Value::from(url));
        let json = format!(
            r#"{{"eventType":{event_type},"payload":{payload},"url":{shown_url},"method":"{POST}","headers":{{"content-type":"application/json"}},"event":{event_json}}}"#
        );
        Some(Self { json, url, payload })
    }

    /// What a handler returned; none for a webhook that it cancels. The error says what cannot be used.
    pub(super) fn returned(&self, json: &str) -> Result<Vec<Part>, String> {
        let returned: Value = serde_json::from_str(json)
            .map_err(|error| format!("what it returned cannot be read: {error}"))?;
        let entries = match returned {
            Value::Array(entries) => entries,
            entry @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)) => vec![entry],
        };
        if entries.len() > MOST_PARTS {
            return Err(format!(
                "it returned {} webhooks, and {MOST_PARTS} are allowed",
                entries.len()
            ));
        }
        let parts = entries.into_iter().map(|entry| self.part(entry));
        parts.filter_map(Result::transpose).collect()
    }

    fn part(&self, entry: Value) -> Result<Option<Part>, String> {
        let Value::Object(mut fields) = entry else {
            return Err(format!("it returned {}, and no webhook", kind(&entry)));
        };
        if fields.get("cancel") == Some(&Value::Bool(true)) {
            return Ok(None);
        }
        let url = text(&fields, "url")?;
        let method = text(&fields, "method")?;
        let payload = fields.remove("payload").ok_or("the webhook it returned has no `payload`")?;
        if url == self.url && method == POST && same(&payload, &self.payload) {
            return Ok(Some(Part::AsMapped));
        }
        let method = match method.to_ascii_uppercase().as_str() {
            POST => Method::Post,
            "PUT" => Method::Put,
            _ => return Err("`method` is neither POST nor PUT".to_owned()),
        };
        let headers = headers(fields.remove("headers"))?;
        Ok(Some(Part::Call(Call { url, method, headers, payload })))
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<String, String> {
    let text = fields.get(name).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("`{name}` of the webhook it returned is no text"))
}

fn headers(given: Option<Value>) -> Result<Vec<(String, String)>, String> {
    let Some(Value::Object(given)) = given else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for (name, value) in given {
        let name = name.to_ascii_lowercase();
        let (Some(value), false) = (value.as_str(), OURS.contains(&name.as_str())) else {
            continue;
        };
        let token = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let is_plain = |letter: char| letter == ' ' || letter.is_ascii_graphic();
        if name.is_empty() || !name.chars().all(token) || !value.chars().all(is_plain) {
            return Err("a header of the webhook it returned is none".to_owned());
        }
        headers.push((name, value.to_owned()));
    }
    Ok(headers)
}

/// Whether two values are the same to JavaScript, which knows one kind of number and no order of keys.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let is_there = |(key, left): (&String, &Value)| {
                right.get(key).is_some_and(|right| same(left, right))
            };
            left.len() == right.len() && left.iter().all(is_there)
        }
        (left, right) => left == right,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list in a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::samples;
    use schemas::EventType;
    use serde_json::json;

    const PAYLOAD: &str =
        r#"{"type":"payment.succeeded","data":{"total":1071.0,"list":[1,{"a":null}]}}"#;

    fn given() -> Given<'static> {
        let mut event = samples::event(EventType::TransactionProcessed);
        event.payload = Some(PAYLOAD.as_bytes().to_vec());
        event.money = Some(schemas::Money::minor(1_499, "USD"));
        Given::of(&event, PAYLOAD.as_bytes(), "https://a.example/").unwrap()
    }

    fn returned(json: &str) -> String {
        match given().returned(json) {
            Err(message) => message,
            Ok(parts) => format!("{parts:?}"),
        }
    }

    #[test]
    fn a_webhook_is_given_whole_and_with_its_event() {
        let json: Value = serde_json::from_str(&given().json).unwrap();
        assert_eq!(json["payload"]["data"]["list"][1]["a"], Value::Null);
        assert_eq!(json["method"], "POST");
        assert_eq!(json["event"]["type"], "transaction_processed");
        assert_eq!(json["event"]["subscriber"]["user_id"], "u_42");
        assert_eq!(json["event"]["money"]["amount"].as_i64(), Some(1_499));
        assert!(json["event"].get("payload").is_none());
    }

    #[test]
    fn text_after_a_body_becomes_no_part_of_the_webhook() {
        let event = samples::event(EventType::TransactionProcessed);
        let body = br#"{},"url":"https://evil.example/","x":{}"#;
        let given = Given::of(&event, body, "https://a.example/").unwrap();
        let json: Value = serde_json::from_str(&given.json).unwrap();
        assert_eq!((&json["url"], &json["payload"]), (&json!("https://a.example/"), &Value::Null));
    }

    #[test]
    fn a_body_that_is_no_json_is_left_as_it_is() {
        let event = samples::event(EventType::TransactionProcessed);
        let given = Given::of(&event, &[0, 0, 0, 0, 7, 2], "https://a.example/").unwrap();
        let parts = given.returned(&given.json).unwrap();
        assert!(matches!(parts[..], [Part::AsMapped]), "{parts:?}");
    }

    #[test]
    fn what_is_left_as_it_is_is_recognised_however_it_is_written() {
        let untouched = r#"{"payload":{"data":{"list":[1,{"a":null}],"total":1071},"type":"payment.succeeded"},"method":"POST","url":"https://a.example/"}"#;
        assert_eq!(returned(untouched), "[AsMapped]");
        assert_eq!(returned(&format!("[{untouched},{untouched}]")), "[AsMapped, AsMapped]");
        let changed = untouched.replace("1071", "1072");
        assert_eq!(returned(&changed), "[Call(Call { method: Post, .. })]");
        let elsewhere = untouched.replace("a.example", "b.example");
        assert_eq!(returned(&elsewhere), "[Call(Call { method: Post, .. })]");
    }

    #[test]
    fn what_is_cancelled_is_no_part() {
        assert_eq!(returned(r#"{"cancel":true}"#), "[]");
        assert_eq!(returned("[]"), "[]");
    }

    #[test]
    fn what_is_no_webhook_is_refused() {
        for (json, message) in [
            ("1", "it returned a number, and no webhook"),
            ("[null]", "it returned null, and no webhook"),
            ("{}", "`url` of the webhook it returned is no text"),
            (r#"{"url":"a","method":"DELETE","payload":1}"#, "`method` is neither POST nor PUT"),
            (r#"{"url":"a","method":"POST"}"#, "the webhook it returned has no `payload`"),
            (
                r#"{"url":"a","method":"POST","payload":1,"headers":{"a":"b\r\nc: d"}}"#,
                "a header of the webhook it returned is none",
            ),
        ] {
            assert_eq!(returned(json), message, "{json}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(returned(&deep).starts_with("what it returned cannot be read"));
    }
}
