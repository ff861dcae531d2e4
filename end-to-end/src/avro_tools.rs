//! Apache Avro's own command-line tools, in Java: what they make of a value is what consumers in Java see.

use std::path::PathBuf;
use std::process::Command;

use crate::Narrate;
use crate::java::{self, Artefact, Content, JavaError, Release};

const AVRO_TOOLS: Release = Release {
    product: "Apache Avro's tools",
    folder: "avro-tools-1.12.0",
    content: Content::Jar(Artefact {
        group: "org.apache.avro",
        name: "avro-tools",
        version: "1.12.0",
    }),
};

/// Fetches them (once); the command that runs them, without what they are to do.
///
/// # Errors
/// When there is no Java 17 or the files cannot be fetched.
pub fn command(narrate: Narrate<'_>) -> Result<Command, JavaError> {
    let folder: PathBuf = java::ready(&AVRO_TOOLS, narrate)?;
    let mut command = Command::new("java");
    command.arg("-jar").arg(folder.join("avro-tools-1.12.0.jar"));
    Ok(command)
}
