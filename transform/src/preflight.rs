//! What must be true before a record is taken, and what of it an operator can have made.
//!
//! The same judgement serves `run`, which refuses to start, and `check`, which reports.

use std::time::Duration;

use registry::Standing;
use schemas::topics::Topic;
use service::cli::say;
use service::config::Config;
use service::exit::Failure;
use stream::admin::{self, Finding, TopicsError};
use stream::{Cluster, ReadError, Reader};

use crate::state::judge_notes;
use crate::worker::outgoing::Names;
use crate::{configure, framing};

/// Looks at the topics. What could not be judged is given back; what is wrong is the error.
pub async fn check_topics(config: &Config) -> Result<Vec<Finding>, Failure> {
    let specs = configure::topics(config).map_err(Failure::failed)?;
    let cluster = configure::cluster(config);
    let findings = admin::require(&cluster, &specs).await.map_err(|error| match error {
        TopicsError::Wrong(findings) => Failure::Refused(findings),
        TopicsError::OutOfReach(error) => Failure::failed(error),
    })?;
    let names = Names::with_prefix(&config.kafka.topic_prefix);
    let asked = tokio::task::spawn_blocking(move || {
        let reader = Reader::open(&cluster, &names.group)?;
        let partitions = reader.partitions(&names.raw)?;
        Ok::<_, ReadError>((reader.notes(&names.raw, partitions)?, partitions))
    });
    let (notes, partitions) = asked.await.map_err(Failure::failed)?.map_err(Failure::failed)?;
    match judge_notes(notes.iter().map(String::as_str), partitions) {
        Ok(()) => Ok(findings),
        Err(changed) => Err(Failure::Refused(changed.to_string())),
    }
}

/// How long the changelog keeps tombstones; Kafka's default where its configuration may not be read.
pub async fn tombstones_kept(config: &Config, cluster: &Cluster) -> Result<Duration, Failure> {
    let topic = Topic::State.name(&config.kafka.topic_prefix);
    let kept = admin::tombstones_kept(cluster, &topic).await.map_err(Failure::failed)?;
    Ok(kept.unwrap_or(Duration::from_hours(24)))
}

/// How many partitions the raw topic has.
pub async fn partitions(config: &Config, cluster: &Cluster) -> Result<usize, Failure> {
    let (names, cluster) = (Names::with_prefix(&config.kafka.topic_prefix), cluster.clone());
    // By the name of its own group: whoever names another needs a right to that.
    let asked = tokio::task::spawn_blocking(move || {
        Reader::open(&cluster, &names.group)?.partitions(&names.raw)
    });
    let partitions = asked.await.map_err(Failure::failed)?.map_err(Failure::failed)?;
    Ok(usize::try_from(partitions).unwrap_or_default())
}

/// `transform check`: reports all that is wrong, and changes nothing.
pub async fn check(config: &Config) -> Result<(), Failure> {
    let topics = match check_topics(config).await {
        Ok(warnings) => {
            for warning in warnings {
                say(&format!("warning: {warning}"))?;
            }
            say("topics: as they should be")
        }
        Err(failure) => Err(failure),
    };
    let schema = match framing::standing(config).await {
        Ok(None) => Ok(()),
        Ok(Some(Standing::Registered(id))) => say(&format!("schema: registered, with id {id}")),
        Ok(Some(Standing::Compatible)) => say("schema: compatible, will be registered"),
        Ok(Some(Standing::First)) => say("schema: will be the first of its subject"),
        Err(failure) => Err(failure),
    };
    match (topics, schema) {
        (Err(one), Err(other)) => {
            Err(Failure::Refused(format!("{}\n{}", one.report(), other.report())))
        }
        (one, other) => one.and(other),
    }
}

/// `transform setup`: creates the topics that are missing, and leaves alone those that are there.
pub async fn setup(config: &Config) -> Result<(), Failure> {
    let specs = configure::topics(config).map_err(Failure::failed)?;
    let replication_factor = i32::try_from(config.kafka.replication_factor).unwrap_or(i32::MAX);
    let created = admin::create_missing(&configure::cluster(config), &specs, replication_factor)
        .await
        .map_err(Failure::failed)?;
    if created.is_empty() {
        return say("nothing was missing");
    }
    created.iter().try_for_each(|topic| say(&format!("created {topic}")))
}
