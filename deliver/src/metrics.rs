//! What `deliver` counts: every metric, once, with its meaning and labels.

use service::metrics::{
    Counter, CounterFamily, DeclarationError, Gauge, GaugeFamily, Histogram, HistogramFamily,
    Registry,
};

const DELIVERED: Counter<1> = Counter {
    name: "tributary_deliver_delivered_total",
    help: "Events that the destination took.",
    labels: ["destination"],
};
const SKIPPED: Counter<2> = Counter {
    name: "tributary_deliver_skipped_total",
    help: "Events that are not for this destination, by reason.",
    labels: ["destination", "reason"],
};
const REFRESHED: Counter<2> = Counter {
    name: "tributary_deliver_refreshed_total",
    help: "Subscribers that `deliver refresh` showed once more, by outcome; outdated: something newer was shown.",
    labels: ["destination", "outcome"],
};
const SHADOWED: Counter<1> = Counter {
    name: "tributary_deliver_shadowed_total",
    help: "Events that would have been sent, were the destination not in shadow mode.",
    labels: ["destination"],
};
const PARKED: Counter<2> = Counter {
    name: "tributary_deliver_parked_total",
    help: "Events that went to the dead letters, by reason.",
    labels: ["destination", "reason"],
};
const MOVED: Counter<1> = Counter {
    name: "tributary_deliver_moved_total",
    help: "Records appended to the retry topic: failed heads, their followers, and old ones anew.",
    labels: ["destination"],
};
const ATTEMPTS: Counter<2> = Counter {
    name: "tributary_deliver_attempts_total",
    help: "Deliveries tried, by outcome.",
    labels: ["destination", "outcome"],
};
const DUPLICATES: Counter<1> = Counter {
    name: "tributary_deliver_duplicates_total",
    help: "Second copies of an event that a lane held already. Not zero only after a replay.",
    labels: ["destination"],
};
const BREAKER: Gauge<1> = Gauge {
    name: "tributary_deliver_breaker",
    help: "Whether the destination is called: 0 closed (it is), 1 half-open, 2 open (it is not).",
    labels: ["destination"],
};
const BACKLOG: Gauge<1> = Gauge {
    name: "tributary_deliver_retry_backlog",
    help: "Records in the retry topic that this instance has yet to deliver.",
    labels: ["destination"],
};
const LINE_STOPPED: Gauge<1> = Gauge {
    name: "tributary_line_stopped",
    help: "1 while the line stands still because too much would have been parked.",
    labels: ["destination"],
};
const END_TO_END: Histogram<1> = Histogram {
    name: "tributary_deliver_end_to_end_seconds",
    help: "From the webhook in the raw topic to the destination's answer.",
    labels: ["destination"],
    buckets: &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0],
};

/// The metrics of all destinations.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Taken by the destination.
    pub delivered: CounterFamily<1>,
    /// Not for the destination.
    pub skipped: CounterFamily<2>,
    /// Shown once more.
    pub refreshed: CounterFamily<2>,
    /// Planned only.
    pub shadowed: CounterFamily<1>,
    /// Given up.
    pub parked: CounterFamily<2>,
    /// Appended to the retry topic.
    pub moved: CounterFamily<1>,
    /// Tried.
    pub attempts: CounterFamily<2>,
    /// Recognised as copies.
    pub duplicates: CounterFamily<1>,
    /// State of the breaker.
    pub breaker: GaugeFamily<1>,
    /// Waiting in the retry topic.
    pub backlog: GaugeFamily<1>,
    /// Whether the line stands still.
    pub line_stopped: GaugeFamily<1>,
    /// How long it took.
    pub end_to_end: HistogramFamily<1>,
}

impl Metrics {
    /// Declares them all.
    pub fn declare(registry: &mut Registry) -> Result<Self, DeclarationError> {
        Ok(Self {
            delivered: registry.counter(&DELIVERED)?,
            skipped: registry.counter(&SKIPPED)?,
            refreshed: registry.counter(&REFRESHED)?,
            shadowed: registry.counter(&SHADOWED)?,
            parked: registry.counter(&PARKED)?,
            moved: registry.counter(&MOVED)?,
            attempts: registry.counter(&ATTEMPTS)?,
            duplicates: registry.counter(&DUPLICATES)?,
            breaker: registry.gauge(&BREAKER)?,
            backlog: registry.gauge(&BACKLOG)?,
            line_stopped: registry.gauge(&LINE_STOPPED)?,
            end_to_end: registry.histogram(&END_TO_END)?,
        })
    }
}
