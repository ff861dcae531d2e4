//! A subscriber of whom something is known: whose renewals came one after the other.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use schemas::Timestamp;
use schemas::headers::{Header, RawHeaders};
use schemas::state::{Held, SubscriberState};
use serde_json::{Value, json};
use transform::line::Line;
use transform::order::hold;
use transform::record::Raw;
use transform::rules::{Rules, Times};
use transform::state::{MemoryStore, PARTITION_KEY};

use crate::sender::{NOW, REVENUECAT, SENDERS, compact};

/// How long an event waits for an earlier one.
pub(crate) const WINDOW: Duration = Duration::from_secs(2);
/// Webhooks that the subscriber of *order* and *encode* has sent before.
pub(crate) const BEFORE: i64 = 12;
/// Events that wait when *order* puts another among them.
const HELD: i64 = 8;

/// Their renewals lie further apart than the window, so that each lets go the one before it.
pub(crate) struct Regular {
    pub(crate) rules: Rules,
    key: String,
}

impl Regular {
    pub(crate) fn new() -> Result<Self> {
        let sender = &SENDERS[2];
        let times = Times {
            reorder_window: WINDOW,
            dedup_window: Duration::from_hours(35 * 24),
            link_timeout: Duration::from_hours(1),
        };
        let rules = Rules::new([sender.source()?].into_iter().collect(), times, 1 << 20)?;
        let found = sender.locate(&compact(sender.body)?)?;
        let key = format!("{}/{}", sender.provider.name(), found.subscriber);
        Ok(Self { rules, key })
    }

    pub(crate) fn raw<'a>(&'a self, renewal: &'a Renewal) -> Raw<'a> {
        Raw {
            offset: renewal.offset,
            appended_at: renewal.appended_at,
            key: Some(self.key.as_bytes()),
            value: Some(&renewal.body),
            headers: &renewal.headers,
        }
    }

    /// The line after all renewals before.
    pub(crate) fn line(&self) -> Result<Line<MemoryStore>> {
        let store = MemoryStore::default();
        let mut line = Line::restored(store, 0, 0, Duration::ZERO, &self.rules)?;
        for number in 0..BEFORE {
            let record = record(number)?;
            let taken = line.take(&self.raw(&record), Duration::ZERO, &self.rules)?;
            ensure!(taken.parked.is_none(), "a renewal was parked");
        }
        Ok(line)
    }

    /// What is known of the subscriber then.
    pub(crate) fn state(&self) -> Result<SubscriberState> {
        let changes = self.line()?.changes(&self.rules)?;
        let change = changes.into_iter().find(|change| change.key != PARTITION_KEY);
        let value = change.and_then(|change| change.value).context("nothing is known")?;
        Ok(self.rules.states.decode(&value)?)
    }

    /// Events that wait, and one that belongs into their middle.
    pub(crate) fn held(&self) -> Result<(Vec<Held>, Held)> {
        let state = self.state()?;
        let one = state.held.first().context("nothing is held")?;
        let at = |number: i64| {
            let mut held = one.clone();
            held.facts.occurred_at = Timestamp::from_millis((NOW + number) * 1000);
            held.appended_at = Timestamp::from_millis(NOW * 1000).plus_millis(number * 100);
            held
        };
        let mut waiting = Vec::new();
        for number in 0..HELD {
            hold(&mut waiting, at(number));
        }
        Ok((waiting, at(HELD / 2)))
    }
}

/// The renewal of this number.
pub(crate) fn record(number: i64) -> Result<Renewal> {
    let mut body: Value = serde_json::from_str(REVENUECAT).context("reading the renewal")?;
    let (id, source) = (format!("renewal-{number}"), SENDERS[2].provider.name());
    let happened = (NOW - 100_000 + number * 3) * 1000;
    body["event"]["id"] = json!(id);
    body["event"]["event_timestamp_ms"] = json!(happened);
    let headers = RawHeaders {
        id,
        source: source.to_owned(),
        event_type: format!("{source}.RENEWAL"),
        time: None,
        content_type: Some("application/json".to_owned()),
        traceparent: None,
        rekeyed: None,
    };
    let (body, headers) = (body.to_string().into_bytes(), headers.to_headers());
    let appended_at = Timestamp::from_millis(happened + 100);
    Ok(Renewal { offset: number, appended_at, body, headers })
}

pub(crate) struct Renewal {
    offset: i64,
    appended_at: Timestamp,
    body: Vec<u8>,
    headers: Vec<Header>,
}
