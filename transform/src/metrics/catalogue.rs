//! Every metric of `transform`, with its meaning and what its labels can say.

use schemas::EventType;
use service::metrics::{Counter, Gauge, Histogram, Label, SECONDS, Values};
use strum::IntoEnumIterator;

use crate::parking::ParkReason;
use crate::state::Cause;
use crate::tally::Fate;

pub(super) const CONSUMED: Counter<0> = Counter {
    name: "tributary_transform_consumed_total",
    help: "Records of the raw topic taken in.",
    labels: [],
};
pub(super) const RECORDS: Counter<1> = Counter {
    name: "tributary_transform_records_total",
    help: "Records whose fate was decided: of each that was taken in, once, when it waits for nothing any more.",
    labels: [Label { name: "fate", values: Values::Words(fates) }],
};
pub(super) const TAKEN_OVER: Counter<0> = Counter {
    name: "tributary_transform_taken_over_records_total",
    help: "Records that waited in partitions when they were taken over.",
    labels: [],
};
pub(super) const HANDED_OVER: Counter<0> = Counter {
    name: "tributary_transform_handed_over_records_total",
    help: "Records that waited in partitions when they were let go of.",
    labels: [],
};
pub(super) const TICKS: Counter<0> = Counter {
    name: "tributary_transform_ticks_total",
    help: "Ticks among the records taken in.",
    labels: [],
};
pub(super) const EVENTS: Counter<1> = Counter {
    name: "tributary_transform_events_total",
    help: "Lifecycle events emitted, by type.",
    labels: [Label { name: "type", values: Values::Words(types) }],
};
pub(super) const DUPLICATES: Counter<0> = Counter {
    name: "tributary_transform_duplicates_total",
    help: "Records whose event had been accepted before.",
    labels: [],
};
pub(super) const REORDERED: Counter<0> = Counter {
    name: "tributary_transform_reordered_total",
    help: "Events that arrived behind a later one and were put right within the window.",
    labels: [],
};
pub(super) const LATE: Counter<0> = Counter {
    name: "tributary_transform_late_total",
    help: "Lifecycle events emitted as late: a later one had passed the window.",
    labels: [],
};
pub(super) const RELEASED_EARLY: Counter<0> = Counter {
    name: "tributary_transform_released_early_total",
    help: "Held events let go before their time because a subscriber had too many.",
    labels: [],
};
pub(super) const IDS_FORGOTTEN: Counter<0> = Counter {
    name: "tributary_transform_ids_forgotten_total",
    help: "Ids for deduplication forgotten before their time because a subscriber had too many.",
    labels: [],
};
pub(super) const SUBSCRIPTIONS_FORGOTTEN: Counter<0> = Counter {
    name: "tributary_transform_subscriptions_forgotten_total",
    help: "Subscriptions, longest ended first, forgotten because a subscriber had too many.",
    labels: [],
};
pub(super) const WAITED: Counter<0> = Counter {
    name: "tributary_transform_waited_total",
    help: "Records that began to wait until it is known whose they are.",
    labels: [],
};
pub(super) const REKEYED: Counter<0> = Counter {
    name: "tributary_transform_rekeyed_total",
    help: "Copies written to the raw topic under the key of whom the record concerns.",
    labels: [],
};
pub(super) const LINKS: Counter<0> = Counter {
    name: "tributary_transform_links_total",
    help: "Links announced: whose a thing is.",
    labels: [],
};
pub(super) const SENDERS_UNKNOWN: Counter<0> = Counter {
    name: "tributary_transform_senders_unknown_total",
    help: "Transfers that moved nothing, because nobody was ever known under the sender's ids.",
    labels: [],
};
pub(super) const CLOCK_CORRECTED: Counter<0> = Counter {
    name: "tributary_transform_clock_corrected_total",
    help: "Events from more than five minutes in the future, given the time of their reception.",
    labels: [],
};
pub(super) const PARKED: Counter<1> = Counter {
    name: "tributary_transform_parked_total",
    help: "Records parked in the unprocessable topic, by reason.",
    labels: [Label { name: "reason", values: Values::Words(park_reasons) }],
};
pub(super) const IGNORED: Counter<2> = Counter {
    name: "tributary_transform_ignored_total",
    help: "Records that give no lifecycle event, by source and reason.",
    labels: [
        Label::SOURCE,
        Label { name: "reason", values: Values::Documented("[mappings.md](mappings.md)") },
    ],
};
pub(super) const MISPLACED: Counter<1> = Counter {
    name: "tributary_transform_misplaced_total",
    help: "Records of producers of one's own outside of the partition that murmur2 gives their key, \
           by source.",
    labels: [Label::SOURCE],
};
pub(super) const TRANSACTIONS: Counter<1> = Counter {
    name: "tributary_transform_transactions_total",
    help: "Transactions by outcome: committed, or in doubt and done again.",
    labels: [Label { name: "outcome", values: Values::Words(|| vec![COMMITTED, DOUBTFUL]) }],
};
pub(super) const COMMIT_SECONDS: Histogram<0> = Histogram {
    name: "tributary_transform_transaction_seconds",
    help: "From the begin of a transaction to its commit; readers of its partitions wait as long.",
    labels: [],
    buckets: SECONDS,
};
pub(super) const RESTORE_SECONDS: Histogram<0> = Histogram {
    name: "tributary_transform_restore_seconds",
    help: "Time to take over a partition and read its state.",
    labels: [],
    buckets: SECONDS,
};
pub(super) const RESTORE_REMAINING: Gauge<1> = Gauge {
    name: "tributary_transform_restore_remaining_offsets",
    help: "Offsets of the changelog still to read until a partition is taken over, while that takes \
           longer than a few seconds.",
    labels: [Label::PARTITION],
};
pub(super) const STORE_DISCARDED: Counter<1> = Counter {
    name: "tributary_transform_store_discarded_total",
    help: "Local stores that were not believed and were rebuilt from the changelog, by cause.",
    labels: [Label { name: "cause", values: Values::Words(discard_causes) }],
};
pub(super) const HELD: Gauge<1> = Gauge {
    name: "tributary_transform_held_records",
    help: "Records that wait for the reorder window, by partition.",
    labels: [Label::PARTITION],
};
pub(super) const HOLD_SECONDS: Histogram<0> = Histogram {
    name: "tributary_transform_hold_seconds",
    help: "How long the reorder window held events, by the stream's time.",
    labels: [],
    buckets: SECONDS,
};
pub(super) const STATE_BYTES: Gauge<1> = Gauge {
    name: "tributary_transform_state_bytes",
    help: "What the local store of a partition takes on disk.",
    labels: [Label::PARTITION],
};
pub(super) const LAG: Gauge<1> = Gauge {
    name: "tributary_transform_lag_records",
    help: "Offsets of the raw topic up to the last that may be read, by partition.",
    labels: [Label::PARTITION],
};
pub(super) const REBALANCES: Counter<0> = Counter {
    name: "tributary_transform_rebalances_total",
    help: "Times that a worker was assigned its partitions.",
    labels: [],
};
pub(super) const WAITING: Gauge<1> = Gauge {
    name: "tributary_transform_waiting_subscribers",
    help: "Subscribers with events that wait for the reorder window, by partition.",
    labels: [Label::PARTITION],
};
pub(super) const WAITING_FOR_LINKS: Gauge<1> = Gauge {
    name: "tributary_transform_waiting_for_links",
    help: "Records that wait until it is known whose they are, by partition.",
    labels: [Label::PARTITION],
};
pub(super) const LINE_STOPPED: Gauge<0> = Gauge {
    name: "tributary_line_stopped",
    help: "1 while the line is stopped because too much was parked; POST /resume lets it go on.",
    labels: [],
};

/// A transaction that committed.
pub(super) const COMMITTED: &str = "committed";
/// A transaction that did not surely commit.
pub(super) const DOUBTFUL: &str = "doubtful";

fn fates() -> Vec<&'static str> {
    Fate::iter().map(Fate::word).collect()
}

fn types() -> Vec<&'static str> {
    EventType::iter().filter(|told| *told != EventType::Unknown).map(EventType::name).collect()
}

fn park_reasons() -> Vec<&'static str> {
    ParkReason::iter().map(ParkReason::name).collect()
}

/// A store that its own checks found damaged; all other causes are those of not believing one.
pub const DAMAGED: &str = "damaged";

fn discard_causes() -> Vec<&'static str> {
    Cause::iter().map(Into::into).chain([DAMAGED]).collect()
}
