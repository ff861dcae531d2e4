//! Kafka from its released artefacts on Maven Central, run by Java.
//!
//! The files go to the workspace's cache and are believed only when the fetch was complete: they are fetched into a
//! folder of another name, which is renamed at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{BrokerError, KAFKA_VERSION, io, settings};
use crate::supervise::Program;
use crate::{Narrate, preflight, workspace};

/// What Kafka 4.3.1 is released with; its own POM does not bring it.
const LOGGING_BRIDGE_VERSION: &str = "2.25.4";
const OLDEST_JAVA: u32 = 17;
const POLL: Duration = Duration::from_millis(300);

const LOGGING: &str = r#"<Configuration status="ERROR">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1}: %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"#;

/// Fetches (once), configures and formats; what is returned starts the broker.
pub(super) fn prepare(
    node: settings::Node,
    data: &Path,
    log: &Path,
    narrate: Narrate<'_>,
) -> Result<Program, BrokerError> {
    preflight::ensure(&[preflight::JAVA], narrate)?;
    check_java()?;
    let classes = classes(narrate)?;
    let configuration = data.join("server.properties");
    std::fs::write(&configuration, settings::properties(node, &data.join("log")))
        .map_err(io("writing server.properties"))?;
    let logging = data.join("log4j2.xml");
    std::fs::write(&logging, LOGGING).map_err(io("writing log4j2.xml"))?;
    let java = |main_class: &str| {
        let arguments = [
            "-Xmx512m".to_owned(),
            format!("-Dlog4j2.configurationFile={}", logging.display()),
            "-cp".to_owned(),
            format!("{}/*", classes.display()),
            main_class.to_owned(),
        ];
        Program::new("java", log).arguments(arguments)
    };
    format(&java("kafka.tools.StorageTool"), &configuration)?;
    let farewell = format!("rm -rf '{}'", data.display());
    Ok(java("kafka.Kafka").arguments([&configuration]).farewell(farewell))
}

fn format(storage_tool: &Program, configuration: &Path) -> Result<(), BrokerError> {
    let mut running = storage_tool
        .clone()
        .arguments(["format", "--cluster-id", "dHJpYnV0YXJ5LWxvY2FsMQ", "--config"])
        .arguments([configuration])
        .start()
        .map_err(io("starting kafka.tools.StorageTool"))?;
    let ended = running.wait(Duration::from_mins(1)).map_err(io("formatting the storage"))?;
    if ended.is_some_and(|status| status.success()) {
        return Ok(());
    }
    let output = running.last_words(15);
    Err(BrokerError::Command { doing: "formatting the broker's storage", output })
}

/// The folder that holds Kafka's classes, fetched if it is not there yet.
fn classes(narrate: Narrate<'_>) -> Result<PathBuf, BrokerError> {
    let cache = workspace::cache();
    let fetched = cache.join(format!("kafka-{KAFKA_VERSION}"));
    if fetched.is_dir() {
        return Ok(fetched);
    }
    preflight::ensure(&[preflight::MAVEN], narrate)?;
    std::fs::create_dir_all(&cache).map_err(io("creating the cache folder"))?;
    let partial = tempfile::Builder::new()
        .prefix("fetching-kafka-")
        .tempdir_in(&cache)
        .map_err(io("creating a folder to fetch into"))?;
    fetch(partial.path(), narrate)?;
    match std::fs::rename(partial.path().join("lib"), &fetched) {
        Ok(()) => Ok(fetched),
        // Somebody else was faster; both are complete.
        Err(_) if fetched.is_dir() => Ok(fetched),
        Err(source) => Err(BrokerError::Io { doing: "keeping the fetched Kafka", source }),
    }
}

fn fetch(folder: &Path, narrate: Narrate<'_>) -> Result<(), BrokerError> {
    std::fs::write(folder.join("pom.xml"), pom()).map_err(io("writing the pom"))?;
    let mut maven = Program::new("mvn", folder.join("maven.log"))
        .arguments(["-B", "-q", "-f"])
        .arguments([folder.join("pom.xml")])
        .arguments(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arguments([format!("-DoutputDirectory={}", folder.join("lib").display())])
        .start()
        .map_err(io("starting mvn"))?;
    loop {
        let ended = maven.wait(POLL).map_err(io("waiting for mvn"))?;
        let (files, bytes) = holdings(&folder.join("lib"));
        narrate(&format!(
            "fetching Apache Kafka {KAFKA_VERSION}: {files} files, {} MB",
            bytes / 1_000_000
        ));
        match ended {
            None => {}
            Some(status) if status.success() => return Ok(()),
            Some(_) => {
                let output = maven.last_words(15);
                return Err(BrokerError::Command { doing: "fetching Kafka with mvn", output });
            }
        }
    }
}

fn holdings(folder: &Path) -> (usize, u64) {
    let sizes: Vec<u64> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .collect();
    (sizes.len(), sizes.iter().sum())
}

fn pom() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>\n"
        )
    };
    let dependencies = [
        dependency("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
        dependency("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
        dependency("org.apache.logging.log4j", "log4j-slf4j-impl", LOGGING_BRIDGE_VERSION),
    ]
    .concat();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>local</groupId><artifactId>kafka</artifactId><version>1</version>\
         <packaging>pom</packaging>\n<dependencies>\n{dependencies}</dependencies>\n</project>\n"
    )
}

fn check_java() -> Result<(), BrokerError> {
    let output = Command::new("java")
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .map_err(io("asking java for its version"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    match major_version(&text) {
        Some(major) if major < OLDEST_JAVA => {
            Err(BrokerError::JavaTooOld { found: major.to_string() })
        }
        // A runtime that words it differently is tried: the broker's own log says if it cannot.
        _ => Ok(()),
    }
}

/// `openjdk version "17.0.15" 2025-04-15`; up to Java 8 it was `"1.8.0_402"`.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    let version = version.strip_prefix("1.").unwrap_or(version);
    version.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_of_old_and_new_java() {
        assert_eq!(major_version("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(major_version("java version \"1.8.0_402\""), Some(8));
        assert_eq!(major_version("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(major_version("command not found"), None);
    }

    #[test]
    fn fetches_server_and_tools_at_one_version() {
        assert_eq!(pom().matches(&format!("<version>{KAFKA_VERSION}</version>")).count(), 2);
    }
}
