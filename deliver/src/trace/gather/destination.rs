//! What the topics and the group of one destination say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dead_letters::letter::Letter;
use schemas::Timestamp;
use schemas::topics::Topic;
use service::clock::Clock;
use service::config::{Config, Destination};
use stream::{Cluster, Committed, Reader, Received, TopicPartition};

use super::Question;
use super::scan::{Records, letters, range};
use crate::broker;
use crate::configure;
use crate::cut::Cut;
use crate::marks::Marks;
use crate::preview::Rehearse;
use crate::tenure::Tenure;
use crate::trace::TraceError;
use crate::trace::material::{
    AtDestination, Beginning, Breaker, Event, Retried, Service, Standing,
};
use crate::trace::refreshes::{self, Refresh};
use crate::waits;

/// How much longer than an idle owner takes to commit is watched for a breaker that is open.
const WATCHED_LONGER: Duration = Duration::from_millis(300);

/// Pause between two looks at what is committed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A destination's topics, opened for reading.
pub(super) struct Receiving<'a> {
    name: &'a str,
    destination: &'a Destination,
    rehearsed: Box<dyn Rehearse>,
    reader: Reader,
    events: String,
    retry: String,
    dead: String,
    waits: String,
    /// The longest time between two commits of an owner that is well.
    commits_within: Duration,
}

/// The part of it that threads share.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    reader: &'a Reader,
    events: &'a str,
    retry: &'a str,
    dead: &'a str,
    waits: &'a str,
    cut: Cut,
}

/// What was read there.
pub(super) struct Found {
    standing: Option<Standing>,
    retries: Vec<Retried>,
    letters: Vec<Letter>,
    refresh: Option<Refresh>,
    /// Records of both.
    pub(super) records: Vec<Received>,
    beginning: Beginning,
    members: usize,
    left_alone_until: Option<Timestamp>,
}

impl Found {
    /// The first event that is not done.
    pub(super) fn undone(&self) -> Option<i64> {
        self.standing.as_ref().map(|standing| standing.events.next())
    }
}

impl<'a> Receiving<'a> {
    pub(super) fn open(
        cluster: &Cluster,
        config: &Config,
        (name, destination): (&'a str, &'a Destination),
    ) -> Result<Self, TraceError> {
        let topic = |topic: Topic| topic.name(&config.kafka.topic_prefix);
        Ok(Self {
            name,
            destination,
            rehearsed: configure::rehearsed(destination)?,
            reader: Reader::open(cluster, &configure::group(config, name, destination.mode))?,
            events: topic(Topic::Events),
            retry: topic(Topic::Retry(name.to_owned())),
            dead: topic(Topic::Dead(name.to_owned())),
            waits: topic(Topic::Waits(name.to_owned())),
            // A commit for the lease alone is due after a third of it; on a busy machine one of two may be slow.
            commits_within: config.deliver.lease * 2 / 3 + config.deliver.commit_interval,
        })
    }

    /// What a thread needs of it.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading {
            reader: &self.reader,
            events: &self.events,
            retry: &self.retry,
            dead: &self.dead,
            waits: &self.waits,
            cut: Cut::of(self.destination.start),
        }
    }

    /// What is known here of the events.
    pub(super) fn at(&self, found: Found, (events, now): (&[Event], Timestamp)) -> AtDestination {
        let skips = events.iter().filter_map(|told| {
            let skip = self.rehearsed.skip(&told.event)?;
            Some((told.event.event_id.clone(), skip))
        });
        AtDestination {
            name: self.name.to_owned(),
            mode: self.destination.mode,
            in_place: self.destination.retry.in_place.len(),
            skips: skips.collect::<BTreeMap<_, _>>(),
            standing: found.standing,
            beginning: found.beginning,
            retries: found.retries,
            letters: found.letters,
            refresh: found.refresh,
            service: Service {
                members: found.members,
                left_alone_until: found.left_alone_until.filter(|until| *until > now),
                breaker: Breaker::NotLookedAt,
            },
        }
    }

    /// What a second look would be for.
    pub(super) fn watch(&self, at: &AtDestination, events: &[Event]) -> Watch<'_> {
        let undone = at.standing.as_ref().map(|standing| {
            let offsets = events.iter().filter_map(|told| told.offset);
            offsets.filter(|offset| !standing.events.is_done(*offset)).collect::<Vec<_>>()
        });
        let is_explained = at.service.members == 0 || at.service.left_alone_until.is_some();
        let undone = undone.filter(|undone| !is_explained && !undone.is_empty());
        Watch {
            reading: self.reading(),
            undone: undone.unwrap_or_default(),
            outages: at
                .standing
                .as_ref()
                .map_or(Duration::ZERO, |standing| standing.tenure.outages),
            patience: self.commits_within + WATCHED_LONGER,
        }
    }
}

