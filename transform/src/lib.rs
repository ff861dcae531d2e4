//! `transform`: from `subscriptions.raw` to `subscriptions.events`, exactly once and in order.

pub mod sources;
