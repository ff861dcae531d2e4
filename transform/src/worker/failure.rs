//! How a worker can fail, and what helps.

use schemas::codec::CodecError;
use stream::{GroupError, ReadError, TransactionError};

use crate::state::{Disagreement, StateError};

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
    /// A value cannot be written or read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The partitions went to another member without a hand-over.
    #[error("the partitions were taken away without a hand-over")]
    Lost,
    /// What was restored is not what the committed offset stands for.
    #[error("partition {partition} cannot be taken over: {cause}")]
    Restored {
        /// The partition.
        partition: i32,
        /// What disagrees.
        cause: Disagreement,
    },
    /// The raw topic does not hold the position any more, or not yet.
    #[error(
        "the group stands at {committed} in partition {partition} of the raw topic, which holds \
         {low} to {high}: records are missing. Nothing is skipped silently"
    )]
    RawGone {
        /// The partition.
        partition: i32,
        /// Where the group stands.
        committed: i64,
        /// The first offset there is.
        low: i64,
        /// The offset after the last.
        high: i64,
    },
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
            | Self::Codec(_)
            | Self::Restored { .. }
            | Self::RawGone { .. }
            | Self::SharedIdentity => Cure::Stop,
            Self::Transaction(_)
            | Self::Group(
                GroupError::Join { .. }
                | GroupError::OffsetsUnanswered(..)
                | GroupError::Client { .. },
            )
            | Self::Read(_)
            | Self::State(StateError::Store(_))
            | Self::Lost => Cure::StartAgain,
        }
    }
}
