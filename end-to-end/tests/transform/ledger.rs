//! What came out: the lifecycle events as any reader of committed records sees them, and the verdict on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use schemas::codec::{Codec, Framing};
use schemas::event::LifecycleEvent;
use schemas::topics::Topic;
use stream::{Cluster, Reader};

use crate::transform::feed::{Feed, Told};

/// Reads events and parked records from where it last stopped.
pub(crate) struct Ledger {
    reader: Reader,
    codec: Codec<LifecycleEvent>,
    events: String,
    parked: String,
    positions: BTreeMap<i32, i64>,
    seen: Seen,
}

/// What is remembered of the events.
enum Seen {
    /// All of it, to be compared with what was told.
    Whole(Vec<LifecycleEvent>),
    /// How many, and the latest sequence of each subscriber: for very many.
    Sequences { count: usize, latest: HashMap<String, i64> },
}

impl Seen {
    fn add(&mut self, event: LifecycleEvent) {
        match self {
            Self::Whole(seen) => seen.push(event),
            Self::Sequences { count, latest } => {
                *count += 1;
                let latest = latest.entry(event.subscriber.key).or_default();
                assert_eq!(event.sequence, *latest + 1, "{} is out of sequence", event.event_id);
                *latest = event.sequence;
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Whole(seen) => seen.len(),
            Self::Sequences { count, .. } => *count,
        }
    }
}

impl Ledger {
    pub(crate) fn open(cluster: &Cluster, prefix: &str) -> Self {
        Self::remembering(cluster, prefix, Seen::Whole(Vec::new()))
    }

    /// For more events than are to be kept. Each is held against the sequence of its subscriber as it is
    /// read.
    pub(crate) fn counting(cluster: &Cluster, prefix: &str) -> Self {
        Self::remembering(cluster, prefix, Seen::Sequences { count: 0, latest: HashMap::new() })
    }

    fn remembering(cluster: &Cluster, prefix: &str, seen: Seen) -> Self {
        let reader = Reader::open(cluster, &format!("{prefix}ledger")).unwrap();
        let events = Topic::Events.name(prefix);
        let partitions = reader.partitions(&events).unwrap();
        Self {
            reader,
            codec: Codec::new(Framing::SingleObject).unwrap(),
            events,
            parked: Topic::Unprocessable.name(prefix),
            positions: (0..partitions).map(|partition| (partition, 0)).collect(),
            seen,
        }
    }

    /// From now on it reads events that are framed by the registry's id of this schema.
    pub(crate) fn learn(&mut self, id: u32, schema: &str) {
        self.codec.learn(id, schema).unwrap();
    }

    /// Reads what has been committed meanwhile; says how many events there are now.
    pub(crate) fn read_on(&mut self) -> usize {
        for (&partition, position) in &mut self.positions {
            let (_, end) = self.reader.low_and_high(&self.events, partition).unwrap();
            let each = |received: stream::Received| {
                self.seen.add(self.codec.decode(&received.value.unwrap()).unwrap());
                ControlFlow::Continue(())
            };
            self.reader.read_to(&self.events, partition, (*position, end), each).unwrap();
            *position = end;
        }
        self.seen.len()
    }

    /// All events, where they are kept.
    pub(crate) fn events(&self) -> &[LifecycleEvent] {
        match &self.seen {
            Seen::Whole(seen) => seen,
            Seen::Sequences { .. } => &[],
        }
    }

    /// The longest story, where only sequences are kept.
    pub(crate) fn highest_sequence(&self) -> i64 {
        match &self.seen {
            Seen::Whole(seen) => seen.iter().map(|event| event.sequence).max().unwrap_or(0),
            Seen::Sequences { latest, .. } => latest.values().copied().max().unwrap_or(0),
        }
    }

    /// Every event told is here once, in order and in sequence, and nothing was parked.
    pub(crate) fn assert_flawless(&self, feed: &Feed, name: &str) {
        self.assert_no_flaw(feed, self.events(), name);
    }

