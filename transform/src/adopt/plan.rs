//! What there is to copy, and whether it may be.

use std::time::Duration;

use service::cli::say;
use service::exit::Failure;
use stream::{Cluster, ReadError, Reader};

use crate::worker::outgoing::Names;

/// Between two looks at who is there, and what is waited beyond the session time-out.
const PAUSE: Duration = Duration::from_millis(500);
const MARGIN: Duration = Duration::from_secs(5);

/// What is copied, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// States of subscribers, without the record of the partition.
    States,
    /// Whose things are.
    Links,
    /// What was not processed.
    Unprocessed,
}

/// A part of one partition, to be copied to the partitions of another topic by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) content: Content,
    pub(super) from_topic: String,
    pub(super) to_topic: String,
    pub(super) partition: i32,
    /// From the first offset to below the second.
    pub(super) range: (i64, i64),
}

impl Span {
    pub(super) fn offsets(&self) -> u64 {
        u64::try_from(self.range.1 - self.range.0).unwrap_or(0)
    }
}

/// States and links before what is unprocessed: once that is there, the new installation may begin.
pub(super) fn plan(cluster: &Cluster, there: &Names, here: &Names) -> Result<Vec<Span>, Failure> {
    refuse_a_beginning(cluster, here)?;
    let reader = reader_of_nobodys(cluster, &there.group)?;
    let partitions = reader.partitions(&there.state).map_err(Failure::failed)?;
    if partitions == 0 {
        let topic = &there.state;
        return Err(Failure::Refused(format!("there is no topic {topic} to go on from")));
    }
    let whole = |content, from_topic: &str, to_topic: &str, partition| {
        let range = reader.low_and_high(from_topic, partition)?;
        let (from_topic, to_topic) = (from_topic.to_owned(), to_topic.to_owned());
        Ok(Span { content, from_topic, to_topic, partition, range })
    };
    let mut spans = Vec::new();
    let all = |content, from: &str, to: &str| {
        (0..partitions)
            .map(|partition| whole(content, from, to, partition))
            .collect::<Result<Vec<_>, ReadError>>()
            .map_err(Failure::failed)
    };
    spans.extend(all(Content::States, &there.state, &here.state)?);
    spans.extend(all(Content::Links, &there.links, &here.links)?);
    // Topics may have grown although they must not: records of the new partitions were never processed.
    let raw = reader.partitions(&there.raw).map_err(Failure::failed)?;
    for partition in 0..raw {
        let mut span = whole(Content::Unprocessed, &there.raw, &here.raw, partition)
            .map_err(Failure::failed)?;
        let committed = reader.committed(&there.raw, partition).map_err(Failure::failed)?;
        span.range.0 = committed.unwrap_or(span.range.0).clamp(span.range.0, span.range.1);
        spans.push(span);
    }
    Ok(spans)
}

/// A reader in the name of a group that nobody works for. Workers do not say good-bye when they end, so
/// that a restart costs no rebalance; it is waited for that they are missed.
fn reader_of_nobodys(cluster: &Cluster, group: &str) -> Result<Reader, Failure> {
    let reader = Reader::open(cluster, group).map_err(Failure::failed)?;
    let patience = cluster.session_timeout + MARGIN;
    for look in 0_u32.. {
        let members = reader.members().map_err(Failure::failed)?;
        if members == 0 {
            break;
        }
        if look * PAUSE > patience {
            return Err(Failure::Refused(format!(
                "{members} workers of {group} are still there after {patience:?}: end both \
                 installations first"
            )));
        }
        if look == 0 {
            say(&format!("waiting until the {members} workers of {group} are missed"))?;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(reader)
}

fn refuse_a_beginning(cluster: &Cluster, here: &Names) -> Result<(), Failure> {
    let reader = reader_of_nobodys(cluster, &here.group)?;
    let partitions = reader.partitions(&here.raw).map_err(Failure::failed)?;
    for partition in 0..partitions {
        if reader.committed(&here.raw, partition).map_err(Failure::failed)?.is_some() {
            let group = &here.group;
            return Err(Failure::Refused(format!(
                "{group} has begun already, and its subscribers have states of their own: adopt into \
                 an installation that has not processed anything yet"
            )));
        }
    }
    Ok(())
}
