//! Kafka from its released artefacts on Maven Central, run by Java.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::guard::Guard;
use super::settings::Roles;
use super::{BrokerError, KAFKA_VERSION, io, settings};
use crate::Narrate;
use crate::java::{self, Artefact, Content, JavaError, Release};
use crate::supervise::Program;

const KAFKA: Release = Release {
    product: "Apache Kafka",
    folder: "kafka-4.3.1",
    content: Content::Jars(&[
        Artefact { group: "org.apache.kafka", name: "kafka_2.13", version: KAFKA_VERSION },
        Artefact { group: "org.apache.kafka", name: "kafka-tools", version: KAFKA_VERSION },
        // What Kafka 4.3.1 is released with; its own POM does not bring it.
        Artefact { group: "org.apache.logging.log4j", name: "log4j-slf4j-impl", version: "2.25.4" },
    ]),
};

/// For what is soon over or one of several on this machine: half the processor time until it is there.
const SOON_THERE: [&str; 2] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

const LOGGING: &str = r#"<Configuration status="ERROR">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1}: %m%n"/></Console></Appenders>
  <Loggers>
    <Logger name="kafka.authorizer.logger" level="INFO"/>
    <Root level="WARN"><AppenderRef ref="out"/></Root>
  </Loggers>
</Configuration>
"#;

/// Where the jars are; fetches them once.
pub(super) fn classes(narrate: Narrate<'_>) -> Result<PathBuf, JavaError> {
    java::ready(&KAFKA, narrate)
}

/// Fetches (once), configures and formats; what is returned starts the broker.
pub(super) fn prepare(
    node: &settings::Node,
    guard: Option<&Guard>,
    (data, log): (&Path, &Path),
    narrate: Narrate<'_>,
) -> Result<Program, BrokerError> {
    let classes = classes(narrate)?;
    let configuration = data.join("server.properties");
    let guarded = guard.map(Guard::properties).unwrap_or_default();
    std::fs::write(&configuration, settings::properties(node, &data.join("log")) + &guarded)
        .map_err(io("writing server.properties"))?;
    let logging = data.join("log4j2.xml");
    std::fs::write(&logging, LOGGING).map_err(io("writing log4j2.xml"))?;
    let java = |main_class: &str, options: &[&str]| {
        let arguments = [
            "-Xmx512m".to_owned(),
            format!("-Dlog4j2.configurationFile={}", logging.display()),
            "-cp".to_owned(),
            format!("{}/*", classes.display()),
            main_class.to_owned(),
        ];
        Program::new("java", log).arguments(options).arguments(arguments)
    };
    let users = guard.map(Guard::format_arguments).unwrap_or_default();
    // Not in the log: what it says of users is how to be taken for them.
    let formats =
        Program { log: data.join("format.log"), ..java("kafka.tools.StorageTool", &SOON_THERE) };
    format(&formats, &configuration, users)?;
    let farewell = format!("rm -rf '{}'", data.display());
    let is_alone = node.roles == Roles::Both && node.controllers.len() == 1;
    let options: &[&str] = if is_alone { &[] } else { &SOON_THERE };
    Ok(java("kafka.Kafka", options).arguments([&configuration]).farewell(farewell))
}

fn format(
    storage_tool: &Program,
    configuration: &Path,
    users: Vec<String>,
) -> Result<(), BrokerError> {
    let mut running = storage_tool
        .clone()
        .arguments(["format", "--cluster-id", "dHJpYnV0YXJ5LWxvY2FsMQ", "--config"])
        .arguments([configuration])
        .arguments(users)
        .start()
        .map_err(io("starting kafka.tools.StorageTool"))?;
    let ended = running.wait(Duration::from_mins(1)).map_err(io("formatting the storage"))?;
    if ended.is_some_and(|status| status.success()) {
        return Ok(());
    }
    let output = running.last_words(15);
    Err(BrokerError::Command { doing: "formatting the broker's storage", output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cached_files_are_those_of_the_version() {
        assert_eq!(KAFKA.folder, format!("kafka-{KAFKA_VERSION}"));
    }
}
