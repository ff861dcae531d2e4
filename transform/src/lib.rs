//! `transform`: from `subscriptions.raw` to `subscriptions.events`, exactly once and in order.
//!
//! The modules stand in the order in which a record meets them. All of them decide and none of them
//! does IO: [`line`] ties them together for one partition.

pub mod advance;
pub mod budget;
pub mod line;
pub mod order;
pub mod parking;
pub mod record;
pub mod rules;
pub mod seen;
pub mod sources;
pub mod state;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod window;
