//! Reading one partition from a given offset to a true end, outside of any group.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};
use schemas::Timestamp;

use crate::cluster::{Discreet, Isolation};
use crate::group::read_offsets;
use crate::{Cluster, Committed, Received, TopicPartition};

/// One call to the cluster.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// An open transaction of a dead producer ends after its time-out and the coordinator's scan; longer
/// than this it hangs and somebody must look.
const STABLE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long committed offsets are asked for before it is an error: as long, and the time of a call.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(70);

/// Pause between two looks at the last stable offset.
const STABLE_INTERVAL: Duration = Duration::from_millis(20);

/// No record for this long although the end has not been reached.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a partition could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The consumer cannot be set up.
    #[error("cannot set up a reader")]
    Setup(#[source] KafkaError),
    /// The cluster did not answer or refused.
    #[error("cannot read {topic}[{partition}]")]
    Client {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What the client says.
        #[source]
        cause: KafkaError,
    },
    /// The brokers let this user read nothing there.
    #[error("the Kafka user may not read {topic}: it needs Read on it")]
    Denied {
        /// The topic.
        topic: String,
    },
    /// A transaction that somebody left open hides the end.
    #[error(
        "{topic}[{partition}] is stable up to {stable} only, not to {until}: a transaction hangs \
         (kafka-transactions.sh find-hanging names it)"
    )]
    Hanging {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The last stable offset.
        stable: i64,
        /// Where reading should have ended.
        until: i64,
    },
    /// The committed offset was not told in time.
    #[error("the committed offset of {topic}[{partition}] was not told for {OFFSETS_TIMEOUT:?}")]
    OffsetUnanswered {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What the client says.
        #[source]
        cause: KafkaError,
    },
    /// A position does not exist: what was followed is gone, or the topic was made anew.
    #[error("a position lies outside of what the topic holds")]
    OutOfRange(#[source] KafkaError),
    /// Nobody tells who belongs to the group.
    #[error("the members of the group {group} were not told")]
    Members {
        /// The group.
        group: String,
        /// What the client says.
        #[source]
        cause: KafkaError,
    },
    /// Records stopped coming before the end.
    #[error("{topic}[{partition}] fell silent before its end")]
    Silent {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
}

/// A record that is only looked at, where the client keeps it.
#[derive(Clone, Copy)]
pub struct Glimpse<'a> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; absent in a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Both may name a person, hence only sizes are shown.
impl std::fmt::Debug for Glimpse<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.value.map(<[u8]>::len);
        formatter.debug_struct("Glimpse").field("bytes", &bytes).finish_non_exhaustive()
    }
}

/// Reads partitions by assignment. `low_and_high` sees everything, `read_to` only what is committed.
pub struct Reader {
    group: String,
    committed: BaseConsumer<Discreet>,
    uncommitted: BaseConsumer<Discreet>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Sets up a reader. `group` is named to the broker and never joined.
    pub fn open(cluster: &Cluster, group: &str) -> Result<Self, ReadError> {
        let open = |isolation| {
            let mut config = cluster.consumer(group, isolation);
            // Reading goes to an end that is already there: a broker that waits for more to come
            // would only delay it, half a second for each partition.
            config.set("fetch.wait.max.ms", "10");
            // Whoever only looks through records falls behind the fetcher for moments, not for the
            // second after which the client would look again.
            config.set("fetch.queue.backoff.ms", "10");
            config.create_with_context(Discreet).map_err(ReadError::Setup)
        };
        Ok(Self {
            group: group.to_owned(),
            committed: open(Isolation::Committed)?,
            uncommitted: open(Isolation::Uncommitted)?,
        })
    }

