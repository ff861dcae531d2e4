//! What makes a binary a service: its configuration and secrets, command line, exit codes, logs,
//! metrics, admin server, clock and shutdown.
//!
//! `ingest`, `transform` and `deliver` are started, observed and stopped in exactly the same way
//! because they share this crate. It knows neither Kafka nor subscriptions: it reads what the
//! operator wrote, says everything that is wrong with it at once, and hands typed values on.

pub mod admin;
pub mod cli;
pub mod clock;
pub mod config;
pub mod exit;
pub mod healthcheck;
pub mod metrics;
pub mod secrets;
pub mod shutdown;
pub mod telemetry;
pub mod traces;

/// What the binaries allocate with: an event is made of a hundred small texts, and with the allocator of the system a
/// fifth of `transform`'s time went into it (docs/performance.md).
pub const ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The type of [`ALLOCATOR`], for `#[global_allocator]`.
pub type Allocator = mimalloc::MiMalloc;

/// Which of the three this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Binary {
    /// Receives webhooks; uses the credentials below `sources`.
    Ingest,
    /// Turns webhooks into lifecycle events; uses neither kind of credential.
    Transform,
    /// Calls destinations; uses the credentials below `destinations`.
    Deliver,
}
