//! From a payload to its lifecycle events, by what `ingest` and `transform` do themselves.
//!
//! The reorder window is taken as zero and time as passed: what would wait for an earlier event, or for a
//! link that says whose it is, has waited in vain.

use std::time::Duration;

use axum::http::HeaderMap;
use ingest::envelope::{Reception, seal};
use ingest::sources::{Located, Subscriber, adapter};
use schemas::headers::Header;
use schemas::{LifecycleEvent, Timestamp};
use serde::Deserialize;
use service::config::{Config, Provider};
use service::exit::Failure;
use transform::line::{Line, RawCopy, Taken};
use transform::parking::Parking;
use transform::record::Raw;
use transform::rules::Rules;
use transform::state::{Batch, Link, MemoryStore};
use transform::tally::Tally;

use super::none_such;

/// Copies of a record go on at most this often; a record that moves on for ever would be parked.
const MOST_COPIES: usize = 16;

/// A payload as it was given.
pub(crate) struct Given {
    pub(crate) body: Vec<u8>,
    /// Instead of the id that the body tells.
    pub(crate) id: Option<String>,
    /// Instead of the person that the body names.
    pub(crate) subscriber: Option<String>,
    /// When it is taken to be received.
    pub(crate) at: jiff::Timestamp,
}

/// What a payload came to.
pub(crate) struct Told {
    /// The source, the provider's type of the event, and its id.
    pub(crate) title: String,
    /// The key it has in the topics.
    pub(crate) key: String,
    pub(crate) fate: Fate,
    /// How long it would wait for a record that says whose it is.
    pub(crate) waits: Option<Duration>,
}

/// What becomes of a record.
pub(crate) enum Fate {
    Events(Vec<LifecycleEvent>),
    Duplicate,
    Ignored(Vec<&'static str>),
    Parked(Parking),
    /// More than the edge takes.
    TooLarge(usize),
}

impl Told {
    pub(crate) fn is_parked(&self) -> bool {
        matches!(self.fate, Fate::Parked(_) | Fate::TooLarge(_))
    }
}

/// The two steps before this one, for one source, over nothing.
pub(crate) struct Pipeline {
    source: String,
    provider: Provider,
    longest: usize,
    rules: Rules,
    line: Line<MemoryStore>,
    taken: i64,
    links: i64,
}

impl Pipeline {
    pub(crate) fn new(config: &Config, source: &str) -> Result<Self, Failure> {
        let Some(configured) = config.sources.get(source) else {
            return Err(none_such("source", source, config.sources.keys()));
        };
        let mut rules = transform::configure::rules(config).map_err(Failure::failed)?;
        rules.window = Duration::ZERO;
        let line = Line::restored(MemoryStore::default(), 0, 0, Duration::ZERO, &rules)
            .map_err(Failure::failed)?;
        Ok(Self {
            source: source.to_owned(),
            provider: configured.provider,
            longest: config.ingest.max_body,
            rules,
            line,
            taken: 0,
            links: 0,
        })
    }

    /// Bytes of a webhook up to which its events carry it.
    pub(crate) fn longest_payload(&self) -> usize {
        self.rules.budget.payload_bytes
    }

    /// What the payload comes to, after those before it.
    pub(crate) fn take(&mut self, given: Given) -> Result<Told, Failure> {
        let size = given.body.len();
        let at = Timestamp::from_millis(given.at.as_millisecond());
        let record = self.record(given);
        let key = String::from_utf8_lossy(&record.key).into_owned();
        let headers = &record.headers;
        let title = format!("{}: {}, id {}", self.source, headers.event_type, headers.id);
        if size > self.longest {
            return Ok(Told { title, key, fate: Fate::TooLarge(self.longest), waits: None });
        }
        let copy = RawCopy {
            key: key.clone(),
            value: record.body.to_vec(),
            headers: record.headers.to_headers(),
        };
        let mut story = self.follow(&copy, at)?;
        let waits = (self.line.waiting_for_links() > 0).then_some(self.rules.link_timeout);
        if waits.is_some() {
            let late = self.line.expire(self.rules.link_timeout, &self.rules);
            let late = late.map_err(Failure::failed)?;
            self.go_on(late, at, &mut story)?;
        }
        let tally = self.commit()?;
        Ok(Told { title, key, fate: story.fate(&tally), waits })
    }

