//! The most that can be copied from the raw topic to the events exactly once, when each record costs a read and a write
//! of its subscriber's state and as many encodings as it has events: what `transform` cannot do without. No record is
//! understood: a copy is told by the id in its header alone.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use schemas::LifecycleEvent;
use schemas::codec::{Codec, Framing};
use schemas::headers::{Correlation, EventHeaders, Header};
use schemas::samples::full_event;
use schemas::topics::Topic;
use stream::{Group, Membership, Polled, Progress, Received, Record, TopicPartition, Transactions};
use transform::state::{Batch, Change, DiskStore, DiskStores, Store};

use crate::ground::{cluster, say};

/// Events of a renewal.
const EVENTS: usize = 2;
/// Of a state that knows no id yet.
const STATE_BYTES: usize = 500;
/// What each id adds to it.
const ID_BYTES: usize = 16;
const STORE_MEMORY: usize = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    prefix: String,
    #[arg(long)]
    state_dir: PathBuf,
    #[arg(long)]
    commit_interval_ms: u64,
}

struct Copier {
    group: Group,
    transactions: Transactions,
    stores: DiskStores,
    names: [String; 2],
    codec: Codec<LifecycleEvent>,
    event: LifecycleEvent,
    held: BTreeMap<i32, Held>,
    open: Option<Instant>,
}

/// A partition, with what its open transaction changed.
struct Held {
    raw: TopicPartition,
    state: TopicPartition,
    store: DiskStore,
    next_offset: i64,
    changed: HashMap<Vec<u8>, Vec<u8>>,
}

/// Until it is killed.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { brokers, prefix, state_dir, commit_interval_ms } = arguments;
    let cluster = cluster(brokers);
    let raw = Topic::Raw.name(prefix);
    let mut copier = Copier {
        group: Group::join(&cluster, &group(prefix), &[&raw], &Membership::default())?,
        transactions: Transactions::open(&cluster, &group(prefix))?,
        stores: DiskStores::open(state_dir, STORE_MEMORY, 6)?,
        names: [Topic::Events.name(prefix), Topic::State.name(prefix)],
        codec: Codec::new(Framing::SingleObject)?,
        event: LifecycleEvent { payload: None, ..full_event() },
        held: BTreeMap::new(),
        open: None,
    };
    let interval = Duration::from_millis(*commit_interval_ms);
    loop {
        copier.step(interval)?;
    }
}

/// The group that says how far it has come.
pub(crate) fn group(prefix: &str) -> String {
    format!("{prefix}copy-through")
}

impl Copier {
    fn step(&mut self, interval: Duration) -> Result<()> {
        let wait = if self.open.is_some() { Duration::ZERO } else { Duration::from_millis(100) };
        if self.transactions.holds_back() {
            let polled = self.group.poll(Duration::ZERO)?;
            if !matches!(polled, Polled::Idle) {
                return self.react(polled, interval);
            }
            self.transactions.hand_over()?;
        }
        let polled = self.group.poll(wait)?;
        self.react(polled, interval)
    }

    fn react(&mut self, polled: Polled, interval: Duration) -> Result<()> {
        match polled {
            Polled::Record(record) => self.copy(record)?,
            Polled::Idle => self.commit()?,
            Polled::Assigned(partitions) => self.take(&partitions)?,
            Polled::Revoked(_) | Polled::Lost(_) => {
                self.held.clear();
                self.group.release()?;
            }
        }
        if self.open.is_some_and(|began| began.elapsed() >= interval) {
            self.commit()?;
        }
        Ok(())
    }

    fn take(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let committed = self.group.committed(partitions)?;
        let [_, state] = &self.names;
        let mut positions = Vec::new();
        for it in committed {
            let next_offset = it.next_offset.unwrap_or_default();
            let number = it.partition.partition;
            let state = TopicPartition { topic: state.as_str().into(), partition: number };
            let store = self.stores.take(number, PATIENCE)?;
            positions.push((it.partition.clone(), next_offset));
            let changed = HashMap::new();
            self.held
                .insert(number, Held { raw: it.partition, state, store, next_offset, changed });
        }
        self.group.start(&positions)?;
        say("has joined");
        Ok(())
    }

    fn copy(&mut self, record: Received) -> Result<()> {
        let held = self.held.get_mut(&record.partition).context("a record of nobody's")?;
        if self.open.is_none() {
            self.transactions.begin()?;
            self.open = Some(Instant::now());
        }
        held.next_offset = record.offset + 1;
        let key = record.key.unwrap_or_default();
        let id = Correlation::of(&record.headers).event_id.unwrap_or_default().as_bytes();
        // It begins with what tells it from others.
        let id = id.get(..ID_BYTES).unwrap_or(id).to_vec();
        let known = match held.changed.get(&key) {
            Some(known) => Some(known.clone()),
            None => held.store.get(&key)?.map(std::borrow::Cow::into_owned),
        };
        if known.as_ref().is_some_and(|known| known.ends_with(&id)) {
            return Ok(());
        }
        let value = remember(known, &id);
        let [events, state] = &self.names;
        for ordinal in 0..EVENTS {
            self.event.ordinal = i32::try_from(ordinal).unwrap_or_default();
            let mut bytes = Vec::new();
            self.codec.encode(&self.event, &mut bytes)?;
            let headers = EventHeaders {
                id: self.event.event_id.clone(),
                source: self.event.source.clone(),
                event_type: self.event.event_type.name().to_owned(),
                traceparent: None,
            };
            let to = (events.as_str(), record.partition);
            send(&mut self.transactions, to, (&key, bytes), headers.to_headers())?;
        }
        let to = (state.as_str(), record.partition);
        send(&mut self.transactions, to, (&key, value.clone()), Vec::new())?;
        held.changed.insert(key, value);
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        if self.open.take().is_none() {
            return Ok(());
        }
        let progress = |held: &Held| Progress {
            partition: held.raw.clone(),
            next_offset: held.next_offset,
            metadata: String::new(),
        };
        let progress: Vec<Progress> = self.held.values().map(progress).collect();
        let appended = self.transactions.commit(&progress, &self.group.member()?)?;
        for held in self.held.values_mut() {
            let Some(checkpoint) = appended.get(&held.state).copied() else { continue };
            let change = |(key, value)| Change { key, value: Some(value), waits: false };
            let changes = held.changed.drain().map(change).collect();
            held.store.apply(Batch { changes, checkpoint })?;
        }
        Ok(())
    }
}

/// The state with one more id at its end.
fn remember(known: Option<Vec<u8>>, id: &[u8]) -> Vec<u8> {
    let mut value = known.unwrap_or_else(|| vec![b'.'; STATE_BYTES]);
    value.extend_from_slice(id);
    value
}

fn send(
    transactions: &mut Transactions,
    (topic, partition): (&str, i32),
    (key, value): (&[u8], Vec<u8>),
    headers: Vec<Header>,
) -> Result<()> {
    transactions.send(Record {
        topic: topic.to_owned(),
        partition: Some(partition),
        key: key.to_vec(),
        value: Some(value),
        headers,
    })?;
    Ok(())
}
