//! The step that makes a webhook durable.

use std::future::Future;

use stream::{Appender, Record};
use tokio_util::sync::CancellationToken;

use crate::envelope::RawRecord;

/// The raw topic, as the receiver sees it.
pub trait RawLog: Send + Sync + 'static {
    /// Appends one record. `Ok` means that it survives the loss of this process and of any broker
    /// the topic's replication covers. Dropping the future does not take the record back.
    fn append(&self, record: RawRecord) -> impl Future<Output = Result<(), AppendError>> + Send;
}

/// Why a record is not known to be durable.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The producer holds as much as it may.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The broker refused the record or could not be reached in time.
    #[error("the record was not acknowledged")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The raw topic on Kafka.
#[derive(Clone, Debug)]
pub struct KafkaLog {
    /// An idempotent producer that waits for all in-sync replicas.
    pub appender: Appender,
    /// Full name of the raw topic.
    pub topic: String,
    /// Cancelled when the producer can do no more: it then answers every record with an error, and
    /// only a new process helps.
    pub broken: CancellationToken,
}

impl RawLog for KafkaLog {
    async fn append(&self, record: RawRecord) -> Result<(), AppendError> {
        let record = Record {
            topic: self.topic.clone(),
            partition: None,
            key: record.key,
            value: Some(record.body.into()),
            headers: record.headers.to_headers(),
        };
        match self.appender.append(record).await {
            Ok(_) => Ok(()),
            Err(stream::AppendError::QueueFull) => Err(AppendError::QueueFull),
            Err(error) => {
                if matches!(error, stream::AppendError::Fatal(_)) {
                    self.broken.cancel();
                }
                Err(AppendError::Failed(Box::new(error)))
            }
        }
    }
}
