//! What `deliver` counts: every metric, once, with its meaning and labels.

use service::metrics::{
    Counter, CounterFamily, DeclarationError, Gauge, GaugeFamily, Histogram, HistogramFamily,
    Label, Registry, Values,
};
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use crate::destinations::Skip;
use crate::failure::Reason;

const DELIVERED: Counter<1> = Counter {
    name: "tributary_deliver_delivered_total",
    help: "Events that the destination took.",
    labels: [Label::DESTINATION],
};
const SKIPPED: Counter<2> = Counter {
    name: "tributary_deliver_skipped_total",
    help: "Events that are not for this destination, by reason.",
    labels: [Label::DESTINATION, Label { name: "reason", values: Values::Words(skip_reasons) }],
};
const REFRESHED: Counter<2> = Counter {
    name: "tributary_deliver_refreshed_total",
    help: "Subscribers that `deliver refresh` showed once more, by outcome; outdated: something newer was shown.",
    labels: [
        Label::DESTINATION,
        Label { name: "outcome", values: Values::Words(refresh_outcomes) },
    ],
};
const SHADOWED: Counter<1> = Counter {
    name: "tributary_deliver_shadowed_total",
    help: "Events that would have been sent, were the destination not in shadow mode.",
    labels: [Label::DESTINATION],
};
const PARKED: Counter<2> = Counter {
    name: "tributary_deliver_parked_total",
    help: "Events that went to the dead letters, by reason.",
    labels: [Label::DESTINATION, Label { name: "reason", values: Values::Words(park_reasons) }],
};
const MOVED: Counter<1> = Counter {
    name: "tributary_deliver_moved_total",
    help: "Records appended to the retry topic: failed heads, their followers, and old ones anew.",
    labels: [Label::DESTINATION],
};
const ATTEMPTS: Counter<2> = Counter {
    name: "tributary_deliver_attempts_total",
    help: "Deliveries tried, by outcome.",
    labels: [
        Label::DESTINATION,
        Label { name: "outcome", values: Values::Words(attempt_outcomes) },
    ],
};
const DUPLICATES: Counter<1> = Counter {
    name: "tributary_deliver_duplicates_total",
    help: "Second copies of an event that a lane held already. Not zero only after a replay.",
    labels: [Label::DESTINATION],
};
const BREAKER: Gauge<2> = Gauge {
    name: "tributary_deliver_breaker",
    help: "1 for the state of the destination's breaker, 0 for the others. It is called while closed.",
    labels: [
        Label::DESTINATION,
        Label { name: "state", values: Values::Words(|| BREAKER_STATES.to_vec()) },
    ],
};
const BACKLOG: Gauge<1> = Gauge {
    name: "tributary_deliver_retry_backlog",
    help: "Records in the retry topic that this instance has yet to deliver.",
    labels: [Label::DESTINATION],
};
const LINE_STOPPED: Gauge<1> = Gauge {
    name: "tributary_line_stopped",
    help: "1 while the line stands still because too much would have been parked.",
    labels: [Label::DESTINATION],
};
const END_TO_END: Histogram<1> = Histogram {
    name: "tributary_deliver_end_to_end_seconds",
    help: "From the webhook in the raw topic to the destination's answer.",
    labels: [Label::DESTINATION],
    buckets: &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0],
};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Attempt {
    /// The destination took it.
    Delivered,
    /// It took the event, and no attributes.
    DeliveredWithoutAttributes,
    /// A refresh that came too late.
    Outdated,
    /// The destination takes the blame; no attempt is spent.
    Paused,
    /// It may succeed later.
    Failed,
    /// It never will.
    Refused,
}

impl Attempt {
    /// The label.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// The destination is called.
pub const CLOSED: &str = "closed";
/// It is being tried whether it is well again.
pub const HALF_OPEN: &str = "half_open";
/// It is left alone.
pub const OPEN: &str = "open";
/// All states of a breaker.
pub const BREAKER_STATES: [&str; 3] = [CLOSED, HALF_OPEN, OPEN];

/// A refresh that was not for the destination after all.
pub const SKIPPED_REFRESH: &str = "skipped";

fn attempt_outcomes() -> Vec<&'static str> {
    Attempt::iter().map(Attempt::word).collect()
}

fn refresh_outcomes() -> Vec<&'static str> {
    let taken = [Attempt::Delivered, Attempt::DeliveredWithoutAttributes, Attempt::Outdated];
    taken.map(Attempt::word).into_iter().chain([SKIPPED_REFRESH]).collect()
}

fn skip_reasons() -> Vec<&'static str> {
    Skip::iter().map(Skip::word).collect()
}

fn park_reasons() -> Vec<&'static str> {
    Reason::iter().filter(|reason| reason.parks()).map(Reason::word).collect()
}

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
    pub breaker: GaugeFamily<2>,
    /// Waiting in the retry topic.
    pub backlog: GaugeFamily<1>,
    /// Whether the line stands still.
    pub line_stopped: GaugeFamily<1>,
    /// How long it took.
    pub end_to_end: HistogramFamily<1>,
}

impl Metrics {
    /// Declares them all.
    pub fn register(registry: &mut Registry) -> Result<Self, DeclarationError> {
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