impl Reading<'_> {
    /// What the group has committed, and then everything of one key since a moment, or from further back where
    /// something is undone.
    pub(super) fn find(self, question: Question<'_>) -> Result<Found, TraceError> {
        let Reading { reader, .. } = self;
        let Question { partition, since, .. } = question;
        let standing = standing(self, partition)?;
        let mut found = Found {
            standing,
            retries: Vec::new(),
            letters: Vec::new(),
            refresh: None,
            records: Vec::new(),
            beginning: self.beginning(partition)?,
            members: reader.members()?,
            left_alone_until: None,
        };
        if reader.partitions(self.retry)? > 0 {
            let (from, until) = range(reader, self.retry, partition, since)?;
            let (low, _) = reader.low_and_high(self.retry, partition)?;
            let undone = found.standing.as_ref().map(|standing| standing.retry.next().max(low));
            let from = undone.map_or(from, |undone| undone.min(from));
            found.records = Records { reader, question }.all(self.retry, (from, until))?;
        }
        let letters = letters(reader, self.dead, question)?;
        found.refresh = refreshes::latest(&found.records, &letters, found.standing.as_ref());
        found.records.retain(|record| refreshes::of(record).is_none());
        found.retries = found.records.iter().map(Retried::of).collect();
        for (letter, record) in letters {
            if refreshes::of(&record).is_none() {
                found.letters.push(letter);
                found.records.push(record);
            }
        }
        if reader.partitions(self.waits)? > 0 {
            (found.left_alone_until, _) = waits::latest(reader, self.waits)?;
        }
        Ok(found)
    }

    fn beginning(&self, partition: i32) -> Result<Beginning, TraceError> {
        match self.cut.beginning() {
            broker::Beginning::Earliest => Ok(Beginning::Earliest),
            broker::Beginning::Latest => Ok(Beginning::Forgotten),
            broker::Beginning::At(moment) => {
                let first = self.reader.offset_at(self.events, partition, moment)?;
                Ok(Beginning::At { cut: self.cut, first })
            }
        }
    }
}

/// A second look at a destination: an owner's time out of service stands in each of its commits, so that one that
/// grows says that the breaker is open now.
pub(super) struct Watch<'a> {
    reading: Reading<'a>,
    /// Events that nobody has done; none where there is nothing to look for.
    undone: Vec<i64>,
    outages: Duration,
    patience: Duration,
}

impl Watch<'_> {
    /// Looks until the time has grown, the events are done, or an owner must have committed.
    pub(super) fn look(&self, partition: i32, clock: &dyn Clock) -> Result<Breaker, TraceError> {
        if self.undone.is_empty() {
            return Ok(Breaker::NotLookedAt);
        }
        let deadline = clock.elapsed() + self.patience;
        loop {
            if let Some(standing) = standing(self.reading, partition)? {
                if standing.tenure.outages > self.outages {
                    return Ok(Breaker::Open);
                }
                if self.undone.iter().all(|offset| standing.events.is_done(*offset)) {
                    return Ok(Breaker::Closed);
                }
            }
            if clock.elapsed() >= deadline {
                return Ok(Breaker::Closed);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

fn standing(of: Reading<'_>, partition: i32) -> Result<Option<Standing>, TraceError> {
    if of.reader.partitions(of.retry)? == 0 {
        return Ok(None);
    }
    let at = |topic: &str| TopicPartition { topic: Arc::from(topic), partition };
    let committed = of.reader.standing(&[at(of.events), at(of.retry)])?;
    let of_topic = |topic: &str| committed.iter().find(|found| *found.partition.topic == *topic);
    let (Some(events), Some(retry)) = (of_topic(of.events), of_topic(of.retry)) else {
        return Ok(None);
    };
    let marks = |found: &Committed, topic: &str| {
        let damaged = |cause| TraceError::Marks { topic: topic.to_owned(), partition, cause };
        let decoded = found.next_offset.map(|next| Marks::decode(next, &found.metadata));
        decoded.transpose().map_err(damaged)
    };
    let tenure = Tenure::read(&events.metadata).map_err(|cause| TraceError::Marks {
        topic: of.events.to_owned(),
        partition,
        cause,
    })?;
    let (events, retry) = (marks(events, of.events)?, marks(retry, of.retry)?);
    let both = events.zip(retry);
    Ok(both.map(|(events, retry)| Standing { events, retry, tenure }))
}
