//! Looking at the cluster: which topics there are, and why they cannot be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::admin::{AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use schemas::topics::TopicSpec;

use super::judge::Found;
use super::{AdminError, CALL_TIMEOUT, admin, unreachable};
use crate::Cluster;

/// How long the cluster is waited for before it is heard why it does not answer, at first; then twice as long each time,
/// because one that is slow to answer must be let to …
const FIRST_PATIENCE: Duration = Duration::from_millis(500);
/// … and for how long that is listened to at least.
const LISTEN_FOR: Duration = Duration::from_millis(50);

/// What the cluster tells.
pub(super) struct Looked {
    pub(super) topics: BTreeMap<String, Found>,
    /// Those that this user may not look at, whether they are there or not.
    pub(super) hidden: BTreeSet<String>,
    pub(super) brokers: usize,
}

/// Looks at these topics.
pub(super) async fn look(cluster: &Cluster, specs: &[TopicSpec]) -> Result<Looked, AdminError> {
    let names: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
    let asked = cluster.clone();
    let mut looked = tokio::task::spawn_blocking(move || ask(&asked, &names))
        .await
        .map_err(|error| unreachable(cluster, &error))??;
    if looked.topics.is_empty() {
        return Ok(looked);
    }
    let names: Vec<_> = looked.topics.keys().cloned().collect();
    let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let described = admin(cluster)?
        .describe_configs(&resources, &AdminOptions::new().request_timeout(Some(CALL_TIMEOUT)))
        .await
        .map_err(|cause| unreachable(cluster, &cause))?;
    for resource in described.into_iter().flatten() {
        // Who may not read a topic's settings is told of none, without an error.
        if let Some((name, configs)) = read(resource)
            && !configs.is_empty()
            && let Some(topic) = looked.topics.get_mut(&name)
        {
            topic.configs = Some(configs);
        }
    }
    Ok(looked)
}

/// A topic's settings.
pub(super) fn read(resource: ConfigResource) -> Option<(String, BTreeMap<String, String>)> {
    let OwnedResourceSpecifier::Topic(name) = resource.specifier else { return None };
    let configs =
        resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect();
    Some((name, configs))
}

/// A consumer asks, because it hears why nobody answers, which the admin client of the library does not, and because
/// asking for a topic by its name creates none.
fn ask(cluster: &Cluster, names: &[String]) -> Result<Looked, AdminError> {
    let client: BaseConsumer<Listener> = cluster
        .client()
        .create_with_context(Listener::default())
        .map_err(|cause| unreachable(cluster, &cause))?;
    let servers = cluster.brokers.split(',').count();
    let all = metadata(&client, servers).map_err(|reason| unreachable(cluster, &reason))?;
    let mut looked =
        Looked { topics: BTreeMap::new(), hidden: BTreeSet::new(), brokers: all.brokers().len() };
    for topic in all.topics() {
        if names.iter().any(|name| name == topic.name()) && topic.error().is_none() {
            let partitions = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
            let replicas = topic.partitions().iter().map(|partition| partition.replicas().len());
            let replicas = replicas.min().unwrap_or_default();
            let found = Found { partitions, replicas, configs: None };
            looked.topics.insert(topic.name().to_owned(), found);
        }
    }
    // Of all topics only those are told that may be looked at; whoever asks by name is told that it may not.
    for name in names.iter().filter(|name| !looked.topics.contains_key(*name)) {
        let told = client.fetch_metadata(Some(name), CALL_TIMEOUT);
        let told = told.map_err(|cause| unreachable(cluster, &cause))?;
        if told.topics().iter().any(may_not_be_seen) {
            looked.hidden.insert(name.clone());
        }
    }
    Ok(looked)
}

fn may_not_be_seen(topic: &rdkafka::metadata::MetadataTopic) -> bool {
    let error = topic.error().map(RDKafkaErrorCode::from);
    error == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}

