//! Of several refreshes of a subscriber the latest is enough: it shows all that the others would.
//!
//! An import changes what is known of a subscriber without a new sequence, so that two refreshes of one sequence
//! may differ. They are told apart and ordered by the moment that each shows. One that waits makes way for a later
//! one at once: whoever mends something and refreshes again must not wait until the first is due.

use schemas::Timestamp;

use super::Partition;
use super::lane::Phase;
use crate::lanes::{Identity, Place, Sequence, Turn};

/// Before every refresh, and behind everything else.
const FIRST: (Turn, Sequence) = (
    Turn::Refreshed(Timestamp::from_millis(i64::MIN)),
    Sequence { epoch: Timestamp::from_millis(i64::MIN), number: i64::MIN },
);

impl<T: Clone> Partition<T> {
    /// Whether it is a refresh of which the lane holds a later one.
    pub(super) fn is_outdone(&self, identity: &Identity) -> bool {
        let latest = self.lanes.get(&identity.lane).and_then(|lane| lane.records.last_key_value());
        match (identity.turn, latest) {
            (Turn::Refreshed(at), Some(((Turn::Refreshed(latest), _), _))) => at < *latest,
            (Turn::Live | Turn::Redriven | Turn::Refreshed(_), _) => false,
        }
    }

    /// The refresh that was read at `place` is not sent any more. It may be the copy of one that moved.
    pub(super) fn drop_outdone(&mut self, identity: &Identity, place: Place, now: Timestamp) {
        self.log(place.source).finish(place.offset);
        self.outdone += 1;
        if let Some(lane) = self.lanes.get_mut(&identity.lane)
            && let Some(held) = lane.records.get(&identity.rank())
            && held.phase == Phase::Travelling
        {
            lane.records.remove(&identity.rank());
        }
        self.settle(&identity.lane, now);
    }

    /// Earlier refreshes of the lane that wait are not sent any more. One that is on its way to the retry topic is
    /// met when it has arrived there.
    pub(super) fn outdo_earlier(&mut self, identity: &Identity) {
        let (Turn::Refreshed(_), Some(lane)) = (identity.turn, self.lanes.get_mut(&identity.lane))
        else {
            return;
        };
        let earlier = lane.records.range(FIRST..identity.rank());
        let waiting = earlier.filter(|(_, held)| matches!(held.phase, Phase::Waiting { .. }));
        let outdone: Vec<_> = waiting.map(|(rank, held)| (*rank, held.place)).collect();
        for (rank, _) in &outdone {
            lane.records.remove(rank);
        }
        self.outdone += outdone.len();
        for (_, place) in outdone {
            self.log(place.source).finish(place.offset);
        }
    }
}
