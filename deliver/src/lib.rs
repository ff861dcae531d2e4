//! The step from lifecycle events to destinations.
//!
//! Every destination is a [`line`] of its own: a consumer group, a retry topic, dead letters, a breaker
//! and a pace, so that one that is down never delays another. Along the line a record meets [`broker`]
//! (reads and commits), [`records`] (what it says), [`lanes`] (whose turn it is), [`destinations`] (what
//! to send, what an answer means), [`dispatch`] (the calls).

mod bodies;
pub mod breaker;
pub mod broker;
pub mod configure;
pub mod cut;
pub mod dead;
pub mod destinations;
pub mod dispatch;
pub mod failure;
pub mod gate;
pub mod going_live;
pub mod http;
pub mod lanes;
pub mod lease;
pub mod line;
pub mod marks;
pub mod metrics;
pub mod pace;
pub mod park_limit;
pub mod preflight;
pub mod preview;
pub mod records;
pub mod refresh;
pub mod run;
pub mod shadow;
pub mod tally;
pub mod tenure;
pub mod test_transform;
pub mod trace;
pub mod transformation;
pub mod waits;
