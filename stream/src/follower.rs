//! Following partitions beside a group: from positions that the owner keeps, without ever joining.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::cluster::{Discreet, Isolation};
use crate::reader::is_denial;
use crate::{Cluster, ReadError, Received, TopicPartition};

/// Reads what is committed in the partitions it was given, as it comes.
pub struct Follower {
    consumer: BaseConsumer<Discreet>,
    topics: HashMap<String, Arc<str>>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    /// Follows nothing yet. `group` is named to the broker and never joined.
    pub fn open(cluster: &Cluster, group: &str) -> Result<Self, ReadError> {
        let config = cluster.consumer(group, Isolation::Committed);
        let consumer = config.create_with_context(Discreet).map_err(ReadError::Setup)?;
        Ok(Self { consumer, topics: HashMap::new() })
    }

    /// Follows these partitions from these offsets on, and no others any more.
    pub fn follow(&mut self, positions: &[(TopicPartition, i64)]) -> Result<(), ReadError> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (at, offset) in positions {
            self.topics.entry(at.topic.to_string()).or_insert_with(|| Arc::clone(&at.topic));
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset))
                .map_err(|cause| client(at, cause))?;
        }
        let Some((first, _)) = positions.first() else {
            return self.consumer.unassign().map_err(ReadError::Setup);
        };
        self.consumer.assign(&list).map_err(|cause| client(first, cause))
    }

    /// The next record, waiting up to `timeout`. What passes by itself is logged and is no error; a
    /// position that the partition does not have never passes.
    pub fn poll(&mut self, timeout: Duration) -> Result<Option<Received>, ReadError> {
        match self.consumer.poll(timeout) {
            Some(Ok(message)) => {
                let known = self.topics.get(message.topic()).map(Arc::clone);
                let topic = known.unwrap_or_else(|| Arc::from(message.topic()));
                Ok(Some(Received::take(&message, topic)))
            }
            Some(Err(cause @ KafkaError::MessageConsumptionFatal(_))) => {
                Err(ReadError::Setup(cause))
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => Ok(None),
            Some(Err(cause)) if is_out_of_range(&cause) => Err(ReadError::OutOfRange(cause)),
            Some(Err(cause)) if is_denial(&cause) => {
                let topics: Vec<_> = self.topics.keys().map(String::as_str).collect();
                Err(ReadError::Denied { topic: topics.join(", ") })
            }
            Some(Err(cause)) => {
                tracing::debug!(error = %cause, "following is disturbed; the client tries again");
                Ok(None)
            }
        }
    }
}

/// Positions are never reset by themselves, so the client says it in one of two ways.
fn is_out_of_range(cause: &KafkaError) -> bool {
    matches!(
        cause.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
    )
}

fn client(at: &TopicPartition, cause: KafkaError) -> ReadError {
    ReadError::Client { topic: at.topic.to_string(), partition: at.partition, cause }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rdkafka::mocking::MockCluster;

    use super::*;

    #[test]
    fn a_position_behind_the_end_is_an_error_and_not_an_empty_topic() {
        let broker = MockCluster::new(1).unwrap();
        broker.create_topic("links", 1, 1).unwrap();
        let cluster = Cluster {
            brokers: broker.bootstrap_servers(),
            properties: BTreeMap::new(),
            session_timeout: Duration::from_secs(15),
            max_message_bytes: 1_000_000,
        };
        let mut follower = Follower::open(&cluster, "nobody").unwrap();
        let at = TopicPartition { topic: Arc::from("links"), partition: 0 };
        follower.follow(&[(at, 40)]).unwrap();
        let polled = (0..100).find_map(|_| follower.poll(Duration::from_millis(100)).err());
        assert!(matches!(polled, Some(ReadError::OutOfRange(_))), "{polled:?}");
    }
}
