//! `ingest` as it is shipped, against senders that are hostile or broken: bytes over bare TCP, with honest senders
//! beside them who must not notice.
//!
//! `TRIBUTARY_LONG_TESTS` opens and resets 100,000 connections instead of a quarter of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

mod bodies;
mod contents;
mod heads;
mod honest;
mod opens;
mod rotation;
mod server;
mod signatures;
mod slow;
mod wire;

/// Whether all of it is to be run.
pub(crate) fn is_long() -> bool {
    std::env::var_os("TRIBUTARY_LONG_TESTS").is_some()
}
