//! Everything `transform` counts, with names, meanings and labels in one place.
//!
//! What transactions did is counted when they have committed, so that work that is done again is not
//! counted twice. Labels are bounded: sources are those configured, all else are closed lists.

use std::time::Duration;

use schemas::EventType;
use service::metrics::{
    Counter, CounterFamily, DeclarationError, Gauge, GaugeFamily, Histogram, HistogramFamily,
    Label, Registry, SECONDS, Values,
};
use strum::IntoEnumIterator;

use crate::parking::ParkReason;
use crate::state::Cause;
use crate::tally::Tally;

const CONSUMED: Counter<0> = Counter {
    name: "tributary_transform_consumed_total",
    help: "Records of the raw topic taken in.",
    labels: [],
};
const TICKS: Counter<0> = Counter {
    name: "tributary_transform_ticks_total",
    help: "Ticks among the records taken in.",
    labels: [],
};
const EVENTS: Counter<1> = Counter {
    name: "tributary_transform_events_total",
    help: "Lifecycle events emitted, by type.",
    labels: [Label { name: "type", values: Values::Words(types) }],
};
const DUPLICATES: Counter<0> = Counter {
    name: "tributary_transform_duplicates_total",
    help: "Records whose event had been accepted before.",
    labels: [],
};
const REORDERED: Counter<0> = Counter {
    name: "tributary_transform_reordered_total",
    help: "Events that arrived behind a later one and were put right within the window.",
    labels: [],
};
const LATE: Counter<0> = Counter {
    name: "tributary_transform_late_total",
    help: "Lifecycle events emitted as late: a later one had passed the window.",
    labels: [],
};
const RELEASED_EARLY: Counter<0> = Counter {
    name: "tributary_transform_released_early_total",
    help: "Held events let go before their time because a subscriber had too many.",
    labels: [],
};
const IDS_FORGOTTEN: Counter<0> = Counter {
    name: "tributary_transform_ids_forgotten_total",
    help: "Ids for deduplication forgotten before their time because a subscriber had too many.",
    labels: [],
};
const SUBSCRIPTIONS_FORGOTTEN: Counter<0> = Counter {
    name: "tributary_transform_subscriptions_forgotten_total",
    help: "Subscriptions, longest ended first, forgotten because a subscriber had too many.",
    labels: [],
};
const WAITED: Counter<0> = Counter {
    name: "tributary_transform_waited_total",
    help: "Records that began to wait until it is known whose they are.",
    labels: [],
};
const REKEYED: Counter<0> = Counter {
    name: "tributary_transform_rekeyed_total",
    help: "Copies written to the raw topic under the key of whom the record concerns.",
    labels: [],
};
const LINKS: Counter<0> = Counter {
    name: "tributary_transform_links_total",
    help: "Links announced: whose a thing is.",
    labels: [],
};
const SENDERS_UNKNOWN: Counter<0> = Counter {
    name: "tributary_transform_senders_unknown_total",
    help: "Transfers that moved nothing, because nobody was ever known under the sender's ids.",
    labels: [],
};
const CLOCK_CORRECTED: Counter<0> = Counter {
    name: "tributary_transform_clock_corrected_total",
    help: "Events from more than five minutes in the future, given the time of their reception.",
    labels: [],
};
const PARKED: Counter<1> = Counter {
    name: "tributary_transform_parked_total",
    help: "Records parked in the unprocessable topic, by reason.",
    labels: [Label { name: "reason", values: Values::Words(park_reasons) }],
};
const IGNORED: Counter<2> = Counter {
    name: "tributary_transform_ignored_total",
    help: "Records that give no lifecycle event, by source and reason.",
    labels: [
        Label::SOURCE,
        Label { name: "reason", values: Values::Documented("[mappings.md](mappings.md)") },
    ],
};
const MISPLACED: Counter<1> = Counter {
    name: "tributary_transform_misplaced_total",
    help: "Records of producers of one's own outside of the partition that murmur2 gives their key, \
           by source.",
    labels: [Label::SOURCE],
};
const TRANSACTIONS: Counter<1> = Counter {
    name: "tributary_transform_transactions_total",
    help: "Transactions by outcome: committed, or in doubt and done again.",
    labels: [Label { name: "outcome", values: Values::Words(|| vec![COMMITTED, DOUBTFUL]) }],
};
const COMMIT_SECONDS: Histogram<0> = Histogram {
    name: "tributary_transform_transaction_seconds",
    help: "From the begin of a transaction to its commit; readers of its partitions wait as long.",
    labels: [],
    buckets: SECONDS,
};
const RESTORE_SECONDS: Histogram<0> = Histogram {
    name: "tributary_transform_restore_seconds",
    help: "Time to take over a partition and read its state.",
    labels: [],
    buckets: SECONDS,
};
const RESTORE_REMAINING: Gauge<1> = Gauge {
    name: "tributary_transform_restore_remaining_offsets",
    help: "Offsets of the changelog still to read until a partition is taken over, while that takes \
           longer than a few seconds.",
    labels: [Label::PARTITION],
};
const STORE_DISCARDED: Counter<1> = Counter {
    name: "tributary_transform_store_discarded_total",
    help: "Local stores that were not believed and were rebuilt from the changelog, by cause.",
    labels: [Label { name: "cause", values: Values::Words(discard_causes) }],
};
const WAITING: Gauge<1> = Gauge {
    name: "tributary_transform_waiting_subscribers",
    help: "Subscribers with events that wait for the reorder window, by partition.",
    labels: [Label::PARTITION],
};
const WAITING_FOR_LINKS: Gauge<1> = Gauge {
    name: "tributary_transform_waiting_for_links",
    help: "Records that wait until it is known whose they are, by partition.",
    labels: [Label::PARTITION],
};
const LINE_STOPPED: Gauge<0> = Gauge {
    name: "tributary_line_stopped",
    help: "1 while the line is stopped because too much was parked; POST /resume lets it go on.",
    labels: [],
};

