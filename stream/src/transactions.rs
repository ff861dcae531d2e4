//! Transactions: records and progress become visible together or not at all.
//!
//! There is one error path. librdkafka cannot tell an aborted transaction from one whose end is still
//! on its way, and has no way to keep a delayed `EndTxn` from ending a later transaction of the same
//! epoch (KIP-890 is not implemented: confluentinc/librdkafka#5423). So every error here means doubt:
//! the caller drops this producer and everything it remembers, opens another under the same id
//! (`init_transactions` ends what was open and moves the epoch), and begins again from what is
//! committed.
//!
//! The same holds for an `EndTxn` that was sent twice. The library repeats a request whose answer it misses, and
//! reports success when the repetition is answered; the first copy may still be on its way, and would end a later
//! transaction of the epoch in the middle. Nothing tells that a request was repeated but the time it took, so an end
//! that took as long as a repetition needs counts as doubt too, although it is known to have succeeded.
//!
//! And the time-outs that the library is given do not always end its calls: when brokers come and go it has waited for
//! the group's coordinator for minutes, until something else woke it (`end-to-end/tests/cluster.rs`). So calls are made
//! by a thread of their own and are given up ([`bounded`]), which is doubt as well.

mod bounded;
mod error;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use self::bounded::Bounded;
pub use self::error::TransactionError;
use crate::{Cluster, Record, TopicPartition};

/// An open transaction of a dead instance blocks every reader for this long.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// One call must not outlive the transaction it belongs to by much; past this it is in doubt.
const CALL_TIMEOUT: Duration = Duration::from_secs(12);

/// `init_transactions` waits for markers of the one before: its time-out and the coordinator's scan.
const INIT_TIMEOUT: Duration = Duration::from_mins(1);

/// How much longer than its time-out a call may take before it is given up.
const GRACE: Duration = Duration::from_secs(5);

/// Pause before the library repeats a request of which it heard nothing: long enough to tell a repeated one by.
const REPEATS_AFTER: Duration = Duration::from_secs(1);

/// An answer to `EndTxn` within this time is the answer to the only one: the pause is shortened by at most a fifth
/// (librdkafka 2.12, `RD_KAFKA_RETRY_JITTER_PERCENT`), and the rest is margin.
const ENDED_ONCE_WITHIN: Duration = Duration::from_millis(750);

/// The same for the group's progress, for which the library pauses for 500 ms, whatever it is told
/// (`rd_kafka_txn_handle_TxnOffsetCommit`). A late copy would set the progress back within a later transaction.
const TOLD_ONCE_WITHIN: Duration = Duration::from_millis(450);

/// A transaction that is said to have ended is still being marked in the partitions it touched, and until that is done
/// the coordinator refuses to take progress into the next (`CONCURRENT_TRANSACTIONS`). The library repeats what was
/// refused after [`REPEATS_AFTER`], which nobody can tell from a repetition of what was lost; a record is repeated after
/// 20 ms and keeps the progress behind it (librdkafka 2.12, `rd_kafka_txn_handle_AddOffsetsToTxn` and
/// `…AddPartitionsToTxn`). So progress alone waits for so long after the end of the transaction before, when the markers
/// are written by all experience; whoever begins it later than that does not wait.
pub const PROGRESS_APART: Duration = Duration::from_millis(100);

/// Records that are handed over together: the library sends whatever it has been given as soon as it looks, each partition
/// by itself, so that few at a time are many small requests.
const TOGETHER: usize = 4_096;

/// Bytes of their values at most, so that large ones are not held twice.
const TOGETHER_BYTES: usize = 4 * 1024 * 1024;

/// Between two looks at what is not acknowledged yet. A look that may wait does not help: it ends when its time is over,
/// whatever comes, and turns in circles for the last millisecond of it (rust-rdkafka 0.39, `BaseProducer::poll`).
const LOOKS_EVERY: Duration = Duration::from_micros(200);

/// How far a group has come in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The partition.
    pub partition: TopicPartition,
    /// Offset of the first record that is not done.
    pub next_offset: i64,
    /// Text kept beside it, at most the broker's `offset.metadata.max.bytes`.
    pub metadata: String,
}

/// A member of a group in one generation: what fences the progress of one that was replaced.
pub struct GroupMember(pub(crate) Arc<ConsumerGroupMetadata>);

