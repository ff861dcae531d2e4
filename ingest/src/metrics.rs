//! Everything `ingest` counts, with names, meanings and label values in one place.
//!
//! Labels are bounded: a source is one that is configured, or `none` where a request named no such
//! source; the other labels are closed lists.

use std::time::Duration;

use service::metrics::{
    Counter, CounterFamily, DeclarationError, Histogram, HistogramFamily, Registry, SECONDS,
};

use crate::answer::Answer;
use crate::sources::Subscriber;

const REQUESTS: Counter<2> = Counter {
    name: "tributary_ingest_requests_total",
    help: "Requests by how they ended; `accepted` are the ones that are durable.",
    labels: ["source", "outcome"],
};

const REFUSED: Counter<2> = Counter {
    name: "tributary_ingest_signatures_refused_total",
    help: "Requests answered 401, by what was wrong with the signature.",
    labels: ["source", "reason"],
};

const WITHOUT_SUBSCRIBER: Counter<2> = Counter {
    name: "tributary_ingest_without_subscriber_total",
    help: "Webhooks that name no subscriber: `linked` name a thing that will be linked to one, \
           `unknown` nothing.",
    labels: ["source", "kind"],
};

const REQUEST_SECONDS: Histogram<0> = Histogram {
    name: "tributary_ingest_request_seconds",
    help: "From the end of a request's head to its answer.",
    labels: [],
    buckets: SECONDS,
};

const APPEND_SECONDS: Histogram<0> = Histogram {
    name: "tributary_ingest_append_seconds",
    help: "From handing a record to the producer to the broker's acknowledgement.",
    labels: [],
    buckets: SECONDS,
};

/// The catalogue, made real. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: CounterFamily<2>,
    refused: CounterFamily<2>,
    without_subscriber: CounterFamily<2>,
    request_seconds: HistogramFamily<0>,
    append_seconds: HistogramFamily<0>,
}

impl Metrics {
    /// Declares all of them.
    pub fn register(registry: &mut Registry) -> Result<Self, DeclarationError> {
        Ok(Self {
            requests: registry.counter(&REQUESTS)?,
            refused: registry.counter(&REFUSED)?,
            without_subscriber: registry.counter(&WITHOUT_SUBSCRIBER)?,
            request_seconds: registry.histogram(&REQUEST_SECONDS)?,
            append_seconds: registry.histogram(&APPEND_SECONDS)?,
        })
    }

    /// A request was answered.
    pub fn answered(&self, source: Option<&str>, answer: Answer, took: Duration) {
        let source = source.unwrap_or("none");
        self.requests.with([source, answer.outcome()]).inc();
        if let Answer::Unauthenticated(refusal) = answer {
            self.refused.with([source, refusal.label()]).inc();
        }
        self.request_seconds.with([]).observe(took.as_secs_f64());
    }

    /// The ids of an authenticated body were looked for.
    pub fn located(&self, source: &str, subscriber: &Subscriber) {
        let kind = match subscriber {
            Subscriber::Known(_) => return,
            Subscriber::Linked { .. } => "linked",
            Subscriber::Unknown => "unknown",
        };
        self.without_subscriber.with([source, kind]).inc();
    }

    /// A record was acknowledged.
    pub fn appended(&self, took: Duration) {
        self.append_seconds.with([]).observe(took.as_secs_f64());
    }
}
