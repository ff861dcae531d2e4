//! What crosses a topic.
//!
//! Everything that two binaries (or a binary and somebody else's consumer) must agree on is here and
//! nowhere else: the lifecycle event and its vocabulary, the record that holds a subscriber's state,
//! typed headers, the wire formats, and the catalogue of topics. No IO, no clock, no Kafka client.

pub mod codec;
pub mod compatibility;
pub mod event;
pub mod headers;
pub mod money;
pub mod samples;
pub mod state;
pub mod time;
pub mod topics;
pub mod vocabulary;

pub use event::LifecycleEvent;
pub use money::Money;
pub use time::Timestamp;
pub use vocabulary::{Environment, EventType, Provider, Status};
