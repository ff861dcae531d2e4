//! A process that writes to the store is killed at random moments; what it leaves must be the store
//! after one of its batches.
//!
//! The test starts itself once more as the process that is killed.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use schemas::Timestamp;
use transform::state::{Batch, Change, DiskStore, DiskStores, Link, Store};

const FOLDER: &str = "STORE_CRASH_FOLDER";
const MEMORY: usize = 4 * 1024 * 1024;
const PARTITIONS: i32 = 2;
const KEYS: i64 = 400;
/// As many numbers in a row meet every key.
const ALL: usize = 400;

/// Batch `number` sets key `number * 7 % KEYS`, and the ten keys behind it, to `number`.
fn keys_of(number: i64) -> impl Iterator<Item = i64> {
    (0..11).map(move |nth| (number * 7 + nth) % KEYS)
}

fn key(number: i64) -> Vec<u8> {
    format!("shop/{number}").into_bytes()
}

fn value(number: i64) -> Vec<u8> {
    let mut value = number.to_le_bytes().to_vec();
    value.resize(3_000, 7);
    value
}

fn batch(number: i64) -> Batch {
    let changes = keys_of(number).map(|one| Change {
        key: key(one),
        value: Some(value(number)),
        waits: number % 3 == 0,
    });
    Batch { changes: changes.collect(), checkpoint: number }
}

fn link(number: i64) -> Link {
    Link {
        key: key(number % KEYS),
        subscriber: format!("shop/{number}"),
        appended_at: Timestamp::from_millis(number),
    }
}

/// Writes until it is killed.
fn write_for_ever(folder: &Path) {
    let stores = DiskStores::open(folder, MEMORY, 2).unwrap();
    let mut taken: Vec<DiskStore> =
        (0..PARTITIONS).map(|partition| stores.take(partition, Duration::ZERO).unwrap()).collect();
    loop {
        for store in &mut taken {
            let next = store.checkpoint() + 1;
            store.apply(batch(next)).unwrap();
            // One, or two where a kill came between the batch and its link.
            while store.links_position() < store.checkpoint() {
                let next = store.links_position() + 1;
                store.learn(vec![link(next)], next).unwrap();
            }
            if next % 1_500 == 0 {
                store.clear().unwrap();
            }
        }
    }
}

/// The last number at or before `checkpoint` that set this key.
fn expected(key: i64, checkpoint: i64) -> Option<i64> {
    (1..=checkpoint).rev().take(2 * ALL).find(|number| keys_of(*number).any(|k| k == key))
}

fn check(store: &DiskStore) {
    let (checkpoint, links) = (store.checkpoint(), store.links_position());
    assert!(links == checkpoint || links == checkpoint - 1, "{links} links at {checkpoint}");
    let mut waiting = Vec::new();
    store.waiting(&mut |key, _| waiting.push(key.to_vec())).unwrap();
    for one in 0..KEYS {
        let last = expected(one, checkpoint);
        let found = store.get(&key(one)).unwrap();
        assert_eq!(found.as_deref(), last.map(value).as_deref(), "key {one} at {checkpoint}");
        let waits = last.is_some_and(|number| number % 3 == 0);
        assert_eq!(waiting.contains(&key(one)), waits, "key {one} at {checkpoint}");
        let last = (1..=links).rev().take(ALL).find(|number| number % KEYS == one);
        assert_eq!(store.link(&key(one)).unwrap(), last.map(link), "link {one} at {links}");
    }
}

#[test]
fn a_killed_writer_leaves_the_store_after_one_of_its_batches() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_for_ever(Path::new(&folder));
    }
    let kills = if std::env::var_os("TRIBUTARY_LONG_TESTS").is_some() { 60 } else { 8 };
    let folder = tempfile::tempdir().unwrap();
    let mut furthest = 0;
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["a_killed_writer_leaves_the_store_after_one_of_its_batches", "--exact"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The moment is what is tested, not waited for: anywhere in a second, spread evenly.
        std::thread::sleep(Duration::from_millis(50 + kill * 617 % 1_000));
        child.kill().expect("the writer goes on until it is killed");
        child.wait().unwrap();
        let stores = DiskStores::open(folder.path(), MEMORY, 2).unwrap();
        for partition in 0..PARTITIONS {
            let store = stores.take(partition, Duration::ZERO).unwrap();
            check(&store);
            furthest = furthest.max(store.checkpoint());
        }
    }
    assert!(furthest > 0, "nothing that was written was ever found again");
}
