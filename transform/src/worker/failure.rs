//! How a worker can fail, and what helps.

use registry::RegistryError;
use schemas::codec::CodecError;
use stream::{GroupError, ReadError, TransactionError};

use crate::state::{Refusal, StateError, TakeError};

/// Why a worker's tenure ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A transaction did not surely commit.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The group cannot go on.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The changelog could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A state cannot be had.
    #[error(transparent)]
    State(#[from] StateError),
    /// The local store of a partition cannot be had.
    #[error(transparent)]
    Store(#[from] TakeError),
    /// A value cannot be written or read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The schema that a producer wrote with cannot be had.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The partitions went to another member without a hand-over.
    #[error("the partitions were taken away without a hand-over")]
    Lost,
    /// A partition cannot be taken over.
    #[error("partition {partition} cannot be taken over: {cause}")]
    Refused {
        /// The partition.
        partition: i32,
        /// Why.
        cause: Refusal,
    },
    /// A partition went elsewhere, or the process ends, before it had been taken over.
    #[error("taking over was abandoned")]
    Abandoned,
    /// The transaction committed, but where its records lie was not told.
    #[error("the records of partition {partition} were committed without being reported")]
    NotReported {
        /// The partition.
        partition: i32,
    },
    /// No thread could be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// Two processes use one identity.
    #[error(
        "fenced twice within a minute: another process uses the same identity. Was state_dir copied, \
         or instance_id given twice?"
    )]
    SharedIdentity,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Forget everything, and begin again with a new producer.
    StartAgain,
    /// The same, but if it happens again soon, another process has this one's identity.
    StartAgainOnce,
    /// Stop and tell somebody: beginning again would not help or would hide a loss.
    Stop,
}

impl WorkerError {
    /// What to do about it.
    pub fn cure(&self) -> Cure {
        match self {
            Self::Transaction(error) if error.is_fenced() => Cure::StartAgainOnce,
            Self::Group(GroupError::Fenced(_)) => Cure::StartAgainOnce,
            Self::Group(GroupError::OutOfRange(_))
            | Self::State(StateError::Codec(_))
            | Self::Registry(RegistryError::Contradiction { .. })
            | Self::Codec(_)
            | Self::Refused { .. }
            | Self::SharedIdentity => Cure::Stop,
            Self::Transaction(_)
            | Self::Group(
                GroupError::Join { .. }
                | GroupError::OffsetsUnanswered(..)
                | GroupError::Stranded
                | GroupError::Client { .. },
            )
            | Self::Read(_)
            | Self::State(StateError::Store(_))
            | Self::Store(_)
            | Self::Registry(_)
            | Self::Abandoned
            | Self::NotReported { .. }
            | Self::Thread(_)
            | Self::Lost => Cure::StartAgain,
        }
    }
}
