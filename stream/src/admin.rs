//! The topics: are they there, are they what the catalogue says, and creating those that are missing.

mod judge;
mod look;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use schemas::topics::TopicSpec;

use self::judge::{HIDDEN, judge, unequal_partitions};
use self::look::{Looked, look, read};
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
    /// It keeps less safe than the cluster could, or could not be looked at.
    Warns,
}

/// Why the cluster's topics could not be looked at or made.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The cluster is out of reach, or does not let us in.
    #[error("cannot reach the Kafka cluster at {brokers}: {reason}")]
    Unreachable {
        /// The bootstrap servers.
        brokers: String,
        /// What the client says.
        reason: String,
    },
    /// A topic could not be created.
    #[error("cannot create the topic {topic}: {code}")]
    Create {
        /// The topic.
        topic: String,
        /// What the broker says.
        code: RDKafkaErrorCode,
    },
    /// The user has no right to create a topic, or to look at it.
    #[error(
        "cannot create the topic {topic}: the Kafka user needs Create, Describe and DescribeConfigs on it"
    )]
    MayNotCreate {
        /// The topic.
        topic: String,
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

/// Compares the topics with the catalogue. Empty when all is well.
pub async fn check(cluster: &Cluster, specs: &[TopicSpec]) -> Result<Vec<Finding>, AdminError> {
    let Looked { topics, hidden, brokers } = look(cluster, specs).await?;
    let findings = specs.iter().flat_map(|spec| match hidden.get(&spec.name) {
        Some(topic) => vec![Finding {
            topic: topic.clone(),
            message: HIDDEN.to_owned(),
            severity: Severity::Refuses,
        }],
        None => judge(spec, topics.get(&spec.name), brokers),
    });
    let mut findings: Vec<_> = findings.collect();
    findings.extend(unequal_partitions(specs, &topics));
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
    let found = look(cluster, specs).await?.topics;
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
    let configs: Vec<_> = missing
        .iter()
        .map(|spec| {
            let mut configs = spec.configs();
            configs.extend(judge::durability(replication_factor));
            configs
        })
        .collect();
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
        .map_err(|cause| unreachable(cluster, &cause))?;
    let mut created = Vec::new();
    for result in results {
        match result {
            Ok(topic) => created.push(topic),
            // Another binary's `setup` was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, RDKafkaErrorCode::TopicAuthorizationFailed)) => {
                return Err(AdminError::MayNotCreate { topic });
            }
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
        .map_err(|cause| unreachable(cluster, &cause))?;
    let found = described.into_iter().flatten().filter_map(read);
    Ok(found.filter_map(|(topic, mut configs)| Some((topic, configs.remove(setting)?))).collect())
}

/// A topic is created before every broker tells of it.
async fn wait_until_shown(cluster: &Cluster, specs: &[TopicSpec]) -> Result<(), AdminError> {
    let deadline = tokio::time::Instant::now() + CALL_TIMEOUT;
    loop {
        let Looked { topics, hidden, .. } = look(cluster, specs).await?;
        if let Some(topic) = hidden.into_iter().next() {
            return Err(AdminError::MayNotCreate { topic });
        }
        let Some(unseen) = specs.iter().find(|spec| !topics.contains_key(&spec.name)) else {
            return Ok(());
        };
        if tokio::time::Instant::now() >= deadline {
            let (topic, code) = (unseen.name.clone(), RDKafkaErrorCode::UnknownTopicOrPartition);
            return Err(AdminError::Create { topic, code });
        }
        tokio::time::sleep(SHOWN_INTERVAL).await;
    }
}

fn admin(cluster: &Cluster) -> Result<AdminClient<DefaultClientContext>, AdminError> {
    cluster.client().create().map_err(|cause| unreachable(cluster, &cause))
}

fn unreachable(cluster: &Cluster, reason: &impl std::fmt::Display) -> AdminError {
    AdminError::Unreachable { brokers: cluster.brokers.clone(), reason: reason.to_string() }
}
