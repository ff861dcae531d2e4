//! Released Java programs from Maven Central: which Java runs them, and where their files are.
//!
//! The files go to the workspace's cache and are believed only when the fetch was complete: they are fetched into a
//! folder of another name, which is renamed at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::preflight::PreflightError;
use crate::supervise::Program;
use crate::{Narrate, preflight, workspace};

const OLDEST_JAVA: u32 = 17;
/// Without what it depends on.
const ALONE: &str = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>";
const POLL: Duration = Duration::from_millis(300);

/// Why a Java program cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum JavaError {
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error(
        "Java 17 or newer is needed, found {found}; install with: sudo apt-get install -y openjdk-17-jre-headless"
    )]
    TooOld { found: String },
    #[error("{doing} failed")]
    Io { doing: &'static str, source: std::io::Error },
    #[error("fetching {product} with mvn failed:\n{output}")]
    Fetch { product: &'static str, output: String },
}

/// One artefact as Maven knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Artefact {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

/// What a release consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    /// These and all they depend on, as jars in one folder.
    Jars(&'static [Artefact]),
    /// One jar that holds everything.
    Jar(Artefact),
    /// One `tar.gz` of this classifier that holds everything, unpacked.
    Archive(Artefact, &'static str),
}

/// A program as it was released.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Release {
    /// For people.
    pub(crate) product: &'static str,
    /// Its folder in the cache, which must name the version.
    pub(crate) folder: &'static str,
    pub(crate) content: Content,
}

/// Makes sure of Java and of the files; gives the folder that holds them.
pub(crate) fn ready(release: &Release, narrate: Narrate<'_>) -> Result<PathBuf, JavaError> {
    preflight::ensure(&[preflight::JAVA], narrate)?;
    check_java()?;
    let cache = workspace::cache();
    let fetched = cache.join(release.folder);
    if fetched.is_dir() {
        return Ok(fetched);
    }
    preflight::ensure(&[preflight::MAVEN], narrate)?;
    std::fs::create_dir_all(&cache).map_err(io("creating the cache folder"))?;
    let partial = tempfile::Builder::new()
        .prefix("fetching-")
        .tempdir_in(&cache)
        .map_err(io("creating a folder to fetch into"))?;
    fetch(release, partial.path(), narrate)?;
    match std::fs::rename(partial.path().join("files"), &fetched) {
        Ok(()) => Ok(fetched),
        // Somebody else was faster; both are complete.
        Err(_) if fetched.is_dir() => Ok(fetched),
        Err(source) => Err(JavaError::Io { doing: "keeping what was fetched", source }),
    }
}

fn fetch(release: &Release, folder: &Path, narrate: Narrate<'_>) -> Result<(), JavaError> {
    let files = folder.join("files");
    std::fs::write(folder.join("pom.xml"), pom(release)).map_err(io("writing the pom"))?;
    let goal = match release.content {
        Content::Jars(_) | Content::Jar(_) => "dependency:copy-dependencies",
        Content::Archive(..) => "dependency:unpack-dependencies",
    };
    let mut maven = Program::new("mvn", folder.join("maven.log"))
        .arguments(["-B", "-q", "-f"])
        .arguments([folder.join("pom.xml")])
        .arguments([goal, "-DincludeScope=runtime"])
        .arguments([format!("-DoutputDirectory={}", files.display())])
        .start()
        .map_err(io("starting mvn"))?;
    loop {
        let ended = maven.wait(POLL).map_err(io("waiting for mvn"))?;
        let (count, bytes) = holdings(&files);
        let megabytes = bytes / 1_000_000;
        narrate(&format!("fetching {}: {count} files, {megabytes} MB", release.product));
        match ended {
            None => {}
            Some(status) if status.success() => return Ok(()),
            Some(_) => {
                let output = maven.last_words(15);
                return Err(JavaError::Fetch { product: release.product, output });
            }
        }
    }
}

/// Files and bytes in a folder and those below it; nothing yet counts as nothing.
fn holdings(folder: &Path) -> (usize, u64) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.fold((0, 0), |(count, bytes), entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            let (inner_count, inner_bytes) = holdings(&entry.path());
            (count + inner_count, bytes + inner_bytes)
        }
        Ok(metadata) => (count + 1, bytes + metadata.len()),
        Err(_) => (count, bytes),
    })
}

fn pom(release: &Release) -> String {
    let dependency = |artefact: &Artefact, more: &str| {
        let Artefact { group, name, version } = artefact;
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>\
             <version>{version}</version>{more}</dependency>\n"
        )
    };
    let dependencies = match release.content {
        Content::Jars(artefacts) => {
            artefacts.iter().map(|artefact| dependency(artefact, "")).collect::<String>()
        }
        Content::Jar(artefact) => dependency(&artefact, ALONE),
        Content::Archive(artefact, classifier) => dependency(
            &artefact,
            &format!("<classifier>{classifier}</classifier><type>tar.gz</type>{ALONE}"),
        ),
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>local</groupId><artifactId>fetched</artifactId><version>1</version>\
         <packaging>pom</packaging>\n<dependencies>\n{dependencies}</dependencies>\n</project>\n"
    )
}

fn check_java() -> Result<(), JavaError> {
    let output = Command::new("java")
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .map_err(io("asking java for its version"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    match major_version(&text) {
        Some(major) if major < OLDEST_JAVA => Err(JavaError::TooOld { found: major.to_string() }),
        // A runtime that words it differently is tried: the program's own log says if it cannot.
        _ => Ok(()),
    }
}

/// `openjdk version "17.0.15" 2025-04-15`; up to Java 8 it was `"1.8.0_402"`.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    let version = version.strip_prefix("1.").unwrap_or(version);
    version.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> JavaError {
    move |source| JavaError::Io { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARTEFACT: Artefact = Artefact { group: "g", name: "n", version: "1.2" };

    #[test]
    fn reads_the_version_of_old_and_new_java() {
        assert_eq!(major_version("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(major_version("java version \"1.8.0_402\""), Some(8));
        assert_eq!(major_version("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(major_version("command not found"), None);
    }

    #[test]
    fn an_archive_brings_everything_itself_and_jars_bring_what_they_depend_on() {
        let release = |content| Release { product: "P", folder: "p-1.2", content };
        let archive = pom(&release(Content::Archive(ARTEFACT, "all")));
        assert!(archive.contains("<classifier>all</classifier>"));
        assert!(archive.contains("<exclusion>"));
        let jars = pom(&release(Content::Jars(&[ARTEFACT, ARTEFACT])));
        assert_eq!(jars.matches("<version>1.2</version>").count(), 2);
        assert!(!jars.contains("<exclusion>"));
    }

    #[test]
    fn counts_what_lies_in_folders_below_too() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("lib")).expect("a folder below");
        std::fs::write(folder.path().join("a"), "12").expect("a file");
        std::fs::write(folder.path().join("lib/b"), "345").expect("a file below");
        assert_eq!(holdings(folder.path()), (2, 5));
        assert_eq!(holdings(&folder.path().join("none")), (0, 0));
    }
}
