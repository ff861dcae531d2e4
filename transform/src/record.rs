//! The first look at a raw record: is it what the contract of the topic says, and whose is it?
//!
//! Everything here is decided from the key and the headers, before any state is touched, so that a
//! record of a foreign or broken producer cannot do harm: it is parked with a reason that names what
//! to correct.

use schemas::headers::{Header, HeaderError, RawHeaders, RekeyedHeaders, Stage, is_tick};
use schemas::state::KeptRecord;
use schemas::{Provider, Timestamp};

use crate::parking::{ParkReason, Parking};
use crate::sources::native::forgotten::Wish;
use crate::sources::native::imported;
use crate::sources::{Source, Sources};

/// A record of `subscriptions.raw`, borrowed from whoever read it.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// When the broker appended it: the stream's clock.
    pub appended_at: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// The bytes received.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [Header],
}

impl<'a> Raw<'a> {
    /// A record that was kept, as it came.
    pub fn of(record: &'a KeptRecord, key: &'a str) -> Self {
        Self {
            offset: record.offset,
            appended_at: record.appended_at,
            key: Some(key.as_bytes()),
            value: Some(&record.value),
            headers: &record.headers,
        }
    }

    /// The record, to be kept beyond this moment.
    pub fn keep(&self) -> KeptRecord {
        KeptRecord {
            offset: self.offset,
            appended_at: self.appended_at,
            headers: self.headers.to_vec(),
            value: self.value.unwrap_or_default().to_vec(),
        }
    }
}

/// Keys and bodies name people, hence only the position is shown.
impl std::fmt::Debug for Raw<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Raw")
            .field("offset", &self.offset)
            .field("appended_at", &self.appended_at)
            .finish_non_exhaustive()
    }
}

/// A record that keeps the contract of the topic.
pub struct Envelope<'a> {
    /// The configured source it comes from.
    pub source: &'a Source,
    /// The key, `<source>/<id>`.
    pub key: &'a str,
    /// The part of the key after the source.
    pub id: &'a str,
    /// What the producer says about it.
    pub headers: RawHeaders,
    /// Where it comes from, if it is a re-keyed copy.
    pub origin: Option<RekeyedHeaders>,
    /// The bytes received.
    pub body: &'a [u8],
}

/// Keys and bodies name people, hence only source and id of the event are shown.
impl std::fmt::Debug for Envelope<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Envelope")
            .field("source", &self.headers.source)
            .field("event", &self.headers.id)
            .finish_non_exhaustive()
    }
}

impl Envelope<'_> {
    /// `ce_type` without the provider in front of it. A native producer may leave that out.
    pub fn event_type(&self) -> &str {
        let name = self.source.provider.name();
        let rest = self.headers.event_type.strip_prefix(name);
        rest.and_then(|rest| rest.strip_prefix('.')).unwrap_or(&self.headers.event_type)
    }

    /// Whether it tells an existing subscriber instead of an event.
    pub fn is_import(&self) -> bool {
        self.headers.event_type == imported::TYPE
    }

    /// What it asks for, if it asks for something instead of telling it.
    pub fn wish(&self) -> Option<Wish> {
        Wish::of(&self.headers.event_type)
    }

    /// Whether somebody of our own wrote it, be it for a source of a provider.
    pub fn is_own(&self) -> bool {
        self.source.provider == Provider::Native || self.is_import() || self.wish().is_some()
    }

    /// How far it has come; `None` for an original.
    pub fn stage(&self) -> Option<Stage> {
        self.origin.as_ref().map(|origin| origin.stage)
    }

    /// Whether it names nothing at all, so that no link can ever find its subscriber.
    pub fn names_nothing(&self) -> bool {
        self.id == NOTHING
    }
}

