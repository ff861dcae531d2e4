//! The state machine of one partition.

mod commit;
mod lane;
mod refreshes;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;

use self::lane::{Destiny, Held, Lane, Phase};
use super::{
    Arrival, Arriving, Departure, Fate, Footprint, History, Identity, Log, Place, Schedule,
    Sequence, Source, Ticket, Turn,
};
use crate::failure::Failure;
use crate::marks::{COMFORTABLE_LENGTH, Marks};
use crate::tenure::{Ending, Owner, Tenure};

/// How much one partition takes on at once.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Undone records of the event topic beyond which no more are read.
    pub undone_events: usize,
    /// Records that leave in one transaction.
    pub departures: usize,
    /// Undone records of the retry topic beyond which no more events are read.
    pub undone_retry: usize,
    /// Memory taken by undone records of both beyond which no more events are read.
    pub undone_bytes: usize,
    /// Length of the retry topic's marks from which its oldest records are appended anew.
    pub crowded_marks: usize,
    /// How long a record lies in the retry topic before it is appended anew: well within what the topic
    /// keeps.
    pub longest_stay: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            undone_events: 2_000,
            departures: 500,
            undone_retry: 20_000,
            undone_bytes: 32 << 20,
            crowded_marks: 2_048,
            longest_stay: Duration::from_hours(24),
        }
    }
}

/// One partition of the event topic and of one destination's retry topic.
#[derive(Debug)]
pub struct Partition<T> {
    bounds: Bounds,
    schedule: Arc<Schedule>,
    events: Log,
    retry: Log,
    lanes: HashMap<Arc<str>, Lane<T>>,
    /// Lanes whose head may be sent now, in the order in which they became so.
    ready: VecDeque<Arc<str>>,
    /// Lanes whose head waits; an entry may be outdated and is judged again when it comes up.
    waiting: BTreeSet<(Timestamp, Arc<str>)>,
    sending: HashMap<Ticket, Identity>,
    next_ticket: u64,
    /// What the next commits take along, in order.
    leaving: VecDeque<Leaving<T>>,
    /// What is done as soon as a commit has taken its note along. Nobody waits for it.
    shadowed: VecDeque<Departure<T>>,
    /// What the commit under way takes along.
    committing: Option<Vec<(Identity, Destiny)>>,
    changed: bool,
    /// What the next owner is told.
    tenure: Tenure,
    /// Length of the marks at the last commit.
    marks_length: BTreeMap<Source, usize>,
    /// Refreshes that later ones made superfluous.
    outdone: usize,
}

#[derive(Debug)]
enum Leaving<T> {
    Known(Identity, Fate),
    /// Belongs to no lane because it cannot be read.
    Unreadable(Departure<T>),
}

impl<T: Clone> Partition<T> {
    /// Goes on from committed marks. The retry topic must be read to its end before anything is
    /// started.
    pub fn restored(events: Marks, retry: Marks, schedule: Arc<Schedule>, bounds: Bounds) -> Self {
        Self {
            bounds,
            schedule,
            events: Log::restored(events),
            retry: Log::restored(retry),
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            sending: HashMap::new(),
            next_ticket: 0,
            leaving: VecDeque::new(),
            shadowed: VecDeque::new(),
            committing: None,
            changed: false,
            tenure: Tenure::default(),
            marks_length: BTreeMap::new(),
            outdone: 0,
        }
    }

    /// The same for `owner`, where an earlier one left word.
    #[must_use]
    pub fn after(mut self, earlier: Tenure, owner: Owner) -> Self {
        self.tenure.owner = Some(owner);
        self.tenure.outages = earlier.outages;
        self
    }

