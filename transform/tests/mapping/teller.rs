//! Takes records through a line, as a worker would, and keeps what came of them.

use std::sync::Arc;
use std::time::Duration;

use ingest::envelope::RawRecord;
use schemas::headers::{Header, tick};
use schemas::state::SubscriberState;
use schemas::{LifecycleEvent, Timestamp};
use transform::line::{Line, LinkAnnouncement, Taken};
use transform::record::Raw;
use transform::rules::{Rules, Times};
use transform::sources::Sources;
use transform::state::{Batch, Link, MemoryStore};
use transform::tally::Tally;

/// How long events wait for earlier ones, as configured by default.
pub(crate) const WINDOW: Duration = Duration::from_secs(2);
const MEMORY: Duration = Duration::from_hours(35 * 24);
const PATIENCE: Duration = Duration::from_mins(10);
const LARGEST_MESSAGE: usize = (1 << 20) + (64 << 10);

/// A line with its own clock.
pub(crate) struct Teller {
    rules: Arc<Rules>,
    line: Line<MemoryStore>,
    /// What the changelog says by now.
    log: std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
    offset: i64,
}

/// The rules of a line that waits for so long.
pub(crate) fn rules(sources: Sources, window: Duration) -> Arc<Rules> {
    let times = Times { reorder_window: window, dedup_window: MEMORY, link_timeout: PATIENCE };
    Arc::new(Rules::new(sources, times, LARGEST_MESSAGE).unwrap())
}

/// What a record led to.
pub(crate) struct Came {
    pub(crate) events: Vec<LifecycleEvent>,
    /// Path and problem.
    pub(crate) parked: Option<String>,
    pub(crate) tally: Tally,
    /// How often a record went on under another key.
    copies: usize,
}

impl Came {
    fn add(&mut self, other: Self) {
        self.copies += other.copies;
        self.events.extend(other.events);
        self.parked = self.parked.take().or(other.parked);
        self.tally.duplicates += other.tally.duplicates;
        for (reason, count) in other.tally.ignored {
            *self.tally.ignored.entry(reason).or_default() += count;
        }
    }
}

impl Teller {
    pub(crate) fn new(sources: Sources, window: Duration) -> Self {
        Self::by(rules(sources, window))
    }

    /// For whoever needs many by the same rules: to make those, schemas are parsed.
    pub(crate) fn by(rules: Arc<Rules>) -> Self {
        let line = Line::restored(MemoryStore::default(), 0, 0, Duration::ZERO, &rules).unwrap();
        Self { rules, line, log: std::collections::BTreeMap::new(), offset: 0 }
    }

    /// Takes a record that the broker appended at `at`.
    pub(crate) fn take(&mut self, record: &RawRecord, at: Timestamp) -> Came {
        self.take_raw(Some(&record.key), Some(&record.body), &record.headers.to_headers(), at)
    }

    /// Lets time pass until `at`, and longer where a record went on: the copy waits in its turn.
    pub(crate) fn tick(&mut self, at: Timestamp) -> Came {
        let mut came = self.take_raw(None, None, &tick(), at);
        if came.copies > 0 {
            let window = i64::try_from(self.rules.window.as_millis()).unwrap();
            came.add(self.take_raw(None, None, &tick(), at.plus_millis(window)));
        }
        came
    }

    fn take_raw(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
        appended_at: Timestamp,
    ) -> Came {
        let raw = Raw { offset: self.offset, appended_at, key, value, headers };
        self.offset += 1;
        let mut taken = self.line.take(&raw, Duration::ZERO, &self.rules).unwrap();
        self.announce(&mut taken, appended_at);
        let changes = self.line.changes(&self.rules).unwrap();
        for change in &changes {
            match &change.value {
                Some(value) => self.log.insert(change.key.clone(), value.clone()),
                None => self.log.remove(&change.key),
            };
        }
        let tally = self.line.committed(Batch { changes, checkpoint: self.offset }).unwrap();
        let mut came = Came {
            events: taken.events.into_iter().map(|emission| emission.event).collect(),
            parked: taken.parked.map(|parking| parking.message),
            tally,
            copies: taken.copies.len(),
        };
        // What goes on under another key comes back in the log, here of one partition.
        for copy in taken.copies {
            let key = copy.key.as_bytes();
            came.add(self.take_raw(Some(key), Some(&copy.value), &copy.headers, appended_at));
        }
        came
    }

    /// Lets the line learn the links that it announces.
    fn announce(&mut self, taken: &mut Taken, appended_at: Timestamp) {
        let links = std::mem::take(&mut taken.links);
        let link = |link: LinkAnnouncement| Link {
            key: link.key.into_bytes(),
            subscriber: link.subscriber,
            appended_at,
        };
        let links = links.into_iter().map(link).collect();
        let learned = self.line.learn(links, self.offset, &self.rules).unwrap();
        taken.copies.extend(learned.copies);
        taken.events.extend(learned.events);
    }

    /// What is known of everybody.
    pub(crate) fn states(&self) -> Vec<(String, SubscriberState)> {
        let known = |(key, value): (&Vec<u8>, &Vec<u8>)| {
            (String::from_utf8(key.clone()).unwrap(), self.rules.states.decode(value).unwrap())
        };
        self.log.iter().map(known).collect()
    }
}
