//! How a node is configured, as a properties file and as a container's environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// What differs from node to node and from start to start.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Among the nodes of its cluster, from 0.
    pub(super) place: usize,
    /// Where the nodes find each other as controllers, in the order of their places.
    pub(super) controllers: Vec<u16>,
    pub(super) port: u16,
    pub(super) proxied: Option<Proxied>,
    /// Of the listener that lets in only whom it knows, see [`super::guard`].
    pub(super) guarded: Option<u16>,
    pub(super) roles: Roles,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roles {
    Both,
    /// The only controller, of a broker beside it.
    Controller,
    /// The only broker, of a controller beside it.
    Broker,
}

/// More replicas than that nobody asks for.
const MOST_REPLICAS: usize = 3;

impl Node {
    /// Which one it is, for Kafka.
    pub(super) fn id(&self) -> usize {
        match self.roles {
            Roles::Both | Roles::Controller => self.place + 1,
            Roles::Broker => self.place + 2,
        }
    }

    /// Where a proxy finds it, if there is one.
    pub(super) fn behind_proxy(&self) -> Option<SocketAddr> {
        self.proxied.map(|it| SocketAddr::from((Ipv4Addr::LOCALHOST, it.port)))
    }

    fn voters(&self) -> String {
        let voters = self.controllers.iter().enumerate();
        let voters = voters.map(|(place, port)| format!("{}@127.0.0.1:{port}", place + 1));
        voters.collect::<Vec<_>>().join(",")
    }

    /// How long a broker that was killed counts as alive, and between its heartbeats. Its successor waits for that, so
    /// it is short.
    ///
    /// Not for a broker that is its own only controller. Started again, it is its own predecessor until its session
    /// from before is over: it leads its partitions, leads none for a moment, and leads them again. In Apache Kafka
    /// 4.3.1 the end of a load of `__consumer_offsets` that began before that moment counts as the end of the one that
    /// began after it, and groups get old offsets or no answer any more. By Kafka's own default the first is long over
    /// then.
    fn session(&self) -> (&'static str, &'static str) {
        let is_alone = self.controllers.len() == 1 && self.roles == Roles::Both;
        if is_alone { ("9000", "2000") } else { ("2000", "400") }
    }

    /// Of each internal topic, and how many of them have to have what is acknowledged.
    fn replicas(&self) -> (String, String) {
        let replicas = self.controllers.len().min(MOST_REPLICAS);
        (replicas.to_string(), (replicas / 2 + 1).to_string())
    }
}

/// A second listener for clients that come through a proxy: they are told the proxy's port, or they would leave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proxied {
    /// Where the broker listens.
    pub(super) port: u16,
    /// Where the proxy listens.
    pub(super) advertised: u16,
}

