//! How near the lanes come to what a destination allows, in virtual time: a destination that answers after
//! 20 ms, calls at a time as configured, and always more to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;
use stream::Received;

use super::ledger::Ledger;
use crate::dispatch::Token;
use crate::lanes::{
    Arriving, Bounds, Footprint, History, Identity, Outcome, Schedule, Sequence, Source, Turn,
};
use crate::lease::Terms;
use crate::marks::Marks;
use crate::records::Errand;
use crate::tenure::{Owner, Tenure};

const PARTITIONS: i32 = 12;
const LATENCY: i64 = 20;

/// The lanes with a destination at their end.
struct Bench {
    ledger: Ledger,
    subscribers: i32,
    /// Offset and sequence of what comes next.
    next: BTreeMap<i32, i64>,
    sequences: BTreeMap<i32, i64>,
    /// Calls under way by the time at which they are answered.
    calls: BTreeMap<i64, Vec<Token>>,
    delivered: usize,
}

impl Bench {
    fn new(subscribers: i32) -> Self {
        let schedule = Schedule {
            in_place: Vec::new(),
            delays: Vec::new(),
            horizon: Duration::ZERO,
            quarantine: Duration::ZERO,
        };
        let terms = Terms { lease: Duration::from_secs(5), landing: Duration::from_secs(20) };
        let mut ledger = Ledger::new(Owner(1), Arc::new(schedule), terms, Bounds::default());
        for partition in 0..PARTITIONS {
            let nothing = (Marks::up_to(0), Marks::up_to(0));
            ledger.assign(partition, nothing, Tenure::none(), Duration::ZERO);
        }
        ledger.begin();
        let (next, sequences, calls) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { ledger, subscribers, next, sequences, calls, delivered: 0 }
    }

    /// One more event of every subscriber.
    fn read(&mut self, now: i64) {
        for subscriber in 0..self.subscribers {
            let partition = subscriber % PARTITIONS;
            let offset = self.next.entry(partition).or_default();
            let sequence = self.sequences.entry(subscriber).or_default();
            *sequence += 1;
            let content = Arc::new(Received {
                topic: "events".into(),
                partition,
                offset: *offset,
                timestamp: Timestamp::from_millis(now),
                key: None,
                value: None,
                headers: Vec::new(),
            });
            *offset += 1;
            let lane = subscriber.to_string().into();
            let identity = Identity {
                lane,
                turn: Turn::Live,
                sequence: Sequence { number: *sequence, ..Sequence::default() },
            };
            let arriving = Arriving {
                identity,
                history: History::default(),
                due: Timestamp::from_millis(now),
                footprint: Footprint::default(),
                content,
            };
            let _ = self.ledger.arrive(Source::Events, arriving, Timestamp::from_millis(now));
        }
    }

    /// Lets `concurrency` calls at a time go until `until`.
    fn run(&mut self, concurrency: usize, until: i64) {
        let mut now = 0;
        let mut under_way = 0;
        while now < until {
            let moment = Timestamp::from_millis(now);
            while under_way < concurrency
                && let Some((partition, ticket, _)) = self.ledger.start(moment, Duration::ZERO)
            {
                under_way += 1;
                let (occurred_at, received_at, errand) = (moment, moment, Errand::Tell);
                let token = Token { partition, ticket, occurred_at, received_at, errand };
                self.calls.entry(now + LATENCY).or_default().push(token);
            }
            let Some((answered, tokens)) = self.calls.pop_first() else { return };
            now = answered;
            for token in tokens {
                under_way -= 1;
                self.delivered += 1;
                let moment = Timestamp::from_millis(now);
                let settled = self.ledger.finish(token, Outcome::Done, moment, 0.0);
                assert!(settled.is_some());
            }
        }
    }
}

#[test]
fn lanes_keep_a_destination_as_busy_as_concurrency_and_subscribers_allow() {
    for (concurrency, subscribers) in [(64, 1_000), (64, 64), (64, 10), (8, 300), (1, 50), (64, 1)]
    {
        let mut bench = Bench::new(subscribers);
        for _ in 0..200 {
            bench.read(0);
        }
        let millis = 2_000;
        bench.run(concurrency, millis);
        let at_once = concurrency.min(usize::try_from(subscribers).unwrap());
        let possible = at_once * usize::try_from(millis / LATENCY).unwrap();
        let share = bench.delivered * 100 / possible;
        assert!(share >= 95, "{share} % with {concurrency} calls for {subscribers} subscribers");
    }
}
