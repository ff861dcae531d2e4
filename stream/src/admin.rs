//! The topics: are they there, are they what the catalogue says, and creating those that are missing.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::topics::TopicSpec;

use crate::Cluster;

/// One call to the cluster.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two looks at a topic that was just created.
const SHOWN_INTERVAL: Duration = Duration::from_millis(50);

/// Something about a topic that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The topic.
    pub topic: String,
    /// What is wrong and what to do about it.
    pub message: String,
    /// Whether a binary may start all the same.
    pub severity: Severity,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.topic, self.message)
    }
}

/// Whether a finding keeps a binary from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It would lose or disorder records.
    Refuses,
    /// It could not be looked at.
    Warns,
}

/// Why the cluster's topics could not be looked at or made.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The cluster is out of reach.
    #[error("cannot reach the Kafka cluster at {brokers}")]
    Unreachable {
        /// The bootstrap servers.
        brokers: String,
        /// What the client says.
        #[source]
        cause: KafkaError,
    },
    /// A topic could not be created.
    #[error("cannot create the topic {topic}: {code}")]
    Create {
        /// The topic.
        topic: String,
        /// What the broker says.
        code: RDKafkaErrorCode,
    },
}

/// Why a binary may not start on these topics.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// They are not what they must be: one line for each finding.
    #[error("{0}")]
    Wrong(String),
    /// They could not be looked at; another time they may.
    #[error(transparent)]
    OutOfReach(#[from] AdminError),
}

/// What a topic is like on the cluster.
struct Found {
    partitions: i32,
    /// Absent when its configuration may not be read.
    configs: Option<BTreeMap<String, String>>,
}

/// Compares the topics with the catalogue. Empty when all is well.
pub async fn check(cluster: &Cluster, specs: &[TopicSpec]) -> Result<Vec<Finding>, AdminError> {
    let found = look(cluster, specs).await?;
    let mut findings: Vec<_> =
        specs.iter().flat_map(|spec| judge(spec, found.get(&spec.name))).collect();
    findings.extend(unequal_partitions(specs, &found));
    Ok(findings)
}

/// As [`check`], for a binary that is about to start: what refuses is the error, what warns is returned.
pub async fn require(cluster: &Cluster, specs: &[TopicSpec]) -> Result<Vec<Finding>, TopicsError> {
    let (refusing, warning): (Vec<_>, Vec<_>) = check(cluster, specs)
        .await?
        .into_iter()
        .partition(|finding| finding.severity == Severity::Refuses);
    if refusing.is_empty() {
        return Ok(warning);
    }
    let lines: Vec<_> = refusing.iter().map(ToString::to_string).collect();
    Err(TopicsError::Wrong(lines.join("\n")))
}

/// Creates the topics that are missing and returns their names, once the cluster shows them. Existing
/// ones are left as they are.
pub async fn create_missing(
    cluster: &Cluster,
    specs: &[TopicSpec],
    replication_factor: i32,
) -> Result<Vec<String>, AdminError> {
    let found = look(cluster, specs).await?;
    // Of co-partitioned topics a new one must agree with the others, not with the configuration.
    let neighbour = specs
        .iter()
        .filter(|spec| spec.co_partitioned)
        .find_map(|spec| found.get(&spec.name))
        .map(|topic| topic.partitions);
    let missing: Vec<_> = specs.iter().filter(|spec| !found.contains_key(&spec.name)).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let configs: Vec<_> = missing.iter().map(|spec| spec.configs()).collect();
    let topics: Vec<_> = missing
        .iter()
        .zip(&configs)
        .map(|(spec, configs)| {
            let agreed = neighbour.filter(|_| spec.co_partitioned);
            let partitions = agreed.unwrap_or(spec.partitions);
            let replication = TopicReplication::Fixed(replication_factor);
            configs
                .iter()
                .fold(NewTopic::new(&spec.name, partitions, replication), |topic, (key, value)| {
                    topic.set(key, value)
                })
        })
        .collect();
    let results = admin(cluster)?
        .create_topics(&topics, &AdminOptions::new().operation_timeout(Some(CALL_TIMEOUT)))
        .await
        .map_err(|cause| unreachable(cluster, cause))?;
    let mut created = Vec::new();
    for result in results {
        match result {
            Ok(topic) => created.push(topic),
            // Another binary's `setup` was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(AdminError::Create { topic, code }),
        }
    }
    wait_until_shown(cluster, specs).await?;
    Ok(created)
}

/// How long the topic keeps a tombstone at least; none where its configuration may not be read.
pub async fn tombstones_kept(
    cluster: &Cluster,
    topic: &str,
) -> Result<Option<Duration>, AdminError> {
    let found = configured(cluster, &[topic], "delete.retention.ms").await?;
    let millis = found.get(topic).and_then(|millis| millis.parse().ok());
    Ok(millis.map(Duration::from_millis))
}

/// How long a topic keeps a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// So long, and until its segment is deleted.
    For(Duration),
    /// For ever, as far as its age goes.
    Forever,
}

/// How long each of the topics keeps a record; nothing of those that are missing or may not be looked at.
pub async fn records_kept(
    cluster: &Cluster,
    topics: &[&str],
) -> Result<BTreeMap<String, Kept>, AdminError> {
    let found = configured(cluster, topics, "retention.ms").await?;
    let kept = found.into_iter().filter_map(|(topic, millis)| {
        let millis: i64 = millis.parse().ok()?;
        Some((
            topic,
            u64::try_from(millis)
                .map_or(Kept::Forever, |millis| Kept::For(Duration::from_millis(millis))),
        ))
    });
    Ok(kept.collect())
}

