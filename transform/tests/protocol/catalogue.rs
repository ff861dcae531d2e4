//! The records that travel, each under a number, and what a replay of a raw log gives.
//!
//! Events and changes are the bytes that the crate's own [`Outgoing`] makes of what its own [`Line`]
//! decided. Numbers make states small and quick to compare; records that are equal have the same one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use schemas::codec::{Codec, Framing};
use schemas::headers::{RawHeaders, is_tick};
use schemas::state::PartitionRecord;
use schemas::{Provider, Timestamp};
use stream::Record;
use transform::line::{Emission, Line, Taken};
use transform::record::Raw;
use transform::rules::{Rules, Times};
use transform::sources::native::imported;
use transform::sources::{Source, SourceSettings};
use transform::state::{Batch, Change, MemoryStore, PARTITION_KEY, Store};
use transform::worker::outgoing::{Names, Outgoing};

use crate::kafka::{Latest, Payload};
use crate::plain::Plain;

/// What a record of raw tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tells {
    Event,
    /// The subscriber as of that moment: state changes, and there is no event.
    Subscriber,
}

/// A record of raw before it is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) tells: Tells,
    pub(crate) subscriber: &'static str,
    pub(crate) id: u32,
    /// When it happened, by the provider's clock.
    pub(crate) occurred: i64,
    /// How long after the entry before it the broker's clock shows, in milliseconds.
    pub(crate) gap: i64,
}

