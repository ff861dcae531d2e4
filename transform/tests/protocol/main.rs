//! The protocol's own check: the decisions of this crate ([`Opening`](transform::state::Opening),
//! [`compare`](transform::state::compare), [`Line`](transform::line::Line) and what lies below it,
//! [`Agenda`](transform::worker::agenda::Agenda)) driven through crashes, rebalances, zombies, commits
//! that land late, lost and stale disks.
//!
//! Kafka and the driver around the decisions are simulated, and only they: [`kafka`] is the cluster,
//! [`driver`] and [`takeover`] are the worker's order of operations, [`action`] is what can happen next,
//! [`oracle`] what must hold. [`search`] goes through all that is possible within small bounds, [`walk`]
//! through some of it within larger ones. Each rule of [`rules`] can be switched off in the driver, and
//! then the search has to find what it is there for.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "in a test, what cannot be had fails it, and what is found has to be told"
)]

mod action;
mod catalogue;
mod driver;
mod kafka;
mod oracle;
mod order;
mod plain;
mod rules;
mod scenarios;
mod search;
mod story;
mod takeover;
mod walk;
mod world;

use std::hash::{DefaultHasher, Hash, Hasher};

/// One number for a value.
pub(crate) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
