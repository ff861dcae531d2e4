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
