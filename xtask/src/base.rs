//! An earlier state of this workspace, built beside it, to be measured against or upgraded from.
//!
//! Its files are a worktree below the cache, as are the binaries that are built of it: they come from the same compiler,
//! so that what differs is the code alone. Both are kept for the next time; worktrees of other revisions are removed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use end_to_end::{Narrate, processes, workspace};

/// The name of the newest release, whichever that is; no revision has it.
pub(crate) const NEWEST: &str = "";

const PREFIX: &str = "base-";

/// Which it is.
#[derive(Debug)]
pub(crate) struct Base {
    revision: String,
    commit: String,
    short: String,
}

/// It, built.
#[derive(Debug)]
pub(crate) struct Built {
    /// The revision as it was named, and which it is.
    pub(crate) name: String,
    /// Where its binaries lie.
    pub(crate) binaries: PathBuf,
}

impl Base {
    /// The one of this name.
    pub(crate) fn find(named: &str) -> Result<Self> {
        let tags = git(None, &["tag", "--list", "v*", "--sort=-creatordate"])?;
        let revision = chosen(named, &tags)?;
        let commit = format!("{revision}^{{commit}}");
        let commit = git(None, &["rev-parse", "--verify", "--end-of-options", &commit])
            .with_context(|| format!("{revision} is no revision of this repository"))?;
        let short = git(None, &["rev-parse", "--short=10", &commit])?;
        Ok(Self { revision: revision.to_owned(), commit, short })
    }

    /// Makes its files and its binaries, as far as they are not there; the build's log lies in `log`.
    pub(crate) fn build(&self, log: &Path, narrate: Narrate<'_>) -> Result<Built> {
        let Self { revision, commit, short } = self;
        let folder = workspace::cache().join("bench");
        std::fs::create_dir_all(&folder).context("making the folder of the base")?;
        let root = folder.join(format!("{PREFIX}{short}"));
        remove_others(&folder, &root)?;
        if !is_at(&root, commit) {
            narrate(&format!("making a worktree of {revision}"));
            make(&root, commit)?;
        }
        let target = folder.join("target");
        let binaries = processes::build_release_of(&root, &target, log, narrate)
            .with_context(|| format!("building {revision}"))?;
        Ok(Built { name: format!("{revision} ({short})"), binaries })
    }
}

/// What was named, or the newest release.
fn chosen<'a>(named: &'a str, tags: &'a str) -> Result<&'a str> {
    let named = Some(named).filter(|named| *named != NEWEST);
    named.or_else(|| tags.lines().next()).context(
        "there is no release yet (no tag v*): name a tag, a commit or a branch, such as HEAD~1",
    )
}

/// Whether the files of this commit lie there, untouched.
fn is_at(root: &Path, commit: &str) -> bool {
    let told = |arguments: &[&str]| git(Some(root), arguments).ok();
    root.join(".git").is_file()
        && told(&["rev-parse", "HEAD"]).as_deref() == Some(commit)
        && told(&["status", "--porcelain"]).as_deref() == Some("")
}

fn make(root: &Path, commit: &str) -> Result<()> {
    if root.exists() {
        remove(root)?;
    }
    let path = root.to_str().context("the path of the workspace is not UTF-8")?;
    // Even if git remembers one there whose folder somebody has deleted.
    git(None, &["worktree", "add", "--force", "--detach", path, commit]).map(drop)
}

fn remove_others(folder: &Path, kept: &Path) -> Result<()> {
    for entry in folder.read_dir().context("looking for other bases")? {
        let entry = entry.context("looking for other bases")?;
        let name = entry.file_name();
        if entry.path() != kept && name.to_string_lossy().starts_with(PREFIX) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(root: &Path) -> Result<()> {
    let path = root.to_str().context("the path of the workspace is not UTF-8")?;
    // What git does not know as a worktree is only a folder.
    if git(None, &["worktree", "remove", "--force", path]).is_err() {
        std::fs::remove_dir_all(root).with_context(|| format!("removing {path}"))?;
    }
    Ok(())
}

/// What git prints, without the end of the line.
fn git(folder: Option<&Path>, arguments: &[&str]) -> Result<String> {
    let root = workspace::root();
    let output = Command::new("git")
        .arg("-C")
        .arg(folder.unwrap_or(&root))
        .args(arguments)
        .output()
        .context("starting git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {}", arguments.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_goes_before_the_newest_release() {
        assert_eq!(chosen("HEAD~1", "v1.1.0\nv1.0.0").unwrap(), "HEAD~1");
        assert_eq!(chosen(NEWEST, "v1.1.0\nv1.0.0").unwrap(), "v1.1.0");
    }

    #[test]
    fn without_a_release_one_has_to_be_named() {
        let error = chosen(NEWEST, "").unwrap_err().to_string();
        assert!(error.contains("name a tag, a commit or a branch"), "{error}");
    }
}
