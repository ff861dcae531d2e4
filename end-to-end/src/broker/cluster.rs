//! Several nodes that are one cluster, each of which can be ended by itself.
//!
//! Of several brokers each is controller as well, so that of three any one can be away and the two others go on, as with
//! the smallest cluster that anybody should run.

use std::path::Path;

use super::settings::Roles;
use super::{Broker, BrokerError, KAFKA_VERSION, Started, data_folder, io, maven, settings};
use crate::{Narrate, ports};

impl Broker {
    /// Obtains and starts so many brokers as one cluster, whatever `KAFKA_BROKERS` says. The log of the first is
    /// `kafka-1.log` in `folder`.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_cluster(
        size: usize,
        folder: &Path,
        narrate: Narrate<'_>,
    ) -> Result<Vec<Self>, BrokerError> {
        start(&vec![None; size], folder, narrate)
    }

    /// The same, where whoever connects to [`Broker::behind_proxy`] of any of them is told that they are to be found
    /// at these ports of this machine, one for each.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_cluster_behind(
        proxy_ports: &[u16],
        folder: &Path,
        narrate: Narrate<'_>,
    ) -> Result<Vec<Self>, BrokerError> {
        let proxy_ports: Vec<Option<u16>> = proxy_ports.iter().copied().map(Some).collect();
        start(&proxy_ports, folder, narrate)
    }

    /// Obtains and starts the only broker of a cluster whose controller is a process of its own and stays when the broker
    /// is ended. Its log is `kafka-2.log` in `folder`.
    ///
    /// One that is controller as well loses what it was committing when it was killed: when it is started again it looks
    /// for the leader of `__consumer_offsets` before there is any, and Apache Kafka 4.3.1 takes a partition without a
    /// leader for deleted. No marker is ever written, and the group's offsets are told to nobody. Here it leads nothing
    /// until it leads everything.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_apart(folder: &Path, narrate: Narrate<'_>) -> Result<Self, BrokerError> {
        let free = || ports::free().map_err(io("choosing a port"));
        let controllers = vec![free()?];
        let node = settings::Node {
            place: 0,
            controllers,
            port: free()?,
            proxied: None,
            guarded: None,
            roles: Roles::Controller,
        };
        let mut controller = prepare(&node, folder, narrate)?;
        let broker = prepare(&settings::Node { roles: Roles::Broker, ..node }, folder, narrate)?;
        controller.begin()?;
        let mut broker = Self { _controller: controller.started, ..broker };
        broker.start_again()?;
        Ok(broker)
    }
}

fn prepare(
    node: &settings::Node,
    folder: &Path,
    narrate: Narrate<'_>,
) -> Result<Broker, BrokerError> {
    let data = data_folder()?;
    let log = folder.join(format!("kafka-{}.log", node.id()));
    let program = maven::prepare(node, None, (data.path(), &log), narrate)?;
    Ok(Broker {
        address: format!("127.0.0.1:{}", node.port),
        behind_proxy: node.behind_proxy(),
        guarded: None,
        log,
        started: Some(Started { program, container: None, running: None, _data: data }),
        _controller: None,
        brokers: 1,
    })
}

fn start(
    proxy_ports: &[Option<u16>],
    folder: &Path,
    narrate: Narrate<'_>,
) -> Result<Vec<Broker>, BrokerError> {
    let free = || ports::free().map_err(io("choosing a port"));
    let controllers = proxy_ports.iter().map(|_| free()).collect::<Result<Vec<u16>, _>>()?;
    let size = i32::try_from(controllers.len()).unwrap_or(i32::MAX);
    let mut brokers = Vec::new();
    for (place, advertised) in proxy_ports.iter().enumerate() {
        let proxied = match advertised {
            Some(advertised) => Some(settings::Proxied { port: free()?, advertised: *advertised }),
            None => None,
        };
        let controllers = controllers.clone();
        let node = settings::Node {
            place,
            controllers,
            port: free()?,
            proxied,
            guarded: None,
            roles: Roles::Both,
        };
        brokers.push(Broker { brokers: size, ..prepare(&node, folder, narrate)? });
    }
    narrate(&format!("starting {size} nodes of Apache Kafka {KAFKA_VERSION} as one cluster"));
    // None of them serves before most of them are there.
    for broker in &mut brokers {
        broker.begin()?;
    }
    for broker in &mut brokers {
        broker.wait_until_started()?;
    }
    // Started again, each is back when it answers: others may be away by then.
    for broker in &mut brokers {
        broker.brokers = 1;
    }
    Ok(brokers)
}