/// Settings of a node for tests: internal topics with as many replicas as there are nodes and few partitions, groups
/// that form at once, and nothing created by accident (a missing topic must be noticed).
pub(super) fn of(node: &Node, log_dir: &str) -> Vec<(&'static str, String)> {
    let Node { place, controllers, port, proxied, guarded, roles } = node;
    let controller_port = controllers.get(*place).copied().unwrap_or_default();
    let (replicas, in_sync) = node.replicas();
    let (session, heartbeat) = node.session();
    let serves = format!("PLAINTEXT://:{port}");
    let controls = format!("CONTROLLER://127.0.0.1:{controller_port}");
    let (role, mut listeners) = match roles {
        Roles::Both => ("broker,controller", vec![serves, controls]),
        Roles::Controller => return controller(node, controls, log_dir),
        Roles::Broker => ("broker", vec![serves]),
    };
    let mut advertised = vec![format!("PLAINTEXT://127.0.0.1:{port}")];
    if let Some(proxied) = proxied {
        listeners.push(format!("PROXIED://:{}", proxied.port));
        advertised.push(format!("PROXIED://127.0.0.1:{}", proxied.advertised));
    }
    if let Some(guarded) = guarded {
        listeners.push(format!("GUARDED://127.0.0.1:{guarded}"));
        // By the name in its certificate.
        advertised.push(format!("GUARDED://localhost:{guarded}"));
    }
    let mut settings = vec![
        ("process.roles", role.to_owned()),
        ("node.id", node.id().to_string()),
        ("controller.quorum.voters", node.voters()),
        ("listeners", listeners.join(",")),
        ("advertised.listeners", advertised.join(",")),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT,GUARDED:SASL_SSL"
                .to_owned(),
        ),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("log.dirs", log_dir.to_owned()),
        ("default.replication.factor", replicas.clone()),
        ("offsets.topic.replication.factor", replicas.clone()),
        ("transaction.state.log.replication.factor", replicas.clone()),
        ("transaction.state.log.min.isr", in_sync.clone()),
        ("share.coordinator.state.topic.replication.factor", replicas),
        ("share.coordinator.state.topic.min.isr", in_sync),
    ];
    if controllers.len() == 1 {
        // Else it gives up its partitions before it ends, and nobody takes them. Apache Kafka 4.3.1 takes a partition
        // without a leader for deleted: transactions that are being committed get no marker there and hang for ever.
        settings.push(("controlled.shutdown.enable", "false".to_owned()));
    }
    settings.extend(
        [
            ("auto.create.topics.enable", "false"),
            ("offsets.topic.num.partitions", "4"),
            ("transaction.state.log.num.partitions", "4"),
            ("share.coordinator.state.topic.num.partitions", "1"),
            ("broker.session.timeout.ms", session),
            ("broker.heartbeat.interval.ms", heartbeat),
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

fn controller(node: &Node, listener: String, log_dir: &str) -> Vec<(&'static str, String)> {
    let (session, heartbeat) = node.session();
    vec![
        ("process.roles", "controller".to_owned()),
        ("node.id", node.id().to_string()),
        ("controller.quorum.voters", node.voters()),
        ("listeners", listener),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT".to_owned()),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("log.dirs", log_dir.to_owned()),
        ("broker.session.timeout.ms", session.to_owned()),
        ("broker.heartbeat.interval.ms", heartbeat.to_owned()),
    ]
}

/// As `server.properties`.
pub(super) fn properties(node: &Node, log_dir: &Path) -> String {
    let log_dir = log_dir.display().to_string();
    let lines: Vec<String> =
        of(node, &log_dir).iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    lines.concat()
}

/// As the `apache/kafka` image reads it: `KAFKA_`, capitals, dots as underscores
/// (kafka.apache.org/documentation, section Docker, read 2026-11).
pub(super) fn environment(node: &Node) -> Vec<(String, String)> {
    of(node, "/tmp/kafka-data")
        .into_iter()
        .map(|(name, value)| (format!("KAFKA_{}", name.to_uppercase().replace('.', "_")), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        let controllers = vec![20_001];
        Node { place: 0, controllers, port: 9092, proxied: None, guarded: None, roles: Roles::Both }
    }

    #[test]
    fn only_clients_on_this_machine_are_told_where_the_broker_is() {
        let properties = properties(&node(), Path::new("data"));
        assert!(properties.contains("\nadvertised.listeners=PLAINTEXT://127.0.0.1:9092\n"));
        assert!(properties.contains("\nlog.dirs=data\n"));
    }

    #[test]
    fn a_node_that_is_alone_gives_nothing_up_before_it_ends() {
        let line = "\ncontrolled.shutdown.enable=false\n";
        assert!(properties(&node(), Path::new("data")).contains(line));
        let controllers = vec![20_001, 20_002, 20_003];
        assert!(!properties(&Node { controllers, ..node() }, Path::new("data")).contains(line));
    }

    #[test]
    fn the_only_broker_has_loaded_before_its_session_from_before_ends() {
        let session = |node: &Node, millis: &str| {
            let line = format!("\nbroker.session.timeout.ms={millis}\n");
            properties(node, Path::new("data")).contains(&line)
        };
        assert!(session(&node(), "9000"));
        let controllers = vec![20_001, 20_002, 20_003];
        assert!(session(&Node { controllers, ..node() }, "2000"));
    }

    #[test]
    fn a_broker_and_its_controller_know_each_other() {
        let of = |roles| properties(&Node { roles, ..node() }, Path::new("data"));
        let (controller, broker) = (of(Roles::Controller), of(Roles::Broker));
        for properties in [&controller, &broker] {
            assert!(properties.contains("\ncontroller.quorum.voters=1@127.0.0.1:20001\n"));
            assert!(properties.contains("\nbroker.session.timeout.ms=2000\n"));
        }
        assert!(controller.starts_with("process.roles=controller\nnode.id=1\n"));
        assert!(controller.contains("\nlisteners=CONTROLLER://127.0.0.1:20001\n"));
        assert!(broker.starts_with("process.roles=broker\nnode.id=2\n"));
        assert!(broker.contains("\nlisteners=PLAINTEXT://:9092\n"));
    }

    #[test]
    fn clients_that_come_through_a_proxy_are_told_to_come_back_through_it() {
        let proxied = Some(Proxied { port: 20_002, advertised: 20_003 });
        let properties = properties(&Node { proxied, ..node() }, Path::new("data"));
        assert!(properties.contains(",PROXIED://:20002\n"));
        assert!(properties.contains(
            "\nadvertised.listeners=PLAINTEXT://127.0.0.1:9092,PROXIED://127.0.0.1:20003\n"
        ));
    }

    #[test]
    fn of_three_nodes_two_have_what_is_acknowledged() {
        let node = Node { place: 1, controllers: vec![20_001, 20_002, 20_003], ..node() };
        let properties = properties(&node, Path::new("data"));
        for line in [
            "node.id=2",
            "controller.quorum.voters=1@127.0.0.1:20001,2@127.0.0.1:20002,3@127.0.0.1:20003",
            "listeners=PLAINTEXT://:9092,CONTROLLER://127.0.0.1:20002",
            "offsets.topic.replication.factor=3",
            "transaction.state.log.min.isr=2",
        ] {
            assert!(properties.contains(&format!("{line}\n")), "{line}");
        }
    }

    #[test]
    fn whoever_comes_through_the_guarded_listener_is_told_to_come_back_through_it() {
        let guarded = Some(20_004);
        let properties = properties(&Node { guarded, ..node() }, Path::new("data"));
        assert!(properties.contains(",GUARDED://127.0.0.1:20004\n"));
        assert!(properties.contains(",GUARDED://localhost:20004\n"));
    }

    #[test]
    fn a_container_gets_the_same_settings_by_its_environment() {
        let environment = environment(&node());
        let brought = ("KAFKA_AUTO_CREATE_TOPICS_ENABLE".to_owned(), "false".to_owned());
        assert!(environment.contains(&brought));
        assert_eq!(environment.len(), of(&node(), "").len());
    }
}
