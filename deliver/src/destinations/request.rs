//! A request that a destination wants made.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or records.
    Post,
    /// Updates.
    Put,
}

impl Method {
    /// As it goes over the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A request without host, credentials and headers: those are added where connections are opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path with its leading slash, escaped.
    pub path: String,
    /// JSON, if there is a body.
    pub body: Option<Vec<u8>>,
    /// By what a receiver of signed messages recognises a repetition.
    pub message_id: Option<String>,
    /// Where else than to the destination it goes.
    pub elsewhere: Option<Elsewhere>,
}

/// Where a request goes that is not for the destination: without its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Scheme and host.
    pub origin: String,
    /// Headers that go with it, some of which may be credentials.
    pub headers: Vec<(String, String)>,
}

/// A header whose value is shorter is no credential, and its value stands everywhere.
const SHORTEST_SECRET: usize = 6;

impl Elsewhere {
    /// What of the headers may be a credential: each value, and what follows a scheme (`Bearer`) in it; the longest
    /// first, so that none is a part of one that comes later.
    pub fn secrets(&self) -> Vec<String> {
        let values = self.headers.iter().map(|(_, value)| value.as_str());
        let parts =
            values.flat_map(|value| [Some(value), value.split_once(' ').map(|(_, rest)| rest)]);
        let long = parts.flatten().map(str::trim).filter(|part| part.len() >= SHORTEST_SECRET);
        let mut secrets: Vec<String> = long.map(str::to_owned).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

impl fmt::Debug for Elsewhere {
    /// Without the headers: some may be credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Elsewhere({})", self.origin)
    }
}

impl Request {
    /// The path for people: without a query. That of a webhook may hold a token, and no other has one.
    pub fn shown_path(&self) -> Cow<'_, str> {
        match self.path.split_once('?') {
            Some((before, _)) => Cow::Owned(format!("{before}?(not shown)")),
            None => Cow::Borrowed(&self.path),
        }
    }
}

impl fmt::Debug for Request {
    /// Without path and body: they name people.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.as_ref().map_or(0, Vec::len);
        write!(formatter, "Request({:?}, {bytes} bytes)", self.method)
    }
}

impl Request {
    /// Reads `path`.
    pub fn get(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { method: Method::Get, path, body: None, message_id: None, elsewhere: None }
    }

    /// Sends `body` to `path`.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::with_body(Method::Post, path, body.to_string())
    }

    /// Replaces what is at `path`.
    pub fn put(path: impl Into<String>, body: &Value) -> Self {
        Self::with_body(Method::Put, path, body.to_string())
    }

    /// Any method with JSON that is written already.
    pub fn with_body(method: Method, path: impl Into<String>, body: String) -> Self {
        let body = Some(body.into_bytes());
        Self { method, path: path.into(), body, message_id: None, elsewhere: None }
    }

    /// The same, as the message of this id.
    #[must_use]
    pub fn identified(self, message_id: impl Into<String>) -> Self {
        Self { message_id: Some(message_id.into()), ..self }
    }

    /// The same, to somebody else.
    #[must_use]
    pub fn to(self, elsewhere: Elsewhere) -> Self {
        Self { elsewhere: Some(elsewhere), ..self }
    }
}

/// `text` as one segment of a path: everything but RFC 3986's unreserved letters is escaped, so that an
/// id with a slash or a question mark stays one id.
pub fn segment(text: &str) -> String {
    use fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else if write!(escaped, "%{byte:02X}").is_err() {
            // Writing to a string cannot fail.
            break;
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(segment("u_42.~-"), "u_42.~-");
        assert_eq!(segment("a/b?c#d é$"), "a%2Fb%3Fc%23d%20%C3%A9%24");
    }

    #[test]
    fn a_request_is_never_printed() {
        let request = Request::post("/people/ada@example.com", &serde_json::json!({"a": "ada"}));
        assert!(!format!("{request:?}").contains("ada"));
    }
}
