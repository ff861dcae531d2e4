//! `transform`: from `subscriptions.raw` to `subscriptions.events`, exactly once and in order.
//!
//! A record's way: [`record`] judges key and headers, [`sources`] read the body, [`seen`] recognises
//! repetitions, [`rekey`] and [`patience`] find out whose it is when it does not say, [`order`] and
//! [`window`] hold it until its turn, [`advance`] makes the lifecycle events, [`state`] remembers.
//! [`line`] ties these together for one partition; none of them does IO beyond its store or knows a
//! clock. [`worker`] carries out what they decide, in Kafka transactions; [`replay`] does the same
//! beside the live events, [`adopt`] takes over the states of another installation, and [`import`] tells of
//! subscribers who were there before.

pub mod adopt;
pub mod advance;
pub mod budget;
mod bulk;
pub mod configure;
pub mod dead;
pub mod forget;
pub mod framing;
pub mod identity;
pub mod import;
pub mod line;
pub mod line_switch;
pub mod metrics;
pub mod order;
pub mod parking;
pub mod patience;
pub mod placement;
pub mod preflight;
pub mod record;
pub mod rekey;
pub mod replay;
pub mod rules;
pub mod run;
pub mod seen;
pub mod sources;
pub mod state;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod window;
pub mod worker;
