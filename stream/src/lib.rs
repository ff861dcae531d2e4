//! Everything Kafka. No other crate names the client library.
//!
//! What the binaries need is small and strict, and each piece owns one promise:
//!
//! * [`Appender`]: what it acknowledges is durable (`acks=all`, idempotent);
//! * [`Transactions`]: records and progress become visible together or not at all, and every doubt is
//!   an error that only a new producer clears;
//! * [`Group`]: partitions are handed over only after their owner has finished with them, and nothing
//!   flows before the owner has said from where;
//! * [`Watcher`]: somebody is told how far a member is behind;
//! * [`Reader`]: a partition is read to an end that no open transaction can hide;
//! * [`Follower`]: partitions are read on from positions that their owner keeps;
//! * [`admin`]: the topics are there, and are what the catalogue says.
//!
//! Everything but the appender and `admin` blocks and is driven from one thread per worker.

pub mod admin;
mod appender;
mod cluster;
mod follower;
mod group;
mod lag;
mod reader;
mod record;
mod stranded;
mod transactions;

pub use appender::{Acknowledged, AppendError, Appender};
pub use cluster::Cluster;
pub use follower::Follower;
pub use group::{Committed, Group, GroupError, Membership, Polled};
pub use lag::{Lag, Watcher};
pub use reader::{Glimpse, ReadError, Reader};
pub use record::{Received, Record, TopicPartition};
pub use transactions::{
    Appended, GroupMember, PROGRESS_APART, Progress, TransactionError, Transactions,
};
