//! How far a member of a group is behind the ends of its partitions, as librdkafka sees it.
//!
//! The end is the last stable offset, up to which a reader of committed records may read: what an open transaction
//! has appended does not count yet. Markers of transactions take offsets and are never handed out, so that a member
//! that has read everything may stand before the end; where nothing is fetched and nothing is left to fetch, the lag
//! is none.

use std::fmt;

use rdkafka::Statistics;
use rdkafka::statistics::Partition;

/// How much of a partition is still to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Offsets up to the end.
    pub records: u64,
}

/// Is told every five seconds, by the thread that polls the group.
pub trait Watcher: fmt::Debug + Send + Sync {
    /// The lag of each partition that flows, and of no other.
    fn lags(&self, lags: Vec<Lag>);
}

/// Those of all partitions that flow.
pub(crate) fn lags(statistics: &Statistics) -> Vec<Lag> {
    let partitions = statistics.topics.values().flat_map(|topic| {
        topic.partitions.values().map(|partition| (topic.topic.as_str(), partition))
    });
    let known = partitions.filter_map(|(topic, partition)| {
        let records = records(partition)?;
        Some(Lag { topic: topic.to_owned(), partition: partition.partition, records })
    });
    known.collect()
}

/// `None` where the partition does not flow, or its end is not known yet.
fn records(partition: &Partition) -> Option<u64> {
    if partition.partition < 0 || partition.fetch_state != "active" {
        return None;
    }
    let end = u64::try_from(partition.ls_offset).ok()?;
    let is_fetched = u64::try_from(partition.next_offset).is_ok_and(|next| next >= end);
    if is_fetched && partition.fetchq_cnt == 0 {
        return Some(0);
    }
    let read = [partition.app_offset, partition.next_offset];
    let read = read.into_iter().find_map(|offset| u64::try_from(offset).ok())?;
    Some(end.saturating_sub(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(app: i64, next: i64, queued: i64) -> Partition {
        Partition {
            partition: 3,
            fetch_state: "active".to_owned(),
            ls_offset: 100,
            app_offset: app,
            next_offset: next,
            fetchq_cnt: queued,
            ..Partition::default()
        }
    }

    #[test]
    fn what_was_fetched_and_not_handed_out_is_still_to_be_read() {
        assert_eq!(records(&partition(40, 100, 60)), Some(60));
        assert_eq!(records(&partition(40, 80, 0)), Some(60));
    }

    #[test]
    fn a_marker_at_the_end_is_nothing_to_read() {
        assert_eq!(records(&partition(99, 100, 0)), Some(0));
    }

    #[test]
    fn before_the_first_record_the_place_to_fetch_from_counts() {
        assert_eq!(records(&partition(-1001, 90, 0)), Some(10));
        assert_eq!(records(&partition(-1001, -1001, 0)), None);
    }

    #[test]
    fn what_does_not_flow_or_has_no_known_end_has_no_lag() {
        let stopped = Partition { fetch_state: "stopped".to_owned(), ..partition(40, 80, 0) };
        assert_eq!(records(&stopped), None);
        let unknown = Partition { ls_offset: -1001, ..partition(40, 80, 0) };
        assert_eq!(records(&unknown), None);
        let unassigned = Partition { partition: -1, ..partition(40, 80, 0) };
        assert_eq!(records(&unassigned), None);
    }
}
