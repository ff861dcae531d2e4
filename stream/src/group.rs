//! Membership of a consumer group, with hand-overs that the owner controls.
//!
//! librdkafka would start fetching as soon as partitions are assigned and let go of them inside a
//! callback. Here a rebalance is a value that `poll` returns: after [`Polled::Assigned`] nothing flows
//! until the owner says from where, and after [`Polled::Revoked`] the group waits until the owner has
//! finished and calls [`Group::release`].

mod unassigned;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Message, Offset, Statistics, TopicPartitionList};

use self::unassigned::Unassigned;
use crate::cluster::{Isolation, log_unless_end};
use crate::lag::{self, Watcher};
use crate::stranded::{self, Stranded};
use crate::{Cluster, GroupMember, Received, TopicPartition};

/// How long committed offsets are asked for before it is an error: longer than the time-out of a
/// transaction that may hold them back, and its coordinator's scan.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(30);

/// One call to the cluster.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Who the member is.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    /// A stable name keeps the member's partitions through a short restart (static membership).
    pub instance_id: Option<String>,
    /// Is told how far the member is behind.
    pub watcher: Option<Arc<dyn Watcher>>,
}

/// What came of a poll.
#[derive(Debug)]
pub enum Polled {
    /// A record.
    Record(Received),
    /// Nothing, within the time given.
    Idle,
    /// These partitions are now this member's; nothing flows before [`Group::start`].
    Assigned(Vec<TopicPartition>),
    /// These partitions go to somebody else as soon as [`Group::release`] is called.
    Revoked(Vec<TopicPartition>),
    /// These partitions already belong to somebody else: abandon the work and call
    /// [`Group::release`].
    Lost(Vec<TopicPartition>),
}

/// What a group has committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The partition.
    pub partition: TopicPartition,
    /// Where to go on; absent when the group never committed here.
    pub next_offset: Option<i64>,
    /// The text kept beside it.
    pub metadata: String,
}

/// Why the group cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The consumer cannot be set up.
    #[error("cannot join the group {group}")]
    Join {
        /// The group.
        group: String,
        /// What the client says.
        #[source]
        cause: KafkaError,
    },
    /// A position does not exist any more: the group was away for longer than the topic keeps records.
    #[error("a position of the group lies outside of what the topic still holds")]
    OutOfRange(#[source] KafkaError),
    /// Another member with the same instance id has taken over.
    #[error("another member with the same instance id has taken over")]
    Fenced(#[source] KafkaError),
    /// The committed offsets were not told in time.
    #[error("the committed offsets were not answered within {0:?}")]
    OffsetsUnanswered(Duration, #[source] KafkaError),
    /// The client knows no broker any more, and will not find one.
    #[error("the consumer has lost all brokers and does not look for them again")]
    Stranded,
    /// The client failed.
    #[error("the consumer failed while trying to {step}")]
    Client {
        /// What was being done.
        step: &'static str,
        /// What the client says.
        #[source]
        cause: KafkaError,
    },
}

enum Rebalance {
    Assign(Vec<TopicPartition>),
    Revoke(Vec<TopicPartition>),
    Lose(Vec<TopicPartition>),
}

/// Queues rebalances for `poll` to return. While closing, partitions are let go at once, or the
/// consumer's destructor would wait for ever.
struct Context {
    pending: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
    watcher: Option<Arc<dyn Watcher>>,
    stranded: Stranded,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        log_unless_end(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.stranded.look(&statistics);
        if let Some(watcher) = &self.watcher {
            watcher.lags(lag::lags(&statistics));
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let assigned = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "cannot let go of partitions while closing");
            }
            return;
        }
        let partitions = from_list(list);
        let rebalance = if assigned {
            Rebalance::Assign(partitions)
        } else if consumer.assignment_lost() {
            Rebalance::Lose(partitions)
        } else {
            Rebalance::Revoke(partitions)
        };
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push_back(rebalance);
    }
}

