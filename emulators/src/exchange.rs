//! A request and a reply as plain values, so that the vendors' rules need no HTTP server.

use std::time::Duration;

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::people::Person;
use crate::violations::Findings;

/// A request, read to its end.
#[derive(Debug)]
pub struct Received {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    /// The path's segments, percent-decoded; a segment that does not decode stays as it is.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.trim_matches('/').split('/').map(percent_decoded).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a query parameter, percent-decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then(|| percent_decoded(value))
        })
    }

    pub(crate) fn says_json(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"))
    }
}

fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let byte = match (first, after) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = byte {
            decoded.push(high * 16 + low);
            rest = &after[2..];
        } else {
            decoded.push(first);
            rest = after;
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What the emulator answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    #[must_use]
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The time as the emulator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since the emulator started.
    pub(crate) elapsed: Duration,
    /// Since 1970.
    pub(crate) unix: Duration,
}

impl Moment {
    pub(crate) fn unix_seconds(self) -> u64 {
        self.unix.as_secs()
    }
}

/// One request in the emulator's record. Bodies are not kept: what took effect is in the people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// From 0, in order of arrival.
    pub index: u64,
    /// Milliseconds since the emulator started.
    pub arrived_millis: u64,
    /// The HTTP method.
    pub method: String,
    /// The path as sent, without the query.
    pub path: String,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Keys of the people it concerns.
    pub people: Vec<String>,
    /// The status answered; `None` while under way, when withheld and when the connection was reset.
    pub status: Option<u16>,
    /// The injected fault, by name.
    pub fault: Option<&'static str>,
    /// Whether it reached the vendor's rules (true also where they refused it).
    pub applied: bool,
}

/// One vendor's rules over its state. Pure: no IO, no clock.
pub trait Vendor: Send + 'static {
    /// Keys (`kind:value`) of the people a request concerns, the same for every way to name one.
    fn concerns(&self, request: &Received) -> Vec<String>;

    /// Carries the request out, and says what was wrong with it.
    fn apply(&mut self, request: &Received, now: Moment, findings: &mut Findings) -> Reply;

    /// What this vendor answers with this status when the content is not to blame.
    fn failure(&self, status: u16) -> Reply;

    /// Everybody, in order of creation.
    fn people(&self) -> Vec<Person>;

    /// The person with this id, address or vendor's id.
    fn person(&self, who: &str) -> Option<Person>;

    /// Does what somebody did in the vendor's own user interface; `None` for an unknown hook.
    fn hook(&mut self, name: &str, argument: &Value, now: Moment) -> Option<Reply>;

    /// Forgets everybody.
    fn reset(&mut self);
}
