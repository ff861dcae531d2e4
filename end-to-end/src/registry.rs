//! A real schema registry (Apicurio, in memory) with Confluent's API.
//!
//! It runs in the foreground of a [`Supervised`] process and is gone with the process that started it. What was
//! registered is gone whenever it ends, so that a restarted one is also a registry that was reset.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::java::{self, Artefact, Content, JavaError, Release};
use crate::supervise::{Program, Signal, Supervised};
use crate::{Narrate, http, ports};

/// The release that is started.
pub const APICURIO_VERSION: &str = "2.6.13.Final";
const RUNNER: &str = "apicurio-registry-app-2.6.13.Final-runner.jar";
const APICURIO: Release = Release {
    product: "Apicurio Registry",
    folder: "apicurio-registry-2.6.13.Final",
    content: Content::Archive(
        Artefact { group: "io.apicurio", name: "apicurio-registry-app", version: APICURIO_VERSION },
        "all",
    ),
};

/// Where Apicurio serves Confluent's API.
pub const API: &str = "/apis/ccompat/v7";
const READY_WITHIN: Duration = Duration::from_secs(90);
const STOPS_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// Why there is no registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Java(#[from] JavaError),
    #[error("{doing} failed")]
    Io { doing: &'static str, source: std::io::Error },
    #[error("the schema registry ended while starting:\n{log}")]
    EndedAtStart { log: String },
    #[error("no answer from the schema registry within {} s:\n{log}", READY_WITHIN.as_secs())]
    NotReady { log: String },
}

/// A schema registry that answers. Dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    port: u16,
    program: Program,
    running: Option<Supervised>,
}

impl Registry {
    /// Obtains and starts a registry that wants every new version of a subject to be readable by the one before it
    /// and the other way round, and waits until it answers. Its log is `registry.log` in `folder`.
    ///
    /// # Errors
    /// See [`RegistryError`]; what is missing on the machine is named with the command that installs it.
    pub fn start(folder: &Path, narrate: Narrate<'_>) -> Result<Self, RegistryError> {
        let files = java::ready(&APICURIO, narrate)?;
        let port = ports::free().map_err(io("choosing a port"))?;
        let program = program(&files, port, folder.join("registry.log"));
        narrate(&format!("starting {} on port {port}", APICURIO.product));
        let mut registry = Self { port, program, running: None };
        registry.start_again()?;
        Ok(registry)
    }

    /// The address in front of `/subjects`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.port)
    }

    /// Starts it again after [`Registry::stop`], at the same address, with nothing registered.
    ///
    /// # Errors
    /// As at the first start.
    pub fn start_again(&mut self) -> Result<(), RegistryError> {
        let running = self.program.start().map_err(io("starting the schema registry"))?;
        let running = self.running.insert(running);
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if http::get(self.port, &format!("{API}/subjects")).is_ok_and(|(code, _)| code == 200) {
                return Ok(());
            }
            if running.ended().map_err(io("watching the schema registry"))?.is_some() {
                return Err(RegistryError::EndedAtStart { log: running.last_words(15) });
            }
            if Instant::now() >= deadline {
                return Err(RegistryError::NotReady { log: running.last_words(15) });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Lets it hang: who connects gets no answer.
    pub fn freeze(&mut self) {
        self.signal(Signal::Stop);
    }

    /// Lets it answer again, also what it was asked while it hung.
    pub fn thaw(&mut self) {
        self.signal(Signal::Continue);
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(running) = &mut self.running {
            running.signal(signal);
        }
    }

    /// Ends it; what was registered is lost.
    ///
    /// # Errors
    /// When its end cannot be waited for.
    pub fn stop(&mut self) -> Result<(), RegistryError> {
        if let Some(mut running) = self.running.take() {
            running.signal(Signal::Terminate);
            running.wait(STOPS_WITHIN).map_err(io("waiting for the schema registry's end"))?;
        }
        Ok(())
    }
}

fn program(files: &Path, port: u16, log: PathBuf) -> Program {
    Program::new("java", log)
        .arguments([
            "-Xmx256m".to_owned(),
            // Soon there, at half the processor time.
            "-XX:TieredStopAtLevel=1".to_owned(),
            "-XX:+UseSerialGC".to_owned(),
            "-Dquarkus.http.host=127.0.0.1".to_owned(),
            format!("-Dquarkus.http.port={port}"),
            "-Dregistry.rules.global.compatibility=FULL".to_owned(),
            "-jar".to_owned(),
        ])
        .arguments([files.join(RUNNER)])
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> RegistryError {
    move |source| RegistryError::Io { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_reaches_it() {
        let program = program(Path::new("files"), 20_001, PathBuf::from("log"));
        assert!(program.arguments.contains(&"-Dquarkus.http.host=127.0.0.1".into()));
        assert_eq!(program.arguments.last(), Some(&Path::new("files").join(RUNNER).into()));
    }
}
