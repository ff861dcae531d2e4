//! The real state machine against a naive broker and destination, through random failures, crashes
//! and commits of which nobody knows whether they landed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use schemas::Timestamp;

use super::*;

type Event = (u8, i64);

/// What a record is about, and whether it was redriven.
type Content = (Event, Turn);

#[derive(Clone, Debug)]
enum Step {
    ReadEvent,
    ReadRetry,
    Start,
    Finish { which: usize, how: How },
    Checkpoint,
    Commit,
    Crash { commit_landed: bool, requests_landed: bool },
    Wait { millis: i64 },
    Redrive { which: usize },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Delivers,
    Fails,
    AppliesAndFails,
    Refuses,
    Postpones,
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        5 => Just(How::Delivers), 3 => Just(How::Fails), 1 => Just(How::AppliesAndFails),
        1 => Just(How::Refuses), 1 => Just(How::Postpones),
    ];
    prop_oneof![
        6 => Just(Step::ReadEvent),
        4 => Just(Step::ReadRetry),
        8 => Just(Step::Start),
        8 => (any::<usize>(), how).prop_map(|(which, how)| Step::Finish { which, how }),
        3 => Just(Step::Checkpoint),
        4 => Just(Step::Commit),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(commit_landed, requests_landed)| {
            Step::Crash { commit_landed, requests_landed }
        }),
        2 => (0_i64..40).prop_map(|millis| Step::Wait { millis }),
        1 => any::<usize>().prop_map(|which| Step::Redrive { which }),
    ]
}

/// What the broker keeps.
struct Broker {
    events: Vec<Event>,
    retry: Vec<(Content, History, Timestamp)>,
    dead: BTreeSet<Event>,
    /// What was parked at some time: it released those behind it.
    ever_dead: BTreeSet<Event>,
    committed: [(i64, String); 2],
}

impl Broker {
    fn marks(&self, source: Source) -> Marks {
        let (next, text) = &self.committed[usize::from(source == Source::Retry)];
        Marks::decode(*next, text).unwrap()
    }

    /// How often each event is undone by what is committed, and in which turn.
    fn owed(&self) -> BTreeMap<Content, usize> {
        let mut owed = BTreeMap::new();
        let events = self.events.iter().map(|event| (*event, Turn::Live));
        let retry = self.retry.iter().map(|(content, ..)| *content);
        let (in_events, in_retry) = (self.marks(Source::Events), self.marks(Source::Retry));
        let all = (0_i64..).zip(events).filter(|(at, _)| !in_events.is_done(*at));
        for (_, event) in all.chain((0_i64..).zip(retry).filter(|(at, _)| !in_retry.is_done(*at))) {
            *owed.entry(event).or_insert(0) += 1;
        }
        owed
    }
}

struct World {
    broker: Broker,
    partition: Partition<Content>,
    read: [usize; 2],
    sending: Vec<(Ticket, Content)>,
    pending: Option<Checkpoint<Content>>,
    /// Live events that were read since the last start and not delivered or parked.
    outstanding: BTreeSet<Event>,
    applied: BTreeSet<Event>,
    now: Timestamp,
}

fn schedule() -> Arc<Schedule> {
    Arc::new(Schedule {
        in_place: vec![Duration::from_millis(2)],
        delays: vec![Duration::from_millis(10), Duration::from_millis(30)],
        horizon: Duration::from_millis(200),
        quarantine: Duration::from_millis(20),
    })
}

const BOUNDS: Bounds = Bounds {
    undone_events: 12,
    departures: 3,
    undone_retry: 1_000,
    undone_bytes: usize::MAX,
    crowded_marks: 8,
    longest_stay: Duration::from_hours(1),
};

