//! Where things lie: the workspace, its cache of fetched tools, and a folder per run.

use std::path::{Path, PathBuf};

/// The top folder of the workspace this crate was built in.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// What may be kept between runs: the broker's files, tools, logs of past runs. Git ignores it, and deleting it
/// costs only time.
pub fn cache() -> PathBuf {
    root().join(".tributary")
}

/// An empty folder for the logs and state of one run; what a run of the same name left there before is removed.
///
/// # Errors
/// When the folder cannot be emptied or created.
pub fn fresh_run_folder(name: &str) -> std::io::Result<PathBuf> {
    let folder = cache().join("runs").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