    /// A record was read at `place`.
    pub fn arrive(&mut self, place: Place, arriving: Arriving<T>, now: Timestamp) -> Arrival {
        let Arriving { identity, history, due, footprint, content } = arriving;
        self.changed = true;
        if !self.log(place.source).read(place.offset, Some(identity.clone()), footprint) {
            return Arrival::Done;
        }
        if self.is_outdone(&identity) {
            self.drop_outdone(&identity, place, now);
            return Arrival::Outdone;
        }
        self.outdo_earlier(&identity);
        let fresh = Held { place, history, content, phase: Phase::Waiting { due } };
        let lane = self.lanes.entry(identity.lane.clone()).or_insert_with(Lane::empty);
        let arrival = match lane.records.get(&identity.rank()) {
            None => {
                lane.records.insert(identity.rank(), fresh);
                Arrival::Owed
            }
            Some(held) if held.phase == Phase::Travelling && place.source == Source::Retry => {
                lane.records.insert(identity.rank(), fresh);
                Arrival::Owed
            }
            Some(held) if held.place == place => Arrival::Duplicate,
            Some(held) => {
                let idle = matches!(held.phase, Phase::Waiting { .. });
                let superfluous = if idle && held.history.attempts < history.attempts {
                    let before = held.place;
                    lane.records.insert(identity.rank(), fresh);
                    before
                } else {
                    place
                };
                self.log(superfluous.source).finish(superfluous.offset);
                Arrival::Duplicate
            }
        };
        self.settle(&identity.lane, now);
        arrival
    }

    /// A record was read at `place` that is no event of any subscriber: it is parked.
    pub fn arrive_unreadable(
        &mut self,
        place: Place,
        content: T,
        failure: Failure,
        now: Timestamp,
    ) -> Arrival {
        self.changed = true;
        if !self.log(place.source).read(place.offset, None, Footprint::default()) {
            return Arrival::Done;
        }
        let fate = Fate::Parked { failure, at: now };
        let departure = Departure { content, place, history: History::default(), fate };
        self.leaving.push_back(Leaving::Unreadable(departure));
        Arrival::Owed
    }

    /// A record was read at `place` that is somebody else's to deal with: it counts as done. `false` when it was.
    pub fn pass(&mut self, place: Place) -> bool {
        self.changed = true;
        let log = self.log(place.source);
        let is_new = log.read(place.offset, None, Footprint::default());
        if is_new {
            log.finish(place.offset);
        }
        is_new
    }

