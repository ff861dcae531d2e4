//! Typed headers: the only place that knows a header's name.
//!
//! Each set is written and read by one pair of functions, so that no reader can mistake one field for
//! another. Values are UTF-8 text. Headers that a set does not know are left alone: a record that is
//! moved keeps what its producer gave it.

mod dead;
mod refresh;
mod rekeyed;
mod retry;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

pub use dead::{Disposal, Labels, disposal, disposal_headers, restored, times_redriven};
pub use refresh::{REFRESH_TYPE, refreshed_at, with_refresh};
pub use rekeyed::{RekeyedHeaders, Stage};
pub use retry::{RetryHeaders, is_outcome_unknown, with_unknown_outcome};

/// One Kafka header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Header")]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value, as bytes.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

impl Header {
    /// A header with a text value.
    pub fn text(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into().into_bytes() }
    }
}

/// Why a record's headers cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A mandatory header is absent.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// A header's value is not what it should be.
    #[error("the header {0} is malformed")]
    Malformed(&'static str),
}

const SPEC_VERSION: &str = "ce_specversion";
const ID: &str = "ce_id";
const SOURCE: &str = "ce_source";
const TYPE: &str = "ce_type";
const TIME: &str = "ce_time";
const CONTENT_TYPE: &str = "content-type";
const TRACEPARENT: &str = "traceparent";
const REKEYED: &str = "tributary-rekeyed";
const STAGE: &str = "tributary-stage";
const MOVED: &str = "tributary-moved";
const TICK: &str = "tributary-tick";
const WAITS: &str = "tributary-waits";
const REASON: &str = "tributary-reason";
const ATTEMPTS: &str = "tributary-attempts";
const FIRST_FAILURE: &str = "tributary-first-failure";
const LAST_FAILURE: &str = "tributary-last-failure";
const DUE: &str = "tributary-due";
const OUTAGES: &str = "tributary-outages";
const HTTP_STATUS: &str = "tributary-http-status";
const REQUEST_ID: &str = "tributary-request-id";
const CONNECT_TOPIC: &str = "__connect.errors.topic";
const CONNECT_PARTITION: &str = "__connect.errors.partition";
const CONNECT_OFFSET: &str = "__connect.errors.offset";
const CONNECT_CONNECTOR: &str = "__connect.errors.connector.name";
const CONNECT_STAGE: &str = "__connect.errors.stage";
const CONNECT_CLASS: &str = "__connect.errors.exception.class.name";
const CONNECT_MESSAGE: &str = "__connect.errors.exception.message";

/// Longest text of a dead letter's message, in bytes.
const MESSAGE_LIMIT: usize = 1000;

/// The value of the last header of this name, as text.
fn find<'a>(headers: &'a [Header], name: &'static str) -> Result<Option<&'a str>, HeaderError> {
    headers
        .iter()
        .rev()
        .find(|header| header.name == name)
        .map(|header| std::str::from_utf8(&header.value).map_err(|_| HeaderError::Malformed(name)))
        .transpose()
}

fn need<'a>(headers: &'a [Header], name: &'static str) -> Result<&'a str, HeaderError> {
    match find(headers, name)? {
        Some("") | None => Err(HeaderError::Missing(name)),
        Some(value) => Ok(value),
    }
}

fn parse<T: std::str::FromStr>(
    headers: &[Header],
    name: &'static str,
) -> Result<Option<T>, HeaderError> {
    find(headers, name)?
        .map(|text| text.parse().map_err(|_| HeaderError::Malformed(name)))
        .transpose()
}

fn moment(headers: &[Header], name: &'static str) -> Result<Option<Timestamp>, HeaderError> {
    find(headers, name)?
        .map(|text| Timestamp::from_rfc3339(text).ok_or(HeaderError::Malformed(name)))
        .transpose()
}

/// By what a record is found again in logs and traces, of whatever topic, as far as it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Correlation<'a> {
    /// `ce_id`.
    pub event_id: Option<&'a str>,
    /// `traceparent`.
    pub traceparent: Option<&'a str>,
}

impl<'a> Correlation<'a> {
    /// Reads it; what cannot be read is absent.
    pub fn of(headers: &'a [Header]) -> Self {
        let known = |name| find(headers, name).ok().flatten();
        Self { event_id: known(ID), traceparent: known(TRACEPARENT) }
    }