    /// The same of what came out here after what had come out there.
    pub(crate) fn assert_flawless_after(&self, earlier: &Self, feed: &Feed, name: &str) {
        self.assert_no_flaw(feed, &[earlier.events(), self.events()].concat(), name);
    }

    fn assert_no_flaw(&self, feed: &Feed, seen: &[LifecycleEvent], name: &str) {
        let flaws = flaws(&feed.events, seen);
        let first: Vec<_> = flaws.iter().take(10).collect();
        assert!(flaws.is_empty(), "{name}: {} flaws, {first:#?}", flaws.len());
        for partition in 0..self.reader.partitions(&self.parked).unwrap() {
            let range = self.reader.low_and_high(&self.parked, partition).unwrap();
            let each = |parked: stream::Received| unreachable!("{name}: parked {parked:?}");
            self.reader.read_to(&self.parked, partition, range, each).unwrap();
        }
    }
}

/// What is wrong with the events seen, given those that were told.
fn flaws(told: &[Told], seen: &[LifecycleEvent]) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut ids = BTreeSet::new();
    let mut stories: BTreeMap<&str, (Vec<&str>, Vec<&LifecycleEvent>)> = BTreeMap::new();
    for Told { subscriber, id } in told {
        stories.entry(subscriber).or_default().0.push(id);
    }
    for event in seen {
        if !ids.insert(&event.event_id) {
            flaws.push(format!("{} has the id of another", event.provider_event_id));
        }
        if event.late {
            flaws.push(format!("{} is said to be late", event.provider_event_id));
        }
        stories.entry(&event.subscriber.key).or_default().1.push(event);
    }
    for (who, (told, seen)) in stories {
        let sequences: Vec<_> = seen.iter().map(|event| event.sequence).collect();
        if !sequences.iter().copied().eq(1..=i64::try_from(seen.len()).unwrap_or(i64::MAX)) {
            flaws.push(format!("the sequences of {who} are {sequences:?}"));
        }
        let ids: Vec<_> = seen.iter().map(|event| event.provider_event_id.as_str()).collect();
        if ids != told {
            let (told, ids) = differing(&told, &ids);
            flaws.push(format!("{who} was told {told:?} …, seen is {ids:?} …"));
        }
    }
    flaws
}

/// The first few from where two stories part.
fn differing<'a>(told: &'a [&'a str], seen: &'a [&'a str]) -> (&'a [&'a str], &'a [&'a str]) {
    let same = told.iter().zip(seen).take_while(|(told, seen)| told == seen).count();
    let few = |story: &'a [&'a str]| &story[same..story.len().min(same + 5)];
    (few(told), few(seen))
}

#[test]
fn the_verdict_misses_nothing_that_is_lost_doubled_late_or_out_of_order() {
    let told = ["a", "b", "c"].map(|id| Told { subscriber: "own/p".to_owned(), id: id.to_owned() });
    let event = |id: &str, sequence| {
        let mut event = schemas::samples::bare_event();
        (event.event_id, event.provider_event_id) = (format!("event of {id}"), id.to_owned());
        event.subscriber.key = "own/p".to_owned();
        (event.sequence, event.late) = (sequence, false);
        event
    };
    let [a, b, c] = [event("a", 1), event("b", 2), event("c", 3)];
    let flaws = |seen: &[&LifecycleEvent]| {
        let seen: Vec<_> = seen.iter().map(|&event| event.clone()).collect();
        flaws(&told, &seen).len()
    };
    assert_eq!(flaws(&[&a, &b, &c]), 0);
    assert_eq!(flaws(&[&a, &b]), 1, "lost");
    assert_eq!(flaws(&[&a, &c, &b]), 2, "out of order and of sequence");
    assert_eq!(flaws(&[&a, &b, &event("c", 2)]), 1, "a sequence given twice");
    assert_eq!(flaws(&[&a, &b, &c, &event("c", 4)]), 2, "doubled, with a sequence of its own");
    assert_eq!(flaws(&[&a, &b, &c, &event("d", 4)]), 1, "never told");
    let late = LifecycleEvent { late: true, ..c.clone() };
    assert_eq!(flaws(&[&a, &b, &late]), 1, "late");
}
