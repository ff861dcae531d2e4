//! What became of the deliveries of a story, delivered when they arrive.
//!
//! Deliveries that arrive within the reorder window of each other are let go together, and form one
//! group; all others are let go alone.

use ingest::envelope::RawRecord;
use schemas::state::{OrderKey, SubscriberState};
use schemas::{LifecycleEvent, Timestamp};
use transform::order::key_of;
use transform::sources::{Reading, Sources};

use crate::fixture::{Delivery, Fixture, read, type_of};
use crate::teller::{Came, Teller, WINDOW};

/// Deliveries that were let go together, and what came of them.
#[derive(Default)]
pub(crate) struct Group {
    /// Type and moment of each, in order of arrival.
    pub(crate) deliveries: Vec<(String, Option<Timestamp>)>,
    pub(crate) events: Vec<LifecycleEvent>,
    pub(crate) parked: Vec<String>,
    /// Reasons why deliveries gave nothing.
    pub(crate) ignored: Vec<&'static str>,
    pub(crate) duplicates: u64,
}

impl Group {
    fn take(&mut self, came: Came) {
        self.events.extend(came.events);
        self.parked.extend(came.parked);
        self.duplicates += came.tally.duplicates;
        for ((_, reason), count) in came.tally.ignored {
            self.ignored.extend((0..count).map(|_| reason));
        }
    }
}

/// What a story led to.
pub(crate) struct Told {
    pub(crate) groups: Vec<Group>,
    pub(crate) states: Vec<(String, SubscriberState)>,
}

/// When a delivery arrives (where the story says), its place in the order, and its record.
type Arrival = (Option<Timestamp>, Option<OrderKey>, RawRecord);

/// The deliveries of a story. Those of one moment that need not arrive at another are put in their
/// order: the reorder window would do so, and each can still be let go alone.
fn arrivals(story: &Fixture, sources: &Sources) -> Vec<Arrival> {
    let arrival = |(delivery, record): (&Delivery, RawRecord)| {
        let place = match read(&record, sources) {
            Reading::Facts(facts) => Some(key_of(&facts)),
            Reading::Ignored(_) | Reading::Parked(_) | Reading::KeyMismatch => None,
        };
        let arrives = delivery.arrives.as_deref();
        (arrives.map(|moment| Timestamp::from_rfc3339(moment).unwrap()), place, record)
    };
    let mut all: Vec<Arrival> = story.deliveries.iter().zip(story.records()).map(arrival).collect();
    let moment =
        |(arrives, place, _): &Arrival| (*arrives, place.as_ref().map(|place| place.occurred_at));
    for run in all.chunk_by_mut(|one, next| one.0.is_none() && moment(one) == moment(next)) {
        run.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
    }
    all
}

/// Delivers a story.
pub(crate) fn tell(story: &Fixture) -> Told {
    let sources = story.sources();
    let mut teller = Teller::new(sources.clone(), WINDOW);
    let window = i64::try_from(WINDOW.as_millis()).unwrap();
    let mut groups: Vec<Group> = Vec::new();
    let mut group = Group::default();
    let mut last = Timestamp::from_millis(0);
    for (arrives, place, record) in arrivals(story, &sources) {
        let occurred_at = place.map(|place| place.occurred_at);
        let soon = occurred_at.map_or(last, |at| at.plus_millis(1000));
        let arrives = arrives.unwrap_or_else(|| soon.max(last.plus_millis(window + 1000)));
        if arrives > last.plus_millis(window) {
            group.take(teller.tick(last.plus_millis(window)));
            groups.push(std::mem::take(&mut group));
        }
        group.take(teller.take(&record, arrives));
        group.deliveries.push((type_of(&record).to_owned(), occurred_at));
        last = arrives;
    }
    group.take(teller.tick(last.plus_millis(window)));
    groups.push(group);
    groups.remove(0);
    Told { groups, states: teller.states() }
}
