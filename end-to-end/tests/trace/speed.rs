//! One subscriber among very many records: a million events, as many webhooks and as many states with
//! `TRIBUTARY_LONG_TESTS`, and fewer without.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use end_to_end::configuration::Configuration;
use end_to_end::workspace;
use schemas::codec::{Codec, Framing};
use schemas::headers::{EventHeaders, RawHeaders};
use schemas::samples::full_event;
use schemas::state::SubscriberState;
use schemas::topics::{Installation, Topic, catalogue};
use schemas::{LifecycleEvent, Timestamp};
use service::clock::{Clock, SystemClock};
use stream::{Cluster, Record, Transactions, admin};

use super::{object, told, trace};

const PARTITIONS: i32 = 12;
/// Of each subscriber.
const EVENTS: i64 = 10;
/// Subscribers whose records one transaction of the generator writes.
const TOGETHER: i64 = 200;
/// What is promised for a subscriber key.
const SOON: Duration = Duration::from_secs(2);

/// Topics of nobody else, and what writes to them.
struct Filling {
    prefix: String,
    configuration: PathBuf,
    transactions: Transactions,
    events: Codec<LifecycleEvent>,
    states: Codec<SubscriberState>,
    body: Vec<u8>,
}

impl Filling {
    fn new() -> Self {
        let broker = Broker::shared().expect("a broker to test against");
        let prefix = format!("trace-speed-{:x}.", SystemClock::new().now_millis());
        let folder = workspace::fresh_run_folder("trace-speed").unwrap();
        let configuration =
            Configuration::without_destinations(broker.address(), &prefix, &folder).unwrap();
        let file = folder.join("tributary.yaml");
        std::fs::write(&file, configuration.render()).unwrap();
        let cluster = Cluster {
            brokers: broker.address().to_owned(),
            properties: BTreeMap::new(),
            session_timeout: Duration::from_secs(6),
            max_message_bytes: 2 * 1024 * 1024,
        };
        let installation = Installation {
            prefix: &prefix,
            destinations: vec!["customerio", "intercom"],
            in_shadow: Vec::new(),
            partitions: PARTITIONS,
            max_body: 1024 * 1024,
        };
        let specs = catalogue(&installation).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(admin::create_missing(&cluster, &specs, 1)).unwrap();
        Self {
            transactions: Transactions::open(&cluster, &format!("{prefix}fills")).unwrap(),
            prefix,
            configuration: file,
            events: Codec::new(Framing::SingleObject).unwrap(),
            states: Codec::new(Framing::SingleObject).unwrap(),
            body: format!("{{\"event\": {{\"note\": \"{}\"}}}}", "word ".repeat(120)).into_bytes(),
        }
    }

    /// The webhooks, events and states of so many subscribers.
    fn fill(&mut self, subscribers: i64) {
        for first in (0..subscribers).step_by(usize::try_from(TOGETHER).unwrap()) {
            self.transactions.begin().unwrap();
            for sequence in 1..=EVENTS {
                for number in first..subscribers.min(first + TOGETHER) {
                    for record in self.records(number, sequence) {
                        self.transactions.send(record).unwrap();
                    }
                }
            }
            self.transactions.commit_records().unwrap();
        }
    }

    fn records(&self, number: i64, sequence: i64) -> [Record; 3] {
        let mut event = full_event();
        let id = format!("evt_{number}_{sequence}");
        event.subscriber.key = format!("stripe/cus_{number}");
        event.subscriber.id = format!("cus_{number}");
        event.event_id = format!("{number:026x}{sequence:06x}");
        (event.sequence, event.provider_event_id) = (sequence, id.clone());
        event.received_at = Timestamp::from_millis(SystemClock::new().now_millis());
        let mut state = SubscriberState { sequence, ..SubscriberState::default() };
        state.identity.id.clone_from(&event.subscriber.id);
        state.identity.email = Some(format!("cus_{number}@example.com"));
        state.seen = vec![0; 120];
        let raw = RawHeaders {
            id: id.clone(),
            source: "stripe".to_owned(),
            event_type: "stripe.invoice.paid".to_owned(),
            time: None,
            content_type: None,
            traceparent: None,
            rekeyed: None,
        };
        let told = EventHeaders {
            id: event.event_id.clone(),
            source: "stripe".to_owned(),
            event_type: event.event_type.name().to_owned(),
            traceparent: None,
        };
        let (mut of_event, mut of_state) = (Vec::new(), Vec::new());
        self.events.encode(&event, &mut of_event).unwrap();
        self.states.encode(&state, &mut of_state).unwrap();
        let record = |topic: Topic, value: Vec<u8>, headers| Record {
            topic: topic.name(&self.prefix),
            partition: None,
            key: event.subscriber.key.clone().into_bytes(),
            value: Some(value),
            headers,
        };
        [
            record(Topic::Raw, self.body.clone(), raw.to_headers()),
            record(Topic::Events, of_event, told.to_headers()),
            record(Topic::State, of_state, Vec::new()),
        ]
    }

    /// How long it takes until the whole story of ten events is there; the best of some.
    fn asked(&self, who: &str, times: usize) -> Duration {
        let once = |_| {
            let begun = Instant::now();
            let output = trace(&self.configuration, &[], &[who, "--json"]);
            let taken = begun.elapsed();
            assert!(output.status.success(), "{}", told(&output));
            let story = &object(&output)["subscribers"][0];
            assert_eq!(story["events"].as_array().map(Vec::len), Some(10));
            assert_eq!(story["webhooks"].as_array().map(Vec::len), Some(10));
            taken
        };
        (0..times).map(once).min().unwrap()
    }
}

#[test]
fn a_subscriber_is_found_soon_among_very_many() {
    let long = std::env::var_os("TRIBUTARY_LONG_TESTS").is_some();
    let subscribers = if long { 100_000 } else { 2_000 };
    let mut filling = Filling::new();
    filling.fill(subscribers);
    let by_key = filling.asked("stripe/cus_1234", 3);
    let by_address = filling.asked("cus_1234@example.com", 1);
    let count = subscribers * EVENTS;
    println!("{count} events: {by_key:?} by the key, {by_address:?} by the address");
    assert!(by_key < SOON, "{by_key:?} among {count} events");
}
