//! How many refreshes of this run a destination has not dealt with yet, by what its group has committed.
//!
//! One that failed and was set aside counts as dealt with: it waits for its time, and nobody waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::topics::Topic;
use service::config::{Config, Mode};
use stream::{Acknowledged, Cluster, Reader, TopicPartition};

use super::RefreshError;
use crate::configure;
use crate::marks::Marks;

/// Refreshes that may wait at one destination before more are handed over. Few enough that events are not
/// noticeably behind them.
const MOST: usize = 200;

/// One destination's retry topic, and what of it is ours and undone.
pub(super) struct Room {
    pub(super) retry: String,
    reader: Reader,
    undone: BTreeMap<i32, Vec<i64>>,
}

impl Room {
    pub(super) fn open(
        cluster: &Cluster,
        config: &Config,
        destination: &str,
    ) -> Result<Self, RefreshError> {
        let retry = Topic::Retry(destination.to_owned()).name(&config.kafka.topic_prefix);
        let group = configure::group(config, destination, Mode::Live);
        let reader = Reader::open(cluster, &group)?;
        if reader.partitions(&retry)? == 0 {
            return Err(RefreshError::NoTopic(retry));
        }
        Ok(Self { retry, reader, undone: BTreeMap::new() })
    }

    /// How many instances work on the destination.
    pub(super) fn members(&self) -> Result<usize, RefreshError> {
        Ok(self.reader.members()?)
    }

    /// A refresh was written.
    pub(super) fn take(&mut self, written: Acknowledged) {
        self.undone.entry(written.partition).or_default().push(written.offset);
    }

    /// Whether more may be handed over; looks at what is committed if it seems not.
    pub(super) fn has_some(&mut self) -> Result<bool, RefreshError> {
        if self.waiting() >= MOST {
            self.look()?;
        }
        Ok(self.waiting() < MOST)
    }

    fn waiting(&self) -> usize {
        self.undone.values().map(Vec::len).sum()
    }

    fn look(&mut self) -> Result<(), RefreshError> {
        let topic: Arc<str> = Arc::from(self.retry.as_str());
        let at = |partition: &i32| TopicPartition { topic: topic.clone(), partition: *partition };
        let asked: Vec<_> = self.undone.keys().map(at).collect();
        for found in self.reader.standing(&asked)? {
            let partition = found.partition.partition;
            let Some(next) = found.next_offset else { continue };
            let marks = Marks::decode(next, &found.metadata).map_err(|cause| {
                RefreshError::Marks { topic: self.retry.clone(), partition, cause }
            })?;
            if let Some(offsets) = self.undone.get_mut(&partition) {
                offsets.retain(|offset| !marks.is_done(*offset));
            }
        }
        self.undone.retain(|_, offsets| !offsets.is_empty());
        Ok(())
    }
}
