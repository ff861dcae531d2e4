//! Transformation code that is being written: whenever its file changes and can be read, `deliver` is started again.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use end_to_end::processes::Process;
use script::{Limits, Script};

use crate::display::say;

/// How often the file is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);

const READY_WITHIN: Duration = Duration::from_mins(1);

/// The file with a handler, and when it was changed last.
#[derive(Debug)]
pub(crate) struct Handler {
    file: PathBuf,
    changed_at: Option<SystemTime>,
}

impl Handler {
    /// # Errors
    /// When the file is not there.
    pub(crate) fn of(file: &Path) -> Result<Self> {
        let file =
            file.canonicalize().with_context(|| format!("looking for {}", file.display()))?;
        let changed_at = changed_at(&file);
        Ok(Self { file, changed_at })
    }

    /// The option that gives it to Customer.io's events.
    pub(crate) fn environment(&self) -> (String, String) {
        let option = "TRIBUTARY__DESTINATIONS__CUSTOMERIO__TRANSFORM";
        (option.to_owned(), self.file.display().to_string())
    }

    /// Starts `deliver` again if the file has changed; one that cannot be read leaves it as it is.
    ///
    /// # Errors
    /// When it does not end or does not start.
    pub(crate) fn follow(&mut self, deliver: &mut Process, stops_within: Duration) -> Result<()> {
        let shown = self.file.display().to_string();
        match self.look() {
            Look::Unchanged => {}
            Look::Unusable(fault) => say(&format!("{shown} is not used: {fault}")),
            Look::Usable => {
                deliver.terminate(stops_within)?;
                deliver.start_again()?;
                deliver.wait_until_ready(READY_WITHIN)?;
                say(&format!("{shown} is in use"));
            }
        }
        Ok(())
    }

    /// What has become of the file since the last look. One that is away for a moment, as some editors do it, is
    /// looked at when it is there again.
    fn look(&mut self) -> Look {
        let changed_at = changed_at(&self.file);
        if changed_at.is_none() || changed_at == self.changed_at {
            return Look::Unchanged;
        }
        self.changed_at = changed_at;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) => return Look::Unusable(error.to_string()),
        };
        match Script::read(&name, &text, Limits::default()) {
            Ok(_) => Look::Usable,
            Err(fault) => Look::Unusable(fault.to_string()),
        }
    }
}

/// What a look at the file shows.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Unchanged,
    /// With what is wrong with it.
    Unusable(String),
    Usable,
}

fn changed_at(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|known| known.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use tempfile::TempDir;

    use super::*;

    /// Writes it as if so many seconds after the beginning, whatever the clock of the file system tells apart.
    fn write(folder: &TempDir, text: &str, second: u64) -> PathBuf {
        let file = folder.path().join("handler.js");
        std::fs::write(&file, text).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        File::options().write(true).open(&file).unwrap().set_modified(at).unwrap();
        file
    }

    #[test]
    fn a_change_is_followed_once_and_not_where_it_cannot_be_read() {
        let folder = TempDir::new().unwrap();
        let text = "function handler(webhook) { return webhook; }";
        let mut handler = Handler::of(&write(&folder, text, 1)).unwrap();
        assert_eq!(handler.look(), Look::Unchanged);

        write(&folder, "function handler(webhook) {\n  return webhook +; }", 2);
        let Look::Unusable(fault) = handler.look() else { panic!("it was used") };
        assert!(fault.contains("handler.js:2:"), "{fault}");
        assert_eq!(handler.look(), Look::Unchanged);

        write(&folder, text, 3);
        assert_eq!(handler.look(), Look::Usable);
        assert_eq!(handler.look(), Look::Unchanged);
    }

    #[test]
    fn a_file_that_is_away_for_a_moment_is_followed_when_it_is_back() {
        let folder = TempDir::new().unwrap();
        let text = "function handler(webhook) { return webhook; }";
        let file = write(&folder, text, 1);
        let mut handler = Handler::of(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(handler.look(), Look::Unchanged);
        write(&folder, text, 2);
        assert_eq!(handler.look(), Look::Usable);
    }
}
