//! SIGKILL at random moments, under load, with partitions going to and fro between two instances.

use std::time::Duration;

use end_to_end::broker::Broker;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::transform::feed::Feeding;
use crate::transform::installation::{Installation, SESSION_TIMEOUT};
use crate::transform::ledger::Ledger;
use crate::transform::{is_long, seed};

/// A kill in the long run, and in the short one.
const KILLS: (usize, usize) = (50, 8);

/// One victim in so many stays away until the group misses it.
const STAYS_AWAY: usize = 4;

const RECOVERS_WITHIN: Duration = Duration::from_mins(2);

#[test]
fn kills_and_rebalances_between_two_instances_lose_double_and_disorder_nothing() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let installation = Installation::new("kills", address, &[("KAFKA__PARTITIONS", "6")]);
    let mut instances = [installation.instance("one"), installation.instance("two")];
    let mut ledger = Ledger::open(installation.cluster(), installation.prefix());
    let pace = Duration::from_millis(3);
    let feeding = Feeding::start(installation.cluster(), installation.prefix(), seed, pace);
    let kills = if is_long() { KILLS.0 } else { KILLS.1 };
    for number in 1..=kills {
        // Into the middle of whatever it is doing: the moment is meant to be arbitrary.
        std::thread::sleep(Duration::from_millis(random.random_range(100..1500)));
        let victim = &mut instances[random.random_range(0..2)];
        victim.process.kill().unwrap();
        if number % STAYS_AWAY == 0 {
            std::thread::sleep(SESSION_TIMEOUT + Duration::from_secs(2));
        }
        victim.process.start_again().unwrap();
    }
    let feed = feeding.stop();
    installation.await_events(&mut ledger, feed.told(), RECOVERS_WITHIN);
    for instance in &mut instances {
        instance.assert_in_order("kills");
    }
    ledger.assert_flawless(&feed, "kills");
    println!("{kills} kills, {} events", feed.told());
}