    /// The next event that may be sent, if there is one.
    pub fn start(&mut self, now: Timestamp) -> Option<(Ticket, T)> {
        self.wake(now);
        loop {
            let key = self.ready.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&key) else { continue };
            lane.queued = false;
            let Some((turn, sequence)) = lane.startable(now) else {
                self.settle(&key, now);
                continue;
            };
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            let held = lane.records.get_mut(&(turn, sequence))?;
            held.phase = Phase::Sending;
            lane.sending = true;
            let content = held.content.clone();
            self.sending.insert(ticket, Identity { lane: key, turn, sequence });
            return Some((ticket, content));
        }
    }

    /// Whether records wait for a commit before their lane goes on, or as many for one as it takes.
    pub fn urgent(&self) -> bool {
        let is_full = self.shadowed.len() >= self.bounds.departures;
        self.committing.is_none() && (is_full || !self.leaving.is_empty())
    }

    /// Whether more of a topic may be read: not while too much is undone, or while what is done could
    /// soon not be written down any more.
    pub fn wants(&self, source: Source) -> bool {
        let crowded = self.marks_length.values().any(|length| *length > COMFORTABLE_LENGTH);
        match source {
            Source::Events => {
                let bytes = self.events.undone_bytes() + self.retry.undone_bytes();
                !crowded
                    && self.events.undone_count() < self.bounds.undone_events
                    && self.retry.undone_count() < self.bounds.undone_retry
                    && bytes < self.bounds.undone_bytes
            }
            // Also beyond the bounds: the record that the others wait for may lie at the end.
            Source::Retry => !crowded,
        }
    }

    /// Whether reading that was stopped is worth starting again: for events, when half of what was too
    /// much is done.
    pub fn has_caught_up(&self, source: Source) -> bool {
        let worthwhile = match source {
            Source::Events => self.events.undone_count() <= self.bounds.undone_events / 2,
            Source::Retry => true,
        };
        worthwhile && self.wants(source)
    }

    /// Whether there is something to commit.
    pub fn changed(&self) -> bool {
        let leaves = !self.leaving.is_empty() || !self.shadowed.is_empty();
        self.committing.is_none() && (self.changed || leaves)
    }

    /// When a waiting lane may go on.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The destination was out of service for so long: no time of any event's own.
    pub fn out_of_service(&mut self, so_long: Duration) {
        self.tenure.outages += so_long;
    }

    /// The next checkpoint is to be committed, even if nothing changed.
    pub fn refresh(&mut self) {
        self.changed = true;
    }

    /// Nothing is started any more: has the next commit say so, if no call is under way and none that
    /// nobody answered can take effect any more.
    pub fn close(&mut self, now: Timestamp) {
        if self.is_quiet(now) {
            self.tenure.ending = Ending::Clean;
            self.changed = true;
        }
    }

    /// Whether no call is under way, and none that nobody answered can take effect any more.
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        self.sending.is_empty() && self.lanes.values().all(|lane| lane.quarantine <= now)
    }

    /// Undone records of a topic among what was read.
    pub fn undone(&self, source: Source) -> usize {
        match source {
            Source::Events => self.events.undone_count(),
            Source::Retry => self.retry.undone_count(),
        }
    }

    /// How many refreshes later ones have made superfluous since this was last asked.
    pub fn take_outdone(&mut self) -> usize {
        std::mem::take(&mut self.outdone)
    }

    /// What was tried with each record of the retry topic that is undone.
    pub fn backlog(&self) -> impl Iterator<Item = History> {
        let held = self.lanes.values().flat_map(|lane| lane.records.values());
        held.filter(|held| held.is_in_retry()).map(|held| held.history)
    }

    /// When the first undone record of the event topic was appended.
    pub fn oldest_event(&self) -> Option<Timestamp> {
        self.events.undone().next().map(|(_, appended)| appended)
    }

    fn log(&mut self, source: Source) -> &mut Log {
        match source {
            Source::Events => &mut self.events,
            Source::Retry => &mut self.retry,
        }
    }

    fn held(&mut self, identity: &Identity) -> Option<&mut Held<T>> {
        self.lanes.get_mut(&identity.lane)?.records.get_mut(&identity.rank())
    }

    fn wake(&mut self, now: Timestamp) {
        while let Some((due, key)) = self.waiting.first().cloned()
            && due <= now
        {
            self.waiting.pop_first();
            self.settle(&key, now);
        }
    }

    /// Brings the queues in line with a lane that changed.
    fn settle(&mut self, key: &Arc<str>, now: Timestamp) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let Some((first, head)) = lane.records.first_key_value() else {
            if lane.quarantine <= now {
                self.lanes.remove(key);
            } else {
                self.waiting.insert((lane.quarantine, key.clone()));
            }
            return;
        };
        if lane.sending {
            return;
        }
        if let Phase::Waiting { due } = head.phase {
            let due = due.max(lane.quarantine);
            if due > now {
                self.waiting.insert((due, key.clone()));
            } else if !lane.queued {
                lane.queued = true;
                self.ready.push_back(key.clone());
            }
        }
        let (turn, first) = *first;
        if turn != Turn::Live || !head.is_set_aside() {
            return;
        }
        let from = (turn, lane.followed.map_or(first, |followed| followed.max(first)));
        let live = |((turn, _), _): &(&(Turn, Sequence), &mut Held<T>)| *turn == Turn::Live;
        let later = lane.records.range_mut((Bound::Excluded(from), Bound::Unbounded));
        for ((_, sequence), follower) in later.take_while(live) {
            lane.followed = Some(*sequence);
            if follower.place.source == Source::Events
                && matches!(follower.phase, Phase::Waiting { .. })
            {
                follower.phase = Phase::Leaving(Destiny::Retry);
                let identity = Identity { lane: key.clone(), turn, sequence: *sequence };
                self.leaving.push_back(Leaving::Known(identity, Fate::SetAside { due: now }));
            }
        }
    }
}

impl Identity {
    /// Its place in the lane's order.
    fn rank(&self) -> (Turn, Sequence) {
        (self.turn, self.sequence)
    }
}
