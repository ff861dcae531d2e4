//! Where every event is that `transform` told, for one destination: by the topics, by what the destination's group has
//! committed, and by nothing that a killed process would have to remember.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use deliver::marks::Marks;
use end_to_end::destinations::Where;
use end_to_end::journeys::Journey;
use end_to_end::judge::Seen;
use end_to_end::pipeline::Pipeline;
use schemas::LifecycleEvent;
use schemas::codec::{Codec, Framing};
use schemas::topics::Topic;
use stream::{Cluster, Reader, Received};

use crate::grid::cell::PATIENCE;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not yet taken up, or under way: not marked done in the event topic.
    Queued,
    /// Not marked done in the retry topic.
    Waiting,
    /// In the dead letters.
    Parked,
    /// Marked done: the destination took it, or it is not for the destination.
    Done,
}

/// The events of one subscriber in their order.
type Story = BTreeMap<i64, (&'static str, Place)>;

/// All events, by subscriber.
#[derive(Debug)]
pub(crate) struct Account {
    stories: BTreeMap<String, Story>,
    twice: usize,
}

impl Account {
    /// How many events are in this place.
    pub(crate) fn count(&self, place: Place) -> usize {
        self.entries().filter(|(_, own)| *own == place).count()
    }

    /// How many events there are.
    pub(crate) fn told(&self) -> usize {
        self.entries().count()
    }

    /// How many events are in two places.
    pub(crate) fn twice(&self) -> usize {
        self.twice
    }

    /// How many events of this person are in this place.
    pub(crate) fn all_of(&self, journey: &Journey, place: Place) -> usize {
        let story = self.stories.get(&journey.subscriber);
        story.into_iter().flat_map(BTreeMap::values).filter(|(_, own)| *own == place).count()
    }

    /// This person's events in this place that a destination shows, in their order.
    pub(crate) fn of(&self, journey: &Journey, place: Place) -> Vec<&'static str> {
        let shown = journey.shown();
        let story = self.stories.get(&journey.subscriber);
        let there = story.into_iter().flat_map(BTreeMap::values).filter(|(_, own)| *own == place);
        there.map(|(name, _)| *name).filter(|name| shown.contains(name)).collect()
    }

    /// People of whom something is marked done that the destination does not show.
    pub(crate) fn done_but_not_shown<'j>(
        &self,
        journeys: &'j [Journey],
        seen: &Seen,
    ) -> Vec<&'j str> {
        let missing = |journey: &&Journey| {
            let mut shown = seen.get(&journey.who).cloned().unwrap_or_default();
            self.of(journey, Place::Done).into_iter().any(|name| {
                let found = shown.iter().position(|other| other == name);
                found.map(|place| shown.remove(place)).is_none()
            })
        };
        journeys.iter().filter(missing).map(|journey| journey.subscriber.as_str()).collect()
    }

    fn entries(&self) -> impl Iterator<Item = &(&'static str, Place)> {
        self.stories.values().flat_map(BTreeMap::values)
    }
}

/// The topics and the group of one destination.
pub(crate) struct Books {
    reader: Reader,
    codec: Codec<LifecycleEvent>,
    events: String,
    retry: String,
    dead: String,
}

impl Books {
    pub(crate) fn of(pipeline: &Pipeline, destination: &str) -> Self {
        let configuration = &pipeline.configuration;
        let cluster = Cluster {
            brokers: configuration.brokers.clone(),
            properties: BTreeMap::new(),
            session_timeout: Duration::from_secs(6),
            max_message_bytes: 2 * 1024 * 1024,
        };
        let prefix = &configuration.topic_prefix;
        Self {
            reader: Reader::open(&cluster, &format!("{prefix}deliver.{destination}")).unwrap(),
            codec: Codec::new(Framing::SingleObject).unwrap(),
            events: Topic::Events.name(prefix),
            retry: Topic::Retry(destination.to_owned()).name(prefix),
            dead: Topic::Dead(destination.to_owned()).name(prefix),
        }
    }

    /// Reads all of it as it is between two commits of the destination's group.
    pub(crate) fn account(&self) -> Account {
        let marks = || [self.marks(&self.events), self.marks(&self.retry)];
        let mut before = marks();
        loop {
            let account = self.entered(&before);
            let after = marks();
            if before == after {
                return account;
            }
            before = after;
        }
    }

