//! Kafka as the `apache/kafka` image, where a Docker daemon answers.
//!
//! The container is created once and started in the foreground as often as asked, so that a restart keeps its data;
//! it is removed when the starter is gone.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{BrokerError, KAFKA_VERSION, io, settings};
use crate::Narrate;
use crate::supervise::{Program, Signal};

/// Whether there is a daemon, not merely a client.
pub(super) fn daemon_answers() -> bool {
    Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A created container. Signals to the attached client would end the client alone, so it is ended through the daemon.
#[derive(Debug)]
pub(super) struct Container {
    name: String,
}

impl Container {
    /// Passes the signal to the broker inside; the attached client then ends as well.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), BrokerError> {
        let arguments: &[&str] = match signal {
            Signal::Terminate => &["stop", "--time", "20"],
            Signal::Kill => &["kill"],
            Signal::Stop => &["pause"],
            Signal::Continue => &["unpause"],
        };
        docker(arguments.iter().map(|&word| word.to_owned()).chain([self.name.clone()]))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // One that was stopped or killed has nobody left to remove it; where it is gone already this fails, rightly.
        drop(docker(["rm", "-f", &self.name].map(str::to_owned)));
    }
}

/// Creates the container; the program that is returned starts it.
pub(super) fn prepare(
    node: &settings::Node,
    log: &Path,
    narrate: Narrate<'_>,
) -> Result<(Program, Container), BrokerError> {
    narrate(&format!("creating a container of apache/kafka:{KAFKA_VERSION}"));
    let name = format!("tributary-kafka-{}-{}", std::process::id(), node.port);
    docker(create(node, &name))?;
    let program = Program::new("docker", log)
        .arguments(["start", "--attach", "--sig-proxy=false", &name])
        .farewell(format!("docker rm -f {name}"));
    Ok((program, Container { name }))
}

fn docker(arguments: impl IntoIterator<Item = String>) -> Result<(), BrokerError> {
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(io("running docker"))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(BrokerError::Command { doing: "a docker command", output })
}

fn create(node: &settings::Node, name: &str) -> Vec<String> {
    let mut arguments: Vec<String> = ["create", "--name", name].map(str::to_owned).to_vec();
    for port in
        [Some(node.port), node.proxied.as_ref().map(|proxied| proxied.port)].into_iter().flatten()
    {
        arguments.extend(["-p".to_owned(), format!("127.0.0.1:{port}:{port}")]);
    }
    for (variable, value) in settings::environment(node) {
        arguments.extend(["-e".to_owned(), format!("{variable}={value}")]);
    }
    arguments.extend(["-e".to_owned(), "KAFKA_HEAP_OPTS=-Xmx512m".to_owned()]);
    arguments.push(format!("apache/kafka:{KAFKA_VERSION}"));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_is_reached_from_this_machine_only() {
        let (proxied, guarded) = (None, None);
        let controllers = vec![20_001];
        let roles = settings::Roles::Both;
        let node = settings::Node { place: 0, controllers, port: 9092, proxied, guarded, roles };
        let arguments = create(&node, "k");
        let publish = arguments.iter().position(|argument| argument == "-p").expect("published");
        assert_eq!(arguments[publish + 1], "127.0.0.1:9092:9092");
        assert_eq!(arguments.last().map(String::as_str), Some("apache/kafka:4.3.1"));
    }
}
