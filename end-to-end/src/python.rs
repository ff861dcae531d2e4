//! Released Python packages: a virtual environment per set of packages, in the workspace's cache.
//!
//! As with [`java`](crate::java), an environment is believed only when the fetch was complete: it is made in a folder
//! of another name, which is renamed at the end. Scripts that pip writes would remember that other folder, so call
//! modules by `bin/python`, or programs that are no scripts.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::preflight::PreflightError;
use crate::{Narrate, preflight, workspace};

/// Why there is no such environment.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error("{doing} failed")]
    Io { doing: &'static str, source: std::io::Error },
    #[error("{doing} failed:\n{output}")]
    Fetch { doing: String, output: String },
}

/// The folder of a virtual environment with these packages (`name==version`), fetched the first time.
///
/// # Errors
/// When Python is missing, or the packages cannot be fetched.
pub fn environment(packages: &[&str], narrate: Narrate<'_>) -> Result<PathBuf, PythonError> {
    let cache = workspace::cache();
    let fetched = cache.join(folder_name(packages));
    if fetched.is_dir() {
        return Ok(fetched);
    }
    preflight::ensure(&[preflight::PYTHON], narrate)?;
    std::fs::create_dir_all(&cache).map_err(io("creating the cache folder"))?;
    let partial = tempfile::Builder::new()
        .prefix("fetching-")
        .tempdir_in(&cache)
        .map_err(io("creating a folder to fetch into"))?;
    let environment = partial.path().join("environment");
    let list = packages.join(", ");
    narrate(&format!("fetching {list}"));
    let venv = [OsStr::new("-m"), OsStr::new("venv"), environment.as_os_str()];
    run(Path::new("python3"), &venv, "making a virtual environment")?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let install: Vec<_> = install.iter().chain(packages).map(OsStr::new).collect();
    run(&interpreter(&environment), &install, &format!("installing {list}"))?;
    match std::fs::rename(&environment, &fetched) {
        Ok(()) => Ok(fetched),
        // Somebody else was faster; both are complete.
        Err(_) if fetched.is_dir() => Ok(fetched),
        Err(source) => Err(PythonError::Io { doing: "keeping what was fetched", source }),
    }
}

/// The interpreter of an environment, which finds the packages in it.
pub fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin").join("python")
}

/// Names the versions, so that another version is another environment.
fn folder_name(packages: &[&str]) -> String {
    format!("python-{}", packages.join("-").replace("==", "-"))
}

fn run(program: &Path, arguments: &[&OsStr], doing: &str) -> Result<(), PythonError> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(io("starting python"))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(PythonError::Fetch { doing: doing.to_owned(), output })
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> PythonError {
    move |source| PythonError::Io { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_another_environment() {
        assert_eq!(folder_name(&["one==1.2", "two==3"]), "python-one-1.2-two-3");
    }
}