    /// The trace's id, where the `traceparent` is long enough to hold one.
    pub fn trace_id(&self) -> Option<&'a str> {
        self.traceparent.and_then(|traceparent| traceparent.get(3..35))
    }
}

/// Headers of a raw record: the CloudEvents Kafka binding, binary mode
/// (github.com/cloudevents/spec, kafka-protocol-binding.md, version 1.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawHeaders {
    /// `ce_id`: the provider's event or delivery id.
    pub id: String,
    /// `ce_source`: the configured source's name.
    pub source: String,
    /// `ce_type`: `<provider>.<provider event type>`.
    pub event_type: String,
    /// `ce_time`: when it was received (a native producer: when it says).
    pub time: Option<Timestamp>,
    /// `content-type` of the body.
    pub content_type: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// `<partition>/<offset>` of the record this is a re-keyed copy of.
    pub rekeyed: Option<String>,
}

impl RawHeaders {
    /// The headers to produce.
    pub fn to_headers(&self) -> Vec<Header> {
        let mut headers = vec![
            Header::text(SPEC_VERSION, "1.0"),
            Header::text(ID, &self.id),
            Header::text(SOURCE, &self.source),
            Header::text(TYPE, &self.event_type),
        ];
        let optional = [
            (TIME, self.time.map(|time| time.to_string())),
            (CONTENT_TYPE, self.content_type.clone()),
            (TRACEPARENT, self.traceparent.clone()),
            (REKEYED, self.rekeyed.clone()),
        ];
        headers.extend(
            optional.into_iter().filter_map(|(name, value)| Some(Header::text(name, value?))),
        );
        headers
    }

    /// Reads them; `ce_id`, `ce_source` and `ce_type` are mandatory.
    pub fn from_headers(headers: &[Header]) -> Result<Self, HeaderError> {
        let owned = |value: Option<&str>| value.map(str::to_owned);
        Ok(Self {
            id: need(headers, ID)?.to_owned(),
            source: need(headers, SOURCE)?.to_owned(),
            event_type: need(headers, TYPE)?.to_owned(),
            time: moment(headers, TIME)?,
            content_type: owned(find(headers, CONTENT_TYPE)?),
            traceparent: owned(find(headers, TRACEPARENT)?),
            rekeyed: owned(find(headers, REKEYED)?),
        })
    }
}

/// The headers with another event id: what a person is told because of somebody else's transfer is an
/// event of its own.
pub fn with_event_id(original: &[Header], id: &str) -> Vec<Header> {
    let mut headers = without(original, &[ID]);
    headers.push(Header::text(ID, id));
    headers
}

/// The header of a tick: a record without meaning whose append time lets held events go.
pub fn tick() -> Vec<Header> {
    vec![Header::text(TICK, "1")]
}

/// Whether the record is a tick.
pub fn is_tick(headers: &[Header]) -> bool {
    headers.iter().any(|header| header.name == TICK)
}

/// The header of a state in which something waits, for its time or for a link: whoever restores it finds
/// it without reading every state.
pub fn waits() -> Vec<Header> {
    vec![Header::text(WAITS, "1")]
}

/// Whether something waits in the state.
pub fn is_waiting(headers: &[Header]) -> bool {
    headers.iter().any(|header| header.name == WAITS)
}

/// Headers of a record on `subscriptions.events`, for readers that route without decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHeaders {
    /// The lifecycle event's id.
    pub id: String,
    /// The source's name.
    pub source: String,
    /// The lifecycle type.
    pub event_type: String,
    /// W3C trace context of the webhook.
    pub traceparent: Option<String>,
}

impl EventHeaders {
    /// The headers to produce.
    pub fn to_headers(&self) -> Vec<Header> {
        let mut headers = vec![
            Header::text(SPEC_VERSION, "1.0"),
            Header::text(ID, &self.id),
            Header::text(SOURCE, &self.source),
            Header::text(TYPE, &self.event_type),
        ];
        headers.extend(self.traceparent.as_ref().map(|trace| Header::text(TRACEPARENT, trace)));
        headers
    }

    /// Reads them.
    pub fn from_headers(headers: &[Header]) -> Result<Self, HeaderError> {
        Ok(Self {
            id: need(headers, ID)?.to_owned(),
            source: need(headers, SOURCE)?.to_owned(),
            event_type: need(headers, TYPE)?.to_owned(),
            traceparent: find(headers, TRACEPARENT)?.map(str::to_owned),
        })
    }
}