/// Waits until a broker answers, or until none can: the answer does not change where all have refused who we are, or
/// are not whom we trust.
fn metadata(client: &BaseConsumer<Listener>, servers: usize) -> Result<Metadata, String> {
    let deadline = Instant::now() + CALL_TIMEOUT;
    let mut patience = FIRST_PATIENCE;
    loop {
        let cause = match asked_once(client, patience) {
            Ok(metadata) => return Ok(metadata),
            Err(cause) => cause,
        };
        let heard = client.context().heard();
        if heard.is_hopeless(servers) || Instant::now() >= deadline {
            return Err(heard.reason.clone().unwrap_or_else(|| cause.to_string()));
        }
        patience *= 2;
    }
}

fn asked_once(client: &BaseConsumer<Listener>, patience: Duration) -> KafkaResult<Metadata> {
    let began = Instant::now();
    let asked = client.fetch_metadata(None, patience);
    if asked.is_err() {
        // What fails at once is not asked again at once.
        let until = (began + FIRST_PATIENCE).max(Instant::now() + LISTEN_FOR);
        while Instant::now() < until {
            drop(client.poll(until.saturating_duration_since(Instant::now())));
        }
    }
    asked
}

/// What a client was told of its connections.
#[derive(Debug, Default)]
struct Heard {
    /// The latest complaint that says why.
    reason: Option<String>,
    /// Which servers complained of who we are, or are not whom we trust.
    distrusted: BTreeSet<String>,
}

impl Heard {
    fn hear(&mut self, code: Option<RDKafkaErrorCode>, reason: &str) {
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            return;
        }
        let is_about_trust =
            matches!(code, Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL));
        // A connection that is refused by one of the bootstrap servers explains less.
        if is_about_trust || self.distrusted.is_empty() {
            // What follows is how long it took and how often it was so.
            let said = reason.split_once(" (after ").map_or(reason, |(said, _)| said);
            self.reason = Some(said.to_owned());
        }
        if is_about_trust {
            let server = reason.split_once(": ").map_or(reason, |(server, _)| server);
            self.distrusted.insert(server.to_owned());
        }
    }

    fn is_hopeless(&self, servers: usize) -> bool {
        self.distrusted.len() >= servers
    }
}

#[derive(Debug, Default)]
struct Listener(Mutex<Heard>);

impl Listener {
    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Listener {
    fn error(&self, error: KafkaError, reason: &str) {
        self.heard().hear(error.rdkafka_error_code(), reason);
    }

    /// Says the same as the errors.
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, place: &str, message: &str) {
        tracing::debug!(place, message, "looking at the cluster");
    }
}

impl ConsumerContext for Listener {}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "sasl_ssl://kafka:9093/bootstrap: Connect to ipv4#127.0.0.1:9093 failed: Connection refused \
                           (after 0ms in state CONNECT)";

    #[test]
    fn who_may_not_come_in_is_told_why_and_does_not_wait() {
        let mut heard = Heard::default();
        heard.hear(Some(RDKafkaErrorCode::BrokerTransportFailure), REFUSED);
        assert!(heard.reason.as_ref().unwrap().ends_with("failed: Connection refused"));
        heard.hear(Some(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert!(!heard.is_hopeless(1), "a cluster that starts is waited for");
        heard
            .hear(Some(RDKafkaErrorCode::Authentication), "kafka:9093: wrong password (after 3ms)");
        heard.hear(Some(RDKafkaErrorCode::BrokerTransportFailure), REFUSED);
        assert_eq!(heard.reason.as_deref(), Some("kafka:9093: wrong password"));
        assert!(heard.is_hopeless(1));
    }

    #[test]
    fn one_of_several_that_does_not_let_us_in_is_not_all_of_them() {
        let mut heard = Heard::default();
        for _ in 0..3 {
            heard.hear(Some(RDKafkaErrorCode::SSL), "kafka-1:9093: certificate verify failed");
        }
        assert!(!heard.is_hopeless(2));
        heard.hear(Some(RDKafkaErrorCode::SSL), "kafka-2:9093: certificate verify failed");
        assert!(heard.is_hopeless(2));
    }
}
