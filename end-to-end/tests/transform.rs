//! `transform` as it is shipped, against a real broker: exactly once, in order, and soon back at work.
//!
//! Records are written to the raw topic directly, as an existing producer would, and the events are read as any
//! reader of committed records sees them. What is decided is tested where it is decided; here it is shown that the
//! process carries it out, whatever happens to it.
//!
//! `TRIBUTARY_LONG_TESTS` runs all of it instead of a sample; `TRIBUTARY_TEST_SEED` repeats a run.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

mod ambiguous;
mod damage;
mod feed;
mod imports;
mod installation;
mod kills;
mod ledger;
mod links;
mod partitions;
mod recovery;
mod refused;
mod registry;
mod replay;
mod scale;

use service::clock::{Clock, SystemClock};

/// Whether all of it is to be run.
pub(crate) fn is_long() -> bool {
    std::env::var_os("TRIBUTARY_LONG_TESTS").is_some()
}

/// What decides everything random, told so that a run can be repeated.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("TRIBUTARY_TEST_SEED") {
        Ok(told) => told.parse().expect("TRIBUTARY_TEST_SEED is a number"),
        Err(_) => u64::try_from(SystemClock::new().now_millis()).unwrap(),
    };
    #[expect(clippy::print_stdout, reason = "whoever sees a failure wants to repeat it")]
    {
        println!("TRIBUTARY_TEST_SEED={seed} repeats this run");
    }
    seed
}