/// What a dead letter says about its end. The `__connect.errors.*` names are Kafka Connect's
/// (`DeadLetterQueueReporter`), so that existing tools show them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedHeaders {
    /// One word.
    pub reason: String,
    /// Where the record came from.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Consumer group that gave it up.
    pub group: String,
    /// Step that gave it up.
    pub stage: String,
    /// Kind of error, as a path of names.
    pub class: String,
    /// What was wrong, without any of the record's content; cut to 1,000 bytes.
    pub message: String,
    /// Attempts made.
    pub attempts: Option<u32>,
    /// When it failed first.
    pub first_failure: Option<Timestamp>,
    /// When it failed last.
    pub last_failure: Option<Timestamp>,
    /// Status of the destination's last reply.
    pub http_status: Option<u16>,
    /// The destination's id of the last request.
    pub request_id: Option<String>,
}

const PARKED: [&str; 13] = [
    REASON,
    CONNECT_TOPIC,
    CONNECT_PARTITION,
    CONNECT_OFFSET,
    CONNECT_CONNECTOR,
    CONNECT_STAGE,
    CONNECT_CLASS,
    CONNECT_MESSAGE,
    ATTEMPTS,
    FIRST_FAILURE,
    LAST_FAILURE,
    HTTP_STATUS,
    REQUEST_ID,
];

impl ParkedHeaders {
    /// The record's headers with this end in place of an older one, and no longer due.
    pub fn onto(&self, original: &[Header]) -> Vec<Header> {
        let mut headers = without(original, &PARKED);
        headers.retain(|header| header.name != DUE && header.name != OUTAGES);
        headers.extend([
            Header::text(REASON, &self.reason),
            Header::text(CONNECT_TOPIC, &self.topic),
            Header::text(CONNECT_PARTITION, self.partition.to_string()),
            Header::text(CONNECT_OFFSET, self.offset.to_string()),
            Header::text(CONNECT_CONNECTOR, &self.group),
            Header::text(CONNECT_STAGE, &self.stage),
            Header::text(CONNECT_CLASS, &self.class),
            Header::text(CONNECT_MESSAGE, cut(&self.message)),
        ]);
        let optional = [
            (ATTEMPTS, self.attempts.map(|attempts| attempts.to_string())),
            (FIRST_FAILURE, self.first_failure.map(|moment| moment.to_string())),
            (LAST_FAILURE, self.last_failure.map(|moment| moment.to_string())),
            (HTTP_STATUS, self.http_status.map(|status| status.to_string())),
            (REQUEST_ID, self.request_id.clone()),
        ];
        headers.extend(
            optional.into_iter().filter_map(|(name, value)| Some(Header::text(name, value?))),
        );
        headers
    }

    /// Reads the end of a dead letter.
    pub fn from_headers(headers: &[Header]) -> Result<Self, HeaderError> {
        let text = |name| Ok::<_, HeaderError>(find(headers, name)?.unwrap_or_default().to_owned());
        Ok(Self {
            reason: need(headers, REASON)?.to_owned(),
            topic: need(headers, CONNECT_TOPIC)?.to_owned(),
            partition: parse(headers, CONNECT_PARTITION)?
                .ok_or(HeaderError::Missing(CONNECT_PARTITION))?,
            offset: parse(headers, CONNECT_OFFSET)?.ok_or(HeaderError::Missing(CONNECT_OFFSET))?,
            group: text(CONNECT_CONNECTOR)?,
            stage: text(CONNECT_STAGE)?,
            class: text(CONNECT_CLASS)?,
            message: text(CONNECT_MESSAGE)?,
            attempts: parse(headers, ATTEMPTS)?,
            first_failure: moment(headers, FIRST_FAILURE)?,
            last_failure: moment(headers, LAST_FAILURE)?,
            http_status: parse(headers, HTTP_STATUS)?,
            request_id: find(headers, REQUEST_ID)?.map(str::to_owned),
        })
    }
}

fn without(headers: &[Header], names: &[&str]) -> Vec<Header> {
    headers.iter().filter(|header| !names.contains(&header.name.as_str())).cloned().collect()
}

/// The longest start of the text that fits the limit and ends between two characters.
fn cut(text: &str) -> &str {
    let end = (0..=MESSAGE_LIMIT.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.split_at(end.unwrap_or(0)).0
}

#[cfg(test)]
mod tests;
