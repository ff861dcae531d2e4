//! Stories as they lie under `transform/fixtures/<provider>/<story>.json`: payloads in the order of
//! their arrival, about one person or more, with what the edge needs besides the body.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use ingest::envelope::{RawRecord, Reception, seal};
use ingest::sources::{Subscriber, adapter};
use schemas::headers::RawHeaders;
use schemas::state::Role;
use schemas::{Provider, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use transform::sources::{RawView, Reading, Source, SourceSettings, Sources, mapper_of};

pub(crate) const PROVIDERS: [Provider; 5] = [
    Provider::Stripe,
    Provider::Dodo,
    Provider::Revenuecat,
    Provider::Purchasely,
    Provider::Native,
];

/// A story.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    #[serde(skip)]
    pub(crate) name: String,
    #[serde(skip)]
    pub(crate) provider: Option<Provider>,
    /// What happens, in a sentence.
    pub(crate) story: String,
    /// What is odd about the provider and shows here.
    #[serde(default)]
    pub(crate) traps: Vec<String>,
    /// What the configuration says of the source.
    #[serde(default)]
    settings: Settings,
    pub(crate) deliveries: Vec<Delivery>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    user_id: Vec<String>,
    plans: Vec<String>,
    also: Vec<String>,
}

/// One webhook.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    /// HTTP headers that say something the body does not; for a producer of one's own, the record's.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// When it arrives, where that is not soon after it happened.
    pub(crate) arrives: Option<String>,
    /// Whose it is, where the body does not say and a link does: it has been keyed anew.
    subscriber: Option<String>,
    pub(crate) body: Value,
}

impl Fixture {
    pub(crate) fn provider(&self) -> Provider {
        self.provider.unwrap()
    }

    /// The story's source, named after its provider.
    pub(crate) fn sources(&self) -> Sources {
        let Settings { user_id, plans, also } = &self.settings;
        let settings = SourceSettings {
            user_id: user_id.clone(),
            plans: plans.clone(),
            also: also.clone(),
            ..SourceSettings::default()
        };
        let provider = self.provider();
        let (name, mapper) = (provider.name().to_owned(), mapper_of(provider).unwrap());
        [Source { name, provider, mapper, settings }].into_iter().collect()
    }

    /// The records that the edge makes of the deliveries.
    pub(crate) fn records(&self) -> Vec<RawRecord> {
        self.deliveries.iter().map(|delivery| delivery.record(self.provider())).collect()
    }
}

impl Delivery {
    /// A body whose subscriber is known by a link or by its body.
    pub(crate) fn linked_to(subscriber: &str, body: Value) -> Self {
        let subscriber = Some(subscriber.to_owned());
        Self { headers: BTreeMap::new(), arrives: None, subscriber, body }
    }

    /// A body with one header that says what it does not.
    pub(crate) fn with_header((name, value): (&str, &str), body: Value) -> Self {
        let headers = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Self { headers, arrives: None, subscriber: None, body }
    }

    /// Gives it another id, wherever its provider keeps that.
    pub(crate) fn rename(&mut self, id: &str) {
        for name in ["webhook-id", "ce_id"] {
            if let Some(value) = self.headers.get_mut(name) {
                id.clone_into(value);
            }
        }
        for place in ["/event/id", "/event_id", "/id"] {
            if let Some(value) = self.body.pointer_mut(place) {
                *value = Value::from(id);
            }
        }
    }

    /// The record that the edge makes of it.
    pub(crate) fn record(&self, provider: Provider) -> RawRecord {
        let body = Bytes::from(serde_json::to_vec(&self.body).unwrap());
        let name = provider.name();
        let Some(adapter) = name.parse().ok().and_then(adapter) else {
            return self.written_by_its_producer(name, body);
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let mut located = (adapter.locate)(&headers, &body);
        if let Some(subscriber) = &self.subscriber {
            located.subscriber = Subscriber::Known(subscriber.clone());
        }
        let reception = Reception {
            source: name,
            provider: name.parse().unwrap(),
            received_at: jiff::Timestamp::UNIX_EPOCH,
            content_type: Some("application/json"),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        };
        seal(reception, located, body)
    }

    fn written_by_its_producer(&self, source: &str, body: Bytes) -> RawRecord {
        let subscriber = self.body.pointer("/subscriber/id").and_then(Value::as_str);
        RawRecord {
            key: format!("{source}/{}", subscriber.unwrap_or_default()).into_bytes(),
            headers: RawHeaders {
                id: self.headers["ce_id"].clone(),
                source: source.to_owned(),
                event_type: self.headers["ce_type"].clone(),
                time: None,
                content_type: None,
                traceparent: None,
                rekeyed: None,
            },
            body,
        }
    }
}

/// The event's type without the provider in front of it.
pub(crate) fn type_of(record: &RawRecord) -> &str {
    let name = record.headers.event_type.as_str();
    let rest = name.strip_prefix(record.headers.source.as_str());
    rest.and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
}

/// What the provider's mapping reads from a record.
pub(crate) fn read(record: &RawRecord, sources: &Sources) -> Reading {
    let source = sources.get(&record.headers.source).unwrap();
    let key = std::str::from_utf8(&record.key).unwrap();
    let view = RawView {
        body: &record.body,
        event_id: &record.headers.id,
        event_type: type_of(record),
        subscriber_id: key.split_once('/').unwrap().1,
        received_at: Timestamp::from_millis(0),
        traceparent: None,
        role: Role::Own,
    };
    source.mapper.read(&view, &source.settings)
}

/// All stories of a provider, by name.
pub(crate) fn stories(provider: Provider) -> Vec<Fixture> {
    let folder = folder().join(provider.name());
    let mut stories: Vec<Fixture> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            match serde_json::from_str::<Fixture>(&text) {
                Ok(story) => Fixture { name, provider: Some(provider), ..story },
                Err(error) => panic!("{}: {error}", path.display()),
            }
        })
        .collect();
    stories.sort_by(|one, other| one.name.cmp(&other.name));
    stories
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}
