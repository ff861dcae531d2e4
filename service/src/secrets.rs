//! Credentials that can change while the process runs.
//!
//! A [`Secrets`] is a cheap handle to be kept and asked each time a credential is needed. Those
//! written in the configuration never change. Those in a file are read again when they are asked
//! for and the last look is more than [`LOOK_EVERY`] ago, so a change is seen within 20 seconds
//! without a task in the background. The file is read whole instead of comparing its modification
//! time, because mounted secrets are replaced by a link to files whose times may be equal.
//!
//! A file that cannot be read any more or holds nothing is taken for a rotation in progress: the
//! last good values stay, and a warning names the file. No value ever reaches a log or `Debug`.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::clock::Clock;

/// How old the last look at a file may be before it is looked at again.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Far more than any list of credentials; protects from reading, say, a device.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Why a file gives no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is absent, unreadable or not UTF-8.
    #[error("cannot read {}: {cause}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said; never a part of the content.
        #[source]
        cause: io::Error,
    },
    /// The file has no line with anything on it.
    #[error("{} holds no secret: expected one a line", file.display())]
    Empty {
        /// Which file.
        file: PathBuf,
    },
}

/// A handle to one or several credentials of which any is valid.
#[derive(Clone)]
pub struct Secrets(Arc<Storage>);

enum Storage {
    Fixed(Arc<[SecretString]>),
    File { file: PathBuf, clock: Arc<dyn Clock>, look: Mutex<Look> },
}

struct Look {
    values: Arc<[SecretString]>,
    /// [`Clock::elapsed`] of the last look; none before the first.
    at: Option<Duration>,
}

impl Secrets {
    /// Credentials that stay as they are.
    pub fn fixed(values: Vec<SecretString>) -> Self {
        Self(Arc::new(Storage::Fixed(values.into())))
    }

    /// No credentials.
    pub fn none() -> Self {
        Self::fixed(Vec::new())
    }

    /// The credentials in a file, one a line; blank lines and blanks around a line do not count.
    /// Nothing is read before the first [`Secrets::read`] or [`Secrets::current`].
    pub fn in_file(file: PathBuf, clock: Arc<dyn Clock>) -> Self {
        let look = Mutex::new(Look { values: Arc::new([]), at: None });
        Self(Arc::new(Storage::File { file, clock, look }))
    }

    /// Whether credentials are configured at all. A file counts, whatever it holds.
    pub fn are_configured(&self) -> bool {
        match &*self.0 {
            Storage::Fixed(values) => !values.is_empty(),
            Storage::File { .. } => true,
        }
    }

    /// The credentials valid now, at most [`LOOK_EVERY`] old. Empty only when none are configured
    /// or a file never held any.
    pub fn current(&self) -> Arc<[SecretString]> {
        match &*self.0 {
            Storage::Fixed(values) => Arc::clone(values),
            Storage::File { file, clock, look } => {
                let mut look = look.lock().unwrap_or_else(PoisonError::into_inner);
                let now = clock.elapsed();
                let due = look.at.is_none_or(|at| now.saturating_sub(at) >= LOOK_EVERY);
                if due {
                    look.at = Some(now);
                    refresh(&mut look, file);
                }
                Arc::clone(&look.values)
            }
        }
    }

    /// The only credential, or the first of several. `None` when there is none.
    pub fn first(&self) -> Option<SecretString> {
        self.current().first().cloned()
    }

    /// Reads the file now and says how many credentials there are; for the start, when an error
    /// must stop the process.
    pub fn read(&self) -> Result<usize, ReadError> {
        match &*self.0 {
            Storage::Fixed(values) => Ok(values.len()),
            Storage::File { file, clock, look } => {
                let values = read_file(file)?;
                let count = values.len();
                let mut look = look.lock().unwrap_or_else(PoisonError::into_inner);
                *look = Look { values, at: Some(clock.elapsed()) };
                Ok(count)
            }
        }
    }
}

