//! Files of a store are cut short or have bits flipped, in many ways: what comes out must be the store
//! after one of its batches, or nothing.

use std::fs;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// Batches written before the damage.
const BATCHES: i64 = 400;

/// What the batch of that number does: a few keys get values that tell the number.
fn batch(number: i64) -> (Batch, Vec<Link>) {
    let mut random = StdRng::seed_from_u64(number.cast_unsigned());
    let mut change = || {
        let mut value = number.to_le_bytes().to_vec();
        value.resize(random.random_range(0..1_500) + 8, 3);
        let value = (random.random_ratio(8, 9)).then_some(value);
        Change { key: key(random.random()), value, waits: random.random_ratio(1, 4) }
    };
    let changes = (0..12).map(|_| change()).collect();
    let link = Link {
        key: key(random.random()),
        subscriber: format!("shop/{number}"),
        appended_at: Timestamp::from_millis(number),
    };
    (Batch { changes, checkpoint: number }, vec![link])
}

fn perform_all(store: &mut impl Store, until: i64) {
    for number in 1..=until {
        let (batch, links) = batch(number);
        store.apply(batch).unwrap();
        if number % 5 == 0 {
            store.learn(links, number).unwrap();
        }
        if number % 50 == 0 {
            store.purge_links(Timestamp::from_millis(number - 100), usize::MAX).unwrap();
        }
    }
}

/// Whether this is what a store says after some number of batches, with or without the links and the
/// purge that follow the last of them.
fn is_honest(found: &Said) -> bool {
    let (checkpoint, links) = found.positions;
    let mut store = MemoryStore::default();
    perform_all(&mut store, checkpoint - 1);
    if checkpoint > 0 {
        store.apply(batch(checkpoint).0).unwrap();
    }
    if said(&store).unwrap() == *found {
        return true;
    }
    if links == checkpoint {
        store.learn(batch(checkpoint).1, links).unwrap();
    }
    if said(&store).unwrap() == *found {
        return true;
    }
    perform_all(&mut store, checkpoint);
    said(&store).unwrap() == *found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.metadata().unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let copied = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(file, copied).unwrap();
    }
}

/// Cuts or flips; most often a little, sometimes much.
fn damage(file: &Path, random: &mut StdRng) -> String {
    let mut bytes = fs::read(file).unwrap();
    let length = bytes.len();
    let what = if length == 0 {
        bytes.push(1);
        "a byte more".to_owned()
    } else if random.random_ratio(1, 3) {
        let kept = random.random_range(0..length);
        bytes.truncate(kept);
        format!("cut to {kept} of {length}")
    } else {
        let at = random.random_range(0..length);
        let bit = random.random_range(0..8);
        bytes[at] ^= 1 << bit;
        format!("bit {bit} of byte {at} of {length}")
    };
    fs::write(file, bytes).unwrap();
    what
}

/// A store that has everything: tables of two levels, and a list of them.
fn written(folder: &Path) -> Said {
    let stores = DiskStores::open(folder, 0, 2).unwrap();
    let mut store = stores.take(0, NOW).unwrap();
    perform_all(&mut store, BATCHES);
    said(&store).unwrap()
}

#[test]
fn what_is_damaged_is_never_believed() {
    let pristine = tempfile::tempdir().unwrap();
    let whole = written(pristine.path());
    assert!(is_honest(&whole) && whole.positions.0 == BATCHES);
    let rounds = if std::env::var_os("TRIBUTARY_LONG_TESTS").is_some() { 6_000 } else { 200 };
    let seed = 20_261_121;
    let (mut refused, mut emptied, mut untouched) = (0, 0, 0);
    for round in 0..rounds {
        let mut random = StdRng::seed_from_u64(seed + round as u64);
        let folder = tempfile::tempdir().unwrap();
        copy(pristine.path(), folder.path());
        let files = files(&folder.path().join("0"));
        // Each kind of file as often as the others, though the tables have most of the bytes.
        let file = &files[round % files.len()];
        let what = damage(file, &mut random);
        let stores = DiskStores::open(folder.path(), MEMORY, 2).unwrap();
        let store = stores.take(0, NOW).unwrap();
        match said(&store) {
            Err(_) => {
                refused += 1;
                drop(store);
                let next = stores.take(0, NOW).unwrap();
                assert!(next.was_damaged(), "what failed is not used once more");
                assert_eq!(said(&next).unwrap(), said(&MemoryStore::default()).unwrap());
            }
            Ok(found) if found == whole => untouched += 1,
            Ok(found) if found == said(&MemoryStore::default()).unwrap() => emptied += 1,
            Ok(found) => assert!(is_honest(&found), "seed {seed}, round {round}: {file:?}, {what}"),
        }
    }
    assert!(
        refused > 0 && emptied > 0,
        "{refused} refused, {emptied} empty, {untouched} untouched"
    );
}

/// The list of tables is small, and a wrong one is the worst there can be: every byte of it, or every
/// third.
#[test]
fn a_damaged_list_of_tables_is_never_believed() {
    let pristine = tempfile::tempdir().unwrap();
    let whole = written(pristine.path());
    let step = if std::env::var_os("TRIBUTARY_LONG_TESTS").is_some() { 1 } else { 3 };
    let lists = files(&pristine.path().join("0")).into_iter();
    let lists = lists.filter(|file| file.parent().unwrap().ends_with("0"));
    for list in lists {
        let bytes = fs::read(&list).unwrap();
        for at in (0..bytes.len()).step_by(step) {
            let folder = tempfile::tempdir().unwrap();
            copy(pristine.path(), folder.path());
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(folder.path().join(list.strip_prefix(pristine.path()).unwrap()), flipped)
                .unwrap();
            let stores = DiskStores::open(folder.path(), MEMORY, 2).unwrap();
            let found = said(&stores.take(0, NOW).unwrap()).unwrap();
            assert!(found == whole || is_honest(&found), "byte {at} of {list:?}");
        }
    }
}

#[test]
fn what_failed_to_be_read_can_be_cleared_and_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    let whole = written(folder.path());
    let stores = stores(folder.path());
    let mut store = stores.take(0, NOW).unwrap();
    for table in files(&folder.path().join("0").join("tables")) {
        let flipped: Vec<u8> = fs::read(&table).unwrap().iter().map(|byte| !byte).collect();
        fs::write(table, flipped).unwrap();
    }
    said(&store).unwrap_err();
    store.clear().unwrap();
    assert_eq!(said(&store).unwrap(), said(&MemoryStore::default()).unwrap());
    perform_all(&mut store, BATCHES);
    assert_eq!(said(&store).unwrap(), whole);
}
