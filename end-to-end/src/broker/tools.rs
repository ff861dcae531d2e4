//! Kafka's own command-line tools, as an operator uses them.

use std::process::{Command, Stdio};

use super::{BrokerError, io, maven};

/// One of them, by the name of its script in Kafka's `bin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `kafka-topics.sh`
    Topics,
    /// `kafka-consumer-groups.sh`
    ConsumerGroups,
    /// `kafka-configs.sh`
    Configs,
}

impl Tool {
    fn main_class(self) -> &'static str {
        match self {
            Self::Topics => "org.apache.kafka.tools.TopicCommand",
            Self::ConsumerGroups => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            Self::Configs => "kafka.admin.ConfigCommand",
        }
    }
}

/// Runs it against the broker at `address`; what it prints.
pub(super) fn run(tool: Tool, address: &str, arguments: &[&str]) -> Result<String, BrokerError> {
    let classes = maven::classes(&|_| ())?;
    let output = Command::new("java")
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(format!("{}/*", classes.display()))
        .arg(tool.main_class())
        .args(["--bootstrap-server", address])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(io("running one of Kafka's tools"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let output = said + &String::from_utf8_lossy(&output.stderr);
    Err(BrokerError::Command { doing: "running one of Kafka's tools", output })
}
