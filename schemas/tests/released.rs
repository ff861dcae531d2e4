//! What was released does not change. A schema is changed by releasing another version of it:
//!
//! 1. change `schemas/<name>.avsc`, copy it to `schemas/released/<name>.<next number>.avsc` and add that to
//!    its `VERSIONS` (`src/codec.rs`); the compatibility gate judges it against all before it;
//! 2. add its line to `schemas/released/SHA256SUMS`, which `sha256sum -c` reads as well. A line that stands
//!    there is never changed: records and registries hold what was written with it.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemas::LifecycleEvent;
use schemas::codec::Described;
use schemas::state::{Moved, PartitionRecord, SubscriberState};
use sha2::{Digest, Sha256};

const KINDS: [(&str, &[&str]); 4] = [
    ("lifecycle_event", LifecycleEvent::VERSIONS),
    ("moved", Moved::VERSIONS),
    ("partition_record", PartitionRecord::VERSIONS),
    ("subscriber_state", SubscriberState::VERSIONS),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("released")
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The digests on record, by file name.
fn sums() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder().join("SHA256SUMS")).unwrap();
    let lines = text.lines().map(|line| line.split_once("  ").unwrap());
    lines.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect()
}

#[test]
fn every_released_schema_is_as_it_was_released() {
    let mut found = BTreeMap::new();
    for entry in folder().read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "avsc") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            found.insert(name, digest(&std::fs::read_to_string(&path).unwrap()));
        }
    }
    assert_eq!(found, sums());
    assert!(found.len() >= KINDS.len());
}

#[test]
fn every_released_version_is_read_and_the_newest_is_what_is_written() {
    let sums = sums();
    for (name, versions) in KINDS {
        let read = (1..).zip(versions);
        for (number, text) in read {
            let file = format!("{name}.{number}.avsc");
            assert_eq!(sums.get(&file), Some(&digest(text)), "{file}");
        }
        let released = sums.keys().filter(|file| file.starts_with(&format!("{name}.")));
        assert_eq!(released.count(), versions.len(), "{name}");
        let present = folder().parent().unwrap().join(format!("{name}.avsc"));
        assert_eq!(
            std::fs::read_to_string(present).unwrap(),
            *versions.last().unwrap(),
            "{name}.avsc differs from its newest released version: release another one"
        );
    }
}
