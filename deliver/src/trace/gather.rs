//! Reads from the topics and the groups what concerns one key, and changes nothing anywhere.
//!
//! No group is joined. The partition is computed from the key, as whoever wrote the records did; what other keys
//! have there is passed over without being copied or decoded, and time bounds are looked up in the index of each
//! topic. What is large is read side by side, each by a client of its own.
//!
//! The order in which ends are looked up makes the answer true of one moment: raw, what `transform` and the
//! destinations have committed, `transform`'s states, and only then everything that a record may have become. So a
//! record that was seen is never missing from where it went meanwhile, and what is marked done has its copy in
//! what is read after that.

mod destination;
mod scan;

use std::collections::BTreeSet;

use dead_letters::letter::Letter;
use schemas::codec::{Codec, Framing};
use schemas::state::SubscriberState;
use schemas::{LifecycleEvent, Timestamp};
use service::clock::Clock;
use service::config::Config;
use stream::{Reader, Received};
use transform::placement::partition_of;
use transform::rules::Rules;
use transform::worker::outgoing::Names;

use self::destination::{Found, Receiving};
use self::scan::{Records, letters, range};
use super::TraceError;
use super::hindsight::look_back;
use super::material::{Event, Material, Standing};
use crate::bodies::Bodies;
use crate::configure;

/// The topics of an installation, opened for reading.
pub(super) struct Archive<'a> {
    pub(super) names: Names,
    pub(super) states: Codec<SubscriberState>,
    pub(super) partitions: i32,
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
        let question = Question { key, partition, since };
        let [reader, of_states, _] = &self.readers;
        let raw = range(reader, &self.names.raw, partition, since)?;
        let taken_up_to = reader.committed(&self.names.raw, partition)?;
        let standings = self.standings(partition)?;
        let states = of_states.low_and_high(&self.names.state, partition)?;
        let gathered = self.read(question, raw, states, &standings)?;
        let mut events = Vec::new();
        let mut unreadable = self.understand(&gathered.events, Kept::InTopic, &mut events);
        for found in &gathered.destinations {
            unreadable += self.understand(&found.records, Kept::Elsewhere, &mut events);
        }
        events.sort_by_key(|told| (told.event.sequence, told.offset));
        let state = gathered.state.and_then(|record| record.value);
        let at = self.destinations.iter().zip(standings).zip(gathered.destinations);
        let now = Timestamp::from_millis(self.clock.now_millis());
        let mut destinations: Vec<_> = at
            .map(|((receiving, standing), found)| receiving.at(standing, found, (&events, now)))
            .collect();
        self.watch(partition, &events, &mut destinations)?;
        Ok(Material {
            key: key.to_owned(),
            partition,
            hindsight: look_back(&gathered.raw, &self.rules)?,
            raw: gathered.raw,
            taken_up_to,
            state: state.map(|value| self.states.decode(&value)).transpose()?,
            linked_to: gathered.linked_to,
            letters: gathered.letters,
            events,
            unreadable,
            destinations,
        })
    }

    fn standings(&self, partition: i32) -> Result<Vec<Option<Standing>>, TraceError> {
        let of = self.destinations.iter();
        of.map(|receiving| receiving.standing(partition)).collect()
    }

    fn read(
        &self,
        question: Question<'_>,
        raw: (i64, i64),
        states: (i64, i64),
        standings: &[Option<Standing>],
    ) -> Result<Gathered, TraceError> {
        let names = &self.names;
        let [of_raw, of_states, of_events] = &self.readers;
        let undone = standings.iter().flatten().map(|standing| standing.events.next()).min();
        std::thread::scope(|scope| {
            let records = scope.spawn(move || {
                let of = Records { reader: of_raw, question };
                Ok::<_, TraceError>((of.all(&names.raw, raw)?, of.link(&names.links)?))
            });
            let state = scope.spawn(move || {
                let of = Records { reader: of_states, question };
                of.last(&names.state, states)
            });
            let events = scope.spawn(move || {
                let of = Records { reader: of_events, question };
                let recent = of.range(&names.events, undone)?;
                let events = of.all(&names.events, recent)?;
                let letters = letters(of_events, &names.unprocessable, question)?;
                let letters = letters.into_iter().map(|(letter, _)| letter).collect();
                Ok::<_, TraceError>((events, letters))
            });
            let receiving = self.destinations.iter().zip(standings).map(|(receiving, standing)| {
                let reading = receiving.reading();
                scope.spawn(move || reading.find(question, standing.as_ref()))
            });
            let receiving: Vec<_> = receiving.collect();
            let (raw, linked_to) = joined(records)?;
            let state = joined(state)?;
            let (events, letters) = joined(events)?;
            let destinations = receiving.into_iter().map(joined).collect::<Result<_, _>>()?;
            Ok(Gathered { raw, linked_to, state, events, letters, destinations })
        })
    }

    /// Adds the events among the records. Says how many are none that can be read.
    fn understand(&self, records: &[Received], kept: Kept, events: &mut Vec<Event>) -> usize {
        let mut unreadable = 0;
        let known: BTreeSet<String> =
            events.iter().map(|told| told.event.event_id.clone()).collect();
        for record in records {
            let event = record.value.as_deref().and_then(|value| self.bodies.event(value));
            match (event, kept) {
                (Some(event), Kept::InTopic) => {
                    events.push(Event { offset: Some(record.offset), event });
                }
                (Some(event), Kept::Elsewhere) if !is_known(&event, &known, events) => {
                    events.push(Event { offset: None, event });
                }
                (Some(_), Kept::Elsewhere) => {}
                (None, _) => unreadable += 1,
            }
        }
        unreadable
    }

    /// Looks a second time at destinations where something lies in the event topic that nobody has done.
    fn watch(
        &self,
        partition: i32,
        events: &[Event],
        destinations: &mut [super::material::AtDestination],
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

fn is_known(event: &LifecycleEvent, known: &BTreeSet<String>, events: &[Event]) -> bool {
    known.contains(&event.event_id)
        || events.iter().any(|told| told.event.event_id == event.event_id)
}

fn joined<T>(
    thread: std::thread::ScopedJoinHandle<'_, Result<T, TraceError>>,
) -> Result<T, TraceError> {
    thread.join().unwrap_or(Err(TraceError::Ended))
}