    /// The record that the edge would write.
    fn record(&self, given: Given) -> ingest::envelope::RawRecord {
        let mut located = match adapter(self.provider) {
            Some(adapter) => (adapter.locate)(&HeaderMap::new(), &given.body),
            None => told_by_producer(&given.body),
        };
        located.event_id = given.id.or(located.event_id);
        if let Some(id) = given.subscriber {
            located.subscriber = Subscriber::Known(id);
        }
        let reception = Reception {
            source: &self.source,
            provider: self.provider,
            received_at: given.at,
            content_type: Some("application/json"),
            traceparent: String::new(),
        };
        seal(reception, located, given.body.into())
    }

    /// Takes a record and all copies of it that go on to others.
    fn follow(&mut self, record: &RawCopy, at: Timestamp) -> Result<Story, Failure> {
        let mut story = Story::default();
        let taken = self.offer(record, at)?;
        self.go_on(taken, at, &mut story)?;
        Ok(story)
    }

    fn go_on(&mut self, taken: Taken, at: Timestamp, story: &mut Story) -> Result<(), Failure> {
        let mut waiting = vec![taken];
        for _ in 0..MOST_COPIES {
            let Some(taken) = waiting.pop() else { break };
            let copies = self.keep(taken, at, story)?;
            for copy in copies.iter().rev() {
                waiting.push(self.offer(copy, at)?);
            }
        }
        Ok(())
    }

    fn offer(&mut self, record: &RawCopy, at: Timestamp) -> Result<Taken, Failure> {
        let headers: &[Header] = &record.headers;
        let raw = Raw {
            offset: self.taken,
            appended_at: at,
            key: Some(record.key.as_bytes()),
            value: Some(&record.value),
            headers,
        };
        self.taken += 1;
        self.line.take(&raw, Duration::ZERO, &self.rules).map_err(Failure::failed)
    }

    /// Takes over what came of a record, and says what goes on.
    fn keep(
        &mut self,
        taken: Taken,
        at: Timestamp,
        story: &mut Story,
    ) -> Result<Vec<RawCopy>, Failure> {
        let Taken { events, mut copies, links, parked, expired } = taken;
        story.events.extend(events.into_iter().map(|emission| emission.event));
        story.parked.extend(parked);
        story.parked.extend(expired.into_iter().map(|given_up| given_up.parking));
        let links: Vec<Link> = links
            .into_iter()
            .map(|link| Link {
                key: link.key.into_bytes(),
                subscriber: link.subscriber,
                appended_at: at,
            })
            .collect();
        self.links += i64::try_from(links.len()).unwrap_or(i64::MAX);
        let found = self.line.learn(links, self.links, &self.rules).map_err(Failure::failed)?;
        copies.extend(found.copies);
        Ok(copies)
    }

    fn commit(&mut self) -> Result<Tally, Failure> {
        let changes = self.line.changes(&self.rules).map_err(Failure::failed)?;
        let batch = Batch { changes, checkpoint: self.taken };
        self.line.committed(batch).map_err(Failure::failed)
    }
}

/// What a record and its copies led to.
#[derive(Default)]
struct Story {
    events: Vec<LifecycleEvent>,
    parked: Vec<Parking>,
}

impl Story {
    fn fate(mut self, tally: &Tally) -> Fate {
        if let Some(parking) = self.parked.pop() {
            return Fate::Parked(parking);
        }
        if !self.events.is_empty() {
            return Fate::Events(self.events);
        }
        if tally.duplicates > 0 {
            return Fate::Duplicate;
        }
        Fate::Ignored(tally.ignored.keys().map(|(_, reason)| *reason).collect())
    }
}

#[derive(Deserialize)]
struct Native {
    #[serde(default, rename = "type")]
    event_type: Option<String>,
    subscriber: Option<NativeSubscriber>,
}

#[derive(Deserialize)]
struct NativeSubscriber {
    id: Option<String>,
}

/// A producer writes key and headers itself (`docs/native-source.md`), by what is in its value.
fn told_by_producer(body: &[u8]) -> Located {
    let told = serde_json::from_slice::<Native>(body).ok();
    let (event_type, subscriber) =
        told.map_or((None, None), |told| (told.event_type, told.subscriber));
    let id = subscriber.and_then(|subscriber| subscriber.id);
    Located {
        subscriber: id.map_or(Subscriber::Unknown, Subscriber::Known),
        event_id: None,
        event_type,
    }
}