    /// First offset the partition still holds, and its high watermark, open transactions included.
    ///
    /// A `read_committed` client would be told the last stable offset instead (librdkafka#3428),
    /// behind which a transaction may already be decided.
    pub fn low_and_high(&self, topic: &str, partition: i32) -> Result<(i64, i64), ReadError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        loop {
            match self.uncommitted.fetch_watermarks(topic, partition, CALL_TIMEOUT) {
                Ok(bounds) => return Ok(bounds),
                // A leader was just made or is being replaced.
                Err(cause) if has_no_leader(&cause) && Instant::now() < deadline => {
                    std::thread::sleep(STABLE_INTERVAL);
                }
                Err(cause) => return Err(client(topic, partition, cause)),
            }
        }
    }

    /// The offset that the group named at [`Reader::open`] has committed for a partition, once no open
    /// transaction can change it any more; none where it never committed.
    ///
    /// The client asks for stable offsets because it reads what is committed (KIP-447), and is refused
    /// while a transaction that may move them is open.
    pub fn committed(&self, topic: &str, partition: i32) -> Result<Option<i64>, ReadError> {
        ask_again(|| self.ask_committed(topic, partition)).map_err(|cause| {
            let topic = topic.to_owned();
            ReadError::OffsetUnanswered { topic, partition, cause }
        })
    }

    fn ask_committed(&self, topic: &str, partition: i32) -> Result<Option<i64>, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let answer = self.committed.committed_offsets(list, CALL_TIMEOUT)?;
        let found = read_offsets(&answer)?;
        Ok(found.into_iter().find_map(|found| found.next_offset))
    }

    /// What the group named at [`Reader::open`] has committed for these partitions, offset and text, all of
    /// one moment, once no open transaction can change it any more.
    pub fn standing(&self, of: &[TopicPartition]) -> Result<Vec<Committed>, ReadError> {
        let ask = || {
            let mut list = TopicPartitionList::with_capacity(of.len());
            for at in of {
                list.add_partition(&at.topic, at.partition);
            }
            read_offsets(&self.committed.committed_offsets(list, CALL_TIMEOUT)?)
        };
        ask_again(ask).map_err(|cause| {
            let first = of.first();
            ReadError::OffsetUnanswered {
                topic: first.map_or_else(String::new, |at| at.topic.to_string()),
                partition: first.map_or(0, |at| at.partition),
                cause,
            }
        })
    }

    /// The texts that the group named at [`Reader::open`] keeps beside the offsets it has committed for
    /// a topic of so many partitions. Of a partition with an open transaction it may be the one before.
    pub fn notes(&self, topic: &str, partitions: i32) -> Result<Vec<String>, ReadError> {
        let ask = || {
            let mut list = TopicPartitionList::new();
            list.add_partition_range(topic, 0, (partitions - 1).max(0));
            read_offsets(&self.uncommitted.committed_offsets(list, CALL_TIMEOUT)?)
        };
        let found = ask_again(ask).map_err(|cause| {
            let topic = topic.to_owned();
            ReadError::OffsetUnanswered { topic, partition: 0, cause }
        })?;
        let committed = found.into_iter().filter(|found| found.next_offset.is_some());
        Ok(committed.map(|found| found.metadata).collect())
    }

    /// How many members the group named at [`Reader::open`] has; 0 also where it never was. One that was
    /// killed counts until its session times out.
    pub fn members(&self) -> Result<usize, ReadError> {
        let ask = || self.uncommitted.client().fetch_group_list(Some(&self.group), CALL_TIMEOUT);
        let list = ask_again(ask)
            .map_err(|cause| ReadError::Members { group: self.group.clone(), cause })?;
        let found = list.groups().iter().find(|found| found.name() == self.group);
        Ok(found.map_or(0, |found| found.members().len()))
    }

    /// How many partitions the topic has; 0 when it does not exist.
    pub fn partitions(&self, topic: &str) -> Result<i32, ReadError> {
        let metadata = self
            .uncommitted
            .fetch_metadata(Some(topic), CALL_TIMEOUT)
            .map_err(|cause| client(topic, 0, cause))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let count = found.map_or(0, |found| found.partitions().len());
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// Offset of the first record at or after a moment; the high watermark when there is none.
    pub fn offset_at(
        &self,
        topic: &str,
        partition: i32,
        moment: Timestamp,
    ) -> Result<i64, ReadError> {
        let failed = |cause| client(topic, partition, cause);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(moment.millis()))
            .map_err(failed)?;
        let found = self.uncommitted.offsets_for_times(list, CALL_TIMEOUT).map_err(failed)?;
        match found.find_partition(topic, partition).map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Ok(offset),
            _ => Ok(self.low_and_high(topic, partition)?.1),
        }
    }

    /// Reads everything committed from `from` to below `until`, which is a high watermark: waits
    /// until no open transaction hides any of it. `each` may end the reading early.
    pub fn read_to(
        &self,
        topic: &str,
        partition: i32,
        range: (i64, i64),
        each: impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.read_some(topic, partition, range, |_| true, each)
    }

    /// The same for the records that are `wanted`. The others are never copied out of the client's memory,
    /// which makes looking for a few among very many several times as fast.
    pub fn read_some(
        &self,
        topic: &str,
        partition: i32,
        (from, until): (i64, i64),
        wanted: impl Fn(Glimpse<'_>) -> bool,
        mut each: impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        if from >= until {
            return Ok(());
        }
        self.wait_until_stable(topic, partition, until)?;
        let failed = |cause| client(topic, partition, cause);
        let name: Arc<str> = Arc::from(topic);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(failed)?;
        self.committed.assign(&list).map_err(failed)?;
        // The end of the partition is reported when everything up to the last stable offset has been
        // handed out, and that is at or past `until` by now. Counting offsets would not do: markers
        // of transactions take offsets that no record ever shows.
        let read = self.drain(&name, (partition, until), &wanted, &mut each);
        self.committed.unassign().map_err(failed)?;
        read
    }

    fn wait_until_stable(&self, topic: &str, partition: i32, until: i64) -> Result<(), ReadError> {
        let deadline = Instant::now() + STABLE_TIMEOUT;
        loop {
            let (_, stable) = self
                .committed
                .fetch_watermarks(topic, partition, CALL_TIMEOUT)
                .map_err(|cause| client(topic, partition, cause))?;
            if stable >= until {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(ReadError::Hanging {
                    topic: topic.to_owned(),
                    partition,
                    stable,
                    until,
                });
            }
            std::thread::sleep(STABLE_INTERVAL);
        }
    }

    fn drain(
        &self,
        topic: &Arc<str>,
        (partition, until): (i32, i64),
        wanted: &impl Fn(Glimpse<'_>) -> bool,
        each: &mut impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let mut deadline = Instant::now() + SILENCE_TIMEOUT;
        loop {
            match self.committed.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    deadline = Instant::now() + SILENCE_TIMEOUT;
                    if message.offset() >= until {
                        return Ok(());
                    }
                    let glimpse = Glimpse { key: message.key(), value: message.payload() };
                    if wanted(glimpse)
                        && each(Received::take(&message, Arc::clone(topic))).is_break()
                    {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(at))) if at == partition => return Ok(()),
                Some(Err(cause @ KafkaError::MessageConsumptionFatal(_))) => {
                    return Err(client(topic, partition, cause));
                }
                Some(Err(cause)) if is_denial(&cause) => {
                    return Err(ReadError::Denied { topic: topic.to_string() });
                }
                Some(Err(cause)) => {
                    tracing::debug!(error = %cause, "reading is disturbed; the client tries again");
                }
                None => {}
            }
            if Instant::now() >= deadline {
                return Err(ReadError::Silent { topic: topic.to_string(), partition });
            }
        }
    }
}

/// Asks a group's coordinator until it answers: it may be starting, moving, or waiting for a transaction.
fn ask_again<T>(ask: impl Fn() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let deadline = Instant::now() + OFFSETS_TIMEOUT;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(cause) if Instant::now() >= deadline => return Err(cause),
            Err(cause) => {
                tracing::debug!(error = %cause, "asking the coordinator again");
                std::thread::sleep(STABLE_INTERVAL);
            }
        }
    }
}

/// The client tries again for ever, and does not say which topic it is.
pub(crate) fn is_denial(cause: &KafkaError) -> bool {
    cause.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}

fn has_no_leader(cause: &KafkaError) -> bool {
    matches!(
        cause.rdkafka_error_code(),
        Some(RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable)
    )
}

fn client(topic: &str, partition: i32, cause: KafkaError) -> ReadError {
    ReadError::Client { topic: topic.to_owned(), partition, cause }
}