/// What a raw record turned out to be.
#[derive(Debug)]
pub enum Judged<'a> {
    /// It only moves the stream's time on.
    Tick,
    /// It is about a subscriber.
    Subscriber(Envelope<'a>),
    /// It names no subscriber; its key is the thing it is about, or nothing.
    Orphan(Envelope<'a>),
    /// It does not keep the contract.
    Unfit(Parking),
}

/// Kinds of thing under which a record waits for its subscriber. Only Stripe sends such records, and
/// only for Stripe can they not be mistaken for a person's own id.
const LINKED_KINDS: [&str; 3] = ["charge/", "payment_intent/", "invoice/"];

/// The id of a record that names nothing at all.
const NOTHING: &str = "unknown";

/// Judges a record by its key and headers.
pub fn judge<'a>(raw: &Raw<'a>, sources: &'a Sources) -> Judged<'a> {
    if is_tick(raw.headers) {
        return Judged::Tick;
    }
    match open(raw, sources) {
        Ok(envelope) if is_orphan(envelope.source.provider, envelope.id) => {
            Judged::Orphan(envelope)
        }
        Ok(envelope) => Judged::Subscriber(envelope),
        Err(parking) => Judged::Unfit(parking),
    }
}

fn open<'a>(raw: &Raw<'a>, sources: &'a Sources) -> Result<Envelope<'a>, Parking> {
    let key = raw.key.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| Parking::new(ParkReason::MissingKey, "the record has no key"))?;
    let broken = |error: HeaderError| {
        let reason = match error {
            HeaderError::Missing(_) => ParkReason::MissingHeader,
            HeaderError::Malformed(_) => ParkReason::MalformedHeader,
        };
        Parking::new(reason, error.to_string())
    };
    let headers = RawHeaders::from_headers(raw.headers).map_err(broken)?;
    let origin = RekeyedHeaders::from_headers(raw.headers).map_err(broken)?;
    let source = sources.get(&headers.source).ok_or_else(|| {
        let message = "ce_source is not among the configured sources";
        Parking::new(ParkReason::UnknownSource, message)
    })?;
    let mismatch = |message: &str| Parking::new(ParkReason::KeyMismatch, message);
    let key = std::str::from_utf8(key).map_err(|_| mismatch("the key is not UTF-8"))?;
    let id = key
        .strip_prefix(source.name.as_str())
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|id| !id.is_empty())
        .ok_or_else(|| mismatch("the key is not <ce_source>/<subscriber id>"))?;
    let body = raw.value.filter(|body| !body.is_empty());
    let body =
        body.ok_or_else(|| Parking::new(ParkReason::MissingBody, "the record has no value"))?;
    Ok(Envelope { source, key, id, headers, origin, body })
}

fn is_orphan(provider: Provider, id: &str) -> bool {
    match provider {
        Provider::Stripe => id == NOTHING || LINKED_KINDS.iter().any(|kind| id.starts_with(kind)),
        Provider::Dodo | Provider::Revenuecat | Provider::Purchasely => id == NOTHING,
        Provider::Native | Provider::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{raw_headers, sources};
    use schemas::headers::tick;

    fn judged(key: Option<&[u8]>, headers: &[Header], value: Option<&[u8]>) -> String {
        let sources = sources();
        let appended_at = Timestamp::from_millis(1);
        match judge(&Raw { offset: 0, appended_at, key, value, headers }, &sources) {
            Judged::Tick => "tick".to_owned(),
            Judged::Subscriber(envelope) => {
                format!("{} {}", envelope.id, envelope.event_type())
            }
            Judged::Orphan(envelope) => format!("orphan {}", envelope.id),
            Judged::Unfit(parking) => format!("parked {}", parking.reason.name()),
        }
    }

    fn keyed(key: &str, source: &str) -> String {
        judged(Some(key.as_bytes()), &raw_headers("evt_1", source, "stripe.x.y"), Some(b"{}"))
    }

    #[test]
    fn a_record_that_keeps_the_contract_belongs_to_its_subscriber() {
        assert_eq!(keyed("shop/cus_1", "shop"), "cus_1 x.y");
        assert_eq!(
            keyed("app/a/b", "app"),
            "a/b stripe.x.y",
            "a foreign prefix is part of the type"
        );
    }

    #[test]
    fn parks_what_breaks_the_contract_and_says_how() {
        let headers = raw_headers("evt_1", "shop", "stripe.x");
        assert_eq!(judged(None, &headers, Some(b"{}")), "parked missing_key");
        assert_eq!(judged(Some(b""), &headers, Some(b"{}")), "parked missing_key");
        assert_eq!(judged(Some(b"shop/c"), &[], Some(b"{}")), "parked missing_header");
        assert_eq!(judged(Some(b"shop/c"), &headers[..2], Some(b"{}")), "parked missing_header");
        assert_eq!(judged(Some(b"shop/\xff"), &headers, Some(b"{}")), "parked key_mismatch");
        assert_eq!(judged(Some(b"shop/c"), &headers, None), "parked missing_body");
        assert_eq!(keyed("gone/cus_1", "gone"), "parked unknown_source");
        for key in ["cus_1", "shop", "shop/", "shopping/cus_1", "app/cus_1"] {
            assert_eq!(keyed(key, "shop"), "parked key_mismatch", "{key}");
        }
    }

    #[test]
    fn a_record_keyed_by_a_thing_has_no_subscriber_yet() {
        assert_eq!(keyed("shop/charge/ch_1", "shop"), "orphan charge/ch_1");
        assert_eq!(keyed("shop/unknown", "shop"), "orphan unknown");
        assert_eq!(keyed("app/unknown", "app"), "orphan unknown");
        assert_eq!(keyed("app/charge/ch_1", "app"), "charge/ch_1 stripe.x.y", "an app's own id");
    }

    #[test]
    fn a_tick_needs_nothing_but_its_header() {
        assert_eq!(judged(Some(b"t"), &tick(), None), "tick");
    }
}
