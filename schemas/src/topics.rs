//! The topic catalogue, read from `topics.toml` at build time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

/// Bytes a message may be larger than the largest webhook body: key, headers and framing.
pub const MESSAGE_OVERHEAD: usize = 64 * 1024;

const CATALOGUE: &str = include_str!("../topics.toml");

/// A topic of the catalogue, by what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Webhooks as received.
    Raw,
    /// Lifecycle events.
    Events,
    /// What `transform` knows of each subscriber.
    State,
    /// Who a record without a subscriber belongs to.
    Links,
    /// Dead letters of `transform`.
    Unprocessable,
    /// Events that wait for their turn at a destination.
    Retry(String),
    /// Dead letters of a destination.
    Dead(String),
    /// What a destination in shadow would have been sent.
    Shadow(String),
    /// What the instances tell each other of a destination that asked to be left alone.
    Waits(String),
}

impl Topic {
    /// The name on a cluster where this installation's topics start with `prefix` (may be empty).
    pub fn name(&self, prefix: &str) -> String {
        match self {
            Self::Raw => format!("{prefix}subscriptions.raw"),
            Self::Events => format!("{prefix}subscriptions.events"),
            Self::State => format!("{prefix}subscriptions.state"),
            Self::Links => format!("{prefix}subscriptions.links"),
            Self::Unprocessable => format!("{prefix}subscriptions.unprocessable"),
            Self::Retry(destination) => format!("{prefix}deliver.{destination}.retry"),
            Self::Dead(destination) => format!("{prefix}deliver.{destination}.dead"),
            Self::Shadow(destination) => format!("{prefix}deliver.{destination}.shadow"),
            Self::Waits(destination) => format!("{prefix}deliver.{destination}.waits"),
        }
    }
}

/// What happens to old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cleanup {
    /// Dropped after the retention.
    Delete,
    /// The latest of each key is kept for ever.
    Compact,
    /// The latest of each key is kept for the retention.
    CompactDelete,
}

impl Cleanup {
    /// Value of the broker's `cleanup.policy`.
    pub fn policy(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
            Self::CompactDelete => "compact,delete",
        }
    }
}

/// Whose clock a record's timestamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timestamps {
    /// The producer's.
    Create,
    /// The broker's.
    LogAppend,
}

impl Timestamps {
    /// Value of the broker's `message.timestamp.type`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Create => "CreateTime",
            Self::LogAppend => "LogAppendTime",
        }
    }
}

/// One topic of an installation, as it should exist.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSpec {
    /// Full name, prefix included.
    pub name: String,
    /// What the key is.
    pub key: String,
    /// What the value is.
    pub value: String,
    /// Its partition count must equal that of the other co-partitioned topics.
    pub co_partitioned: bool,
    /// Partitions to create it with.
    pub partitions: i32,
    /// What happens to old records.
    pub cleanup: Cleanup,
    /// How long records are kept, when created by `setup`.
    pub retention: Option<Duration>,
    /// Whose clock stamps the records.
    pub timestamps: Timestamps,
    /// Largest message, in bytes.
    pub max_message_bytes: usize,
    /// Who writes it.
    pub writers: Vec<String>,
    /// Who reads it.
    pub readers: Vec<String>,
}

impl TopicSpec {
    /// The topic's configuration in the broker's words.
    pub fn configs(&self) -> BTreeMap<&'static str, String> {
        let mut configs = BTreeMap::from([
            ("cleanup.policy", self.cleanup.policy().to_owned()),
            ("message.timestamp.type", self.timestamps.kind().to_owned()),
            ("max.message.bytes", self.max_message_bytes.to_string()),
        ]);
        if let Some(retention) = self.retention {
            configs.insert("retention.ms", retention.as_millis().to_string());
        }
        configs
    }
}

/// What an installation is made of, as far as its topics go.
#[derive(Clone, Debug)]
pub struct Installation<'a> {
    /// Start of every topic name; may be empty.
    pub prefix: &'a str,
    /// Names of the configured destinations.
    pub destinations: Vec<&'a str>,
    /// Those among them that are in shadow.
    pub in_shadow: Vec<&'a str>,
    /// Partition count of the keyed topics.
    pub partitions: i32,
    /// Largest webhook body taken in, in bytes.
    pub max_body: usize,
}

#[derive(Deserialize)]
struct File {
    topic: Vec<Entry>,
}

