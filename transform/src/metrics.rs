//! Everything `transform` counts, with names, meanings and labels in one place.
//!
//! What transactions did is counted when they have committed, so that work that is done again is not
//! counted twice. Labels are bounded: sources are those configured, all else are closed lists.
//!
//! Nothing vanishes unseen: what was taken in and what came with a partition that was taken over is at any moment
//! what has a fate, what went with a partition that was handed over, and what still waits.

mod catalogue;

use std::sync::Arc;
use std::time::Duration;

use service::metrics::{
    CounterFamily, DeclarationError, GaugeFamily, HistogramFamily, Latest, Registry, amount,
};
use stream::{Lag, Watcher};

pub use self::catalogue::DAMAGED;
use self::catalogue::{COMMITTED, DOUBTFUL};
use crate::tally::Tally;

/// The catalogue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    consumed: CounterFamily<0>,
    records: CounterFamily<1>,
    taken_over: CounterFamily<0>,
    handed_over: CounterFamily<0>,
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
    held: GaugeFamily<1>,
    hold_seconds: HistogramFamily<0>,
    state_bytes: GaugeFamily<1>,
    lag: GaugeFamily<1>,
    rebalances: CounterFamily<0>,
    waiting: GaugeFamily<1>,
    waiting_for_links: GaugeFamily<1>,
    line_stopped: GaugeFamily<0>,
}

impl Metrics {
    /// Declares all of them; those without open labels stand at zero from now on.
    pub fn register(registry: &mut Registry) -> Result<Self, DeclarationError> {
        let metrics = Self {
            consumed: registry.counter(&catalogue::CONSUMED)?,
            records: registry.counter(&catalogue::RECORDS)?,
            taken_over: registry.counter(&catalogue::TAKEN_OVER)?,
            handed_over: registry.counter(&catalogue::HANDED_OVER)?,
            ticks: registry.counter(&catalogue::TICKS)?,
            events: registry.counter(&catalogue::EVENTS)?,
            duplicates: registry.counter(&catalogue::DUPLICATES)?,
            reordered: registry.counter(&catalogue::REORDERED)?,
            late: registry.counter(&catalogue::LATE)?,
            released_early: registry.counter(&catalogue::RELEASED_EARLY)?,
            ids_forgotten: registry.counter(&catalogue::IDS_FORGOTTEN)?,
            subscriptions_forgotten: registry.counter(&catalogue::SUBSCRIPTIONS_FORGOTTEN)?,
            waited: registry.counter(&catalogue::WAITED)?,
            rekeyed: registry.counter(&catalogue::REKEYED)?,
            links: registry.counter(&catalogue::LINKS)?,
            senders_unknown: registry.counter(&catalogue::SENDERS_UNKNOWN)?,
            clock_corrected: registry.counter(&catalogue::CLOCK_CORRECTED)?,
            parked: registry.counter(&catalogue::PARKED)?,
            ignored: registry.counter(&catalogue::IGNORED)?,
            misplaced: registry.counter(&catalogue::MISPLACED)?,
            transactions: registry.counter(&catalogue::TRANSACTIONS)?,
            commit_seconds: registry.histogram(&catalogue::COMMIT_SECONDS)?,
            restore_seconds: registry.histogram(&catalogue::RESTORE_SECONDS)?,
            restore_remaining: registry.gauge(&catalogue::RESTORE_REMAINING)?,
            store_discarded: registry.counter(&catalogue::STORE_DISCARDED)?,
            held: registry.gauge(&catalogue::HELD)?,
            hold_seconds: registry.histogram(&catalogue::HOLD_SECONDS)?,
            state_bytes: registry.gauge(&catalogue::STATE_BYTES)?,
            lag: registry.gauge(&catalogue::LAG)?,
            rebalances: registry.counter(&catalogue::REBALANCES)?,
            waiting: registry.gauge(&catalogue::WAITING)?,
            waiting_for_links: registry.gauge(&catalogue::WAITING_FOR_LINKS)?,
            line_stopped: registry.gauge(&catalogue::LINE_STOPPED)?,
        };
        metrics.line_stopped.with([]).set(0.0);
        Ok(metrics)
    }

    /// A transaction committed and did this.
    pub fn done(&self, tally: &Tally) {
        let Tally {
            consumed,
            settled,
            holds,
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
        for (fate, number) in settled {
            self.records.with([fate.word()]).inc_by(*number);
        }
        for hold in holds {
            self.hold_seconds.with([]).observe(hold.as_secs_f64());
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

    /// A worker was assigned its partitions.
    pub fn rebalanced(&self) {
        self.rebalances.with([]).inc();
    }

    /// A partition begins with what waited in it.
    pub fn taken_over(&self, partition: i32, standing: Standing) {
        self.taken_over.with([]).inc_by(standing.records());
        self.stands(partition, standing);
    }

    /// This is how a partition stands when a transaction has committed.
    pub fn stands(&self, partition: i32, standing: Standing) {
        let partition = partition.to_string();
        let Standing { subscribers, held, waiting_for_links, bytes } = standing;
        let counts = [
            (&self.waiting, subscribers),
            (&self.held, held),
            (&self.waiting_for_links, waiting_for_links),
        ];
        for (gauge, count) in counts {
            gauge.with([&partition]).set(amount(count as u64));
        }
        self.state_bytes.with([&partition]).set(amount(bytes));
    }

    /// A partition is let go of as it last stood.
    pub fn released(&self, partition: i32, last: Standing) {
        self.handed_over.with([]).inc_by(last.records());
        let partition = partition.to_string();
        let gauges = [
            &self.waiting,
            &self.held,
            &self.waiting_for_links,
            &self.state_bytes,
            &self.restore_remaining,
        ];
        for gauge in gauges {
            gauge.remove([&partition]);
        }
    }

    /// Shows how far a worker is behind.
    pub fn lag(&self) -> Arc<dyn Watcher> {
        Arc::new(Behind(Latest::of(self.lag.clone())))
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

/// What a partition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Subscribers with events that wait for the window.
    pub subscribers: usize,
    /// Those events.
    pub held: usize,
    /// Records that wait for a link.
    pub waiting_for_links: usize,
    /// What the store takes on disk.
    pub bytes: u64,
}

impl Standing {
    /// Everything whose fate is not decided.
    pub fn records(self) -> u64 {
        (self.held + self.waiting_for_links) as u64
    }
}

#[derive(Debug)]
struct Behind(Latest<1>);

impl Watcher for Behind {
    fn lags(&self, lags: Vec<Lag>) {
        self.0.show(lags.into_iter().map(|lag| ([lag.partition.to_string()], amount(lag.records))));
    }
}

#[cfg(test)]
mod tests {
    use schemas::EventType;
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
