//! Another number of workers in a process. Those that there are no more may have left transactions open when they
//! were killed, and nobody but their successors would end them before the broker does.

use std::time::{Duration, Instant};

use end_to_end::broker::Broker;

use crate::transform::feed::Feeding;
use crate::transform::installation::Installation;
use crate::transform::ledger::Ledger;
use crate::transform::seed;

/// Kills; at each most of the former workers have a transaction open.
const KILLS: usize = 4;

/// What is told before each.
const EVENTS: usize = 150;

/// Far less than the ten seconds after which the broker begins to look for transactions that nobody ends.
const READABLE_WITHIN: Duration = Duration::from_secs(5);

const RECOVERS_WITHIN: Duration = Duration::from_mins(1);

#[test]
fn with_fewer_workers_after_a_kill_everything_is_readable_at_once_and_all_partitions_go_on() {
    let seed = seed();
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let mut installation = Installation::new("scale", address, &[("KAFKA__PARTITIONS", "8")]);
    let mut ledger = Ledger::open(installation.cluster(), installation.prefix());
    let pace = Duration::from_millis(1);
    let feeding = Feeding::start(installation.cluster(), installation.prefix(), seed, pace);
    for number in 1..=KILLS {
        installation = installation.told(&[("TRANSFORM__WORKERS", "4")]);
        let mut many = installation.instance("one");
        let told = feeding.told() + EVENTS;
        installation.await_events(&mut ledger, told, RECOVERS_WITHIN);
        many.process.kill().unwrap();

        installation = installation.told(&[("TRANSFORM__WORKERS", "2")]);
        let mut few = installation.instance("one");
        let began = Instant::now();
        ledger.read_on();
        let took = began.elapsed();
        assert!(took < READABLE_WITHIN, "kill {number}: readable after {took:?}; {}", few.log());
        installation.await_events(&mut ledger, feeding.told(), RECOVERS_WITHIN);
        few.assert_in_order("scale");
        few.terminate();
    }
    installation = installation.told(&[("TRANSFORM__WORKERS", "3")]);
    let mut last = installation.instance("one");
    let feed = feeding.stop();
    installation.await_events(&mut ledger, feed.told(), RECOVERS_WITHIN);
    last.assert_in_order("scale");
    ledger.assert_flawless(&feed, "scale");
}
