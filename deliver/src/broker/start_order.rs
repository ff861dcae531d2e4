//! From an assignment to the first record that may be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use stream::{Committed, Progress, TopicPartition};

use super::{Beginning, BrokerError, FromBroker, Session};
use crate::lanes::Source;
use crate::marks::Marks;
use crate::tenure::Tenure;

impl Session {
    pub(super) fn take_over(&mut self, assigned: &[TopicPartition]) -> Result<(), BrokerError> {
        let partitions = self.whole(assigned)?;
        tracing::info!(group = self.place.group, partitions = partitions.len(), "joined");
        let committed = self.group.committed(assigned)?;
        let (positions, missing) = self.positions(&committed)?;
        if !missing.is_empty() {
            // From the first record on, a restart must not depend on where the log ends then.
            self.transact(Vec::new(), &missing)?;
        }
        let standing = |source, partition| {
            let nothing = || (Marks::up_to(0), Tenure::none());
            positions.get(&(source, partition)).cloned().unwrap_or_else(nothing)
        };
        let mut start = Vec::new();
        for partition in &partitions {
            let (events, tenure) = standing(Source::Events, *partition);
            let (retry, _) = standing(Source::Retry, *partition);
            start.push((self.at(Source::Events, *partition), events.next()));
            let from = retry.next();
            self.tell(FromBroker::Assigned { partition: *partition, events, retry, tenure })?;
            let end = self.restore(*partition, from)?;
            start.push((self.at(Source::Retry, *partition), end));
        }
        self.group.start(&start)?;
        let all = self.reader.partitions(&self.place.events)?.max(1);
        let ours = i32::try_from(partitions.len()).unwrap_or(all);
        self.tell(FromBroker::Started { share: f64::from(ours) / f64::from(all) })
    }

    /// The partitions, each of which must be ours in both topics.
    fn whole(&self, assigned: &[TopicPartition]) -> Result<BTreeSet<i32>, BrokerError> {
        let of = |source: Source| -> BTreeSet<i32> {
            let ours = assigned.iter().filter(|at| self.source(&at.topic) == source);
            ours.map(|at| at.partition).collect()
        };
        let (events, retry) = (of(Source::Events), of(Source::Retry));
        match events.symmetric_difference(&retry).next() {
            None => Ok(events),
            Some(partition) => Err(BrokerError::Split {
                partition: *partition,
                events: self.place.events.clone(),
                retry: self.place.retry.clone(),
            }),
        }
    }

    /// What is done in each partition, and what has to be committed because nothing ever was.
    #[expect(clippy::type_complexity, reason = "two halves of one walk over the partitions")]
    fn positions(
        &self,
        committed: &[Committed],
    ) -> Result<(BTreeMap<(Source, i32), (Marks, Tenure)>, Vec<Progress>), BrokerError> {
        let mut positions = BTreeMap::new();
        let mut missing = Vec::new();
        for found in committed {
            let partition = found.partition.partition;
            let source = self.source(&found.partition.topic);
            let topic = self.topic(source);
            let (low, high) = self.reader.low_and_high(topic, partition)?;
            let Some(next) = found.next_offset else {
                let next_offset = self.beginning(source, partition, (low, high))?;
                let at = found.partition.clone();
                missing.push(Progress { partition: at, next_offset, metadata: String::new() });
                let standing = (Marks::up_to(next_offset), Tenure::none());
                positions.insert((source, partition), standing);
                continue;
            };
            if is_gone(next, low, high) {
                let (group, topic) = (self.place.group.clone(), topic.to_owned());
                return Err(BrokerError::Gone { group, topic, partition, next, low });
            }
            let damaged = |cause| BrokerError::Marks { topic: topic.to_owned(), partition, cause };
            let marks = Marks::decode(next, &found.metadata).map_err(damaged)?.not_below(low);
            let tenure = Tenure::read(&found.metadata).map_err(damaged)?;
            positions.insert((source, partition), (marks, tenure));
        }
        Ok((positions, missing))
    }

    fn beginning(
        &self,
        source: Source,
        partition: i32,
        (low, high): (i64, i64),
    ) -> Result<i64, BrokerError> {
        match (source, self.place.beginning) {
            (Source::Retry, _) | (Source::Events, Beginning::Earliest) => Ok(low),
            (Source::Events, Beginning::Latest) => Ok(high),
            (Source::Events, Beginning::At(moment)) => {
                Ok(self.reader.offset_at(&self.place.events, partition, moment)?)
            }
        }
    }

    /// Reads the retry topic to its end; says where that is.
    fn restore(&self, partition: i32, from: i64) -> Result<i64, BrokerError> {
        let (_, high) = self.reader.low_and_high(&self.place.retry, partition)?;
        let mut gone = false;
        self.reader.read_to(&self.place.retry, partition, (from, high), |received| {
            if self.tell(FromBroker::Record(Source::Retry, Arc::new(received))).is_ok() {
                return ControlFlow::Continue(());
            }
            gone = true;
            ControlFlow::Break(())
        })?;
        if gone { Err(BrokerError::Left) } else { Ok(high.max(from)) }
    }
}

/// Whether records were deleted that the group had yet to see. One offset may go missing without a
/// record: the marker of the transaction that wrote the last one.
fn is_gone(next: i64, low: i64, high: i64) -> bool {
    next + 1 < low && low < high
}