    /// Reads all of it while commits go on: what is done was done when the reading began. An event that moves
    /// meanwhile is seen in two places.
    pub(crate) fn glance(&self) -> Account {
        self.entered(&[self.marks(&self.events), self.marks(&self.retry)])
    }

    fn entered(&self, [of_events, of_retry]: &[Vec<Marks>; 2]) -> Account {
        let undone = |marks: &[Marks], record: &Received| {
            !marks[usize::try_from(record.partition).unwrap()].is_done(record.offset)
        };
        let mut account = Account { stories: BTreeMap::new(), twice: 0 };
        for record in &self.records(&self.events) {
            let event = self.read(record);
            let place = if undone(of_events, record) { Place::Queued } else { Place::Done };
            let story = account.stories.entry(event.subscriber.key).or_default();
            let before = story.insert(event.sequence, (event.event_type.name(), place));
            assert_eq!(before, None, "sequence {} twice", event.sequence);
        }
        let retry = self.records(&self.retry).into_iter();
        let waiting = retry.filter(|record| undone(of_retry, record));
        let waiting = waiting.map(|record| (record, Place::Waiting));
        let parked = self.records(&self.dead).into_iter().map(|record| (record, Place::Parked));
        for (record, place) in waiting.chain(parked) {
            let event = self.read(&record);
            let story = account.stories.get_mut(&event.subscriber.key);
            let entry = story.and_then(|story| story.get_mut(&event.sequence));
            let (_, before) = entry.expect("an event that was told");
            account.twice += usize::from(*before != Place::Done);
            *before = place;
        }
        account
    }

    fn read(&self, record: &Received) -> LifecycleEvent {
        self.codec.decode(record.value.as_deref().unwrap()).unwrap()
    }

    /// Offset and text belong together, and are asked for one after the other: until they stay as they are.
    fn marks(&self, topic: &str) -> Vec<Marks> {
        let mut before = self.committed(topic);
        loop {
            let now = self.committed(topic);
            if now == before {
                let read = |(next, note): (i64, String)| Marks::decode(next, &note).unwrap();
                return now.into_iter().map(read).collect();
            }
            before = now;
        }
    }

    fn committed(&self, topic: &str) -> Vec<(i64, String)> {
        let partitions = self.reader.partitions(topic).unwrap();
        let next = |partition| self.reader.committed(topic, partition).unwrap().unwrap();
        let next: Vec<_> = (0..partitions).map(next).collect();
        let notes = self.reader.notes(topic, partitions).unwrap();
        // An owner commits all of its partitions before it begins.
        assert_eq!(notes.len(), next.len(), "{topic}");
        next.into_iter().zip(notes).collect()
    }

    fn records(&self, topic: &str) -> Vec<Received> {
        let mut all = Vec::new();
        for partition in 0..self.reader.partitions(topic).unwrap() {
            let range = self.reader.low_and_high(topic, partition).unwrap();
            let each = |received| {
                all.push(received);
                ControlFlow::Continue(())
            };
            self.reader.read_to(topic, partition, range, each).unwrap();
        }
        all
    }
}

/// The account when nothing is under way any more, except what is to wait for as long as it is `held`.
pub(crate) fn closed(books: &Books, held: Place) -> Account {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let account = books.account();
        let waiting = if held == Place::Waiting { 0 } else { account.count(Place::Waiting) };
        if account.count(Place::Queued) + waiting == 0 || Instant::now() >= deadline {
            return account;
        }
    }
}

/// In the middle of everything: what is marked done is done.
pub(crate) fn nothing_is_done_unseen(pipeline: &Pipeline, journeys: &[Journey], at: Where) {
    let account = tokio::task::block_in_place(|| Books::of(pipeline, at.name()).glance());
    let unseen = account.done_but_not_shown(journeys, &pipeline.destinations.seen(at));
    assert_eq!(unseen, [""; 0], "at {at:?}; {}", pipeline.setting.folder.display());
}

/// Events that came to an end at a destination, as the process counts them. It forgets them with its life.
pub(crate) fn counted(pipeline: &Pipeline, at: Where) -> usize {
    let metrics = pipeline.deliver.metrics().unwrap();
    let label = format!("destination=\"{}\"", at.name());
    let ends = ["delivered", "skipped", "parked"]
        .map(|end| metrics.sum(&format!("tributary_deliver_{end}_total"), &[&label]));
    format!("{:.0}", ends.iter().sum::<f64>()).parse().unwrap()
}