/// Of which destinations there is such a topic, if not of all.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Shadow,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    mode: Option<Mode>,
    key: String,
    value: String,
    co_partitioned: bool,
    partitions: Option<i32>,
    cleanup: Cleanup,
    retention: Option<String>,
    timestamps: Timestamps,
    writers: Vec<String>,
    readers: Vec<String>,
}

/// Why the catalogue built into the binary cannot be read; a test keeps this from ever happening.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// `topics.toml` is not what the reader expects.
    #[error("the topic catalogue is malformed")]
    Malformed(#[from] toml::de::Error),
    /// A retention is not a number of days.
    #[error("the topic catalogue has the retention {0:?}, which is not a number of days")]
    Retention(String),
}

/// Every topic of an installation, in the catalogue's order.
pub fn catalogue(installation: &Installation<'_>) -> Result<Vec<TopicSpec>, CatalogueError> {
    let file: File = toml::from_str(CATALOGUE)?;
    let mut specs = Vec::new();
    for entry in file.topic {
        if entry.name.contains("{destination}") {
            let destinations = match entry.mode {
                None => &installation.destinations,
                Some(Mode::Shadow) => &installation.in_shadow,
            };
            for destination in destinations {
                let name = entry.name.replace("{destination}", destination);
                specs.push(spec(&entry, &name, installation)?);
            }
        } else {
            specs.push(spec(&entry, &entry.name, installation)?);
        }
    }
    Ok(specs)
}

fn spec(entry: &Entry, name: &str, of: &Installation<'_>) -> Result<TopicSpec, CatalogueError> {
    let entry = entry.clone();
    Ok(TopicSpec {
        name: format!("{}{name}", of.prefix),
        key: entry.key,
        value: entry.value,
        co_partitioned: entry.co_partitioned,
        partitions: entry.partitions.unwrap_or(of.partitions),
        cleanup: entry.cleanup,
        retention: entry.retention.as_deref().map(days).transpose()?,
        timestamps: entry.timestamps,
        max_message_bytes: of.max_body + MESSAGE_OVERHEAD,
        writers: entry.writers,
        readers: entry.readers,
    })
}

fn days(text: &str) -> Result<Duration, CatalogueError> {
    let number = text.strip_suffix('d').and_then(|number| number.parse::<u64>().ok());
    number
        .map(|number| Duration::from_secs(number * 24 * 60 * 60))
        .ok_or_else(|| CatalogueError::Retention(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_two_destinations() -> Vec<TopicSpec> {
        catalogue(&Installation {
            prefix: "acme.",
            destinations: vec!["customerio", "intercom"],
            in_shadow: vec!["intercom"],
            partitions: 12,
            max_body: 1024 * 1024,
        })
        .unwrap()
    }

    #[test]
    fn names_every_topic_the_binaries_use() {
        let names: Vec<_> = of_two_destinations().into_iter().map(|spec| spec.name).collect();
        for topic in [
            Topic::Raw,
            Topic::Events,
            Topic::State,
            Topic::Links,
            Topic::Unprocessable,
            Topic::Retry("customerio".to_owned()),
            Topic::Dead("intercom".to_owned()),
            Topic::Shadow("intercom".to_owned()),
            Topic::Waits("intercom".to_owned()),
        ] {
            assert!(names.contains(&topic.name("acme.")), "{topic:?}");
        }
        assert_eq!(names.len(), 12);
        assert!(!names.contains(&Topic::Shadow("customerio".to_owned()).name("acme.")));
    }

    #[test]
    fn speaks_the_brokers_words() {
        let raw = of_two_destinations().remove(0);
        let configs: Vec<_> = raw.configs().into_iter().collect();
        assert_eq!(
            configs,
            [
                ("cleanup.policy", "delete".to_owned()),
                ("max.message.bytes", (1024 * 1024 + 64 * 1024).to_string()),
                ("message.timestamp.type", "LogAppendTime".to_owned()),
                ("retention.ms", "2592000000".to_owned()),
            ]
        );
    }

    #[test]
    fn retry_topics_keep_records_at_least_as_long_as_the_event_topic() {
        let specs = of_two_destinations();
        let retention = |name: &str| specs.iter().find(|spec| spec.name == name).unwrap().retention;
        assert!(
            retention("acme.deliver.customerio.retry") >= retention("acme.subscriptions.events")
        );
    }
}
