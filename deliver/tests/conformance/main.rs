//! `naming: provider` against what the providers' own integrations send.
//!
//! One file for each description of such an integration: webhooks as the provider sends them go through
//! the mapping of `transform` and the plan of `deliver`, the requests go to an emulator that refuses what
//! the vendor refuses, and what it got is compared with the description field by field. Where a
//! description contradicts itself or the vendor, a test of its own shows what was decided.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test, what cannot be had fails it")]

mod dodo_events_at_customerio;
mod purchasely_at_customerio;
mod purchasely_subscription_events;
mod revenuecat_at_customerio;
mod revenuecat_at_intercom;
mod stage;
mod stripe_customers_at_customerio;
mod transformed;
