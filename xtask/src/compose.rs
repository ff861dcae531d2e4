//! docker-compose.yml: read by compose itself with each profile, held against compose's own schema, and every service
//! in it hardened, healthy or done, and reached from this machine alone.
//!
//! No daemon is needed for that. What the services are told (topics, environment) is held against the binaries in
//! `end-to-end/tests/compose.rs`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use end_to_end::compose::{self, Project, Service};
use end_to_end::workspace;

use crate::display::say;

/// Asked with each of these: no profile, each alone, all.
const PROFILES: [&[&str]; 5] = [&[], &["registry"], &["observability"], &["ui"], &["*"]];

/// It writes its configuration beside its programs.
const WRITES: [&str; 1] = ["kafka"];

pub(crate) fn check() -> Result<()> {
    say("== docker-compose.yml");
    let file = workspace::root().join(compose::FILE);
    for profiles in PROFILES {
        let project = compose::read(&file, profiles, &|news| say(news))?;
        let found = faults(&project);
        ensure!(found.is_empty(), "with the profiles {profiles:?}: {}", found.join("; "));
    }
    compose::validate(&file, &|news| say(news))?;
    planted(&file)
}

/// Everything about the services that is not as it should be.
fn faults(project: &Project) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, service) in &project.services {
        let mut wrong = |what: &str| faults.push(format!("{name} {what}"));
        if service.cap_drop != ["ALL"] {
            wrong("keeps capabilities");
        }
        if service.security_opt != ["no-new-privileges:true"] {
            wrong("may gain privileges");
        }
        if service.read_only == WRITES.contains(&name.as_str()) {
            wrong("is not read-only, or is so needlessly by the list of those that write");
        }
        if service.ports.iter().any(|port| port.host_ip != "127.0.0.1") {
            wrong("is reached from other machines");
        }
        if service.healthcheck.is_none() && !is_job(service) {
            wrong("has no health check");
        }
        if service.image.ends_with(":latest") || !service.image.contains(':') {
            wrong("has no pinned tag");
        }
    }
    faults
}

/// Ends by itself.
fn is_job(service: &Service) -> bool {
    service.command.as_deref() == Some(&["setup".to_owned()])
}

/// A mistyped key is found by compose and by its schema; a service that is open to the network is found here.
fn planted(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).context("reading docker-compose.yml")?;
    let folder = workspace::fresh_run_folder("planted-compose").context("making a folder")?;
    let planted = folder.join(compose::FILE);
    let plant = |from: &str, to: &str| {
        ensure!(text.contains(from), "`{from}` is not there to be spoilt");
        std::fs::write(&planted, text.replacen(from, to, 1)).context("planting a fault")
    };
    plant("depends_on:", "depend_on:")?;
    ensure!(compose::read(&planted, &[], &|_| ()).is_err(), "compose takes a mistyped key");
    ensure!(compose::validate(&planted, &|_| ()).is_err(), "the schema takes a mistyped key");
    plant("\"127.0.0.1:${INGEST_PORT", "\"${INGEST_PORT")?;
    let found = faults(&compose::read(&planted, &[], &|_| ())?);
    ensure!(found == ["ingest is reached from other machines"], "a planted fault: {found:?}");
    std::fs::remove_dir_all(&folder).context("removing a planted fault")
}
