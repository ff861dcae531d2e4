//! `kafka` and `schema_registry`: where the topics are.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use super::fields::Fields;
use super::kinds::{brokers, count, positive_duration, topic_prefix, url_with_user};

/// How to reach Kafka, and what `setup` makes there.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// Hosts with ports, joined by commas.
    pub brokers: String,
    /// Before every topic, consumer group and transactional id; may be empty.
    pub topic_prefix: String,
    /// Partitions of a topic that `setup` creates.
    pub partitions: u32,
    /// Replicas of a topic that `setup` creates.
    pub replication_factor: u32,
    /// How long a consumer may be silent before its partitions go to another.
    pub session_timeout: Duration,
    /// Passed through to librdkafka, for every client.
    pub properties: Properties,
}

/// Properties for librdkafka. May hold passwords, so only the keys are ever shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Key and value of each, in the order of the keys. The values may be secret.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// The Confluent-compatible schema registry, if there is one.
#[derive(Clone, Debug)]
pub struct SchemaRegistry {
    /// Without it events carry the fingerprint of their schema instead of a registry's id. May hold
    /// a user and a password.
    pub url: Option<SecretString>,
}

/// Properties whose values the promises of the pipeline rest on, and who sets each.
/// Names from librdkafka's CONFIGURATION.md.
const OWNED: &[(&str, &str)] = &[
    ("acks", "the producers, which always wait for all replicas"),
    ("request.required.acks", "the producers, which always wait for all replicas"),
    ("enable.idempotence", "the producers, which are always idempotent"),
    ("transactional.id", "each worker, from its own identity"),
    ("transaction.timeout.ms", "the workers, which must not block readers for longer than 10 s"),
    ("partitioner", "the topic catalogue, which places every subscriber alike in all topics"),
    ("group.id", "each binary, from its name and `kafka.topic_prefix`"),
    ("group.instance.id", "each binary"),
    ("partition.assignment.strategy", "each binary, because partitions belong together"),
    ("isolation.level", "the consumers, which read committed records only"),
    ("enable.auto.commit", "the consumers, which commit what is done and nothing else"),
    ("enable.auto.offset.store", "the consumers, which commit what is done and nothing else"),
    ("auto.offset.reset", "the consumers, which stop rather than lose their position"),
    ("allow.auto.create.topics", "`setup`, which is the only one to create topics"),
    ("session.timeout.ms", "`kafka.session_timeout`"),
    ("retry.backoff.ms", "the workers, which tell a repeated request by the time it took"),
    ("retry.backoff.max.ms", "the workers, which tell a repeated request by the time it took"),
];

impl Kafka {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let brokers = fields.required("brokers", &brokers(), "Where to find the cluster.");
        let topic_prefix = fields.optional(
            "topic_prefix",
            &topic_prefix(),
            "",
            "Put before every topic, consumer group and transactional id, so that several \
             installations can share a cluster: `acme.` gives `acme.subscriptions.raw`.",
        );
        let partitions = fields.optional(
            "partitions",
            &count(),
            "12",
            "Partitions of the topics that `setup` creates. Topics that exist keep theirs, and must \
             agree with their neighbours.",
        );
        let replication_factor = fields.optional(
            "replication_factor",
            &count(),
            "1",
            "Replicas of the topics that `setup` creates; 3 in production, of which two have to \
             acknowledge.",
        );
        let session_timeout = fields.optional(
            "session_timeout",
            &positive_duration(),
            "15s",
            "How long a consumer may be silent before its partitions go to another instance. The \
             broker allows 6 s to 30 min unless it is configured otherwise.",
        );
        let properties = read_properties(fields);
        Some(Self {
            brokers: brokers?,
            topic_prefix: topic_prefix?,
            partitions: partitions?,
            replication_factor: replication_factor?,
            session_timeout: session_timeout?,
            properties,
        })
    }
}

fn read_properties(fields: &mut Fields<'_>) -> Properties {
    let owned: Vec<String> = OWNED.iter().map(|(key, _)| format!("`{key}`")).collect();
    let pairs = fields.pairs(
        "properties",
        &format!(
            "Any property of librdkafka, for example `security.protocol: SASL_SSL`, except those \
             that the promises of the pipeline rest on: {}.",
            owned.join(", ")
        ),
    );
    let mut properties = BTreeMap::new();
    for (key, value, place) in pairs {
        // An environment variable cannot spell a dot, and no property of librdkafka has both.
        let key = match place.origin {
            super::Origin::Variable(_) => key.replace('_', "."),
            super::Origin::File(_) | super::Origin::Line(..) => key,
        };
        if let Some((_, owner)) = OWNED.iter().find(|(owned, _)| *owned == key) {
            fields.complain(&place, format!("not yours to set: this belongs to {owner}"));
        }
        properties.insert(key, value);
    }
    Properties(properties)
}

impl SchemaRegistry {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let url = fields.unset(
            "url",
            &url_with_user(),
            "Where the registry answers, up to what stands before `/subjects`. With \
             `user:password@` before the host, each percent-encoded, it is asked with HTTP Basic \
             authentication. Unset: Avro single-object encoding, which needs no registry.",
        );
        Some(Self { url: url? })
    }
}
