//! What must be true before a webhook is taken, and what of it an operator can have made.
//!
//! The same judgement serves `run`, which refuses to start, and `check`, which reports.

use schemas::topics::{Installation, Topic, TopicSpec, catalogue};
use secrecy::ExposeSecret;
use service::cli::say;
use service::config::{Config, Problems, Provider};
use service::exit::Failure;
use stream::Cluster;
use stream::admin::{self, Finding, TopicsError};

use crate::sources::dodo;

/// How this installation's cluster is reached.
pub fn cluster(config: &Config) -> Cluster {
    let properties = config.kafka.properties.iter();
    Cluster {
        brokers: config.kafka.brokers.clone(),
        properties: properties.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        session_timeout: config.kafka.session_timeout,
        max_message_bytes: config.ingest.max_body + schemas::topics::MESSAGE_OVERHEAD,
    }
}

/// Full name of the raw topic.
pub fn raw_topic(config: &Config) -> String {
    Topic::Raw.name(&config.kafka.topic_prefix)
}

/// The topics that `ingest` writes, as they should be: the raw topic.
fn topics(config: &Config) -> Result<Vec<TopicSpec>, Failure> {
    let installation = Installation {
        prefix: &config.kafka.topic_prefix,
        destinations: Vec::new(),
        in_shadow: Vec::new(),
        partitions: i32::try_from(config.kafka.partitions).unwrap_or(i32::MAX),
        max_body: config.ingest.max_body,
    };
    let mut specs = catalogue(&installation).map_err(Failure::failed)?;
    specs.retain(|spec| spec.writers.iter().any(|writer| writer == "ingest"));
    Ok(specs)
}

/// Mistakes in the configuration that only this binary can see.
pub fn judge_secrets(config: &Config) -> Result<(), Failure> {
    let mut problems = Problems::new();
    for source in config.sources.values().filter(|source| source.provider == Provider::Dodo) {
        for secret in source.secrets.current().iter() {
            if !dodo::is_secret(secret.expose_secret()) {
                let message = "a secret of a `dodo` source is base64, usually after `whsec_`; copy \
                               it again from the dashboard";
                problems.push(&source.place, message);
            }
        }
    }
    problems.into_result().map_err(Failure::Configuration)
}

/// Looks at the topics. What could not be judged is given back; what is wrong is the error.
pub async fn check_topics(config: &Config) -> Result<Vec<Finding>, TopicsError> {
    let specs = topics(config).map_err(|error| TopicsError::Wrong(error.report()))?;
    admin::require(&cluster(config), &specs).await
}

/// `ingest check`: reports, and changes nothing.
pub async fn check(config: &Config) -> Result<(), Failure> {
    judge_secrets(config)?;
    let warnings = check_topics(config).await.map_err(|error| match error {
        TopicsError::Wrong(findings) => Failure::Refused(findings),
        TopicsError::OutOfReach(error) => Failure::failed(error),
    })?;
    for warning in warnings {
        say(&format!("warning: {warning}"))?;
    }
    say(&format!("{}: as it should be", raw_topic(config)))?;
    let webhooks = config.sources.iter().filter(|(_, source)| source.provider != Provider::Native);
    for (name, source) in webhooks {
        say(&format!("{name}: {} webhooks at POST /webhooks/{name}", source.provider))?;
    }
    Ok(())
}

/// `ingest setup`: creates the raw topic if it is missing, and leaves it alone if it is there.
pub async fn setup(config: &Config) -> Result<(), Failure> {
    let replication_factor = i32::try_from(config.kafka.replication_factor).unwrap_or(i32::MAX);
    let created = admin::create_missing(&cluster(config), &topics(config)?, replication_factor)
        .await
        .map_err(Failure::failed)?;
    if created.is_empty() {
        return say("nothing was missing");
    }
    created.iter().try_for_each(|topic| say(&format!("created {topic}")))
}
