//! Following partitions beside a group: from positions that the owner keeps, without ever joining.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::cluster::{Discreet, Isolation};
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

    /// The next record, waiting up to `timeout`. What passes by itself is logged and is no error.
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
            Some(Err(cause)) => {
                tracing::debug!(error = %cause, "following is disturbed; the client tries again");
                Ok(None)
            }
        }
    }
}

fn client(at: &TopicPartition, cause: KafkaError) -> ReadError {
    ReadError::Client { topic: at.topic.to_string(), partition: at.partition, cause }
}