/// One setting of each of the topics that are there and may be looked at.
async fn configured(
    cluster: &Cluster,
    topics: &[&str],
    setting: &str,
) -> Result<BTreeMap<String, String>, AdminError> {
    let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let described = admin(cluster)?
        .describe_configs(&resources, &AdminOptions::new().request_timeout(Some(CALL_TIMEOUT)))
        .await
        .map_err(|cause| unreachable(cluster, cause))?;
    let found = described.into_iter().flatten().filter_map(read);
    Ok(found.filter_map(|(topic, mut configs)| Some((topic, configs.remove(setting)?))).collect())
}

/// A topic is created before every broker tells of it.
async fn wait_until_shown(cluster: &Cluster, specs: &[TopicSpec]) -> Result<(), AdminError> {
    let deadline = tokio::time::Instant::now() + CALL_TIMEOUT;
    loop {
        let found = look(cluster, specs).await?;
        let Some(hidden) = specs.iter().find(|spec| !found.contains_key(&spec.name)) else {
            return Ok(());
        };
        if tokio::time::Instant::now() >= deadline {
            let (topic, code) = (hidden.name.clone(), RDKafkaErrorCode::UnknownTopicOrPartition);
            return Err(AdminError::Create { topic, code });
        }
        tokio::time::sleep(SHOWN_INTERVAL).await;
    }
}

fn admin(cluster: &Cluster) -> Result<AdminClient<DefaultClientContext>, AdminError> {
    cluster.client().create().map_err(|cause| unreachable(cluster, cause))
}

fn unreachable(cluster: &Cluster, cause: KafkaError) -> AdminError {
    AdminError::Unreachable { brokers: cluster.brokers.clone(), cause }
}

async fn look(
    cluster: &Cluster,
    specs: &[TopicSpec],
) -> Result<BTreeMap<String, Found>, AdminError> {
    let admin = admin(cluster)?;
    let metadata = admin
        .inner()
        .fetch_metadata(None, CALL_TIMEOUT)
        .map_err(|cause| unreachable(cluster, cause))?;
    let mut found = BTreeMap::new();
    for topic in metadata.topics() {
        if specs.iter().any(|spec| spec.name == topic.name()) && topic.error().is_none() {
            let partitions = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
            found.insert(topic.name().to_owned(), Found { partitions, configs: None });
        }
    }
    if found.is_empty() {
        return Ok(found);
    }
    let names: Vec<_> = found.keys().cloned().collect();
    let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let described = admin
        .describe_configs(&resources, &AdminOptions::new().request_timeout(Some(CALL_TIMEOUT)))
        .await
        .map_err(|cause| unreachable(cluster, cause))?;
    for resource in described.into_iter().flatten() {
        if let Some((name, configs)) = read(resource)
            && let Some(topic) = found.get_mut(&name)
        {
            topic.configs = Some(configs);
        }
    }
    Ok(found)
}

fn read(resource: ConfigResource) -> Option<(String, BTreeMap<String, String>)> {
    let OwnedResourceSpecifier::Topic(name) = resource.specifier else { return None };
    let configs =
        resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect();
    Some((name, configs))
}

fn judge(spec: &TopicSpec, found: Option<&Found>) -> Vec<Finding> {
    let finding = |severity, message| Finding { topic: spec.name.clone(), message, severity };
    let Some(found) = found else {
        let message = "is missing; `setup` creates it".to_owned();
        return vec![finding(Severity::Refuses, message)];
    };
    let Some(configs) = &found.configs else {
        let message = "its configuration may not be read, so it was not checked".to_owned();
        return vec![finding(Severity::Warns, message)];
    };
    let mut findings = Vec::new();
    for key in ["cleanup.policy", "message.timestamp.type"] {
        let wanted = spec.configs().remove(key).unwrap_or_default();
        let actual = configs.get(key).cloned().unwrap_or_default();
        if !same_words(&wanted, &actual) {
            findings.push(finding(
                Severity::Refuses,
                format!(
                    "has {key}={actual}, which must be {wanted}; change it with kafka-configs.sh"
                ),
            ));
        }
    }
    let limit = configs.get("max.message.bytes").and_then(|value| value.parse::<usize>().ok());
    if limit.is_some_and(|limit| limit < spec.max_message_bytes) {
        findings.push(finding(
            Severity::Refuses,
            format!(
                "has max.message.bytes={}, but messages may have {} bytes; raise it with \
                 kafka-configs.sh",
                limit.unwrap_or_default(),
                spec.max_message_bytes
            ),
        ));
    }
    findings
}

/// The broker may list the words of a policy in another order.
fn same_words(wanted: &str, actual: &str) -> bool {
    let sorted = |text: &str| {
        let mut words: Vec<_> = text.split(',').map(str::trim).map(str::to_owned).collect();
        words.sort();
        words
    };
    sorted(wanted) == sorted(actual)
}

/// Partition p must hold the same subscribers in every keyed topic.
fn unequal_partitions(specs: &[TopicSpec], found: &BTreeMap<String, Found>) -> Vec<Finding> {
    let mut keyed = specs
        .iter()
        .filter(|spec| spec.co_partitioned)
        .filter_map(|spec| Some((spec, found.get(&spec.name)?)));
    let Some((first, reference)) = keyed.next() else { return Vec::new() };
    keyed
        .filter(|(_, topic)| topic.partitions != reference.partitions)
        .map(|(spec, topic)| Finding {
            topic: spec.name.clone(),
            message: format!(
                "has {} partitions and {} has {}; they must be equal, or a subscriber's records lie \
                 in different partitions. Partitions of live topics cannot be changed in place: create \
                 new topics under another kafka.topic_prefix",
                topic.partitions, first.name, reference.partitions
            ),
            severity: Severity::Refuses,
        })
        .collect()
}
