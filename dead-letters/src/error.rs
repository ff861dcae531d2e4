//! Why a command did not do what it was asked to.

use schemas::headers::HeaderError;
use service::exit::Failure;
use stream::{ReadError, TransactionError};

use crate::ledger::LedgerError;
use crate::letter::Position;

/// Why a command did not do what it was asked to. Whatever it is: what was dealt with before stands, and
/// the same command goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// It was asked for something that is not there.
    #[error("{0}")]
    Usage(String),
    /// There is no dead letter at this position.
    #[error("{topic} has no dead letter at {position}")]
    Absent {
        /// The topic.
        topic: String,
        /// Where one was looked for.
        position: Position,
    },
    /// The topic does not exist.
    #[error("the topic {0} does not exist; `setup` creates it")]
    NoTopic(String),
    /// The topic cannot be read.
    #[error(transparent)]
    Read(Box<ReadError>),
    /// What is known of earlier redrives cannot be read, so that nothing may be redriven.
    #[error("the record at {position} of {topic} says which dead letters were dealt with")]
    Ledger {
        /// The topic.
        topic: String,
        /// Where the record lies.
        position: Position,
        /// Why it cannot be read.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another operator began with the same dead letters.
    #[error(
        "another redrive or discard of {0} has begun and goes on in place of this one; what this one \
         did stands, and nothing is done twice"
    )]
    Superseded(String),
    /// What was sent last counts, but no other transaction may follow it on the same producer.
    #[error(
        "the cluster was slow; what was done with {topic} stands, and the same command goes on"
    )]
    Slow {
        /// The topic.
        topic: String,
        /// How slow.
        #[source]
        cause: TransactionError,
    },
    /// The transaction is in doubt: at the next run the topic says whether it counts.
    #[error("the dead letters of {topic} could not be dealt with")]
    Transaction {
        /// The topic.
        topic: String,
        /// Why.
        #[source]
        cause: TransactionError,
    },
    /// Some of what was asked for was not done.
    #[error("{0}")]
    Incomplete(String),
    /// Nobody listens, or nobody can be asked.
    #[error("the terminal is gone")]
    Terminal(#[source] std::io::Error),
}

impl DeadError {
    pub(crate) fn ledger(topic: &str, position: Position, cause: LedgerError) -> Self {
        Self::Ledger { topic: topic.to_owned(), position, cause: Box::new(cause) }
    }

    pub(crate) fn disposal(topic: &str, position: Position, cause: HeaderError) -> Self {
        Self::Ledger { topic: topic.to_owned(), position, cause: Box::new(cause) }
    }

    pub(crate) fn transaction(topic: &str, cause: TransactionError) -> Self {
        let topic = topic.to_owned();
        match cause {
            cause if cause.is_fenced() => Self::Superseded(topic),
            TransactionError::Repeated(_) => Self::Slow { topic, cause },
            TransactionError::Fenced(_)
            | TransactionError::Stale(_)
            | TransactionError::Unacknowledged(_)
            | TransactionError::Doubt { .. }
            | TransactionError::Hung { .. }
            | TransactionError::NoThread(_)
            | TransactionError::Slow(_) => Self::Transaction { topic, cause },
        }
    }
}

impl From<ReadError> for DeadError {
    fn from(error: ReadError) -> Self {
        Self::Read(Box::new(error))
    }
}

impl From<DeadError> for Failure {
    fn from(error: DeadError) -> Self {
        match error {
            DeadError::Usage(message) => Self::Usage(message),
            DeadError::NoTopic(_) => Self::Refused(error.to_string()),
            DeadError::Absent { .. }
            | DeadError::Read(_)
            | DeadError::Ledger { .. }
            | DeadError::Superseded(_)
            | DeadError::Slow { .. }
            | DeadError::Transaction { .. }
            | DeadError::Incomplete(_)
            | DeadError::Terminal(_) => Self::failed(error),
        }
    }
}
