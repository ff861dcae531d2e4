//! What can go wrong in a transaction.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Why a transaction did not surely commit. Whichever it is, only a new producer helps.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// Another producer with the same transactional id has taken over.
    #[error("fenced by another producer with the same transactional id")]
    Fenced(#[source] KafkaError),
    /// The group has gone on without this member: its progress is refused.
    #[error("the group refuses the progress of this member")]
    Stale(#[source] KafkaError),
    /// A record was not acknowledged.
    #[error("a record of the transaction was not acknowledged: {0}")]
    Unacknowledged(RDKafkaErrorCode),
    /// The outcome of a call is not known, or it failed.
    #[error("cannot tell whether the transaction can go on, while trying to {step}")]
    Doubt {
        /// What was being done.
        step: &'static str,
        /// What the client says.
        #[source]
        cause: KafkaError,
    },
    /// The transaction is committed, but another copy of one of its requests may still be on its way to the cluster.
    #[error(
        "the commit took {0:?}: a repeated request may be on its way, and end the next transaction"
    )]
    Repeated(Duration),
    /// A call did not end although its time was over.
    #[error("the client library did not {step} within {within:?}, nor say that it cannot")]
    Hung {
        /// What was being done.
        step: &'static str,
        /// When it was given up.
        within: Duration,
    },
    /// No thread can be started.
    #[error("no thread can be started")]
    NoThread(#[source] std::io::Error),
    /// Records did not get acknowledged in time.
    #[error("records of the transaction were not acknowledged within {0:?}")]
    Slow(Duration),
}

impl TransactionError {
    /// Whether another producer with the same id is alive: twice within a minute means that two
    /// instances share an identity.
    pub fn is_fenced(&self) -> bool {
        match self {
            Self::Fenced(_) => true,
            Self::Unacknowledged(code) => is_fencing(*code),
            Self::Stale(_)
            | Self::Doubt { .. }
            | Self::Repeated(_)
            | Self::Hung { .. }
            | Self::NoThread(_)
            | Self::Slow(_) => false,
        }
    }

    pub(super) fn of(step: &'static str, cause: KafkaError) -> Self {
        match cause.rdkafka_error_code() {
            Some(code) if is_fencing(code) => Self::Fenced(cause),
            Some(
                RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::FencedInstanceId
                | RDKafkaErrorCode::RebalanceInProgress,
            ) => Self::Stale(cause),
            _ => Self::Doubt { step, cause },
        }
    }
}

/// A later producer of the same id moved the epoch on.
fn is_fencing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
    )
}
