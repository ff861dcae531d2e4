//! Reads from the topics and the groups what concerns one key, and changes nothing anywhere.
//!
//! No group is joined. The partition is computed from the key, as whoever wrote the records did; what other keys
//! have there is passed over without being copied or decoded, and time bounds are looked up in the index of each
//! topic. What is large is read side by side, each by a client of its own.
//!
//! The ends are looked up in such an order that the answer is true of one moment: raw, `transform`'s states, and
//! only then everything that a record may have become; what a destination has marked done, and only then what it
//! wrote elsewhere in the same transactions. So a record that was seen is never missing from where it went
//! meanwhile. How far `transform` has come stands in the states themselves.

mod destination;
mod scan;

use std::collections::BTreeSet;

use dead_letters::letter::Letter;
use schemas::Timestamp;
use schemas::codec::{Codec, Framing};
use schemas::state::{PartitionRecord, SubscriberState};
use service::clock::Clock;
use service::config::Config;
use stream::{Reader, Received};
use transform::placement::partition_of;
use transform::rules::Rules;
use transform::state::PARTITION_KEY;
use transform::worker::outgoing::Names;

use self::destination::{Found, Receiving};
use self::scan::{Records, letters, range};
use super::TraceError;
use super::hindsight::look_back;
use super::material::{AtDestination, Event, Material};
use crate::bodies::Bodies;
use crate::configure;
use crate::lanes::Sequence;

/// The topics of an installation, opened for reading.
pub(super) struct Archive<'a> {
    pub(super) names: Names,
    pub(super) states: Codec<SubscriberState>,
    pub(super) partitions: i32,
    progress: Codec<PartitionRecord>,
    clock: &'a dyn Clock,
    bodies: Bodies,
    rules: Rules,
    /// One each for raw, states and events.
    readers: [Reader; 3],
    destinations: Vec<Receiving<'a>>,
}

/// What the threads bring.
struct Gathered {
    raw: Vec<Received>,
    linked_to: Option<String>,
    state: Option<Received>,
    /// The partition's own record among the states.
    progress: Option<Received>,
    events: Vec<Received>,
    letters: Vec<Letter>,
    destinations: Vec<Found>,
}

/// Which key is asked about, and where it lies.
#[derive(Clone, Copy)]
struct Question<'a> {
    key: &'a str,
    partition: i32,
    since: Timestamp,
}

impl<'a> Archive<'a> {
    /// Connects, and looks whether the topics are there.
    pub(super) fn open(
        config: &'a Config,
        clock: &'a dyn Clock,
        bodies: Bodies,
    ) -> Result<Self, TraceError> {
        let cluster = configure::cluster(config);
        let names = Names::with_prefix(&config.kafka.topic_prefix);
        let open = || Reader::open(&cluster, &names.group);
        let readers = [open()?, open()?, open()?];
        let partitions = readers[0].partitions(&names.raw)?;
        for topic in [&names.raw, &names.events, &names.state] {
            if readers[0].partitions(topic)? == 0 {
                return Err(TraceError::NoTopic(topic.clone()));
            }
        }
        let receiving = config.destinations.iter().map(|(name, destination)| {
            Receiving::open(&cluster, config, (name.as_str(), destination))
        });
        Ok(Self {
            states: Codec::new(Framing::SingleObject)?,
            progress: Codec::new(Framing::SingleObject)?,
            rules: transform::configure::replay_rules(config)?,
            destinations: receiving.collect::<Result<_, _>>()?,
            names,
            partitions,
            clock,
            bodies,
            readers,
        })
    }

    /// The client that reads states: for who looks for people.
    pub(super) fn of_states(&self) -> &Reader {
        &self.readers[1]
    }

    /// Everything about `key` since a moment.
    pub(super) fn about(&self, key: &str, since: Timestamp) -> Result<Material, TraceError> {
        let partition = partition_of(key.as_bytes(), self.partitions);
        let gathered = self.read(Question { key, partition, since })?;
        let mut events = Vec::new();
        let mut unreadable = self.understand(&gathered.events, Kept::InTopic, &mut events);
        for found in &gathered.destinations {
            unreadable += self.understand(&found.records, Kept::Elsewhere, &mut events);
        }
        events.sort_by_key(|told| (Sequence::of(&told.event), told.offset));
        let now = Timestamp::from_millis(self.clock.now_millis());
        let at = self.destinations.iter().zip(gathered.destinations);
        let at = at.map(|(receiving, found)| receiving.at(found, (&events, now)));
        let mut destinations: Vec<_> = at.collect();
        self.watch(partition, &events, &mut destinations)?;
        let state = gathered.state.and_then(|record| record.value);
        let progress = gathered.progress.and_then(|record| record.value);
        let progress = progress.map(|value| self.progress.decode(&value)).transpose()?;
        Ok(Material {
            key: key.to_owned(),
            partition,
            hindsight: look_back(&gathered.raw, &self.rules)?,
            raw: gathered.raw,
            taken_up_to: progress.map(|progress| progress.next_raw_offset),
            state: state.map(|value| self.states.decode(&value)).transpose()?,
            linked_to: gathered.linked_to,
            letters: gathered.letters,
            events,
            unreadable,
            destinations,
        })
    }

