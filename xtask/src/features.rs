//! Whether the tests are built with the very crates that the binaries are built with.
//!
//! A feature that a dev-dependency adds to a crate changes whatever is built on that crate: nearly everything would be
//! built once for the binaries and once more for the tests.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use end_to_end::workspace;

use crate::display::say;

/// A crate with its features.
const FORMAT: &str = "{p} {f}";

/// # Errors
/// With the crates that would be built twice.
pub(crate) fn check() -> Result<()> {
    say("== features");
    let (binaries, tests) = (built_with("normal,build")?, built_with("normal,build,dev")?);
    let twice = changed(&binaries, &tests);
    ensure!(
        twice.is_empty(),
        "dev-dependencies add features to what the binaries are built with, so that it is built twice: {}",
        twice.join(", ")
    );
    Ok(())
}

fn built_with(edges: &str) -> Result<BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--workspace", "--locked", "--no-dedupe", "--prefix", "none"])
        .args(["--edges", edges, "--format", FORMAT])
        .current_dir(workspace::root())
        .output()
        .context("starting cargo tree")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo tree: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// The names of those that the tests are not built with as they are.
fn changed<'a>(binaries: &'a BTreeSet<String>, tests: &BTreeSet<String>) -> Vec<&'a str> {
    let changed = binaries.iter().filter(|line| !tests.contains(*line));
    changed.filter_map(|line| line.split_whitespace().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_with_more_features_in_tests_is_named() {
        let read = |lines: [&str; 2]| lines.map(str::to_owned).into_iter().collect();
        let binaries = read(["serde v1.0.0 std", "tokio v1.0.0 rt"]);
        let tests = read(["serde v1.0.0 std", "tokio v1.0.0 rt,test-util"]);
        assert_eq!(changed(&binaries, &tests), ["tokio"]);
        assert_eq!(changed(&binaries, &binaries), [""; 0]);
    }
}