impl std::fmt::Debug for GroupMember {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("GroupMember").finish_non_exhaustive()
    }
}

/// For each partition written to, the offset after the last record of the transaction. The marker
/// that ends the transaction takes one more.
pub type Appended = BTreeMap<TopicPartition, i64>;

/// What delivery reports have said since the transaction began.
#[derive(Default)]
struct Reports {
    appended: Appended,
    failure: Option<RDKafkaErrorCode>,
}

struct Context {
    reports: Arc<Mutex<Reports>>,
}

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                let at = TopicPartition {
                    topic: Arc::from(message.topic()),
                    partition: message.partition(),
                };
                let next = message.offset() + 1;
                let end = reports.appended.entry(at).or_insert(next);
                *end = next.max(*end);
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                reports.failure.get_or_insert(code);
            }
        }
    }
}

/// A transactional producer.
pub struct Transactions {
    producer: Bounded<BaseProducer<Context>>,
    reports: Arc<Mutex<Reports>>,
    /// The open transaction has no records yet.
    is_empty: bool,
    /// Records of it that have not been handed over yet, and the bytes of their values.
    held_back: Vec<Record>,
    held_bytes: usize,
    /// When the last one ended.
    ended: Option<Instant>,
}

impl std::fmt::Debug for Transactions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Transactions").finish_non_exhaustive()
    }
}

