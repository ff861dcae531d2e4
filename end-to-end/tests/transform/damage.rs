//! A store that is cut, flipped or exchanged while its owner is away, and what comes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use end_to_end::broker::Broker;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::transform::feed::Feeding;
use crate::transform::installation::Installation;
use crate::transform::ledger::Ledger;
use crate::transform::{is_long, seed};

/// Restarts in the long run, and in the short one.
const ROUNDS: (usize, usize) = (40, 4);

const PARTITIONS: usize = 6;

/// What is told between two restarts.
const EVENTS: usize = 200;

const RECOVERS_WITHIN: Duration = Duration::from_mins(2);

#[test]
fn a_store_that_is_cut_or_flipped_is_never_believed() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let partitions = PARTITIONS.to_string();
    let installation = Installation::new("damage", address, &[("KAFKA__PARTITIONS", &partitions)]);
    let mut instance = installation.instance("only");
    let mut ledger = Ledger::open(installation.cluster(), installation.prefix());
    let pace = Duration::from_millis(1);
    let feeding = Feeding::start(installation.cluster(), installation.prefix(), seed, pace);
    let rounds = if is_long() { ROUNDS.0 } else { ROUNDS.1 };
    let mut told = 0;
    for round in 0..rounds {
        told += EVENTS;
        installation.await_events(&mut ledger, told.max(feeding.told()), RECOVERS_WITHIN);
        // In good order, so that all there is lies on disk.
        instance.terminate();
        for partition in 0..PARTITIONS {
            let folder = instance.state_dir().join("store").join(partition.to_string());
            let files = files(&folder);
            // Each list of tables once, whose damage is always noticed, and then whatever.
            let lists = files.iter().filter(|file| file.parent() == Some(&folder));
            let lists: Vec<_> = lists.cloned().collect();
            let among = if round == partition { &lists } else { &files };
            damage(among.choose(&mut random).expect("a store has files"), &mut random);
        }
        instance.process.start_again().unwrap();
        instance.await_ready();
    }
    let feed = feeding.stop();
    installation.await_events(&mut ledger, feed.told(), RECOVERS_WITHIN);
    instance.assert_in_order("damage");
    ledger.assert_flawless(&feed, "damage");
    let discarded = instance.logged().matches("filled again from its topics").count();
    let least = rounds.min(PARTITIONS);
    assert!(discarded >= least, "{discarded} discarded; {}", instance.log());
    println!("{} files damaged, {discarded} stores discarded", rounds * PARTITIONS);
}

#[test]
fn an_older_store_is_read_on_from_and_that_of_another_partition_is_not_believed() {
    let seed = seed();
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let installation = Installation::new("exchanged", address, &[("KAFKA__PARTITIONS", "2")]);
    let mut instance = installation.instance("only");
    let mut ledger = Ledger::open(installation.cluster(), installation.prefix());
    let pace = Duration::from_millis(1);
    let feeding = Feeding::start(installation.cluster(), installation.prefix(), seed, pace);
    installation.await_events(&mut ledger, EVENTS, RECOVERS_WITHIN);
    instance.terminate();
    let store = instance.state_dir().join("store");
    let older = tempfile::tempdir().unwrap();
    copy(&store.join("0"), older.path());
    instance.process.start_again().unwrap();
    installation.await_events(&mut ledger, feeding.told() + EVENTS, RECOVERS_WITHIN);

    instance.terminate();
    // Offset and changelog have gone on since: to work from this as it is would repeat sequences.
    fs::remove_dir_all(store.join("0")).unwrap();
    copy(older.path(), &store.join("0"));
    instance.process.start_again().unwrap();
    installation.await_events(&mut ledger, feeding.told() + EVENTS, RECOVERS_WITHIN);
    let discarded = |log: &str| log.matches("the local store is discarded").count();
    assert_eq!(discarded(&instance.logged()), 0, "what is missing was read; {}", instance.log());

    instance.terminate();
    fs::remove_dir_all(store.join("0")).unwrap();
    copy(&store.join("1"), &store.join("0"));
    instance.process.start_again().unwrap();
    let feed = feeding.stop();
    installation.await_events(&mut ledger, feed.told(), RECOVERS_WITHIN);
    instance.assert_in_order("exchanged");
    ledger.assert_flawless(&feed, "exchanged");
    assert_eq!(discarded(&instance.logged()), 1, "{}", instance.log());
}

/// Copies everything in a folder.
fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Cuts it, or flips one bit.
fn damage(file: &Path, random: &mut StdRng) {
    let mut bytes = fs::read(file).unwrap();
    if bytes.is_empty() {
        bytes.push(random.random());
    } else if random.random_ratio(1, 3) {
        bytes.truncate(random.random_range(0..bytes.len()));
    } else {
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
    }
    fs::write(file, bytes).unwrap();
}