    fn read(&self, question: Question<'_>) -> Result<Gathered, TraceError> {
        let Question { partition, since, .. } = question;
        let names = &self.names;
        let [of_raw, of_states, of_events] = &self.readers;
        let raw = range(of_raw, &names.raw, partition, since)?;
        let states = of_states.low_and_high(&names.state, partition)?;
        std::thread::scope(|scope| {
            let records = scope.spawn(move || {
                let of = Records { reader: of_raw, question };
                Ok::<_, TraceError>((of.all(&names.raw, raw)?, of.link(&names.links)?))
            });
            let states = scope.spawn(move || {
                let of = Records { reader: of_states, question };
                of.last_and_last_of(&names.state, states, PARTITION_KEY)
            });
            let of = Records { reader: of_events, question };
            let events = scope.spawn(move || {
                let recent = range(of_events, &names.events, partition, since)?;
                let letters = letters(of_events, &names.unprocessable, question)?;
                let letters = letters.into_iter().map(|(letter, _)| letter).collect();
                Ok::<_, TraceError>((recent.0, of.all(&names.events, recent)?, letters))
            });
            let receiving = self.destinations.iter().map(Receiving::reading);
            let receiving = receiving.map(|reading| scope.spawn(move || reading.find(question)));
            let receiving: Vec<_> = receiving.collect();
            let (raw, linked_to) = joined(records)?;
            let (state, progress) = joined(states)?;
            let (from, mut events, letters) = joined(events)?;
            let found = receiving.into_iter().map(joined);
            let destinations = found.collect::<Result<Vec<Found>, _>>()?;
            // What nobody has done yet may be older.
            let undone = destinations.iter().filter_map(Found::undone).min();
            if let Some(undone) = undone.filter(|undone| *undone < from) {
                let (low, _) = of_events.low_and_high(&names.events, partition)?;
                let mut older = of.all(&names.events, (undone.max(low), from))?;
                older.append(&mut events);
                events = older;
            }
            Ok(Gathered { raw, linked_to, state, progress, events, letters, destinations })
        })
    }

    /// Adds the events among the records. Says how many are none that can be read.
    fn understand(&self, records: &[Received], kept: Kept, events: &mut Vec<Event>) -> usize {
        let mut unreadable = 0;
        let mut known: BTreeSet<String> =
            events.iter().map(|told| told.event.event_id.clone()).collect();
        for record in records {
            let Some(event) = record.value.as_deref().and_then(|value| self.bodies.event(value))
            else {
                unreadable += 1;
                continue;
            };
            let is_new = known.insert(event.event_id.clone());
            match kept {
                Kept::InTopic => events.push(Event { offset: Some(record.offset), event }),
                Kept::Elsewhere if is_new => events.push(Event { offset: None, event }),
                Kept::Elsewhere => {}
            }
        }
        unreadable
    }

    /// Looks a second time at destinations where something lies in the event topic that nobody has done.
    fn watch(
        &self,
        partition: i32,
        events: &[Event],
        destinations: &mut [AtDestination],
    ) -> Result<(), TraceError> {
        let clock = self.clock;
        std::thread::scope(|scope| {
            let watching = self.destinations.iter().zip(destinations).map(|(receiving, at)| {
                let watch = receiving.watch(at, events);
                (scope.spawn(move || watch.look(partition, clock)), at)
            });
            let watching: Vec<_> = watching.collect();
            for (watched, at) in watching {
                at.service.breaker = joined(watched)?;
            }
            Ok(())
        })
    }
}

/// Where an event was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    InTopic,
    /// Among what waits or was parked: its place in the event topic may be gone.
    Elsewhere,
}

fn joined<T>(
    thread: std::thread::ScopedJoinHandle<'_, Result<T, TraceError>>,
) -> Result<T, TraceError> {
    thread.join().unwrap_or(Err(TraceError::Ended))
}