impl Transactions {
    /// Opens the producer of this id: fences every earlier one, and returns only when whatever they
    /// left open has ended.
    pub fn open(cluster: &Cluster, transactional_id: &str) -> Result<Self, TransactionError> {
        let reports = Arc::new(Mutex::new(Reports::default()));
        let mut config = cluster.producer();
        config
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string())
            .set("retry.backoff.ms", REPEATS_AFTER.as_millis().to_string())
            .set("retry.backoff.max.ms", REPEATS_AFTER.as_millis().to_string());
        if !cluster.properties.contains_key("linger.ms") {
            config.set("linger.ms", "0");
        }
        let producer: BaseProducer<Context> = config
            .create_with_context(Context { reports: Arc::clone(&reports) })
            .map_err(|cause| TransactionError::of("set up the producer", cause))?;
        let producer = Bounded::new(producer).map_err(TransactionError::NoThread)?;
        let own = Self {
            producer,
            reports,
            is_empty: true,
            held_back: Vec::new(),
            held_bytes: 0,
            ended: None,
        };
        own.in_time("initialise transactions", INIT_TIMEOUT, |producer| {
            producer.init_transactions(INIT_TIMEOUT)
        })?;
        Ok(own)
    }

    /// Makes a call that has this time-out.
    fn in_time(
        &self,
        step: &'static str,
        timeout: Duration,
        call: impl FnOnce(&BaseProducer<Context>) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), TransactionError> {
        let within = timeout + GRACE;
        match self.producer.call(within, call) {
            Some(answer) => answer.map_err(|cause| TransactionError::of(step, cause)),
            None => Err(TransactionError::Hung { step, within }),
        }
    }

    /// Begins a transaction.
    pub fn begin(&mut self) -> Result<(), TransactionError> {
        *self.reports() = Reports::default();
        self.is_empty = true;
        self.producer
            .begin_transaction()
            .map_err(|cause| TransactionError::of("begin a transaction", cause))
    }

    /// Adds a record to the open transaction. It may be held back to be handed over with others, at the latest when the
    /// transaction is committed.
    pub fn send(&mut self, record: Record) -> Result<(), TransactionError> {
        self.is_empty = false;
        self.held_bytes += record.value.as_ref().map_or(0, Vec::len);
        self.held_back.push(record);
        if self.held_back.len() < TOGETHER && self.held_bytes < TOGETHER_BYTES {
            return Ok(());
        }
        self.hand_over()
    }

    /// Whether [`Self::hand_over`] has anything to do.
    pub fn holds_back(&self) -> bool {
        !self.held_back.is_empty()
    }

    /// Hands over what is held back, as whoever has nothing else to do should. Waits while the producer's queue is full.
    pub fn hand_over(&mut self) -> Result<(), TransactionError> {
        self.held_bytes = 0;
        // The place for them is kept.
        let mut records = std::mem::take(&mut self.held_back);
        let handed_over = records.iter().try_for_each(|record| self.produce(record));
        records.clear();
        self.held_back = records;
        handed_over
    }

    fn produce(&self, record: &Record) -> Result<(), TransactionError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let mut message = BaseRecord::<[u8], [u8]>::to(&record.topic)
            .key(&record.key)
            .headers(record.client_headers());
        message.partition = record.partition;
        message.payload = record.value.as_deref();
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((cause, rejected)) => {
                    let full = cause.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    if !full || Instant::now() >= deadline {
                        return Err(TransactionError::of("send a record", cause));
                    }
                    message = rejected;
                    self.producer.poll(Duration::from_millis(10));
                }
            }
        }
    }

    /// Commits the records and the progress of the group as one.
    ///
    /// Progress is sent only after every record is acknowledged, and there always is some: a
    /// transaction without it is fenced by nobody. Polling until nothing is in flight, and only then
    /// committing, saves the flush in slices of 100 ms that the library would do.
    pub fn commit(
        &mut self,
        progress: &[Progress],
        member: &GroupMember,
    ) -> Result<Appended, TransactionError> {
        self.hand_over()?;
        self.wait_for_acknowledgements()?;
        if let Some(ended) = self.ended.filter(|_| self.is_empty) {
            std::thread::sleep(PROGRESS_APART.saturating_sub(ended.elapsed()));
        }
        let offsets = to_list(progress)?;
        let began = Instant::now();
        let member = Arc::clone(&member.0);
        self.in_time("send the group's progress", CALL_TIMEOUT, move |producer| {
            producer.send_offsets_to_transaction(&offsets, &member, CALL_TIMEOUT)
        })?;
        self.end(began.elapsed())
    }

    /// Commits the records alone, where the progress is itself a record among them.
    ///
    /// No group fences such a transaction, only the id does: whoever opens the id later has ended or
    /// outlasted it, and must read what is committed after that, not before.
    pub fn commit_records(&mut self) -> Result<Appended, TransactionError> {
        self.hand_over()?;
        self.wait_for_acknowledgements()?;
        self.end(Duration::ZERO)
    }

    /// Ends the transaction, whose progress took `told` to be taken.
    fn end(&mut self, told: Duration) -> Result<Appended, TransactionError> {
        let began = Instant::now();
        self.in_time("commit", CALL_TIMEOUT, |producer| producer.commit_transaction(CALL_TIMEOUT))?;
        let ended = began.elapsed();
        self.ended = Some(Instant::now());
        // Only now: a cluster that is always slow must still get on.
        if told > TOLD_ONCE_WITHIN || ended > ENDED_ONCE_WITHIN {
            return Err(TransactionError::Repeated(told + ended));
        }
        Ok(std::mem::take(&mut self.reports().appended))
    }

    fn wait_for_acknowledgements(&self) -> Result<(), TransactionError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let mut left = self.producer.in_flight_count();
        while left > 0 {
            if Instant::now() >= deadline {
                return Err(TransactionError::Slow(CALL_TIMEOUT));
            }
            self.producer.poll(Duration::ZERO);
            let before = std::mem::replace(&mut left, self.producer.in_flight_count());
            if left == before {
                std::thread::sleep(LOOKS_EVERY);
            }
        }
        // Reports of what has just landed may still be queued.
        self.producer.poll(Duration::ZERO);
        match self.reports().failure {
            Some(code) => Err(TransactionError::Unacknowledged(self.fatal().unwrap_or(code))),
            None => Ok(()),
        }
    }

    /// What ended the producer, if anything did. Records that were still queued then only report that
    /// they were thrown away.
    fn fatal(&self) -> Option<RDKafkaErrorCode> {
        self.producer.client().fatal_error().map(|(code, _)| code)
    }

    fn reports(&self) -> std::sync::MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_list(progress: &[Progress]) -> Result<TopicPartitionList, TransactionError> {
    let step = "state the group's progress";
    if progress.is_empty() {
        let cause = KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset);
        return Err(TransactionError::Doubt { step, cause });
    }
    let mut list = TopicPartitionList::with_capacity(progress.len());
    for entry in progress {
        let mut element = list.add_partition(&entry.partition.topic, entry.partition.partition);
        element
            .set_offset(Offset::Offset(entry.next_offset))
            .map_err(|cause| TransactionError::of(step, cause))?;
        element.set_metadata(&entry.metadata);
    }
    Ok(list)
}