impl World {
    fn new(lanes: &[u8]) -> Self {
        let mut sequences = BTreeMap::new();
        let events = lanes.iter().map(|lane| {
            let sequence = sequences.entry(*lane).or_insert(0_i64);
            *sequence += 1;
            (*lane, *sequence)
        });
        let committed = [(0, String::new()), (0, String::new())];
        let broker = Broker {
            events: events.collect(),
            retry: Vec::new(),
            dead: BTreeSet::new(),
            ever_dead: BTreeSet::new(),
            committed,
        };
        Self {
            broker,
            partition: Partition::restored(Marks::up_to(0), Marks::up_to(0), schedule(), BOUNDS),
            read: [0, 0],
            sending: Vec::new(),
            pending: None,
            outstanding: BTreeSet::new(),
            applied: BTreeSet::new(),
            now: Timestamp::from_millis(1_000),
        }
    }

    fn read_event(&mut self) {
        let Some(event) = self.broker.events.get(self.read[0]).copied() else { return };
        if self.partition.wants(Source::Events) {
            self.arrive(Source::Events, (event, Turn::Live), History::default(), self.now);
        }
    }

    fn read_retry(&mut self) {
        let Some((content, history, due)) = self.broker.retry.get(self.read[1]).copied() else {
            return;
        };
        self.arrive(Source::Retry, content, history, due);
    }

    fn arrive(&mut self, source: Source, content: Content, history: History, due: Timestamp) {
        let at = &mut self.read[usize::from(source == Source::Retry)];
        let place = Place { source, offset: i64::try_from(*at).unwrap() };
        *at += 1;
        let (event, turn) = content;
        let identity = Identity { lane: event.0.to_string().into(), turn, sequence: event.1 };
        let arriving =
            Arriving { identity, history, due, footprint: Footprint::default(), content };
        let arrival = self.partition.arrive(place, arriving, self.now);
        assert_ne!(arrival, Arrival::Duplicate, "{content:?} is in two places");
        if arrival == Arrival::Owed && turn == Turn::Live {
            self.outstanding.insert(event);
        }
    }

    fn start(&mut self) {
        let Some((ticket, content)) = self.partition.start(self.now) else { return };
        let (event, turn) = content;
        let owed = self.broker.owed();
        assert!(owed.contains_key(&content), "{content:?} is sent though it is committed as done");
        assert!(self.sending.iter().all(|(_, (other, _))| other.0 != event.0), "two of one lane");
        let live = self.outstanding.iter().any(|other| other.0 == event.0);
        assert!(turn == Turn::Live || !live, "{event:?} was redriven and went before what is live");
        self.sending.push((ticket, content));
    }

    /// An operator redrives a dead letter: its copy and the note that it was are one transaction.
    fn redrive(&mut self, which: usize) {
        let Some(event) =
            self.broker.dead.iter().nth(which % self.broker.dead.len().max(1)).copied()
        else {
            return;
        };
        self.broker.dead.remove(&event);
        self.broker.retry.push(((event, Turn::Redriven), History::default(), self.now));
    }

    /// The destination shows it: nothing before it may be outstanding, unless it was redriven.
    fn apply(&mut self, (event, turn): Content) {
        if !self.applied.insert(event) || turn == Turn::Redriven {
            return;
        }
        for sequence in 1..event.1 {
            let before = (event.0, sequence);
            assert!(
                self.applied.contains(&before) || self.broker.ever_dead.contains(&before),
                "{event:?} overtook {before:?}"
            );
        }
    }

    fn finish(&mut self, which: usize, how: How) {
        if self.sending.is_empty() {
            return;
        }
        let (ticket, content) = self.sending.remove(which % self.sending.len());
        if matches!(how, How::Delivers | How::AppliesAndFails) {
            self.apply(content);
        }
        let outcome = match how {
            How::Delivers => Outcome::Done,
            How::Fails | How::AppliesAndFails => {
                Outcome::Failed(Failure::new(Reason::ServerError, ""))
            }
            How::Refuses => Outcome::Refused(Failure::new(Reason::Refused, "")),
            How::Postpones => Outcome::Postponed { until: self.now.plus_millis(5) },
        };
        let settled = self.partition.finish(ticket, outcome, self.now, 0.5).unwrap();
        if content.1 == Turn::Live && settled == Settled::Done {
            self.outstanding.remove(&content.0);
        }
    }

