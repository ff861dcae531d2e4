//! Several brokers that are one cluster, each of which can be ended by itself.
//!
//! Every node is broker and controller, so that of three any one can be away and the two others go on, as with the
//! smallest cluster that anybody should run.

use std::path::Path;

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
        let node = settings::Node { place, controllers, port: free()?, proxied, guarded: None };
        let data = data_folder()?;
        let log = folder.join(format!("kafka-{}.log", node.id()));
        let program = maven::prepare(&node, None, (data.path(), &log), narrate)?;
        brokers.push(Broker {
            address: format!("127.0.0.1:{}", node.port),
            behind_proxy: node.behind_proxy(),
            guarded: None,
            log,
            started: Some(Started { program, container: None, running: None, _data: data }),
            brokers: size,
        });
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
