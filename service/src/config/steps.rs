//! `ingest`, `transform`, `deliver` and `telemetry`: what each binary does with its machine.

use std::path::PathBuf;
use std::time::Duration;

use strum::{Display, EnumString, VariantNames};

use super::fields::Fields;
use super::kinds::{
    Rate, address, body_size, count, duration, log_filter, one_of, path, positive_duration, rate,
    size, text,
};

/// The edge that receives webhooks.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// Where webhooks arrive.
    pub listen: String,
    /// Where liveness, readiness and metrics are served.
    pub admin: String,
    /// The longest body taken, in bytes.
    pub max_body: usize,
    /// How long a sender may take to send a head, to send a body, and to take in an answer.
    pub body_timeout: Duration,
    /// How long the broker may take to acknowledge before the sender is told to come back.
    pub ack_timeout: Duration,
    /// How long requests under way may take to end at shutdown.
    pub drain: Duration,
}

/// The step from webhooks to lifecycle events.
#[derive(Clone, Debug)]
pub struct Transform {
    /// Where liveness, readiness and metrics are served.
    pub admin: String,
    /// Threads, each with its own partitions.
    pub workers: u32,
    /// Where the local store and this instance's identity lie.
    pub state_dir: PathBuf,
    /// The most memory the local store may take, in bytes.
    pub store_memory: usize,
    /// Replaces the identity kept in `state_dir`.
    pub instance_id: Option<String>,
    /// How long an event waits for an earlier one; zero for not at all.
    pub reorder_window: Duration,
    /// How long an event's id is remembered to recognise it when it comes again.
    pub dedup_window: Duration,
    /// The longest time between two commits while there is input.
    pub commit_interval: Duration,
    /// How long a record without a subscriber waits for a link.
    pub link_timeout: Duration,
    /// More parked than this stops the line.
    pub park_limit: Rate,
}

/// The step from lifecycle events to destinations.
#[derive(Clone, Debug)]
pub struct Deliver {
    /// Where liveness, readiness and metrics are served.
    pub admin: String,
    /// Calls in flight for each destination.
    pub concurrency: u32,
    /// The longest time between two commits while there is something to commit.
    pub commit_interval: Duration,
    /// How long calls under way may take to end at shutdown.
    pub drain: Duration,
    /// How long after its last commit an instance still begins calls.
    pub lease: Duration,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// A level, or a filter by module. The environment variable `RUST_LOG` wins.
    pub log: String,
    /// How a line looks.
    pub log_format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object, for collectors.
    Json,
    /// Plain text, for people.
    Text,
}

const ADMIN: &str = "Where `/livez`, `/readyz` and `/metrics` are served.";

impl Ingest {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let listen = fields.optional(
            "listen",
            &address(),
            "0.0.0.0:8080",
            "Where webhooks arrive, as `POST /webhooks/<source>`.",
        );
        let admin = fields.optional("admin", &address(), "0.0.0.0:9101", ADMIN);
        let max_body = fields.optional(
            "max_body",
            &body_size(),
            "1MiB",
            "The longest body taken; longer ones are answered 413. Topics allow 64 KiB more.",
        );
        let body_timeout = fields.optional(
            "body_timeout",
            &positive_duration(),
            "10s",
            "How long a sender may take to send its headers, as long again for its body, and again to \
             take in the answer. What else bounds a sender is fixed \
             ([operations.md](operations.md#limits-of-ingest)).",
        );
        let ack_timeout = fields.optional(
            "ack_timeout",
            &positive_duration(),
            "8s",
            "How long Kafka may take to acknowledge before the sender is answered 503 with \
             `Retry-After`.",
        );
        let drain = fields.optional(
            "drain",
            &duration(),
            "10s",
            "How long requests under way may take to end after SIGTERM.",
        );
        Some(Self {
            listen: listen?,
            admin: admin?,
            max_body: max_body?,
            body_timeout: body_timeout?,
            ack_timeout: ack_timeout?,
            drain: drain?,
        })
    }
}

impl Transform {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let admin = fields.optional("admin", &address(), "0.0.0.0:9102", ADMIN);
        let workers = fields.optional(
            "workers",
            &count(),
            "2",
            "Threads, each with a consumer, a transactional producer and its own partitions.",
        );
        let state_dir = fields.optional(
            "state_dir",
            &path(),
            "./state",
            "Where the local store and this instance's identity lie. Losing it costs time, not data.",
        );
        let store_memory = fields.optional(
            "store_memory",
            &size(),
            "256MiB",
            "The most memory the local store may take, whatever the number of subscribers. With \
             twelve partitions the bound holds from `64MiB` on.",
        );
        let instance_id = fields.unset(
            "instance_id",
            &text(),
            "Replaces the identity kept in `state_dir`. Two running instances must not share one.",
        );
        let reorder_window = fields.optional(
            "reorder_window",
            &duration(),
            "2s",
            "How long an event waits for an earlier one that is late; `0s` for not at all.",
        );
        let dedup_window = fields.optional(
            "dedup_window",
            &positive_duration(),
            "35d",
            "How long an event's id is remembered. Must outlive the provider's longest retry \
             schedule.",
        );
        let commit_interval = fields.optional(
            "commit_interval",
            &positive_duration(),
            "25ms",
            "The longest time between two commits under load; when the input runs dry, a commit \
             follows at once.",
        );
        let link_timeout = fields.optional(
            "link_timeout",
            &positive_duration(),
            "1h",
            "How long a record that names no subscriber waits for the event that links it to one.",
        );
        let park_limit = fields.optional("park_limit", &rate(), "100/min", PARK_LIMIT);
        Some(Self {
            admin: admin?,
            workers: workers?,
            state_dir: state_dir?,
            store_memory: store_memory?,
            instance_id: instance_id?,
            reorder_window: reorder_window?,
            dedup_window: dedup_window?,
            commit_interval: commit_interval?,
            link_timeout: link_timeout?,
            park_limit: park_limit?,
        })
    }
}

pub(super) const PARK_LIMIT: &str = "When more than this and more than half of what is processed \
                                     is parked, the line stops instead.";

impl Deliver {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let admin = fields.optional("admin", &address(), "0.0.0.0:9103", ADMIN);
        let concurrency = fields.optional(
            "concurrency",
            &count(),
            "64",
            "Calls in flight for each destination. Calls for one subscriber never overlap.",
        );
        let commit_interval = fields.optional(
            "commit_interval",
            &positive_duration(),
            "100ms",
            "How long after the end of a commit the next is made, at least `100ms` unless something has \
             to be set aside or parked. After a crash at most what was delivered since the last one is \
             sent again.",
        );
        let drain = fields.optional(
            "drain",
            &duration(),
            "10s",
            "How long calls under way may take to end after SIGTERM.",
        );
        let lease = fields.optional(
            "lease",
            &positive_duration(),
            "5s",
            "How long after its last commit an instance still begins calls: one that was replaced \
             without knowing stops by itself. Whoever takes over from one that did not end cleanly \
             waits that long, and as long as a call may still take effect.",
        );
        Some(Self {
            admin: admin?,
            concurrency: concurrency?,
            commit_interval: commit_interval?,
            drain: drain?,
            lease: lease?,
        })
    }
}

impl Telemetry {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let log = fields.optional(
            "log",
            &log_filter(),
            "info",
            "What is logged. The environment variable `RUST_LOG` wins.",
        );
        let log_format = fields.optional(
            "log_format",
            &one_of::<LogFormat>(),
            "json",
            "How a line of the log looks.",
        );
        Some(Self { log: log?, log_format: log_format? })
    }
}
