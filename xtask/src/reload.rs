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
        let changed_at = changed_at(&self.file);
        if changed_at == self.changed_at {
            return Ok(());
        }
        self.changed_at = changed_at;
        let shown = self.file.display();
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let name = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Err(fault) = Script::read(&name, &text, Limits::default()) {
            say(&format!("{shown} is not used: {fault}"));
            return Ok(());
        }
        deliver.terminate(stops_within)?;
        deliver.start_again()?;
        deliver.wait_until_ready(READY_WITHIN)?;
        say(&format!("{shown} is in use"));
        Ok(())
    }
}

fn changed_at(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|known| known.modified()).ok()
}