/// A member of a consumer group.
pub struct Group {
    name: String,
    consumer: BaseConsumer<Context>,
    topics: HashMap<String, Arc<str>>,
    unassigned: Option<Unassigned>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Group").field("topics", &self.topics.keys()).finish_non_exhaustive()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Release);
        // A hand-over that is waiting for us would keep the destructor from ending.
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!(%error, "nothing to let go of");
        }
    }
}

impl Group {
    /// Joins the group. Reads only what is committed; partition p of every topic comes to the same
    /// member (`range`, the classic protocol); a position that does not exist is an error.
    pub fn join(
        cluster: &Cluster,
        group: &str,
        topics: &[&str],
        membership: &Membership,
    ) -> Result<Self, GroupError> {
        let failed = |cause| GroupError::Join { group: group.to_owned(), cause };
        let mut config = cluster.consumer(group, Isolation::Committed);
        config
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", cluster.session_timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", (cluster.session_timeout.as_millis() / 6).to_string());
        if let Some(instance) = &membership.instance_id {
            config.set("group.instance.id", instance);
        }
        config.set("statistics.interval.ms", stranded::INTERVAL.as_millis().to_string());
        let (pending, closing) = (Mutex::new(VecDeque::new()), AtomicBool::new(false));
        let watcher = membership.watcher.clone();
        let context = Context { pending, closing, watcher, stranded: Stranded::default() };
        let consumer: BaseConsumer<Context> =
            config.create_with_context(context).map_err(failed)?;
        consumer.subscribe(topics).map_err(failed)?;
        let topics = topics.iter().map(|&topic| (topic.to_owned(), Arc::from(topic))).collect();
        let unassigned = Some(Unassigned::from(Instant::now()));
        Ok(Self { name: group.to_owned(), consumer, topics, unassigned })
    }

    /// Waits up to `timeout` for the next record or rebalance. Must be called at least every
    /// `max.poll.interval.ms` (5 minutes unless configured).
    pub fn poll(&mut self, timeout: Duration) -> Result<Polled, GroupError> {
        if let Some(rebalance) = self.next_rebalance() {
            return Ok(rebalance);
        }
        let message = self.consumer.poll(timeout);
        // A rebalance that came during the poll goes first: the record is not lost, because its
        // partition starts again at a position of the owner's choosing.
        let record = match message {
            Some(Ok(message)) => Some(Ok(self.take(&message))),
            Some(Err(KafkaError::PartitionEOF(_))) | None => None,
            Some(Err(cause)) => Some(Err(cause)),
        };
        match (self.next_rebalance(), record) {
            (Some(rebalance), _) => Ok(rebalance),
            (None, Some(Ok(record))) => Ok(Polled::Record(record)),
            (None, Some(Err(cause))) => self.classify(cause),
            (None, None) if self.consumer.context().stranded.is_certain() => {
                Err(GroupError::Stranded)
            }
            (None, None) => {
                if let Some(waiting) = &mut self.unassigned {
                    waiting.tell(&self.name, Instant::now());
                }
                Ok(Polled::Idle)
            }
        }
    }

    fn next_rebalance(&mut self) -> Option<Polled> {
        let context = self.consumer.context();
        let next = context.pending.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        Some(match next {
            Rebalance::Assign(partitions) => {
                self.unassigned = None;
                Polled::Assigned(partitions)
            }
            Rebalance::Revoke(partitions) => Polled::Revoked(partitions),
            Rebalance::Lose(partitions) => Polled::Lost(partitions),
        })
    }

    fn take(&self, message: &rdkafka::message::BorrowedMessage<'_>) -> Received {
        let known = self.topics.get(message.topic()).map(Arc::clone);
        Received::take(message, known.unwrap_or_else(|| Arc::from(message.topic())))
    }

    /// Answers [`Polled::Assigned`]: records flow from these offsets, and from no other partition. May be
    /// called again with more of the assigned partitions; all that are to flow must be named each time,
    /// with the offset of the next record to read. What was fetched ahead is thrown away.
    pub fn start(&mut self, positions: &[(TopicPartition, i64)]) -> Result<(), GroupError> {
        let failed = |cause| GroupError::Client { step: "take the assigned partitions", cause };
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (at, offset) in positions {
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset))
                .map_err(failed)?;
        }
        self.consumer.assign(&list).map_err(failed)
    }

    /// Answers [`Polled::Revoked`] and [`Polled::Lost`]: the owner has finished or given up.
    pub fn release(&mut self) -> Result<(), GroupError> {
        self.unassigned = Some(Unassigned::from(Instant::now()));
        self.consumer
            .unassign()
            .map_err(|cause| GroupError::Client { step: "release partitions", cause })
    }

    /// What the group has committed, once no open transaction can change it any more.
    pub fn committed(&self, of: &[TopicPartition]) -> Result<Vec<Committed>, GroupError> {
        let deadline = Instant::now() + OFFSETS_TIMEOUT;
        loop {
            match self
                .consumer
                .committed_offsets(to_list(of), CALL_TIMEOUT)
                .and_then(|list| read_offsets(&list))
            {
                Ok(committed) => return Ok(committed),
                Err(cause) if Instant::now() >= deadline => {
                    return Err(GroupError::OffsetsUnanswered(OFFSETS_TIMEOUT, cause));
                }
                Err(cause) => tracing::debug!(error = %cause, "asking again for committed offsets"),
            }
        }
    }

    /// This member in its present generation; to be read again for each transaction.
    pub fn member(&self) -> Result<GroupMember, GroupError> {
        let cause = || KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownMemberId);
        self.consumer
            .group_metadata()
            .map(|member| GroupMember(Arc::new(member)))
            .ok_or_else(|| GroupError::Client { step: "name the group's member", cause: cause() })
    }

    /// Stops the flow from these partitions; what was fetched ahead is thrown away. Costs about
    /// 100 ms when resumed: not for single records.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), GroupError> {
        self.consumer
            .pause(&to_list(partitions))
            .map_err(|cause| GroupError::Client { step: "pause partitions", cause })
    }

    /// Lets these partitions flow again.
    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), GroupError> {
        self.consumer
            .resume(&to_list(partitions))
            .map_err(|cause| GroupError::Client { step: "resume partitions", cause })
    }

    /// Errors that pass by themselves are logged and taken as "nothing came".
    fn classify(&self, cause: KafkaError) -> Result<Polled, GroupError> {
        if matches!(cause, KafkaError::MessageConsumptionFatal(_)) {
            return Err(match cause.rdkafka_error_code() {
                Some(RDKafkaErrorCode::FencedInstanceId) => GroupError::Fenced(cause),
                _ => GroupError::Client { step: "read", cause },
            });
        }
        match cause.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Err(GroupError::OutOfRange(cause))
            }
            Some(RDKafkaErrorCode::FencedInstanceId) => Err(GroupError::Fenced(cause)),
            // Rights can be given while it runs; what is missing is not said by the client.
            Some(
                RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed,
            ) => {
                let topics: Vec<_> = self.topics.keys().map(String::as_str).collect();
                tracing::error!(
                    error = %cause,
                    "the Kafka user may not read: it needs Read on the group {} and on {}",
                    self.name,
                    topics.join(", ")
                );
                Ok(Polled::Idle)
            }
            _ => {
                tracing::warn!(error = %cause, "reading is disturbed; the client tries again");
                Ok(Polled::Idle)
            }
        }
    }
}

fn from_list(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition {
            topic: Arc::from(element.topic()),
            partition: element.partition(),
        })
        .collect()
}

fn to_list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for at in partitions {
        list.add_partition(&at.topic, at.partition);
    }
    list
}

pub(crate) fn read_offsets(list: &TopicPartitionList) -> Result<Vec<Committed>, KafkaError> {
    list.elements()
        .iter()
        .map(|element| {
            element.error()?;
            let next_offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                Offset::Invalid
                | Offset::Beginning
                | Offset::End
                | Offset::Stored
                | Offset::OffsetTail(_) => None,
            };
            Ok(Committed {
                partition: TopicPartition {
                    topic: Arc::from(element.topic()),
                    partition: element.partition(),
                },
                next_offset,
                metadata: element.metadata().to_owned(),
            })
        })
        .collect()
}
