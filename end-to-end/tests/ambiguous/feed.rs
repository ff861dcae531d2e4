//! What is told: events of a few subscribers, written to the raw topic as a native producer would, some of them twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use schemas::headers::RawHeaders;
use schemas::topics::Topic;
use service::clock::{Clock, SystemClock};
use stream::{Appender, Cluster, Record};
use tokio::runtime::Runtime;

/// The configured source they come from.
pub(crate) const SOURCE: &str = "own";

const SUBSCRIBERS: usize = 12;

/// Between two records.
const PACE: Duration = Duration::from_millis(15);

/// One in so many is followed by a copy of an earlier one.
const COPIES: u32 = 6;

const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);

/// An event that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) subscriber: String,
    pub(crate) id: String,
}

/// Writes to the raw topic, and remembers.
pub(crate) struct Feed {
    runtime: Runtime,
    appender: Appender,
    clock: SystemClock,
    random: StdRng,
    topic: String,
    last_moment: i64,
    records: Vec<Record>,
    /// In the order of their offsets and of their moments.
    pub(crate) events: Vec<Told>,
}

impl Feed {
    pub(crate) fn told(&self) -> usize {
        self.events.len()
    }

    /// A last event of every subscriber, and a copy of every record there ever was.
    pub(crate) fn tell_everybody_and_repeat_everything(&mut self) {
        for record in self.records.clone() {
            self.append(record);
        }
        for subscriber in 0..SUBSCRIBERS {
            self.tell(subscriber);
        }
    }

    fn tell_something(&mut self) {
        let subscriber = self.random.random_range(0..SUBSCRIBERS);
        self.tell(subscriber);
        if self.random.random_ratio(1, COPIES) {
            let again = self.random.random_range(0..self.records.len());
            self.append(self.records[again].clone());
        }
    }

    fn tell(&mut self, subscriber: usize) {
        // No two at the same moment, so that there is one right order.
        self.last_moment = self.clock.now_millis().max(self.last_moment + 1);
        let who = format!("person-{subscriber}");
        let told =
            Told { subscriber: format!("{SOURCE}/{who}"), id: format!("told-{}", self.told()) };
        let event = serde_json::json!({
            "type": "subscription_renewed",
            "occurred_at": self.last_moment,
            "subscriber": { "id": who },
            "subscription": { "id": format!("subscription-of-{who}") },
        });
        let headers = RawHeaders {
            id: told.id.clone(),
            source: SOURCE.to_owned(),
            event_type: "native.subscription_renewed".to_owned(),
            time: None,
            content_type: Some("application/json".to_owned()),
            traceparent: None,
            rekeyed: None,
        };
        let record = Record {
            topic: self.topic.clone(),
            partition: None,
            key: told.subscriber.clone().into_bytes(),
            value: Some(event.to_string().into_bytes()),
            headers: headers.to_headers(),
        };
        self.append(record.clone());
        self.records.push(record);
        self.events.push(told);
    }

    fn append(&self, record: Record) {
        self.runtime.block_on(self.appender.append(record)).expect("the broker takes it");
    }
}

/// A feed that goes on by itself.
pub(crate) struct Feeding {
    told: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Feed>,
}

impl Feeding {
    pub(crate) fn start(cluster: &Cluster, prefix: &str, seed: u64) -> Self {
        let mut feed = Feed {
            runtime: Runtime::new().unwrap(),
            appender: Appender::open(cluster, ACKNOWLEDGED_WITHIN).unwrap(),
            clock: SystemClock::new(),
            random: StdRng::seed_from_u64(seed),
            topic: Topic::Raw.name(prefix),
            last_moment: 0,
            records: Vec::new(),
            events: Vec::new(),
        };
        let told = Arc::new(AtomicUsize::new(0));
        let enough = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (told, enough) = (Arc::clone(&told), Arc::clone(&enough));
            move || {
                while !enough.load(Ordering::Acquire) {
                    feed.tell_something();
                    told.store(feed.told(), Ordering::Release);
                    std::thread::sleep(PACE);
                }
                feed
            }
        });
        Self { told, enough, thread }
    }

    /// How many events so far, copies not counted.
    pub(crate) fn told(&self) -> usize {
        self.told.load(Ordering::Acquire)
    }

    pub(crate) fn stop(self) -> Feed {
        self.enough.store(true, Ordering::Release);
        self.thread.join().expect("feeding went well")
    }
}
