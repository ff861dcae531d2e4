//! What `deliver` counts: every metric, once, with its meaning and labels.

mod answers;
mod lag;

use service::metrics::{
    Counter, CounterFamily, DeclarationError, Gauge, GaugeFamily, Histogram, HistogramFamily,
    Label, Registry, SECONDS, Values,
};
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use self::answers::codes;
pub use self::answers::{Answers, code};
use crate::destinations::Skip;
use crate::failure::Reason;
use crate::tally::Fate;
use crate::transformation::Outcome;

const CONSUMED: Counter<1> = Counter {
    name: "tributary_deliver_consumed_total",
    help: "Records taken in, of the event topic and of the retry topic: read, and not done before.",
    labels: [Label::DESTINATION],
};
const RECORDS: Counter<2> = Counter {
    name: "tributary_deliver_records_total",
    help: "Records whose fate was decided: of each that was taken in, once, when this process has nothing more to \
           do with it.",
    labels: [Label::DESTINATION, Label { name: "fate", values: Values::Words(fates) }],
};
const WAITING: Gauge<1> = Gauge {
    name: "tributary_deliver_waiting_records",
    help: "Records that were taken in and have no fate yet.",
    labels: [Label::DESTINATION],
};
const LAG: Gauge<3> = Gauge {
    name: "tributary_deliver_lag_records",
    help: "Offsets of a topic up to the last that may be read, by partition.",
    labels: [Label::DESTINATION, TOPIC, Label::PARTITION],
};
const REBALANCES: Counter<1> = Counter {
    name: "tributary_deliver_rebalances_total",
    help: "Times that partitions were assigned and could be worked on.",
    labels: [Label::DESTINATION],
};
const ANSWERS: Counter<2> = Counter {
    name: "tributary_deliver_answers_total",
    help: "Requests made of the destination, by the status it answered, or why it did not.",
    labels: [Label::DESTINATION, Label { name: "code", values: Values::Words(codes) }],
};
const ANSWER_SECONDS: Histogram<1> = Histogram {
    name: "tributary_deliver_answer_seconds",
    help: "From a request to the end of its answer, or to giving it up.",
    labels: [Label::DESTINATION],
    buckets: SECONDS,
};
const OLDEST: Gauge<2> = Gauge {
    name: "tributary_deliver_oldest_seconds",
    help: "Age of the oldest record that waits: in the event topic since it was appended, in the retry topic since \
           it failed first.",
    labels: [Label::DESTINATION, TOPIC],
};

/// One of the two topics of a destination.
const TOPIC: Label = Label { name: "topic", values: Values::Words(|| vec![EVENTS, RETRY]) };
/// `subscriptions.events`.
pub const EVENTS: &str = "events";
/// The destination's retry topic.
pub const RETRY: &str = "retry";

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
const TRANSFORMED: Counter<2> = Counter {
    name: "tributary_deliver_transformed_total",
    help: "Times that an event was planned by transformation code, by what came of it; again with each attempt.",
    labels: [
        Label::DESTINATION,
        Label { name: "outcome", values: Values::Words(transformation_outcomes) },
    ],
};
const BREAKER: Gauge<2> = Gauge {
    name: "tributary_deliver_breaker",
    help: "1 for the state of the destination's breaker, 0 for the others. It is called while closed.",
    labels: [
        Label::DESTINATION,
        Label { name: "state", values: Values::Words(|| BREAKER_STATES.to_vec()) },
    ],
};
const BACKLOG: Gauge<2> = Gauge {
    name: "tributary_deliver_retry_backlog",
    help: "Records in the retry topic that this instance has yet to deliver, by failed attempts: 0 are followers, \
           which wait for an earlier event of their subscriber.",
    labels: [
        Label::DESTINATION,
        Label { name: "attempts", values: Values::Words(|| ATTEMPTS_MADE.to_vec()) },
    ],
};

/// How many attempts of an event failed; the last is for all beyond.
pub const ATTEMPTS_MADE: [&str; 6] = ["0", "1", "2", "3", "4", "5_or_more"];

const LINE_STOPPED: Gauge<1> = Gauge {
    name: "tributary_line_stopped",
    help: "1 while the line stands still because too much would have been parked.",
    labels: [Label::DESTINATION],
};
const END_TO_END: Histogram<2> = Histogram {
    name: "tributary_deliver_end_to_end_seconds",
    help: "To the destination's answer, from when the event occurred by its provider's clock, or from its webhook \
           in the raw topic.",
    labels: [
        Label::DESTINATION,
        Label { name: "since", values: Values::Words(|| vec![OCCURRED, RECEIVED]) },
    ],
    buckets: &[
        0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 3_600.0, 21_600.0,
        86_400.0,
    ],
};

/// At the provider.
pub const OCCURRED: &str = "occurred";
/// In the raw topic.
pub const RECEIVED: &str = "received";

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

fn fates() -> Vec<&'static str> {
    Fate::iter().map(Fate::word).collect()
}

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

fn transformation_outcomes() -> Vec<&'static str> {
    Outcome::iter().map(Outcome::word).collect()
}

fn park_reasons() -> Vec<&'static str> {
    Reason::iter().filter(|reason| reason.parks()).map(Reason::word).collect()
}

/// The metrics of all destinations.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Taken in.
    pub consumed: CounterFamily<1>,
    /// Has a fate.
    pub records: CounterFamily<2>,
    /// Has none yet.
    pub waiting: GaugeFamily<1>,
    lag: GaugeFamily<3>,
    /// Assigned anew.
    pub rebalances: CounterFamily<1>,
    answers: CounterFamily<2>,
    answer_seconds: HistogramFamily<1>,
    /// How old the oldest is.
    pub oldest: GaugeFamily<2>,
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
    /// Planned by transformation code.
    pub transformed: CounterFamily<2>,
    /// State of the breaker.
    pub breaker: GaugeFamily<2>,
    /// Waiting in the retry topic.
    pub backlog: GaugeFamily<2>,
    /// Whether the line stands still.
    pub line_stopped: GaugeFamily<1>,
    /// How long it took.
    pub end_to_end: HistogramFamily<2>,
}

impl Metrics {
    /// Declares them all.
    pub fn register(registry: &mut Registry) -> Result<Self, DeclarationError> {
        Ok(Self {
            consumed: registry.counter(&CONSUMED)?,
            records: registry.counter(&RECORDS)?,
            waiting: registry.gauge(&WAITING)?,
            lag: registry.gauge(&LAG)?,
            rebalances: registry.counter(&REBALANCES)?,
            answers: registry.counter(&ANSWERS)?,
            answer_seconds: registry.histogram(&ANSWER_SECONDS)?,
            oldest: registry.gauge(&OLDEST)?,
            delivered: registry.counter(&DELIVERED)?,
            skipped: registry.counter(&SKIPPED)?,
            refreshed: registry.counter(&REFRESHED)?,
            shadowed: registry.counter(&SHADOWED)?,
            parked: registry.counter(&PARKED)?,
            moved: registry.counter(&MOVED)?,
            attempts: registry.counter(&ATTEMPTS)?,
            duplicates: registry.counter(&DUPLICATES)?,
            transformed: registry.counter(&TRANSFORMED)?,
            breaker: registry.gauge(&BREAKER)?,
            backlog: registry.gauge(&BACKLOG)?,
            line_stopped: registry.gauge(&LINE_STOPPED)?,
            end_to_end: registry.histogram(&END_TO_END)?,
        })
    }
}