/// A transaction that committed.
const COMMITTED: &str = "committed";
/// A transaction that did not surely commit.
const DOUBTFUL: &str = "doubtful";

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

/// The catalogue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    consumed: CounterFamily<0>,
    ticks: CounterFamily<0>,
    events: CounterFamily<1>,
    duplicates: CounterFamily<0>,
    reordered: CounterFamily<0>,
    late: CounterFamily<0>,
    released_early: CounterFamily<0>,
    ids_forgotten: CounterFamily<0>,
    subscriptions_forgotten: CounterFamily<0>,
    waited: CounterFamily<0>,
    rekeyed: CounterFamily<0>,
    links: CounterFamily<0>,
    senders_unknown: CounterFamily<0>,
    clock_corrected: CounterFamily<0>,
    parked: CounterFamily<1>,
    ignored: CounterFamily<2>,
    misplaced: CounterFamily<1>,
    transactions: CounterFamily<1>,
    commit_seconds: HistogramFamily<0>,
    restore_seconds: HistogramFamily<0>,
    restore_remaining: GaugeFamily<1>,
    store_discarded: CounterFamily<1>,
    waiting: GaugeFamily<1>,
    waiting_for_links: GaugeFamily<1>,
    line_stopped: GaugeFamily<0>,
}

impl Metrics {
    /// Declares all of them; those without open labels stand at zero from now on.
    pub fn register(registry: &mut Registry) -> Result<Self, DeclarationError> {
        let metrics = Self {
            consumed: registry.counter(&CONSUMED)?,
            ticks: registry.counter(&TICKS)?,
            events: registry.counter(&EVENTS)?,
            duplicates: registry.counter(&DUPLICATES)?,
            reordered: registry.counter(&REORDERED)?,
            late: registry.counter(&LATE)?,
            released_early: registry.counter(&RELEASED_EARLY)?,
            ids_forgotten: registry.counter(&IDS_FORGOTTEN)?,
            subscriptions_forgotten: registry.counter(&SUBSCRIPTIONS_FORGOTTEN)?,
            waited: registry.counter(&WAITED)?,
            rekeyed: registry.counter(&REKEYED)?,
            links: registry.counter(&LINKS)?,
            senders_unknown: registry.counter(&SENDERS_UNKNOWN)?,
            clock_corrected: registry.counter(&CLOCK_CORRECTED)?,
            parked: registry.counter(&PARKED)?,
            ignored: registry.counter(&IGNORED)?,
            misplaced: registry.counter(&MISPLACED)?,
            transactions: registry.counter(&TRANSACTIONS)?,
            commit_seconds: registry.histogram(&COMMIT_SECONDS)?,
            restore_seconds: registry.histogram(&RESTORE_SECONDS)?,
            restore_remaining: registry.gauge(&RESTORE_REMAINING)?,
            store_discarded: registry.counter(&STORE_DISCARDED)?,
            waiting: registry.gauge(&WAITING)?,
            waiting_for_links: registry.gauge(&WAITING_FOR_LINKS)?,
            line_stopped: registry.gauge(&LINE_STOPPED)?,
        };
        metrics.line_stopped.with([]).set(0.0);
        Ok(metrics)
    }

