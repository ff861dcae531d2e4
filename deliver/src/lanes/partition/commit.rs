//! What leaves with a commit, and what follows when it is done.

use schemas::Timestamp;

use super::lane::{Destiny, Phase};
use super::{Leaving, Partition};
use crate::lanes::{Checkpoint, Departure, Fate, Identity, Source};

impl<T: Clone> Partition<T> {
    /// What the next transaction commits, or `None` when one is under way or nothing changed. The
    /// snapshot already counts the departing records as done: should the transaction not commit, this
    /// state machine is dropped and restored from what was committed before.
    pub fn checkpoint(&mut self, now: Timestamp) -> Option<Checkpoint<T>> {
        if !self.changed() {
            return None;
        }
        self.append_anew(now);
        let mut departures = Vec::new();
        let mut committing = Vec::new();
        while departures.len() < self.bounds.departures {
            let departure = match self.leaving.pop_front() {
                None => break,
                Some(Leaving::Unreadable(departure)) => departure,
                Some(Leaving::Known(identity, fate)) => {
                    let Some(held) = self.held(&identity) else { continue };
                    let Phase::Leaving(destiny) = held.phase else { continue };
                    let content = held.content.clone();
                    let departure =
                        Departure { content, place: held.place, history: held.history, fate };
                    committing.push((identity, destiny));
                    departure
                }
            };
            self.log(departure.place.source).finish(departure.place.offset);
            departures.push(departure);
        }
        while departures.len() < self.bounds.departures
            && let Some(departure) = self.shadowed.pop_front()
        {
            self.log(departure.place.source).finish(departure.place.offset);
            departures.push(departure);
        }
        self.committing = Some(committing);
        self.changed = false;
        let (events, retry) = (self.events.marks(), self.retry.marks());
        self.marks_length.insert(Source::Events, events.encode().len());
        self.marks_length.insert(Source::Retry, retry.encode().len());
        Some(Checkpoint { events, retry, tenure: self.tenure, departures })
    }

    /// The transaction of the last [`Self::checkpoint`] is committed.
    pub fn committed(&mut self, now: Timestamp) {
        for (identity, destiny) in self.committing.take().unwrap_or_default() {
            match destiny {
                Destiny::Retry => {
                    if let Some(held) = self.held(&identity) {
                        held.phase = Phase::Travelling;
                    }
                }
                Destiny::Dead => {
                    if let Some(lane) = self.lanes.get_mut(&identity.lane) {
                        lane.records.remove(&identity.rank());
                    }
                }
            }
            self.settle(&identity.lane, now);
        }
    }

    /// Moves the oldest waiting records of the retry topic to its end, as they are, where they crowd the
    /// marks or have lain for long: an order by sequence does not care where they lie.
    fn append_anew(&mut self, now: Timestamp) {
        if !self.leaving.is_empty() {
            return;
        }
        let length = self.marks_length.get(&Source::Retry).copied().unwrap_or_default();
        let crowded = length > self.bounds.crowded_marks;
        let oldest: Vec<Identity> = self
            .retry
            .undone()
            .take_while(|(_, appended)| crowded || appended.plus(self.bounds.longest_stay) <= now)
            .map(|(identity, _)| identity.clone())
            .take(self.bounds.departures)
            .collect();
        for identity in oldest {
            let Some(held) = self.held(&identity) else { continue };
            if let Phase::Waiting { due } = held.phase {
                held.phase = Phase::Leaving(Destiny::Retry);
                let fate = Fate::SetAside { due: due.max(now) };
                self.leaving.push_back(Leaving::Known(identity, fate));
            }
        }
    }
}
