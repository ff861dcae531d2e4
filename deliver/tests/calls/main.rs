//! The calls of every destination against a strict receiver of them: real connections, real answers, and
//! no request that the vendor would not have taken.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bench;
mod dispatch;
mod idempotence;
mod preflight;
mod webhook;
