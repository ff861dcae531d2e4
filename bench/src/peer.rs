//! The peers: released libraries from Maven Central, with as little of our own around them as makes them do the job.
//!
//! Each is a Maven project in `bench/peers`. Its libraries and classes are kept beside the results, under a name that
//! changes with the project's files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use end_to_end::supervise::{Program, Supervised};
use end_to_end::{preflight, workspace};
use sha2::{Digest, Sha256};

use crate::ground::{Ground, say};

const FETCHED_WITHIN: Duration = Duration::from_mins(10);
const COMPILED_WITHIN: Duration = Duration::from_mins(3);
const JOINS_WITHIN: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(20);

/// One of the projects, ready to be started.
#[derive(Debug)]
pub(crate) struct Peer {
    name: &'static str,
    main_class: &'static str,
    built: PathBuf,
}

impl Peer {
    /// Fetches and compiles it, unless that was done before.
    pub(crate) fn build(name: &'static str, main_class: &'static str) -> Result<Self> {
        preflight::ensure(&[preflight::JAVA, preflight::JAVAC, preflight::MAVEN], &say)?;
        let project = workspace::root().join("bench").join("peers").join(name);
        let sources = sources(&project)?;
        let place = workspace::cache().join("bench").join("peers");
        let built = place.join(format!("{name}-{}", fingerprint(&project, &sources)?));
        if built.is_dir() {
            return Ok(Self { name, main_class, built });
        }
        let partial = place.join(format!("{name}-partial-{}", std::process::id()));
        std::fs::create_dir_all(&partial).context("making a folder for a peer")?;
        say(&format!("fetching and compiling {name}"));
        let log = partial.join("build.log");
        let maven = Program::new("mvn", &log)
            .arguments(["-B", "-q", "-f"])
            .arguments([project.join("pom.xml")])
            .arguments(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arguments([format!("-DoutputDirectory={}", partial.join("lib").display())]);
        run(&maven, FETCHED_WITHIN)?;
        let javac = Program::new("javac", &log)
            .arguments(["--release", "17", "-nowarn", "-cp"])
            .arguments([format!("{}/*", partial.join("lib").display())])
            .arguments(["-d".into(), partial.join("classes").into_os_string()])
            .arguments(sources);
        run(&javac, COMPILED_WITHIN)?;
        std::fs::rename(&partial, &built).context("keeping a peer")?;
        Ok(Self { name, main_class, built })
    }

    /// Starts it on the core that is measured, with these system properties. Its log is `<name>.log` in `folder`.
    pub(crate) fn start(
        &self,
        ground: &Ground,
        folder: &Path,
        (heap, settings): (&str, &[(&str, String)]),
    ) -> Result<Supervised> {
        let mut words: Vec<OsString> =
            vec!["java".into(), format!("-Xmx{heap}").into(), format!("-Xms{heap}").into()];
        words.extend(settings.iter().map(|(name, value)| format!("-D{name}={value}").into()));
        words.extend(["-cp".into(), self.classes().into(), self.main_class.into()]);
        ground.start(folder, self.name, words)
    }

    fn classes(&self) -> String {
        let Self { built, .. } = self;
        format!("{}:{}/*", built.join("classes").display(), built.join("lib").display())
    }
}

/// Waits until a program of the benchmark says that it has joined its group.
pub(crate) fn await_joined(process: &mut Supervised, name: &str) -> Result<()> {
    let deadline = Instant::now() + JOINS_WITHIN;
    while !process.last_words(1).contains("has joined") {
        let ended = process.ended().context("watching a program")?;
        ensure!(ended.is_none(), "{name} ended: {}", process.last_words(20));
        ensure!(Instant::now() < deadline, "{name} does not join: {}", process.last_words(20));
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn run(program: &Program, within: Duration) -> Result<()> {
    let mut running = program.start().context("starting a build")?;
    match running.wait(within).context("waiting for a build")? {
        Some(status) if status.success() => Ok(()),
        ended => bail!("building a peer: {ended:?}\n{}", running.last_words(20)),
    }
}

fn sources(project: &Path) -> Result<Vec<PathBuf>> {
    let folder = project.join("src").join("main").join("java");
    let entries = folder.read_dir().with_context(|| format!("reading {}", folder.display()))?;
    let mut sources = Vec::new();
    for entry in entries {
        sources.push(entry.context("reading a peer's sources")?.path());
    }
    ensure!(!sources.is_empty(), "a peer has no sources");
    sources.sort();
    Ok(sources)
}

fn fingerprint(project: &Path, sources: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in std::iter::once(&project.join("pom.xml")).chain(sources) {
        hash.update(std::fs::read(file).with_context(|| format!("reading {}", file.display()))?);
    }
    let digest = hash.finalize();
    Ok(hex::encode(&digest[..6]))
}
