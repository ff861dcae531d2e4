//! The lane of what takes its time: instances that come and go, a disk that is full, secrets that are replaced. One
//! after the other.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::ChaosError;
use super::diary::Diary;
use super::ground::WITH_A_SMALL_DISK;
use super::programme::{Ending, Fault, KNOWN_WITHIN, LAST_OLD, OVERLAP, Step};
use super::sudden::end_in_good_order;
use crate::keyring::{self, Keyring};
use crate::pipeline::{Beside, Prepared};
use crate::processes::{Binary, Process};
use crate::sign::Secrets;

/// A member joins while others are killed and the broker is away.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// Room for what a partition's store takes at first, and not for much more.
const SMALL_DISK: &str = "64m";
/// Of which so much is written at once to fill it.
static BALLAST: [u8; 65_536] = [0; 65_536];

/// What it works with.
#[derive(Debug)]
pub(super) struct Slow<'a> {
    pub(super) diary: &'a Diary<'a>,
    pub(super) beside: Beside,
    pub(super) keyring: &'a Keyring,
    /// Where the secrets of the sources are files.
    pub(super) secrets: &'a Path,
    /// Counts instances and secrets, so that no two share a name.
    pub(super) made: usize,
    pub(super) current: Secrets,
}

impl Slow<'_> {
    /// Carries out all of it, but for what would end after `until`.
    ///
    /// # Errors
    /// When an instance cannot be started, or a file not be written.
    pub(super) fn run(mut self, steps: &[Step], until: Duration) -> Result<(), ChaosError> {
        for step in steps {
            self.diary.sleep_until(step.at);
            if self.diary.elapsed() + step.lasts > until {
                break;
            }
            self.diary.begins(step.fault);
            self.made += 1;
            let ended = match step.fault {
                Fault::Join(binary, ending) => self.join(binary, ending, step.lasts)?,
                Fault::FillDisk => self.fill_disk(step.lasts)?,
                Fault::Rotate => self.rotate()?,
                // Of the other lane.
                Fault::Kill(_)
                | Fault::Broker(_)
                | Fault::Cut(_)
                | Fault::Delay(..)
                | Fault::Skew(_)
                | Fault::At(..) => Instant::now(),
            };
            self.diary.ended(step.fault, ended);
        }
        Ok(())
    }

    fn prepare(&self, binary: Binary) -> Result<Prepared, ChaosError> {
        Ok(self.beside.prepare(binary, &format!("{}-{}", binary.name(), self.made))?)
    }

    fn join(&self, binary: Binary, ending: Ending, lasts: Duration) -> Result<Instant, ChaosError> {
        let begun = Instant::now();
        let mut process = self.prepare(binary)?.start(&[])?;
        process.wait_until_ready(READY_WITHIN)?;
        std::thread::sleep(lasts.saturating_sub(begun.elapsed()));
        self.leave(&mut process, ending)
    }

    fn leave(&self, process: &mut Process, ending: Ending) -> Result<Instant, ChaosError> {
        let name = process.binary().name();
        if let Some(status) = process.ended()? {
            self.diary.wrong(format!("one more {name} ended by itself: {status}"));
        }
        let ended = Instant::now();
        match ending {
            Ending::InGoodOrder => end_in_good_order(process, self.diary)?,
            Ending::Killed => process.kill()?,
        }
        Ok(ended)
    }

    /// For half of the time the disk is full, and for the other half there is room again.
    fn fill_disk(&self, lasts: Duration) -> Result<Instant, ChaosError> {
        let io = |doing| move |source| ChaosError::Io { doing, source };
        let prepared = self.prepare(Binary::Transform)?;
        std::fs::create_dir_all(&prepared.state_dir).map_err(io("making a state folder"))?;
        let pid = prepared.state_dir.with_extension("pid");
        let size = OsString::from(SMALL_DISK);
        let own = [size, prepared.state_dir.clone().into(), pid.clone().into()];
        let under: Vec<OsString> = WITH_A_SMALL_DISK
            .iter()
            .map(OsString::from)
            .chain([OsString::from("small-disk")])
            .chain(own)
            .collect();
        let mut process = prepared.start(&under)?;
        process.wait_until_ready(READY_WITHIN)?;
        let pid = std::fs::read_to_string(&pid).map_err(io("reading the process id"))?;
        let disk = seen_by(pid.trim(), &prepared.state_dir);
        let ballast = disk.join("ballast");
        fill(&ballast).map_err(io("filling the disk"))?;
        self.diary.say("the disk of one more transform is full");
        std::thread::sleep(lasts / 2);
        std::fs::remove_file(&ballast).map_err(io("freeing the disk"))?;
        let ended = Instant::now();
        self.diary.say("the disk of one more transform has room again");
        std::thread::sleep(lasts / 2);
        self.leave(&mut process, Ending::InGoodOrder)?;
        Ok(ended)
    }

    fn rotate(&mut self) -> Result<Instant, ChaosError> {
        let (new, old) = (Secrets::named(&self.made.to_string()), self.current.clone());
        let write = |secrets: &[&Secrets]| {
            keyring::write(self.secrets, secrets)
                .map_err(|source| ChaosError::Io { doing: "writing the secrets", source })
        };
        write(&[&new, &old])?;
        std::thread::sleep(KNOWN_WITHIN);
        self.diary.say("webhooks are signed with old and new secrets");
        self.keyring.sign_with(&[&new, &old]);
        std::thread::sleep(OVERLAP);
        self.keyring.sign_with(&[&new]);
        std::thread::sleep(LAST_OLD);
        write(&[&new])?;
        let ended = Instant::now();
        std::thread::sleep(KNOWN_WITHIN);
        self.diary.say("the old secrets are valid no longer");
        self.keyring.retire(&old);
        self.current = new;
        Ok(ended)
    }
}

/// A path as a process sees it that has mounts of its own.
fn seen_by(pid: &str, path: &Path) -> PathBuf {
    let below = path.strip_prefix("/").unwrap_or(path);
    Path::new("/proc").join(pid).join("root").join(below)
}

/// Writes until there is no room.
fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    loop {
        match file.write_all(&BALLAST) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_below_the_root_of_a_process() {
        assert_eq!(seen_by("7", Path::new("/a/b")), Path::new("/proc/7/root/a/b"));
    }
}
