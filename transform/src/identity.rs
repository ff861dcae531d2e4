//! Who this instance is, kept where its state is.
//!
//! A transactional id must come back to the same worker after a restart, so that it fences its own
//! ghost at once instead of waiting for a time-out. The instance makes up a name at its first start,
//! keeps it in `state_dir` and locks that directory: a second process there would have the same name.
//! How many workers there ever were is kept as well, so that transactions left open by one that is no
//! longer configured are ended too.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const LOCK: &str = "lock";
const IDENTITY: &str = "identity.json";

/// Why the instance has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file or the directory cannot be used.
    #[error("cannot use {path} in state_dir")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Another process has it.
    #[error("{0} is in use by another process; every instance needs a state_dir of its own")]
    InUse(PathBuf),
    /// The identity is there and cannot be read.
    #[error("{path} is damaged; remove it only when no other instance uses this identity")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Kept {
    instance: String,
    workers: u32,
}

/// An instance's name, for as long as it holds the lock.
#[derive(Debug)]
pub struct Identity {
    instance: String,
    workers: u32,
    _lock: File,
}

impl Identity {
    /// Locks `directory` (made if need be) and takes the name kept there; `given` replaces it. `fresh`
    /// is the name of an instance that has none yet.
    pub fn take(
        directory: &Path,
        given: Option<&str>,
        fresh: &str,
        workers: u32,
    ) -> Result<Self, IdentityError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| IdentityError::File { path, cause }
        };
        std::fs::create_dir_all(directory).map_err(failed(directory))?;
        let path = directory.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(IdentityError::InUse(directory.to_owned()));
            }
            Err(TryLockError::Error(cause)) => return Err(failed(&path)(cause)),
        }
        let path = directory.join(IDENTITY);
        let kept = read(&path)?;
        let before = kept.as_ref().map_or(0, |kept| kept.workers);
        let instance = given.map(str::to_owned).or_else(|| kept.map(|kept| kept.instance));
        let kept = Kept {
            instance: instance.unwrap_or_else(|| fresh.to_owned()),
            workers: before.max(workers),
        };
        write(&path, &kept)?;
        Ok(Self { instance: kept.instance, workers: kept.workers, _lock: lock })
    }

    /// The transactional id of a worker, which is also its name in the group. Counted from 0; an id
    /// belongs to one worker slot for ever.
    pub fn of_worker(&self, prefix: &str, worker: u32) -> String {
        format!("{prefix}transform-{}-{worker}", self.instance)
    }

    /// Worker slots that were used once and are no longer, when `workers` are configured.
    pub fn former_workers(&self, workers: u32) -> std::ops::Range<u32> {
        workers..self.workers
    }
}

fn read(path: &Path) -> Result<Option<Kept>, IdentityError> {
    let failed = |cause| IdentityError::File { path: path.to_owned(), cause };
    let mut text = String::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_string(&mut text).map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let damaged = |cause| IdentityError::Damaged { path: path.to_owned(), cause };
    serde_json::from_str(&text).map(Some).map_err(damaged)
}

/// Writes beside and renames, so that a crash leaves the old identity or the new one.
fn write(path: &Path, kept: &Kept) -> Result<(), IdentityError> {
    let failed = |cause| IdentityError::File { path: path.to_owned(), cause };
    let text = serde_json::to_vec(kept).map_err(|cause| failed(cause.into()))?;
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).map_err(failed)?;
    File::open(&beside).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_has_the_same_name_whatever_is_made_up_then() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let first = Identity::take(&path, None, "abc", 2).unwrap();
        assert_eq!(first.of_worker("acme.", 1), "acme.transform-abc-1");
        drop(first);
        let again = Identity::take(&path, None, "def", 2).unwrap();
        assert_eq!(again.of_worker("", 0), "transform-abc-0");
        drop(again);
        let given = Identity::take(&path, Some("pod-7"), "def", 2).unwrap();
        assert_eq!(given.of_worker("", 0), "transform-pod-7-0");
    }

    #[test]
    fn two_processes_never_share_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let _held = Identity::take(directory.path(), None, "abc", 1).unwrap();
        let second = Identity::take(directory.path(), None, "abc", 1);
        assert!(matches!(second, Err(IdentityError::InUse(_))));
    }

    #[test]
    fn workers_that_are_no_longer_configured_are_not_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        drop(Identity::take(directory.path(), None, "abc", 4).unwrap());
        let fewer = Identity::take(directory.path(), None, "abc", 2).unwrap();
        assert_eq!(fewer.former_workers(2), 2..4);
        assert!(fewer.former_workers(4).is_empty());
    }

    #[test]
    fn a_damaged_identity_is_never_replaced_silently() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(IDENTITY), "{").unwrap();
        let taken = Identity::take(directory.path(), None, "abc", 1);
        assert!(matches!(taken, Err(IdentityError::Damaged { .. })));
    }
}
