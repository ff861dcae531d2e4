//! `deliver preview --from-topic --destination NAME`: what a destination in shadow would have been sent, as its notes
//! in `deliver.<destination>.shadow` say.
//!
//! The notes are read from the end of each partition backwards, as far as it takes to have as many as were asked for;
//! the notes of one subscriber lie in one partition, and no other is read then. They are shown oldest first.

use std::ops::ControlFlow;

use schemas::topics::Topic;
use service::cli::say;
use service::config::{Config, Mode};
use service::exit::Failure;
use stream::{Cluster, Glimpse, ReadError, Reader, Received};
use transform::placement::partition_of;

use super::{Arguments, none_such, page};
use crate::configure;
use crate::shadow::Planned;

/// Notes that are shown when nothing is said.
const SHOWN: usize = 100;

/// Offsets that are read at first for each note that is wanted: markers of transactions take some, and so do other
/// people's notes.
const OFFSETS_FOR_ONE: usize = 4;

/// How much farther back is looked each time there was too little.
const FARTHER: i64 = 8;

/// What is looked for, and where.
struct Question {
    cluster: Cluster,
    group: String,
    topic: String,
    /// Of this subscriber alone.
    key: Option<String>,
    limit: usize,
}

/// What was found, oldest first.
struct Found {
    records: Vec<Received>,
    reach: Reach,
}

/// How far back was looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// To the oldest note that is kept.
    Everything,
    /// No farther than it took.
    AsAsked,
}

/// Prints the newest notes.
///
/// # Errors
/// When there is no such destination, and when there is no topic of notes or it cannot be read.
pub(super) async fn work(arguments: &Arguments, config: &Config) -> Result<(), Failure> {
    let name = arguments.destination.clone().unwrap_or_default();
    let Some(destination) = config.destinations.get(&name) else {
        return Err(none_such("destination", &name, config.destinations.keys()));
    };
    let question = Question {
        cluster: configure::cluster(config),
        group: configure::group(config, &name, Mode::Shadow),
        topic: Topic::Shadow(name.clone()).name(&config.kafka.topic_prefix),
        key: arguments.subscriber.clone(),
        limit: arguments.limit.unwrap_or(SHOWN),
    };
    let http = configure::http(destination).map_err(Failure::failed)?;
    let topic = question.topic.clone();
    let asked = tokio::task::spawn_blocking(move || question.ask());
    let Some(found) = asked.await.map_err(Failure::failed)?.map_err(Failure::failed)? else {
        return Err(Failure::Refused(format!(
            "there is no topic {topic}; with `mode: shadow`, `deliver setup` creates it"
        )));
    };
    let mut unreadable = 0_usize;
    for record in &found.records {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
        match record.value.as_deref().and_then(Planned::read) {
            Some(planned) => {
                say(&page::note(&key, &planned, (&name, &http), record.timestamp))?;
            }
            None => unreadable += 1,
        }
    }
    if unreadable > 0 {
        say(&format!("{unreadable} records of {topic} are no notes of this version"))?;
    }
    say(&summary(&found))
}

/// What was shown, and how far back that reaches.
fn summary(found: &Found) -> String {
    let number = found.records.len();
    let since = found.records.first().map(|record| record.timestamp);
    match (since, found.reach) {
        (None, _) => "no notes: nothing would have been sent in what is kept".to_owned(),
        (Some(since), Reach::Everything) => {
            format!("{number} notes, all that are kept, the oldest written {since}")
        }
        (Some(since), Reach::AsAsked) => {
            format!("{number} notes, the newest, back to {since}; `--limit` shows more")
        }
    }
}

impl Question {
    /// None when there is no such topic.
    fn ask(self) -> Result<Option<Found>, ReadError> {
        let reader = Reader::open(&self.cluster, &self.group)?;
        let partitions = reader.partitions(&self.topic)?;
        if partitions == 0 {
            return Ok(None);
        }
        let of_key = self.key.as_ref().map(|key| partition_of(key.as_bytes(), partitions));
        let chosen = (0..partitions).filter(|at| of_key.is_none_or(|partition| partition == *at));
        let (mut records, mut reach) = (Vec::new(), Reach::Everything);
        for partition in chosen {
            if self.newest(&reader, partition, &mut records)? == Reach::AsAsked {
                reach = Reach::AsAsked;
            }
        }
        records
            .sort_by_key(|record: &Received| (record.timestamp, record.partition, record.offset));
        let too_many = records.len().saturating_sub(self.limit);
        if too_many > 0 {
            records.drain(..too_many);
            reach = Reach::AsAsked;
        }
        Ok(Some(Found { records, reach }))
    }

    /// Adds the newest notes of a partition: as many as there are, or at least the limit.
    fn newest(
        &self,
        reader: &Reader,
        partition: i32,
        records: &mut Vec<Received>,
    ) -> Result<Reach, ReadError> {
        let (low, high) = reader.low_and_high(&self.topic, partition)?;
        let first = self.limit.saturating_mul(OFFSETS_FOR_ONE);
        let mut back = i64::try_from(first).unwrap_or(i64::MAX);
        loop {
            let from = high.saturating_sub(back).max(low);
            let mut found = Vec::new();
            let wanted = |glimpse: Glimpse<'_>| {
                self.key.as_ref().is_none_or(|key| glimpse.key == Some(key.as_bytes()))
            };
            reader.read_some(&self.topic, partition, (from, high), wanted, |received| {
                found.push(received);
                ControlFlow::Continue(())
            })?;
            if found.len() >= self.limit || from == low {
                records.append(&mut found);
                return Ok(if from == low { Reach::Everything } else { Reach::AsAsked });
            }
            back = back.saturating_mul(FARTHER);
        }
    }
}
