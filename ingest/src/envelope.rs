//! The raw record: the body as it came, its key, and CloudEvents headers. Together with the topic
//! they are the contract for producers that write it themselves.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use schemas::headers::RawHeaders;
use service::config::Provider;
use sha2::{Digest, Sha256};

use crate::sources::{Located, Subscriber};

/// One authenticated webhook, ready for the raw topic.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// The subscriber key: everything of one subscriber lies in one partition, in order.
    pub key: Vec<u8>,
    /// What is known about the body without understanding it.
    pub headers: RawHeaders,
    /// Byte for byte what was received.
    pub body: Bytes,
}

/// Ids can be e-mail addresses and the body holds everything, hence only sizes are shown.
impl fmt::Debug for RawRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawRecord")
            .field("source", &self.headers.source)
            .field("event_type", &self.headers.event_type)
            .field("key_bytes", &self.key.len())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What is known of a webhook when its body has been read and believed.
#[derive(Clone, Debug)]
pub struct Reception<'a> {
    /// The configured source's name.
    pub source: &'a str,
    /// Who sends to it.
    pub provider: Provider,
    /// When the request came.
    pub received_at: Timestamp,
    /// `Content-Type`, where the sender gave one.
    pub content_type: Option<&'a str>,
    /// The trace it belongs to.
    pub traceparent: String,
}

/// Puts a body into its envelope. Where the body told no event id, its hash is the id, so that a
/// repetition is still recognised; where it told no type, the type is `unknown`.
pub fn seal(reception: Reception<'_>, located: Located, body: Bytes) -> RawRecord {
    let Reception { source, provider, received_at, content_type, traceparent } = reception;
    let event_type = located.event_type.as_deref().unwrap_or("unknown");
    let received_at = schemas::Timestamp::from_millis(received_at.as_millisecond());
    RawRecord {
        key: key(source, &located.subscriber).into_bytes(),
        headers: RawHeaders {
            event_type: format!("{provider}.{event_type}"),
            id: located.event_id.unwrap_or_else(|| hex::encode(Sha256::digest(&body))),
            source: source.to_owned(),
            time: Some(received_at),
            content_type: content_type.map(str::to_owned),
            traceparent: Some(traceparent),
            rekeyed: None,
        },
        body,
    }
}

/// Ids stand in the key as the provider wrote them, whatever characters they have.
fn key(source: &str, subscriber: &Subscriber) -> String {
    match subscriber {
        Subscriber::Known(id) => format!("{source}/{id}"),
        Subscriber::Linked { kind, id } => format!("{source}/{kind}/{id}"),
        Subscriber::Unknown => format!("{source}/unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(located: Located) -> RawRecord {
        let reception = Reception {
            source: "shop",
            provider: Provider::Stripe,
            received_at: Timestamp::from_millisecond(1_780_000_000_007).unwrap(),
            content_type: Some("application/json; charset=utf-8"),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        };
        seal(reception, located, Bytes::from_static(b"not json"))
    }

    fn headers(record: &RawRecord) -> Vec<(String, String)> {
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        record.headers.to_headers().into_iter().map(|h| (h.name, text(h.value))).collect()
    }

    #[test]
    fn carries_the_cloudevents_headers_and_the_bytes_as_they_came() {
        let record = sealed(Located {
            subscriber: Subscriber::Known("cus_1".to_owned()),
            event_id: Some("evt_1".to_owned()),
            event_type: Some("invoice.paid".to_owned()),
        });
        let expected = [
            ("ce_specversion", "1.0"),
            ("ce_id", "evt_1"),
            ("ce_source", "shop"),
            ("ce_type", "stripe.invoice.paid"),
            ("ce_time", "2026-05-28T20:26:40.007Z"),
            ("content-type", "application/json; charset=utf-8"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers(&record), expected);
        assert_eq!(record.key, b"shop/cus_1");
        assert_eq!(record.body, "not json");
    }

    #[test]
    fn a_body_that_tells_nothing_is_known_by_its_hash() {
        let nothing = Located { subscriber: Subscriber::Unknown, event_id: None, event_type: None };
        let record = sealed(nothing);
        assert_eq!(record.key, b"shop/unknown");
        assert_eq!(record.headers.event_type, "stripe.unknown");
        // printf 'not json' | sha256sum
        let hash = "7ccfa1fbf3940e6f0c0375d87c0f9235a50514e14cb427bdfaf5077987b26ccf";
        assert_eq!(record.headers.id, hash);
    }

    #[test]
    fn keys_are_the_ids_byte_for_byte() {
        let known = |id: &str| key("shop", &Subscriber::Known(id.to_owned()));
        assert_eq!(known("a/b c\u{e9}\n"), "shop/a/b c\u{e9}\n");
        assert_eq!(known("$RCAnonymousID:1"), "shop/$RCAnonymousID:1");
        let linked = Subscriber::Linked { kind: "charge", id: "ch_1".to_owned() };
        assert_eq!(key("shop", &linked), "shop/charge/ch_1");
    }

    #[test]
    fn debug_output_shows_neither_body_nor_ids() {
        let record = sealed(Located {
            subscriber: Subscriber::Known("ada@example.com".to_owned()),
            event_id: None,
            event_type: None,
        });
        let shown = format!("{record:?}");
        assert!(!shown.contains("ada") && !shown.contains("not json"), "{shown}");
    }
}