fn refresh(look: &mut Look, file: &Path) {
    match read_file(file) {
        Ok(values) => {
            let same = values.len() == look.values.len()
                && values
                    .iter()
                    .zip(look.values.iter())
                    .all(|(new, old)| new.expose_secret() == old.expose_secret());
            if !same {
                tracing::info!(file = %file.display(), count = values.len(), "secrets read");
                look.values = values;
            }
        }
        Err(error) => {
            let kept = look.values.len();
            tracing::warn!(%error, kept, "secrets not read; the last good ones stay in use");
        }
    }
}

fn read_file(file: &Path) -> Result<Arc<[SecretString]>, ReadError> {
    let unreadable = |cause| ReadError::Unreadable { file: file.to_owned(), cause };
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(MAX_FILE_BYTES).read_to_string(&mut text))
        .map_err(unreadable)?;
    let values: Arc<[SecretString]> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
        .collect();
    if values.is_empty() {
        return Err(ReadError::Empty { file: file.to_owned() });
    }
    Ok(values)
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Storage::Fixed(values) => write!(formatter, "Secrets({} hidden)", values.len()),
            Storage::File { file, .. } => write!(formatter, "Secrets(in {})", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;

    use super::*;
    use crate::clock::ManualClock;

    fn shown(secrets: &Secrets) -> Vec<String> {
        secrets.current().iter().map(|secret| secret.expose_secret().to_owned()).collect()
    }

    struct Rotation {
        _folder: tempfile::TempDir,
        file: PathBuf,
        clock: Arc<ManualClock>,
        secrets: Secrets,
    }

    fn rotation(content: &str) -> Rotation {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secrets");
        fs::write(&file, content).expect("written");
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let secrets = Secrets::in_file(file.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        Rotation { _folder: folder, file, clock, secrets }
    }

    #[test]
    fn reads_one_secret_a_line_and_skips_blank_ones() {
        let rotation = rotation("\nfirst\r\n\n  second  \n\n");
        assert_eq!(rotation.secrets.read().expect("readable"), 2);
        assert_eq!(shown(&rotation.secrets), ["first", "second"]);
    }

    #[test]
    fn a_change_is_seen_within_twenty_seconds_and_not_looked_for_at_every_use() {
        let rotation = rotation("before");
        assert_eq!(shown(&rotation.secrets), ["before"]);
        // The same length, so that only the content tells.
        fs::write(&rotation.file, "behind").expect("written");
        rotation.clock.advance(LOOK_EVERY / 2);
        assert_eq!(shown(&rotation.secrets), ["before"]);
        rotation.clock.advance(LOOK_EVERY / 2);
        assert_eq!(shown(&rotation.secrets), ["behind"]);
        assert!(LOOK_EVERY < Duration::from_secs(20));
    }

    #[test]
    fn keeps_the_last_good_ones_while_the_file_is_missing_or_empty() {
        let rotation = rotation("good");
        assert_eq!(shown(&rotation.secrets), ["good"]);
        fs::write(&rotation.file, "\n \n").expect("written");
        rotation.clock.advance(LOOK_EVERY);
        assert_eq!(shown(&rotation.secrets), ["good"]);
        fs::remove_file(&rotation.file).expect("removed");
        rotation.clock.advance(LOOK_EVERY);
        assert_eq!(shown(&rotation.secrets), ["good"]);
        fs::write(&rotation.file, "better").expect("written");
        rotation.clock.advance(LOOK_EVERY);
        assert_eq!(shown(&rotation.secrets), ["better"]);
    }

    #[test]
    fn an_empty_or_missing_file_is_an_error_at_the_start() {
        let rotation = rotation(" \n");
        assert!(matches!(rotation.secrets.read(), Err(ReadError::Empty { .. })));
        fs::remove_file(&rotation.file).expect("removed");
        assert!(matches!(rotation.secrets.read(), Err(ReadError::Unreadable { .. })));
    }

    #[test]
    fn debug_shows_no_value() {
        let fixed = Secrets::fixed(vec![SecretString::from("hush")]);
        assert_eq!(format!("{fixed:?}"), "Secrets(1 hidden)");
        let rotation = rotation("hush");
        assert_eq!(shown(&rotation.secrets), ["hush"]);
        assert!(!format!("{:?}", rotation.secrets).contains("hush"));
    }
}
