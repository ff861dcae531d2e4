//! What is sent: one real kind of webhook, RevenueCat's RENEWAL of 1.1 KB, of many subscribers, each with an id of its own,
//! one in ten twice.

use anyhow::{Context, Result};
use schemas::headers::RawHeaders;
use serde_json::{Value, json};
use stream::Record;

const RENEWAL: &str = include_str!("../../transform/src/sources/revenuecat/fixtures/renewal.json");

/// The source, by the name that the harness configures it with.
pub(crate) const SOURCE: &str = "revenuecat";

/// When the first renewal happened, which is in the past.
const BEGINNING: i64 = 1_782_592_000_000;

/// One in so many is sent twice.
const COPIES: usize = 10;

/// One webhook.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) subscriber: String,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

/// Makes renewals, no two alike.
pub(crate) struct Renewals {
    template: Value,
    subscribers: usize,
    /// The number of the first of them.
    first: usize,
    told: usize,
}

impl Renewals {
    pub(crate) fn of(subscribers: usize) -> Result<Self> {
        let template = serde_json::from_str(RENEWAL).context("reading the renewal")?;
        Ok(Self { template, subscribers, first: 0, told: 0 })
    }

    /// Of others, whose ids go on where those of `before` ended.
    pub(crate) fn after(before: &Self, subscribers: usize) -> Result<Self> {
        let first = before.first + before.subscribers;
        Ok(Self { told: before.told, first, ..Self::of(subscribers)? })
    }

    /// The next: subscribers take turns, so that each has as many as the others.
    pub(crate) fn next(&mut self) -> Webhook {
        let subscriber = self.told % self.subscribers;
        self.of_subscriber(subscriber)
    }

    /// The next of this subscriber.
    pub(crate) fn of_subscriber(&mut self, number: usize) -> Webhook {
        let (id, subscriber) = (uuid(self.told, "0e0e"), uuid(self.first + number, "5b5b"));
        let happened = BEGINNING + i64::try_from(self.told).unwrap_or_default();
        self.told += 1;
        let mut body = self.template.clone();
        let event = &mut body["event"];
        event["id"] = json!(id);
        event["original_app_user_id"] = json!(subscriber);
        event["app_user_id"] = json!(subscriber);
        event["aliases"] = json!([subscriber]);
        event["event_timestamp_ms"] = json!(happened);
        event["transaction_id"] = json!(format!("{id}-transaction"));
        event["original_transaction_id"] = json!(format!("{subscriber}-first"));
        Webhook { subscriber, id, body: body.to_string().into_bytes() }
    }

    /// So many different ones, and in between a copy of every tenth.
    pub(crate) fn batch(&mut self, unique: usize) -> Vec<Webhook> {
        let mut all: Vec<Webhook> = Vec::with_capacity(unique + unique / COPIES);
        for place in 0..unique {
            let next = self.next();
            let again = (place % COPIES == COPIES - 1).then(|| next.clone());
            all.push(next);
            all.extend(again);
        }
        all
    }
}

/// As long as the ids that the provider makes, and tells whose it is.
fn uuid(number: usize, kind: &str) -> String {
    format!("{number:08x}-{kind}-4000-8000-6d6561737572")
}

impl Webhook {
    /// As `ingest` writes it to the raw topic.
    pub(crate) fn record(&self, topic: &str) -> Record {
        let headers = RawHeaders {
            id: self.id.clone(),
            source: SOURCE.to_owned(),
            event_type: format!("{SOURCE}.RENEWAL"),
            time: None,
            content_type: Some("application/json".to_owned()),
            traceparent: None,
            rekeyed: None,
        };
        Record {
            topic: topic.to_owned(),
            partition: None,
            key: format!("{SOURCE}/{}", self.subscriber).into_bytes(),
            value: Some(self.body.clone()),
            headers: headers.to_headers(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_batch_has_every_tenth_twice_and_nothing_else() {
        let all = Renewals::of(7).unwrap().batch(100);
        let ids: BTreeSet<&str> = all.iter().map(|webhook| webhook.id.as_str()).collect();
        assert_eq!((all.len(), ids.len()), (110, 100));
        let people: BTreeSet<&str> =
            all.iter().map(|webhook| webhook.subscriber.as_str()).collect();
        assert_eq!(people.len(), 7);
    }

    #[test]
    fn it_is_as_large_as_such_a_webhook_is() {
        let bytes = Renewals::of(1).unwrap().next().body.len();
        assert!((1_000..1_250).contains(&bytes), "{bytes}");
    }
}
