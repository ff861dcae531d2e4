//! Appending single records: what is acknowledged is durable.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, ClientContext, Statistics};
use tokio::sync::watch;

use crate::stranded::{self, Stranded};
use crate::{Cluster, Record};

/// Where an acknowledged record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Partition it was written to.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

/// Why a record was not acknowledged. In doubt it may be in the topic all the same.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The producer cannot be set up.
    #[error("cannot set up the producer")]
    Setup(#[source] KafkaError),
    /// The producer's queue is full: the brokers do not keep up or are away.
    #[error("the producer's queue is full")]
    QueueFull,
    /// No acknowledgement came in time.
    #[error("the brokers did not acknowledge in time")]
    TimedOut,
    /// The record is larger than the topic or the producer allows.
    #[error("the record is larger than the topic allows")]
    TooLarge,
    /// The brokers refused it.
    #[error("the brokers refused the record: {0}")]
    Refused(RDKafkaErrorCode),
    /// The brokers let this user write nothing there.
    #[error("the Kafka user may not write to {topic}: it needs Write on it")]
    Denied {
        /// The topic.
        topic: String,
    },
    /// The producer can do no more; only a restart helps.
    #[error("the producer failed for good")]
    Fatal(#[source] KafkaError),
}

/// An idempotent producer that waits for all in-sync replicas. One that knows no broker any more is replaced.
#[derive(Clone)]
pub struct Appender {
    config: Arc<ClientConfig>,
    current: Arc<RwLock<Client>>,
    denied: Arc<watch::Sender<bool>>,
}

/// Hears what ends the producer before a record meets it.
#[derive(Clone)]
struct Context {
    denied: Arc<watch::Sender<bool>>,
    stranded: Arc<Stranded>,
}

#[derive(Clone)]
struct Client {
    producer: FutureProducer<Context>,
    stranded: Arc<Stranded>,
}

impl Client {
    fn open(config: &ClientConfig, denied: &Arc<watch::Sender<bool>>) -> Result<Self, AppendError> {
        let stranded = Arc::<Stranded>::default();
        let context = Context { denied: Arc::clone(denied), stranded: Arc::clone(&stranded) };
        let producer = config.create_with_context(context).map_err(AppendError::Setup)?;
        Ok(Self { producer, stranded })
    }
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the Kafka client is disturbed");
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::ClusterAuthorizationFailed) {
            self.denied.send_replace(true);
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.stranded.look(&statistics);
    }
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Appender").finish_non_exhaustive()
    }
}

impl Appender {
    /// Sets up the producer; connects in the background. A record that is not acknowledged within
    /// `ack_timeout` fails.
    pub fn open(cluster: &Cluster, ack_timeout: Duration) -> Result<Self, AppendError> {
        let mut config = cluster.producer();
        config.set("message.timeout.ms", ack_timeout.as_millis().to_string());
        if !cluster.properties.contains_key("linger.ms") {
            config.set("linger.ms", "1");
        }
        config.set("statistics.interval.ms", stranded::INTERVAL.as_millis().to_string());
        let denied = Arc::new(watch::Sender::new(false));
        let current = Arc::new(RwLock::new(Client::open(&config, &denied)?));
        Ok(Self { config: Arc::new(config), current, denied })
    }

    /// The producer; another one if this one is lost. What the lost one still holds fails when its time is over.
    fn producer(&self) -> FutureProducer<Context> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if !current.stranded.is_certain() {
            return current.producer;
        }
        let mut place = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if place.stranded.is_certain() {
            match Client::open(&self.config, &self.denied) {
                Ok(fresh) => {
                    tracing::warn!("the Kafka client has lost all brokers, and is replaced");
                    let lost = std::mem::replace(&mut *place, fresh);
                    // It ends when what it holds has failed, and nobody is to wait for that.
                    std::thread::spawn(move || drop((lost, current)));
                }
                Err(error) => tracing::error!(%error, "a lost Kafka client cannot be replaced"),
            }
        }
        place.producer.clone()
    }

    /// Waits until the brokers say that this user may write nothing at all, which the producer does not survive. They
    /// are asked as soon as they are reached: who may write somewhere may have a producer's identity (KIP-679).
    pub async fn denied(&self) {
        // The sender is here, so it is not gone.
        drop(self.denied.subscribe().wait_for(|denied| *denied).await);
    }

    /// Whether they have said so.
    pub fn is_denied(&self) -> bool {
        *self.denied.borrow()
    }

    /// Asks the cluster about a topic, so that the first record need not wait for it. Blocks.
    pub fn warm(&self, topic: &str, timeout: Duration) -> Result<(), AppendError> {
        self.producer()
            .client()
            .fetch_metadata(Some(topic), timeout)
            .map(drop)
            .map_err(|error| classify(&error, topic, &self.denied))
    }

    /// Writes a record and waits until all in-sync replicas have it.
    pub async fn append(&self, record: Record) -> Result<Acknowledged, AppendError> {
        self.enqueue(&record)?.await
    }

    /// Hands a record over to be written, and gives back its fate to wait for. Records handed over one
    /// after the other lie in this order in their partition.
    pub fn enqueue(
        &self,
        record: &Record,
    ) -> Result<impl Future<Output = Result<Acknowledged, AppendError>> + use<>, AppendError> {
        let mut message = FutureRecord::<[u8], [u8]>::to(&record.topic)
            .key(&record.key)
            .headers(record.client_headers());
        message.partition = record.partition;
        message.payload = record.value.as_deref();
        let delivery = self
            .producer()
            .send_result(message)
            .map_err(|(error, _)| classify(&error, &record.topic, &self.denied))?;
        let (denied, topic) = (Arc::clone(&self.denied), record.topic.clone());
        Ok(async move {
            match delivery.await {
                Ok(Ok(delivered)) => {
                    Ok(Acknowledged { partition: delivered.partition, offset: delivered.offset })
                }
                Ok(Err((error, _))) => Err(classify(&error, &topic, &denied)),
                // The producer was dropped before the record's fate was known.
                Err(_) => Err(AppendError::TimedOut),
            }
        })
    }

    /// Waits until everything written so far is acknowledged or has failed. Blocks.
    pub fn flush(&self, timeout: Duration) -> Result<(), AppendError> {
        self.producer().flush(timeout).map_err(|error| why(&error))
    }
}

/// `denied` is what ended the producer; records then only report that it did. Of the cluster as a whole no identity is
/// given to a producer that may write nowhere.
fn classify(error: &KafkaError, topic: &str, denied: &watch::Sender<bool>) -> AppendError {
    if *denied.borrow()
        || matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
            )
        )
    {
        return AppendError::Denied { topic: topic.to_owned() };
    }
    why(error)
}

fn why(error: &KafkaError) -> AppendError {
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
        return AppendError::Fatal(error.clone());
    }
    let Some(code) = error.rdkafka_error_code() else {
        return AppendError::Setup(error.clone());
    };
    if code == RDKafkaErrorCode::QueueFull {
        AppendError::QueueFull
    } else if matches!(
        code,
        RDKafkaErrorCode::MessageTimedOut
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
    ) {
        AppendError::TimedOut
    } else if matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize
    ) {
        AppendError::TooLarge
    } else {
        AppendError::Refused(code)
    }
}
