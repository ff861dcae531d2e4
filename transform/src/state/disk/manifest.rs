//! The list of a tree's tables, checked before it is believed.
//!
//! The engine writes the list into a file `v<number>`, and number and checksum of it into a file
//! `current`; it does not compare them when it opens (lsm-tree 3.1.10, `src/version/recovery.rs`). A bit
//! flipped in the list could drop a level of tables without an error, and with it the newest values of
//! many keys. So they are compared here.

use std::fs::{self, File};
use std::io::{Error, ErrorKind};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

const CURRENT: &str = "current";

/// Why the list is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManifestError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] Error),
    /// The file that names it is too short or too long.
    #[error("what names it is damaged")]
    Name,
    /// It is not what was written.
    #[error("does not fit its checksum")]
    Checksum,
}

/// Whether there is a list; without one nothing in the folder counts.
pub(super) fn holds_a_tree(folder: &Path) -> Result<bool, ManifestError> {
    let current = match fs::read(folder.join(CURRENT)) {
        Ok(current) => current,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let (number, rest) = current.split_first_chunk::<8>().ok_or(ManifestError::Name)?;
    let (checksum, kind) = rest.split_first_chunk::<16>().ok_or(ManifestError::Name)?;
    if kind != [0] {
        return Err(ManifestError::Name);
    }
    let list = fs::read(folder.join(format!("v{}", u64::from_le_bytes(*number))))?;
    if xxh3_128(&list) == u128::from_le_bytes(*checksum) {
        Ok(true)
    } else {
        Err(ManifestError::Checksum)
    }
}

/// Takes the list away, for good, also if the machine stops right after.
pub(super) fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_file(folder.join(CURRENT)) {
        Ok(()) => File::open(folder)?.sync_all(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
