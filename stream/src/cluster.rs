//! How to reach the cluster, and the settings that every client shares.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext};

/// The cluster and what all clients of this installation agree on.
#[derive(Clone)]
pub struct Cluster {
    /// Bootstrap servers, separated by commas.
    pub brokers: String,
    /// librdkafka properties passed through as they are (TLS, SASL, tuning).
    pub properties: BTreeMap<String, String>,
    /// How long the group waits for a member that fell silent.
    pub session_timeout: Duration,
    /// Largest message written or read, in bytes.
    pub max_message_bytes: usize,
}

impl std::fmt::Debug for Cluster {
    /// Without the properties: they may hold passwords.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cluster").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

/// Isolation of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Only what is committed, up to the last stable offset.
    Committed,
    /// Everything, up to the high watermark.
    Uncommitted,
}

/// Logs what a client complains of. The end of a partition is reported like an error and is none.
pub(crate) fn log_unless_end(error: &KafkaError, reason: &str) {
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
        tracing::warn!(%error, reason, "the Kafka client is disturbed");
    }
}

/// For clients of which the end of a partition is asked, not complained.
pub(crate) struct Discreet;

impl ClientContext for Discreet {
    fn error(&self, error: KafkaError, reason: &str) {
        log_unless_end(&error, reason);
    }
}

impl ConsumerContext for Discreet {}

impl Cluster {
    /// Settings of every client. The user's properties come first, ours win: the configuration has
    /// already refused those that we own.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        if !self.properties.contains_key("client.id") {
            config.set("client.id", "tributary");
        }
        config
    }

    /// Settings of every producer: idempotent, acknowledged by all in-sync replicas, and with the
    /// partitioner of the Java client, so that a key lies in the same partition whoever produced it.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        self.default(&mut config, "compression.type", "lz4");
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", self.max_message_bytes.to_string());
        config
    }

    /// Settings of every consumer: nothing is committed or reset behind our back.
    pub(crate) fn consumer(&self, group: &str, isolation: Isolation) -> ClientConfig {
        let mut config = self.client();
        self.default(&mut config, "queued.max.messages.kbytes", "8192");
        // By default one answer may bring 50 MB, and a small record takes as much again in the client.
        self.default(&mut config, "fetch.max.bytes", "4194304");
        let isolation = match isolation {
            Isolation::Committed => "read_committed",
            Isolation::Uncommitted => "read_uncommitted",
        };
        config
            .set("group.id", group)
            .set("isolation.level", isolation)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("enable.partition.eof", "true")
            .set("max.partition.fetch.bytes", self.max_message_bytes.to_string());
        config
    }

    fn default(&self, config: &mut ClientConfig, key: &str, value: &str) {
        if !self.properties.contains_key(key) {
            config.set(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::producer::BaseProducer;

    fn cluster(properties: &[(&str, &str)]) -> Cluster {
        let properties =
            properties.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Cluster {
            brokers: "localhost:1".to_owned(),
            properties,
            session_timeout: Duration::from_secs(15),
            max_message_bytes: 1_000_000,
        }
    }

    #[test]
    fn the_default_build_speaks_tls_and_every_promised_mechanism() {
        let user = [("sasl.username", "u"), ("sasl.password", "p")];
        let oidc = [
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.client.id", "id"),
            ("sasl.oauthbearer.client.secret", "secret"),
            ("sasl.oauthbearer.token.endpoint.url", "https://localhost:1/token"),
        ];
        for (mechanism, further) in [
            ("PLAIN", &user[..]),
            ("SCRAM-SHA-256", &user[..]),
            ("SCRAM-SHA-512", &user[..]),
            ("OAUTHBEARER", &oidc[..]),
        ] {
            let common = [("security.protocol", "SASL_SSL"), ("sasl.mechanism", mechanism)];
            let made =
                cluster(&[&common[..], further].concat()).producer().create::<BaseProducer>();
            assert!(made.is_ok(), "{mechanism}: {:?}", made.err());
        }
        let unknown = [("security.protocol", "SASL_SSL"), ("sasl.mechanism", "MADE-UP")];
        assert!(cluster(&unknown).producer().create::<BaseProducer>().is_err());
    }

    #[test]
    fn what_the_promises_rest_on_cannot_be_overridden_and_passwords_are_not_shown() {
        let properties =
            [("acks", "0"), ("enable.idempotence", "false"), ("sasl.password", "hush")];
        let cluster = cluster(&properties);
        let config = cluster.producer();
        assert_eq!(
            (config.get("acks"), config.get("enable.idempotence")),
            (Some("all"), Some("true"))
        );
        let consumer = cluster.consumer("g", Isolation::Committed);
        assert_eq!(consumer.get("isolation.level"), Some("read_committed"));
        assert!(!format!("{cluster:?}").contains("hush"));
    }
}
