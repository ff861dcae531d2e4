//! What is told: events of a few subscribers, written to the raw topic as a native producer would, some of them twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use schemas::headers::RawHeaders;
use schemas::topics::Topic;
use service::clock::{Clock, SystemClock};
use stream::{Acknowledged, AppendError, Appender, Cluster, Record};
use tokio::runtime::Runtime;

/// The configured source they come from.
pub(crate) const SOURCE: &str = "own";

const SUBSCRIBERS: usize = 12;

/// Records of a crowd that are not acknowledged yet.
const UNDERWAY: usize = 5_000;

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

    /// From now on for another installation, and so are the copies of what was told before.
    pub(crate) fn go_on_at(&mut self, prefix: &str) {
        self.topic = Topic::Raw.name(prefix);
        for record in &mut self.records {
            record.topic.clone_from(&self.topic);
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
        let record = renewal(&self.topic, &who, &told.id, self.last_moment);
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
    /// One record after the other, with a pause of `pace` between two.
    pub(crate) fn start(cluster: &Cluster, prefix: &str, seed: u64, pace: Duration) -> Self {
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
                    std::thread::sleep(pace);
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

/// Many subscribers, of whom each is told about now and then.
pub(crate) struct Crowd {
    runtime: Runtime,
    appender: Appender,
    clock: SystemClock,
    topic: String,
    rounds: usize,
}

impl Crowd {
    pub(crate) fn new(cluster: &Cluster, prefix: &str) -> Self {
        Self {
            runtime: Runtime::new().unwrap(),
            appender: Appender::open(cluster, ACKNOWLEDGED_WITHIN).unwrap(),
            clock: SystemClock::new(),
            topic: Topic::Raw.name(prefix),
            rounds: 0,
        }
    }

    /// One event of each of so many subscribers.
    pub(crate) fn everybody(&mut self, subscribers: usize) {
        self.rounds += 1;
        let mut underway = VecDeque::new();
        for subscriber in 0..subscribers {
            let who = format!("person-{subscriber}");
            let id = format!("told-{}-{subscriber}", self.rounds);
            let record = renewal(&self.topic, &who, &id, self.clock.now_millis());
            if underway.len() == UNDERWAY {
                self.settle(&mut underway);
            }
            underway.push_back(Box::pin(self.appender.enqueue(&record).expect("it is queued")));
        }
        while !underway.is_empty() {
            self.settle(&mut underway);
        }
    }

    /// Another event of the first `count` of them.
    pub(crate) fn first(&mut self, count: usize) {
        self.everybody(count);
    }

    fn settle<F>(&self, underway: &mut VecDeque<F>)
    where
        F: Future<Output = Result<Acknowledged, AppendError>>,
    {
        if let Some(fate) = underway.pop_front() {
            self.runtime.block_on(fate).expect("the broker takes it");
        }
    }
}

/// What a native producer writes when a subscription renews.
fn renewal(topic: &str, who: &str, id: &str, occurred_at: i64) -> Record {
    let event = serde_json::json!({
        "type": "subscription_renewed",
        "occurred_at": occurred_at,
        "subscriber": { "id": who },
        "subscription": { "id": format!("subscription-of-{who}") },
    });
    raw(topic, (SOURCE, who), (id, "native.subscription_renewed"), event.to_string())
}

/// A record of the raw topic, as whoever received it writes it. `of` is the source and the rest of the
/// key, `event` its id and type.
pub(crate) fn raw(topic: &str, of: (&str, &str), event: (&str, &str), body: String) -> Record {
    let headers = RawHeaders {
        id: event.0.to_owned(),
        source: of.0.to_owned(),
        event_type: event.1.to_owned(),
        time: None,
        content_type: Some("application/json".to_owned()),
        traceparent: None,
        rekeyed: None,
    };
    Record {
        topic: topic.to_owned(),
        partition: None,
        key: format!("{}/{}", of.0, of.1).into_bytes(),
        value: Some(body.into_bytes()),
        headers: headers.to_headers(),
    }
}
