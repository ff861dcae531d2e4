use std::path::Path;

use proptest::prelude::*;
use schemas::Timestamp;

use super::*;
use crate::state::{Batch, Change, Link, MemoryStore, Store};

const MEMORY: usize = 8 * 1024 * 1024;
const NOW: Duration = Duration::ZERO;

fn stores(folder: &Path) -> DiskStores {
    DiskStores::open(folder, MEMORY, 2).unwrap()
}

fn key(number: u8) -> Vec<u8> {
    format!("shop/{number}").into_bytes()
}

/// What may be done to a store, and to it alone: `Reopen` and `Crash` change nothing in memory.
#[derive(Clone, Debug)]
enum Act {
    Apply(Vec<Change>, i64),
    Learn(Vec<Link>, i64),
    Purge(i64),
    Reopen,
    Clear,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let value = prop_oneof![
        1 => Just(None),
        4 => proptest::collection::vec(any::<u8>(), 0..2_000).prop_map(Some)
    ];
    let change = (any::<u8>(), value, any::<bool>());
    let change =
        change.prop_map(|(number, value, waits)| Change { key: key(number), value, waits });
    proptest::collection::vec(change, 0..60)
}

fn links() -> impl Strategy<Value = Vec<Link>> {
    let link = (any::<u8>(), 0_u8..9, -50_i64..50).prop_map(|(number, subscriber, millis)| Link {
        key: key(number),
        subscriber: format!("shop/{subscriber}"),
        appended_at: Timestamp::from_millis(millis),
    });
    proptest::collection::vec(link, 0..30)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (changes(), 1_i64..1_000).prop_map(|(changes, checkpoint)| Act::Apply(changes, checkpoint)),
        4 => (links(), 1_i64..1_000).prop_map(|(links, position)| Act::Learn(links, position)),
        2 => (-60_i64..60).prop_map(Act::Purge),
        2 => Just(Act::Reopen),
        1 => Just(Act::Clear),
    ]
}

fn perform(store: &mut impl Store, act: &Act) {
    match act {
        Act::Apply(changes, checkpoint) => {
            store.apply(Batch { changes: changes.clone(), checkpoint: *checkpoint }).unwrap();
        }
        Act::Learn(links, position) => store.learn(links.clone(), *position).unwrap(),
        Act::Purge(before) => {
            while store.purge_links(Timestamp::from_millis(*before), 7).unwrap() == 7 {}
        }
        Act::Clear => store.clear().unwrap(),
        Act::Reopen => {}
    }
}

/// Everything that a store says of the keys there can be.
#[derive(Debug, Default, PartialEq)]
struct Said {
    positions: (i64, i64),
    states: Vec<Option<Vec<u8>>>,
    links: Vec<Option<Link>>,
    waiting: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

fn said(store: &impl Store) -> Result<Said, StoreError> {
    let keys = || (0..=u8::MAX).map(key);
    let mut said =
        Said { positions: (store.checkpoint(), store.links_position()), ..Said::default() };
    for key in keys() {
        said.states.push(store.get(&key)?.map(std::borrow::Cow::into_owned));
        said.links.push(store.link(&key)?);
    }
    store.waiting(&mut |key, value| {
        said.waiting.insert((key.to_vec(), value.to_vec()));
    })?;
    Ok(said)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn says_what_the_store_in_memory_says(acts in proptest::collection::vec(act(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let stores = stores(folder.path());
        let mut on_disk = Some(stores.take(0, NOW).unwrap());
        let mut in_memory = MemoryStore::default();
        for act in &acts {
            if let Act::Reopen = act {
                drop(on_disk.take());
                on_disk = Some(stores.take(0, NOW).unwrap());
            }
            perform(on_disk.as_mut().unwrap(), act);
            perform(&mut in_memory, act);
        }
        prop_assert_eq!(said(on_disk.as_ref().unwrap()).unwrap(), said(&in_memory).unwrap());
    }
}

#[test]
fn a_partition_has_one_owner_at_a_time_and_the_next_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path());
    let mut first = stores.take(7, NOW).unwrap();
    assert!(matches!(stores.take(7, NOW), Err(TakeError::Held(7))));
    stores.take(8, NOW).unwrap();
    first.apply(Batch { changes: Vec::new(), checkpoint: 5 }).unwrap();
    let waiting = std::thread::spawn({
        let stores = stores.clone();
        move || stores.take(7, Duration::from_mins(1)).unwrap().checkpoint()
    });
    drop(first);
    assert_eq!(waiting.join().unwrap(), 5, "what the first wrote");
}

#[test]
fn a_folder_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = stores(folder.path());
    let taken = first.take(0, NOW).unwrap();
    drop(first);
    let second = DiskStores::open(folder.path(), MEMORY, 2);
    assert!(matches!(second, Err(OpenError::InUse(_))), "a store is still out");
    drop(taken);
    stores(folder.path()).take(0, NOW).unwrap();
}

mod damage;
