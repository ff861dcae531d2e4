//! Everything around the three binaries that makes one machine into the whole pipeline.
//!
//! `cargo xtask demo`, `up`, `chaos`, `soak` and the end-to-end tests all stand on this crate, so that what a newcomer sees and what
//! CI proves are the same thing. In the order a run meets them:
//!
//! * [`preflight`] names (or, as root on Debian, installs) what the machine lacks.
//! * [`broker`] obtains and starts a real Apache Kafka, [`registry`] a real schema registry; both are released
//!   [`java`] programs. [`authority`] issues certificates, for a broker that asks who one is.
//! * [`compose`] reads docker-compose.yml as Docker Compose does.
//! * [`python`] fetches what tests and checks need of Python packages; [`chart`] renders the Helm chart with them,
//!   and [`api_server`] is whom that is for.
//! * [`proxy`] stands between a client and the broker and makes outcomes ambiguous.
//! * [`processes`] builds, starts, kills and watches `ingest`, `transform` and `deliver`; [`pipeline`] runs all three
//!   with the emulators behind them as [`destinations`], [`configuration`] is what they read.
//! * [`journeys`] invents subscribers and what their providers would say about them, [`schedule`] duplicates and
//!   shuffles it, [`sign`] and [`keyring`] sign it, [`sender`] sends it.
//! * [`exports`] are what providers list of subscribers who were there before.
//! * [`judge`] compares what the destinations hold with what was sent and gives the verdict; [`latency`] says how long
//!   it took.
//! * [`chaos`] joins all of it into one run in which everything goes wrong, [`soak`] into a long one in which nothing does.
//!
//! Two promises hold everywhere: nothing that is started here outlives the process that started it, however that
//! ends ([`supervise`]), and nothing but the provider's interface and the destinations' own record is trusted for
//! the verdict. The crate deliberately does not use the pipeline's own Kafka code: a fault there must not hide
//! itself.

pub mod api_server;
pub mod authority;
pub mod avro_tools;
pub mod broker;
pub mod chaos;
pub mod chart;
pub mod compose;
pub mod configuration;
pub mod destinations;
pub mod exports;
pub mod http;
pub mod java;
pub mod journeys;
pub mod judge;
pub mod keyring;
pub mod latency;
pub mod metrics;
pub mod pipeline;
pub mod ports;
pub mod preflight;
pub mod processes;
pub mod proxy;
pub mod python;
pub mod registry;
pub mod schedule;
pub mod sender;
pub mod sign;
pub mod soak;
pub mod supervise;
pub mod workspace;

/// Where a step says what it is doing: one short line at a time, the newest replaces the one before.
pub type Narrate<'a> = &'a (dyn Fn(&str) + Sync);
