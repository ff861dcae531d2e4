//! What a run stands on: brokers that can be ended, a proxy before each, the whole pipeline behind them, and what
//! this machine can do.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use service::clock::{Clock, SystemClock};

use super::plant::Plant;
use super::programme::Kind;
use super::relay::Relay;
use super::{Chaos, ChaosError};
use crate::broker::{Broker, Tool};
use crate::configuration::Listeners;
use crate::destinations::Destinations;
use crate::pipeline::{Pipeline, Plan, Receivers};
use crate::processes;
use crate::proxy::Proxy;
use crate::sign::Secrets;
use crate::{Narrate, keyring, ports, workspace};

/// What `transform` holds events for.
pub(super) const REORDER_WINDOW: Duration = Duration::from_secs(2);

/// As short as the broker allows, so that a member that was killed is soon missed.
const SESSION_TIMEOUT: &str = "6s";
/// For a call to a destination, so that one that hangs is soon given up.
const CALL_TIMEOUT: &str = "2s";

/// Everything that runs. Dropping it ends it, the pipeline first.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) pipeline: Pipeline,
    /// Where a bug is planted in calls to Customer.io.
    pub(super) relay: Option<Relay>,
    /// One before each broker.
    pub(super) proxies: Vec<Proxy>,
    pub(super) brokers: Vec<Broker>,
    pub(super) secrets: PathBuf,
    /// What this machine cannot do, and why.
    pub(super) impossible: Vec<(Kind, &'static str)>,
}

impl Ground {
    /// Builds, obtains and starts everything.
    ///
    /// # Errors
    /// With the end of the log of whatever did not start.
    pub(super) async fn prepare(chaos: Chaos, narrate: Narrate<'_>) -> Result<Self, ChaosError> {
        let io = |doing| move |source| ChaosError::Io { doing, source };
        let folder = workspace::fresh_run_folder("chaos").map_err(io("making a folder"))?;
        let binaries = processes::build_release(None, &folder, narrate)?;
        let impossible = impossible();
        let (brokers, proxies) = cluster(chaos.brokers, &folder, narrate)?;
        let secrets = folder.join("secrets");
        keyring::write(&secrets, &[&Secrets::default()]).map_err(io("writing the secrets"))?;
        let variable = |name: &str, value: &str| (format!("TRIBUTARY__{name}"), value.to_owned());
        let destinations = Destinations::start().await.map_err(io("starting the emulators"))?;
        let relay = match chaos.plant.and_then(Plant::meddling) {
            None => None,
            Some(meddling) => {
                let relay = Relay::start(meddling, destinations.customerio.address()).await;
                Some(relay.map_err(io("starting the relay"))?)
            }
        };
        let mut environment = vec![
            variable("KAFKA__SESSION_TIMEOUT", SESSION_TIMEOUT),
            variable("DESTINATIONS__CUSTOMERIO__TIMEOUT", CALL_TIMEOUT),
            variable("DESTINATIONS__INTERCOM__TIMEOUT", CALL_TIMEOUT),
            variable("KAFKA__REPLICATION_FACTOR", &brokers.len().min(3).to_string()),
        ];
        let base_url = relay.as_ref().map(Relay::base_url);
        environment
            .extend(base_url.map(|url| variable("DESTINATIONS__CUSTOMERIO__BASE_URL", &url)));
        let plan = Plan {
            brokers: proxies.iter().map(Proxy::address).collect::<Vec<_>>().join(","),
            schema_registry: None,
            topic_prefix: format!("chaos-{:x}.", SystemClock::new().now_millis()),
            secrets: Some(secrets.clone()),
            folder,
            listeners: Listeners::free().map_err(io("choosing ports"))?,
            reorder_window: REORDER_WINDOW,
            retry_delays: "[500ms, 1s, 2s]".to_owned(),
            receivers: Receivers::Emulated,
            environment,
            binaries: Some(binaries),
        };
        let pipeline = Pipeline::start_before(destinations, plan, narrate)?;
        Ok(Self { pipeline, relay, proxies, brokers, secrets, impossible })
    }

    /// Writes beside the logs what the broker knows of the groups, for whoever looks into what went wrong.
    pub(super) fn keep_groups(&self) -> Result<(), ChaosError> {
        let Some(broker) = self.brokers.first() else { return Ok(()) };
        let mut known = String::new();
        for what in ["--state", "--members", "--offsets"] {
            // What cannot be told is a part of it.
            let told = broker.tool(Tool::ConsumerGroups, &["--describe", "--all-groups", what]);
            known.push_str(&told.unwrap_or_else(|error| error.to_string()));
        }
        let path = self.pipeline.setting.folder.join("groups.log");
        let io = |source| ChaosError::Io { doing: "writing what is known of the groups", source };
        std::fs::write(path, known).map_err(io)
    }
}

/// So many brokers, and a proxy before each.
fn cluster(
    size: usize,
    folder: &Path,
    narrate: Narrate<'_>,
) -> Result<(Vec<Broker>, Vec<Proxy>), ChaosError> {
    let io = |doing| move |source| ChaosError::Io { doing, source };
    let ports: Vec<u16> = (0..size)
        .map(|_| ports::free().map_err(io("choosing a port")))
        .collect::<Result<_, _>>()?;
    let brokers = match ports[..] {
        // In a container, where there are any.
        [port] => vec![Broker::start_behind(port, folder, narrate)?],
        _ => Broker::start_cluster_behind(&ports, folder, narrate)?,
    };
    let mut proxies = Vec::new();
    for (port, broker) in ports.into_iter().zip(&brokers) {
        let behind = broker.behind_proxy().ok_or(ChaosError::NoProxy)?;
        proxies.push(Proxy::start(port, behind).map_err(io("starting a proxy"))?);
    }
    Ok((brokers, proxies))
}

/// What this machine does not let us do without disturbing it.
fn impossible() -> Vec<(Kind, &'static str)> {
    if small_disks_are_possible() {
        return Vec::new();
    }
    vec![(Kind::FillDisk, "no file system can be mounted in a namespace of one's own")]
}

/// Runs what follows it with a disk of its own: `$1` in size, mounted at `$2`, seen by nobody else and gone with the
/// process, whose id is written to `$3`.
pub(super) const WITH_A_SMALL_DISK: [&str; 7] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && echo $$ > \"$3\" && shift 3 && exec \"$@\"",
];

fn small_disks_are_possible() -> bool {
    let [unshare, arguments @ ..] = WITH_A_SMALL_DISK;
    Command::new(unshare)
        .args(arguments)
        .args(["small-disk", "1m", "/tmp", "/dev/null", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
