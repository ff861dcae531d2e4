//! Everything `ingest` counts, with names, meanings and label values in one place.
//!
//! Labels are bounded: a source is one that is configured, or `none` where a request named no such
//! source; the other labels are closed lists.

use std::time::Duration;

use jiff::Timestamp;
use service::metrics::{
    Counter, CounterFamily, DeclarationError, Gauge, GaugeFamily, Histogram, HistogramFamily,
    Label, Registry, SECONDS, Values,
};

use crate::answer::Answer;
use crate::room::Scarce;
use crate::sources::{Refusal, Subscriber};

const REQUESTED: Label = Label { name: "source", values: Values::SourcesOrNone };

const REQUESTS: Counter<2> = Counter {
    name: "tributary_ingest_requests_total",
    help: "Requests by how they ended; `accepted` are the ones that are durable.",
    labels: [REQUESTED, Label { name: "outcome", values: Values::Words(Answer::outcomes) }],
};

const REFUSED: Counter<2> = Counter {
    name: "tributary_ingest_signatures_refused_total",
    help: "Requests answered 401, by what was wrong with the signature.",
    labels: [Label::SOURCE, Label { name: "reason", values: Values::Words(Refusal::labels) }],
};

const WITHOUT_SUBSCRIBER: Counter<2> = Counter {
    name: "tributary_ingest_without_subscriber_total",
    help: "Webhooks that name no subscriber: `linked` name a thing that will be linked to one, \
           `unknown` nothing.",
    labels: [
        Label::SOURCE,
        Label { name: "kind", values: Values::Words(|| vec!["linked", "unknown"]) },
    ],
};

const LAST_ACCEPTED: Gauge<1> = Gauge {
    name: "tributary_ingest_last_accepted_timestamp_seconds",
    help: "When the latest webhook of a source was accepted; the start of the process before the first.",
    labels: [Label::SOURCE],
};

const CONNECTIONS: Gauge<0> = Gauge {
    name: "tributary_ingest_connections",
    help: "Connections of senders that are open.",
    labels: [],
};

const CROWDED_OUT: Counter<1> = Counter {
    name: "tributary_ingest_crowded_out_total",
    help: "Connections closed before their time because others needed what there was too little of: places for \
           `connections`, or `memory` for bodies.",
    labels: [Label { name: "scarce", values: Values::Words(Scarce::labels) }],
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
    last_accepted: GaugeFamily<1>,
    connections: GaugeFamily<0>,
    crowded_out: CounterFamily<1>,
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
            last_accepted: registry.gauge(&LAST_ACCEPTED)?,
            connections: registry.gauge(&CONNECTIONS)?,
            crowded_out: registry.counter(&CROWDED_OUT)?,
            request_seconds: registry.histogram(&REQUEST_SECONDS)?,
            append_seconds: registry.histogram(&APPEND_SECONDS)?,
        })
    }

    /// Webhooks of this source can come from `now` on: a source that has sent none yet can be seen to be silent.
    pub fn expect(&self, source: &str, now: Timestamp) {
        self.last_accepted.with([source]).set(now.as_duration().as_secs_f64());
    }

    /// A webhook is durable.
    pub fn accepted(&self, source: &str, now: Timestamp) {
        self.last_accepted.with([source]).set(now.as_duration().as_secs_f64());
    }

    /// So many connections are open.
    pub fn connected(&self, connections: usize) {
        // No process has as many as a float cannot tell apart.
        self.connections.with([]).set(u32::try_from(connections).unwrap_or(u32::MAX).into());
    }

    /// A connection was closed for another's sake.
    pub fn crowded_out(&self, scarce: Scarce) {
        self.crowded_out.with([scarce.label()]).inc();
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