    fn land(&mut self, checkpoint: &Checkpoint<Content>) {
        for departure in &checkpoint.departures {
            match departure.fate {
                Fate::SetAside { due } => {
                    self.broker.retry.push((departure.content, departure.history, due));
                }
                Fate::Parked { .. } => {
                    let (event, _) = departure.content;
                    assert!(self.broker.dead.insert(event), "parked twice");
                    self.broker.ever_dead.insert(event);
                    self.outstanding.remove(&event);
                }
            }
        }
        let marks = [&checkpoint.events, &checkpoint.retry];
        self.broker.committed = marks.map(|marks| (marks.next(), marks.encode()));
        let owed = self.broker.owed();
        for event in &self.broker.events {
            let places = [Turn::Live, Turn::Redriven].map(|turn| owed.get(&(*event, turn)));
            match places.into_iter().flatten().sum::<usize>() {
                0 => assert!(
                    self.applied.contains(event) || self.broker.dead.contains(event),
                    "{event:?} is lost"
                ),
                count => {
                    assert_eq!(count, 1, "{event:?} is owed in several places");
                    assert!(!self.broker.dead.contains(event), "{event:?} is parked and owed");
                }
            }
        }
    }

    fn checkpoint(&mut self) {
        if self.pending.is_none() {
            self.pending = self.partition.checkpoint(self.now);
        }
    }

    fn commit(&mut self) {
        if let Some(checkpoint) = self.pending.take() {
            self.land(&checkpoint);
            self.partition.committed(self.now);
        }
    }

    fn crash(&mut self, commit_landed: bool, requests_landed: bool) {
        for (_, content) in std::mem::take(&mut self.sending) {
            if requests_landed {
                self.apply(content);
            }
        }
        if let Some(checkpoint) = self.pending.take()
            && commit_landed
        {
            self.land(&checkpoint);
        }
        let (events, retry) = (self.broker.marks(Source::Events), self.broker.marks(Source::Retry));
        self.read = [&events, &retry].map(|marks| usize::try_from(marks.next()).unwrap());
        self.partition = Partition::restored(events, retry, schedule(), BOUNDS);
        self.outstanding.clear();
        while self.read[1] < self.broker.retry.len() {
            self.read_retry();
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::ReadEvent => self.read_event(),
            Step::ReadRetry => self.read_retry(),
            Step::Start => self.start(),
            Step::Finish { which, how } => self.finish(*which, *how),
            Step::Checkpoint => self.checkpoint(),
            Step::Commit => self.commit(),
            Step::Crash { commit_landed, requests_landed } => {
                self.crash(*commit_landed, *requests_landed);
            }
            Step::Wait { millis } => self.now = self.now.plus_millis(*millis),
            Step::Redrive { which } => self.redrive(*which),
        }
    }

    /// From here on everything succeeds: all that is owed must be delivered.
    fn come_to_rest(&mut self) {
        for _ in 0..500 {
            self.commit();
            while self.read[1] < self.broker.retry.len() {
                self.read_retry();
            }
            self.read_event();
            self.start();
            self.finish(0, How::Delivers);
            self.checkpoint();
            self.now = self.now.plus_millis(5);
        }
        assert_eq!(self.broker.owed(), BTreeMap::new(), "stuck");
        for event in &self.broker.events {
            assert!(self.applied.contains(event) || self.broker.dead.contains(event));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_overtaken_or_sent_after_it_was_done(
        lanes in prop::collection::vec(0_u8..4, 1..25),
        steps in prop::collection::vec(step(), 0..250),
    ) {
        let mut world = World::new(&lanes);
        for step in &steps {
            world.run(step);
        }
        world.come_to_rest();
    }
}
