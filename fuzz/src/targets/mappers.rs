//! A provider's webhooks, from the body to the events.

use bytes::Bytes;
use ingest::envelope::{Reception, seal};
use ingest::sources::{Adapter, Subscriber, adapter};
use schemas::headers::{Header, RawHeaders};
use schemas::{Provider, Timestamp};
use serde_json::Value;

use crate::input::{Message, messages};
use crate::promise::{discreet_in_logs, keep};
use crate::teller::{Ground, Teller, Told};

/// Most webhooks of one input.
const MOST: usize = 12;

/// Most ids of things that people can choose, in bytes: keys and headers must fit beside a body.
const LONGEST_ID: usize = 1024;

/// The longest time between two of them, in milliseconds: all of them lie within what repetitions are remembered for.
pub(super) const LONGEST_PAUSE: i64 = 2 * 86_400_000;

/// When the first of them arrives; later than most of what they tell of.
pub(super) const BEGINNING: i64 = 1_800_000_000_000;

thread_local! {
    static GROUND: Ground = Ground::new();
}

/// Tells a provider's webhooks in a row.
pub(super) fn check(provider: Provider, input: &[u8]) {
    let messages = messages(input, MOST);
    let adapter = provider.name().parse().ok().and_then(adapter);
    let mut at = BEGINNING;
    let told: Vec<Told> = (0..)
        .zip(&messages)
        .map(|(index, message)| {
            at += message.number("after").unwrap_or(1_000).clamp(0, LONGEST_PAUSE);
            let arrived = Timestamp::from_millis(at);
            match adapter {
                Some(adapter) => received(adapter, provider, message, arrived),
                None => written(index, message, arrived),
            }
        })
        .collect();
    tell(&told);
}

/// Tells records, and once in a while the same once more: what they come to depends on nothing else.
pub(super) fn tell(told: &[Told]) {
    GROUND.with(|ground| {
        let mut teller = Teller::new(ground);
        teller.tell(told);
        let bytes: usize = told.iter().map(|one| one.value.len()).sum();
        if bytes.is_multiple_of(8) {
            let mut again = Teller::new(ground);
            again.tell(told);
            keep(again.events == teller.events, "the same records give the same events");
            keep(again.parked == teller.parked, "and are parked for the same reasons");
            keep(again.states().eq(teller.states()), "and leave the same states");
        }
    });
}

/// The record that the edge makes of a webhook.
fn received(adapter: &Adapter, provider: Provider, message: &Message<'_>, at: Timestamp) -> Told {
    let headers = message.header_map();
    let mut located = (adapter.locate)(&headers, message.body);
    keep(located == (adapter.locate)(&headers, message.body), "ids are found where they were");
    if let Some(subscriber) = message.said("subscriber") {
        located.subscriber = Subscriber::Known(subscriber.chars().take(200).collect());
    }
    let ids = [located.event_id.as_deref(), located.event_type.as_deref(), id(&located.subscriber)];
    let longest = ids.into_iter().flatten().map(str::len).max();
    keep(longest.is_none_or(|longest| longest <= LONGEST_ID), "ids have bounds");
    discreet_in_logs(&located.subscriber);
    let name = provider.name();
    let reception = Reception {
        source: name,
        provider: name.parse().unwrap_or(service::config::Provider::Stripe),
        received_at: jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default(),
        content_type: None,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    };
    let record = seal(reception, located, Bytes::copy_from_slice(message.body));
    let headers = record.headers.to_headers();
    let read = RawHeaders::from_headers(&headers);
    keep(
        read.as_ref() == Ok(&record.headers) || record.headers.id.is_empty(),
        "headers are read as they were written",
    );
    Told { key: record.key, value: message.body.to_vec(), headers, appended_at: at }
}

fn id(subscriber: &Subscriber) -> Option<&str> {
    match subscriber {
        Subscriber::Known(id) | Subscriber::Linked { id, .. } => Some(id),
        Subscriber::Unknown => None,
    }
}

/// The record that a producer of one's own writes.
fn written(index: usize, message: &Message<'_>, at: Timestamp) -> Told {
    let body: Value = serde_json::from_slice(message.body).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or("nobody");
    let subscriber = message.said("subscriber").unwrap_or_else(|| text("/subscriber/id"));
    let name = Provider::Native.name();
    let mut headers = vec![
        Header::text("ce_id", index.to_string()),
        Header::text("ce_source", name),
        Header::text("ce_type", format!("{name}.{}", text("/type"))),
    ];
    let own = message.headers();
    headers.extend(own.map(|(name, value)| Header { name: name.to_owned(), value }));
    let key = format!("{name}/{subscriber}").into_bytes();
    Told { key, value: message.body.to_vec(), headers, appended_at: at }
}
