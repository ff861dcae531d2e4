//! From the operator's configuration to what the modules of this crate take.

use schemas::Environment;
use schemas::codec::CodecError;
use schemas::topics::{CatalogueError, Installation, MESSAGE_OVERHEAD, TopicSpec, catalogue};
use service::config::{self, Config};
use stream::Cluster;

use crate::rules::{Rules, Times};
use crate::sources::{Payload, Source, SourceSettings, Sources, mapper_of};
use crate::worker::agenda::Bounds;

/// Records a transaction takes in at most, whatever its interval.
const RECORDS: usize = 5_000;

/// Bytes a transaction takes in at most, unless one message is larger.
const BYTES: usize = 8 * 1024 * 1024;

/// The largest message of the installation: the largest webhook and what surrounds it.
pub fn max_message_bytes(config: &Config) -> usize {
    config.ingest.max_body.saturating_add(MESSAGE_OVERHEAD)
}

/// The cluster.
pub fn cluster(config: &Config) -> Cluster {
    let properties = config.kafka.properties.iter();
    Cluster {
        brokers: config.kafka.brokers.clone(),
        properties: properties.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        session_timeout: config.kafka.session_timeout,
        max_message_bytes: max_message_bytes(config),
    }
}

/// Every topic of the installation.
pub fn topics(config: &Config) -> Result<Vec<TopicSpec>, CatalogueError> {
    catalogue(&Installation {
        prefix: &config.kafka.topic_prefix,
        destinations: config.destinations.keys().map(String::as_str).collect(),
        // What a destination is not sent is no matter of this stage: `deliver setup` creates it.
        in_shadow: Vec::new(),
        partitions: i32::try_from(config.kafka.partitions).unwrap_or(i32::MAX),
        max_body: config.ingest.max_body,
    })
}

/// Bounds of a transaction.
pub fn bounds(config: &Config) -> Bounds {
    Bounds { interval: config.transform.commit_interval, records: RECORDS, bytes: BYTES }
}

/// How records are judged; one set for each thread.
pub fn rules(config: &Config) -> Result<Rules, CodecError> {
    let config::Transform { reorder_window, dedup_window, link_timeout, .. } = config.transform;
    let times = Times { reorder_window, dedup_window, link_timeout };
    Rules::new(sources(config), times, max_message_bytes(config))
}

/// The same, to tell the stream again.
pub fn replay_rules(config: &Config) -> Result<Rules, CodecError> {
    Ok(rules(config)?.for_replay())
}

/// The configured sources, each with its mapping.
pub fn sources(config: &Config) -> Sources {
    let sources = config.sources.iter().filter_map(|(name, source)| {
        let provider = provider(source.provider);
        let settings = SourceSettings {
            user_id: source.user_id.clone(),
            plans: source.plans.clone(),
            also: source.also.clone(),
            environment: source.environment.map(environment),
            payload: payload(config, name),
        };
        let mapper = mapper_of(provider)?;
        Some(Source { name: name.clone(), provider, mapper, settings })
    });
    sources.collect()
}

/// Events carry the body of their webhook where a destination has transformation code for them.
fn payload(config: &Config, source: &str) -> Payload {
    let is_read = config.destinations.values().any(|one| one.transformation.of(source).is_some());
    if is_read { Payload::Carried } else { Payload::Dropped }
}

fn provider(configured: config::Provider) -> schemas::Provider {
    match configured {
        config::Provider::Stripe => schemas::Provider::Stripe,
        config::Provider::Dodo => schemas::Provider::Dodo,
        config::Provider::Revenuecat => schemas::Provider::Revenuecat,
        config::Provider::Purchasely => schemas::Provider::Purchasely,
        config::Provider::Native => schemas::Provider::Native,
    }
}

fn environment(configured: config::Environment) -> Environment {
    match configured {
        config::Environment::Production => Environment::Production,
        config::Environment::Sandbox => Environment::Sandbox,
    }
}