/// One lifecycle event on its topic.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    pub(crate) subscriber: String,
    pub(crate) sequence: i64,
    pub(crate) provider_event_id: String,
    pub(crate) late: Lateness,
    value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lateness {
    InTime,
    Late,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Content {
    Raw { appended_at: i64, key: Vec<u8>, value: Option<Vec<u8>>, tick_or_id: Option<String> },
    Event(Told),
    Change { key: Vec<u8>, value: Option<Vec<u8>>, waits: u8 },
}

/// What a log of raw gives when it is read from its beginning.
pub(crate) struct Expected {
    pub(crate) events: Vec<Payload>,
    /// What is still held goes last.
    pub(crate) drained: Vec<Payload>,
    /// After each record, beginning with none: every subscriber's state.
    pub(crate) states: Vec<u64>,
    /// Subscribers that still have something held after the last.
    pub(crate) waiting: usize,
}

pub(crate) struct Catalogue {
    pub(crate) rules: Rules,
    pub(crate) outgoing: Outgoing,
    pub(crate) records: Codec<PartitionRecord>,
    numbers: RefCell<HashMap<Content, Payload>>,
    contents: RefCell<Vec<Rc<Content>>>,
    replays: RefCell<HashMap<Vec<Payload>, Rc<Expected>>>,
    keys: Vec<Vec<u8>>,
}

/// The stopwatch of a worker to which nothing happens for long.
pub(crate) const LATER: Duration = Duration::from_hours(1);

impl Catalogue {
    pub(crate) fn new(window: i64, subscribers: &[&str]) -> Self {
        let source = Source {
            name: "shop".to_owned(),
            provider: Provider::Stripe,
            mapper: &Plain,
            settings: SourceSettings::default(),
        };
        let window = Duration::from_millis(u64::try_from(window).unwrap());
        let times = Times {
            reorder_window: window,
            dedup_window: Duration::from_hours(35 * 24),
            link_timeout: Duration::from_hours(1),
        };
        let sources = [source].into_iter().collect();
        Self {
            rules: Rules::new(sources, times, 1 << 20).unwrap(),
            outgoing: Outgoing::new(Names::with_prefix(""), Framing::SingleObject).unwrap(),
            records: Codec::new(Framing::SingleObject).unwrap(),
            numbers: RefCell::default(),
            contents: RefCell::default(),
            replays: RefCell::default(),
            keys: subscribers.iter().map(|name| format!("shop/{name}").into_bytes()).collect(),
        }
    }

    fn number(&self, content: Content) -> Payload {
        let mut contents = self.contents.borrow_mut();
        *self.numbers.borrow_mut().entry(content.clone()).or_insert_with(|| {
            contents.push(Rc::new(content));
            Payload::try_from(contents.len() - 1).unwrap()
        })
    }

    fn content(&self, payload: Payload) -> Rc<Content> {
        Rc::clone(&self.contents.borrow()[payload as usize])
    }

    pub(crate) fn input(&self, input: &Input, appended_at: i64) -> Payload {
        self.number(Content::Raw {
            appended_at,
            key: format!("shop/{}", input.subscriber).into_bytes(),
            value: Some(body(input).into_bytes()),
            tick_or_id: Some(match input.tells {
                Tells::Event => format!("r{}", input.id),
                Tells::Subscriber => format!("{IMPORT}{}", input.id),
            }),
        })
    }

    pub(crate) fn tick(&self, partition: usize, appended_at: i64) -> Payload {
        let Record { key, value, headers, .. } =
            self.outgoing.tick(i32::try_from(partition).unwrap());
        assert!(is_tick(&headers), "a tick says so");
        self.number(Content::Raw { appended_at, key, value, tick_or_id: None })
    }

    pub(crate) fn event(&self, partition: usize, emission: &Emission) -> Payload {
        let partition = i32::try_from(partition).unwrap();
        let record = self.outgoing.event(partition, emission).unwrap();
        let event = &emission.event;
        self.number(Content::Event(Told {
            subscriber: event.subscriber.key.clone(),
            sequence: event.sequence,
            provider_event_id: event.provider_event_id.clone(),
            late: if event.late { Lateness::Late } else { Lateness::InTime },
            value: record.value.unwrap(),
        }))
    }

    pub(crate) fn change(&self, change: &Change) -> Payload {
        let Change { key, value, waits } = change.clone();
        self.number(Content::Change { key, value, waits: u8::from(waits) })
    }

    pub(crate) fn told(&self, payload: Payload) -> Told {
        match &*self.content(payload) {
            Content::Event(told) => told.clone(),
            Content::Raw { .. } | Content::Change { .. } => panic!("no event"),
        }
    }

    /// A record of the changelog, as a change.
    pub(crate) fn changed(&self, payload: Payload) -> Change {
        match &*self.content(payload) {
            Content::Change { key, value, waits } => {
                Change { key: key.clone(), value: value.clone(), waits: *waits == 1 }
            }
            Content::Raw { .. } | Content::Event(_) => panic!("no change"),
        }
    }

    pub(crate) fn latest(&self, payload: Payload) -> Latest {
        let change = self.changed(payload);
        if change.value.is_some() {
            Latest::Value(change.key)
        } else {
            Latest::Tombstone(change.key)
        }
    }

    pub(crate) fn appended_at(&self, payload: Payload) -> i64 {
        match &*self.content(payload) {
            Content::Raw { appended_at, .. } => *appended_at,
            Content::Event(_) | Content::Change { .. } => panic!("not of raw"),
        }
    }

    /// What a record of raw is called in a trace.
    pub(crate) fn name(&self, payload: Payload) -> String {
        match &*self.content(payload) {
            Content::Raw { tick_or_id, appended_at, .. } => {
                format!("{} of {appended_at}", tick_or_id.as_deref().unwrap_or("the tick"))
            }
            Content::Event(_) | Content::Change { .. } => panic!("not of raw"),
        }
    }

    /// The line takes a record of raw.
    pub(crate) fn take(
        &self,
        line: &mut Line<MemoryStore>,
        offset: i64,
        payload: Payload,
    ) -> Taken {
        let content = self.content(payload);
        let Content::Raw { appended_at, key, value, tick_or_id } = &*content else {
            panic!("not of raw")
        };
        let headers = match tick_or_id {
            Some(id) => headers(id),
            None => self.outgoing.tick(0).headers,
        };
        let raw = Raw {
            offset,
            appended_at: Timestamp::from_millis(*appended_at),
            key: Some(key),
            value: value.as_deref(),
            headers: &headers,
        };
        let taken = line.take(&raw, Duration::ZERO, &self.rules).unwrap();
        assert_eq!(taken.parked, None, "every record here can be read");
        taken
    }

    pub(crate) fn restored(&self, store: MemoryStore, next_offset: i64) -> Line<MemoryStore> {
        Line::restored(store, 0, next_offset, Duration::ZERO, &self.rules).unwrap()
    }

    pub(crate) fn record_of(&self, store: &MemoryStore) -> Option<PartitionRecord> {
        let value = store.get(PARTITION_KEY).unwrap();
        value.map(|value| self.records.decode(&value).unwrap())
    }

    /// The value of the first subscriber's state.
    pub(crate) fn first_state(&self, store: &MemoryStore) -> Option<Vec<u8>> {
        store.get(&self.keys[0]).unwrap().map(std::borrow::Cow::into_owned)
    }

    /// A change that removes the first subscriber.
    pub(crate) fn erasure(&self) -> Change {
        Change { key: self.keys[0].clone(), value: None, waits: false }
    }

    /// Every subscriber's state, as one number.
    pub(crate) fn digest(&self, store: &MemoryStore) -> u64 {
        let values = self.keys.iter().map(|key| store.get(key).unwrap());
        crate::digest(&values.collect::<Vec<_>>())
    }

    /// The same of the entries that a timer would be rebuilt from.
    pub(crate) fn digest_of_waiting(store: &MemoryStore) -> u64 {
        let mut keys = Vec::new();
        store.waiting(&mut |key, _| keys.push(key.to_vec())).unwrap();
        crate::digest(&keys)
    }

    /// Every entry of the store that is a subscriber's, and whether anything in it waits.
    pub(crate) fn entries(&self, store: &MemoryStore) -> Vec<Change> {
        let mut waiting = Vec::new();
        store.waiting(&mut |key, _| waiting.push(key.to_vec())).unwrap();
        let entry = |key: &Vec<u8>| {
            let value = store.get(key).unwrap()?.into_owned();
            Some(Change { key: key.clone(), value: Some(value), waits: waiting.contains(key) })
        };
        self.keys.iter().filter_map(entry).collect()
    }

    /// What these records of raw give, one transaction each, when nothing ever goes wrong.
    pub(crate) fn replay(&self, partition: usize, raw: &[Payload]) -> Rc<Expected> {
        if let Some(known) = self.replays.borrow().get(raw) {
            return Rc::clone(known);
        }
        let mut store = MemoryStore::default();
        let mut line = self.restored(store.clone(), 0);
        let mut events = Vec::new();
        let mut states = vec![self.digest(&store)];
        for (offset, payload) in raw.iter().enumerate() {
            let taken = self.take(&mut line, crate::kafka::offset(offset), *payload);
            events.extend(taken.events.iter().map(|emission| self.event(partition, emission)));
            let changes = line.changes(&self.rules).unwrap();
            let batch = Batch { changes, checkpoint: 0 };
            store.apply(batch.clone()).unwrap();
            line.committed(batch).unwrap();
            states.push(self.digest(&store));
        }
        let waiting = line.standing().subscribers;
        let tick = self.tick(partition, i64::from(u32::MAX));
        let taken = self.take(&mut line, crate::kafka::offset(raw.len()), tick);
        let drained = taken.events.iter().map(|one| self.event(partition, one)).collect();
        let expected = Rc::new(Expected { events, drained, states, waiting });
        self.replays.borrow_mut().insert(raw.to_vec(), Rc::clone(&expected));
        expected
    }
}

fn body(input: &Input) -> String {
    let Input { subscriber, occurred, id, .. } = input;
    match input.tells {
        Tells::Event => format!("{occurred} 0 trial_ending"),
        Tells::Subscriber => format!(
            r#"{{"as_of": {occurred}, "subscriber": {{"id": "{subscriber}"}},
                "subscriptions": [{{"id": "s{}", "status": "active"}}],
                "totals": [{{"amount": {id}, "currency": "EUR"}}]}}"#,
            id % 2
        ),
    }
}

/// What the id of an import begins with.
const IMPORT: &str = "import ";

fn headers(id: &str) -> Vec<schemas::headers::Header> {
    RawHeaders {
        id: id.to_owned(),
        source: "shop".to_owned(),
        event_type: if id.starts_with(IMPORT) { imported::TYPE } else { "stripe.x" }.to_owned(),
        time: None,
        content_type: None,
        traceparent: None,
        rekeyed: None,
    }
    .to_headers()
}
