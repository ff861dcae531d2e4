//! The one broker configuration, as a properties file and as a container's environment.

use std::path::Path;

/// What differs from start to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) port: u16,
    pub(super) controller_port: u16,
    pub(super) proxied: Option<Proxied>,
    /// Of the listener that lets in only whom it knows, see [`super::guard`].
    pub(super) guarded: Option<u16>,
}

/// A second listener for clients that come through a proxy: they are told the proxy's port, or they would leave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proxied {
    /// Where the broker listens.
    pub(super) port: u16,
    /// Where the proxy listens.
    pub(super) advertised: u16,
}

/// Settings of a single node for tests: every internal topic with one replica and few partitions, groups that form
/// at once, and nothing created by accident (a missing topic must be noticed).
pub(super) fn of(node: Node, log_dir: &str) -> Vec<(&'static str, String)> {
    let Node { port, controller_port, proxied, guarded } = node;
    let mut listener = String::new();
    let mut advertised = String::new();
    if let Some(proxied) = proxied {
        listener += &format!(",PROXIED://:{}", proxied.port);
        advertised += &format!(",PROXIED://127.0.0.1:{}", proxied.advertised);
    }
    if let Some(guarded) = guarded {
        listener += &format!(",GUARDED://127.0.0.1:{guarded}");
        // By the name in its certificate.
        advertised += &format!(",GUARDED://localhost:{guarded}");
    }
    let mut settings = vec![
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@127.0.0.1:{controller_port}")),
        (
            "listeners",
            format!("PLAINTEXT://:{port},CONTROLLER://127.0.0.1:{controller_port}{listener}"),
        ),
        ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{port}{advertised}")),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT,GUARDED:SASL_SSL"
                .to_owned(),
        ),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("log.dirs", log_dir.to_owned()),
    ];
    settings.extend(
        [
            ("auto.create.topics.enable", "false"),
            ("default.replication.factor", "1"),
            ("offsets.topic.replication.factor", "1"),
            ("offsets.topic.num.partitions", "4"),
            ("transaction.state.log.replication.factor", "1"),
            ("transaction.state.log.min.isr", "1"),
            ("transaction.state.log.num.partitions", "4"),
            ("share.coordinator.state.topic.replication.factor", "1"),
            ("share.coordinator.state.topic.min.isr", "1"),
            ("share.coordinator.state.topic.num.partitions", "1"),
            // A broker that was killed counts as alive until its session ends, and its successor waits for that.
            ("broker.session.timeout.ms", "2000"),
            ("broker.heartbeat.interval.ms", "400"),
            ("group.initial.rebalance.delay.ms", "0"),
            ("message.max.bytes", "4194304"),
            ("replica.fetch.max.bytes", "4194304"),
            ("log.cleaner.dedupe.buffer.size", "8388608"),
            ("num.network.threads", "2"),
            ("num.io.threads", "4"),
            ("background.threads", "2"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    settings
}

/// As `server.properties`.
pub(super) fn properties(node: Node, log_dir: &Path) -> String {
    let log_dir = log_dir.display().to_string();
    let lines: Vec<String> =
        of(node, &log_dir).iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    lines.concat()
}

/// As the `apache/kafka` image reads it: `KAFKA_`, capitals, dots as underscores
/// (kafka.apache.org/documentation, section Docker, read 2026-11).
pub(super) fn environment(node: Node) -> Vec<(String, String)> {
    of(node, "/tmp/kafka-data")
        .into_iter()
        .map(|(name, value)| (format!("KAFKA_{}", name.to_uppercase().replace('.', "_")), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: Node = Node { port: 9092, controller_port: 20_001, proxied: None, guarded: None };

    #[test]
    fn only_clients_on_this_machine_are_told_where_the_broker_is() {
        let properties = properties(NODE, Path::new("data"));
        assert!(properties.contains("\nadvertised.listeners=PLAINTEXT://127.0.0.1:9092\n"));
        assert!(properties.contains("\nlog.dirs=data\n"));
    }

    #[test]
    fn clients_that_come_through_a_proxy_are_told_to_come_back_through_it() {
        let proxied = Some(Proxied { port: 20_002, advertised: 20_003 });
        let properties = properties(Node { proxied, ..NODE }, Path::new("data"));
        assert!(properties.contains(",PROXIED://:20002\n"));
        assert!(properties.contains(
            "\nadvertised.listeners=PLAINTEXT://127.0.0.1:9092,PROXIED://127.0.0.1:20003\n"
        ));
    }

    #[test]
    fn whoever_comes_through_the_guarded_listener_is_told_to_come_back_through_it() {
        let properties = properties(Node { guarded: Some(20_004), ..NODE }, Path::new("data"));
        assert!(properties.contains(",GUARDED://127.0.0.1:20004\n"));
        assert!(properties.contains(",GUARDED://localhost:20004\n"));
    }

    #[test]
    fn a_container_gets_the_same_settings_by_its_environment() {
        let environment = environment(NODE);
        let brought = ("KAFKA_AUTO_CREATE_TOPICS_ENABLE".to_owned(), "false".to_owned());
        assert!(environment.contains(&brought));
        assert_eq!(environment.len(), of(NODE, "").len());
    }
}
