//! How soon a killed instance works again, with much state and with none left.

use std::time::{Duration, Instant};

use end_to_end::broker::Broker;

use crate::transform::feed::Crowd;
use crate::transform::installation::{Installation, Instance};
use crate::transform::is_long;
use crate::transform::ledger::Ledger;

/// Subscribers in the long run, and in the short one.
const SUBSCRIBERS: (usize, usize) = (1_000_000, 20_000);

/// From the start of the process to the first new event, with the session time-out of a killed member at 6 s.
const FIRST_EVENT_WITHIN: Duration = Duration::from_secs(10);

/// Reading everything in, and the whole changelog again.
const PATIENCE: Duration = Duration::from_mins(15);

const MEGABYTE: u64 = 1024 * 1024;
/// Told to the instance, and what it may have beside the stores: two workers with their clients' queues.
const STORE_MEMORY: &str = "128MiB";
const MEMORY: u64 = (128 + 256) * MEGABYTE;

#[test]
fn a_killed_instance_soon_goes_on_and_one_without_its_disk_reads_its_state_again() {
    let subscribers = if is_long() { SUBSCRIBERS.0 } else { SUBSCRIBERS.1 };
    let broker = Broker::shared().expect("a broker to test against");
    let environment = [("KAFKA__PARTITIONS", "12"), ("TRANSFORM__STORE_MEMORY", STORE_MEMORY)];
    let address = (broker.address(), broker.address());
    let installation = Installation::new("recovery", address, &environment);
    let mut instance = installation.instance("only");
    let mut ledger = Ledger::counting(installation.cluster(), installation.prefix());
    let mut crowd = Crowd::new(installation.cluster(), installation.prefix());

    let began = Instant::now();
    crowd.everybody(subscribers);
    let filled = Instant::now();
    let mut peak = 0;
    while ledger.read_on() < subscribers {
        peak = peak.max(resident(&instance));
        assert!(filled.elapsed() < PATIENCE, "{}", instance.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("{subscribers} subscribers in {:?}, at most {} MiB", began.elapsed(), peak / MEGABYTE);

    let mut told = subscribers;
    let mut again = |what: &str, instance: &mut Instance, within: Duration| {
        instance.process.kill().unwrap();
        if what == "without its disk" {
            std::fs::remove_dir_all(instance.state_dir().join("store")).unwrap();
        }
        let began = Instant::now();
        instance.process.start_again().unwrap();
        crowd.first(12);
        told += 1;
        installation.await_events(&mut ledger, told, within);
        println!("{what}: the first new event after {:?}", began.elapsed());
        told += 11;
        installation.await_events(&mut ledger, told, PATIENCE);
        println!("{what}: all partitions after {:?}", began.elapsed());
        began.elapsed()
    };
    again("killed", &mut instance, FIRST_EVENT_WITHIN);
    peak = peak.max(resident(&instance));
    again("without its disk", &mut instance, PATIENCE);
    peak = peak.max(resident(&instance));
    assert!(instance.logged().contains("has no local state"), "{}", instance.log());
    assert!(peak < MEMORY, "{} MiB", peak / MEGABYTE);
    instance.assert_in_order("recovery");
    // The first twelve have been told three times, and count on from where they were.
    assert_eq!(ledger.highest_sequence(), 3);
}

/// Memory of the process that is not on disk.
fn resident(instance: &Instance) -> u64 {
    u64::try_from(instance.count("process_resident_memory_bytes", &[])).unwrap()
}