    /// A transaction committed and did this.
    pub fn done(&self, tally: &Tally) {
        let Tally {
            consumed,
            ticks,
            events,
            duplicates,
            reordered,
            late,
            released_early,
            ids_forgotten,
            clock_corrected,
            waited,
            rekeyed,
            links,
            senders_unknown,
            // Only a replay leaves any, and tells it itself.
            left_to_copies: _,
            subscriptions_forgotten,
            parked,
            ignored,
            misplaced,
        } = tally;
        let totals = [
            (&self.consumed, consumed),
            (&self.ticks, ticks),
            (&self.duplicates, duplicates),
            (&self.reordered, reordered),
            (&self.late, late),
            (&self.released_early, released_early),
            (&self.ids_forgotten, ids_forgotten),
            (&self.subscriptions_forgotten, subscriptions_forgotten),
            (&self.waited, waited),
            (&self.rekeyed, rekeyed),
            (&self.links, links),
            (&self.senders_unknown, senders_unknown),
            (&self.clock_corrected, clock_corrected),
        ];
        for (counter, number) in totals {
            counter.with([]).inc_by(*number);
        }
        for (event_type, number) in events {
            self.events.with([event_type.name()]).inc_by(*number);
        }
        for (reason, number) in parked {
            self.parked.with([reason.name()]).inc_by(*number);
        }
        for ((source, reason), number) in ignored {
            self.ignored.with([source, reason]).inc_by(*number);
        }
        for (source, number) in misplaced {
            self.misplaced.with([source]).inc_by(*number);
        }
    }

    /// A transaction committed after so long.
    pub fn committed(&self, took: Duration) {
        self.transactions.with([COMMITTED]).inc();
        self.commit_seconds.with([]).observe(took.as_secs_f64());
    }

    /// A transaction did not surely commit; its work is done again.
    pub fn in_doubt(&self) {
        self.transactions.with([DOUBTFUL]).inc();
    }

    /// A partition was taken over.
    pub fn restored(&self, took: Duration) {
        self.restore_seconds.with([]).observe(took.as_secs_f64());
    }

    /// So many offsets are still to be read until a partition is taken over; none when it is.
    pub fn restoring(&self, partition: i32, remaining: Option<i64>) {
        let partition = partition.to_string();
        match remaining {
            Some(offsets) => {
                let number = f64::from(u32::try_from(offsets).unwrap_or(u32::MAX));
                self.restore_remaining.with([&partition]).set(number);
            }
            None => self.restore_remaining.remove([&partition]),
        }
    }

    /// A local store was not believed.
    pub fn store_discarded(&self, cause: &'static str) {
        self.store_discarded.with([cause]).inc();
    }

    /// So many subscribers of a partition wait for the window, and so many records for a link.
    pub fn waiting(&self, partition: i32, subscribers: usize, records: usize) {
        let partition = partition.to_string();
        for (gauge, count) in [(&self.waiting, subscribers), (&self.waiting_for_links, records)] {
            gauge.with([&partition]).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        }
    }

    /// A partition went elsewhere.
    pub fn released(&self, partition: i32) {
        let partition = partition.to_string();
        self.waiting.remove([&partition]);
        self.waiting_for_links.remove([&partition]);
        self.restore_remaining.remove([&partition]);
    }

    /// The line stopped.
    pub fn line_stopped(&self) {
        self.line_stopped.with([]).set(1.0);
    }

    /// The line goes on.
    pub fn line_resumed(&self) {
        self.line_stopped.with([]).set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use service::metrics::Dimensions;

    use super::*;

    #[test]
    fn what_a_transaction_did_is_shown_under_the_documented_names() {
        let mut registry = Registry::new(Dimensions::default()).unwrap();
        let metrics = Metrics::register(&mut registry).unwrap();
        let mut tally = Tally {
            duplicates: 3,
            reordered: 2,
            late: 1,
            waited: 7,
            subscriptions_forgotten: 4,
            ..Tally::default()
        };
        tally.events.insert(EventType::TrialStarted, 5);
        tally.ignore("shop", "link_only");
        metrics.done(&tally);
        metrics.line_stopped();
        let text = registry.text().unwrap();
        for line in [
            "tributary_transform_duplicates_total 3",
            "tributary_transform_reordered_total 2",
            "tributary_transform_late_total 1",
            "tributary_transform_waited_total 7",
            "tributary_transform_subscriptions_forgotten_total 4",
            "tributary_transform_events_total{type=\"trial_started\"} 5",
            "tributary_transform_parked_total{reason=\"unreadable\"} 0",
            "tributary_transform_ignored_total{reason=\"link_only\",source=\"shop\"} 1",
            "tributary_line_stopped 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
