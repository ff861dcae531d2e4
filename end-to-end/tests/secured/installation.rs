//! An installation at a broker that asks everybody who they are: users, rights and the way in are those of the chart.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use end_to_end::authority::Authority;
use end_to_end::broker::{Broker, Guard, Right, User};
use end_to_end::chart::Rendered;
use end_to_end::configuration::{Configuration, Listeners, Receiver};
use end_to_end::destinations::Destinations;
use end_to_end::pipeline::Pipeline;
use end_to_end::processes::{Binary, Process, Setting};
use end_to_end::workspace;

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const COMPONENTS: [&str; 4] = ["ingest", "transform", "deliver", "setup"];
/// Those that share the broker.
const INSTALLATIONS: [&str; 2] = ["healthy", "denied"];
/// What only an operator does, and what it takes.
const OPERATORS: &str = include_str!("../../../deploy/helm/tributary/README.md");

/// The broker, and whom its clients have to trust.
pub(crate) struct Ground {
    pub(crate) broker: Broker,
    pub(crate) authority: Authority,
}

/// The one broker of these tests, started by the first that asks.
pub(crate) fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let folder = workspace::fresh_run_folder("secured").unwrap();
        let authority = Authority::new(&folder.join("authority")).unwrap();
        let keystore = authority.issue("localhost").unwrap();
        let users = INSTALLATIONS.iter().flat_map(|installation| {
            COMPONENTS.map(|component| {
                let name = format!("{installation}-{component}");
                User { password: password(&name), name }
            })
        });
        let guard = Guard { keystore, users: users.collect() };
        let broker = Broker::start_guarded(&guard, &folder, &|_| ()).unwrap();
        Ground { broker, authority }
    })
}

pub(crate) fn password(user: &str) -> String {
    format!("pass-phrase-of-{user}")
}

/// Topics, users and rights of nobody else.
pub(crate) struct Installation {
    pub(crate) name: &'static str,
    /// What the chart gives the four users.
    pub(crate) rights: Vec<Right>,
    chart: Rendered,
    pub(crate) folder: PathBuf,
    file: PathBuf,
    configuration: Configuration,
    pub(crate) destinations: Destinations,
}

/// What is given beside what a running installation needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    WhatRunningTakes,
    WhatOperatorsTake,
}

impl Installation {
    pub(crate) async fn new(name: &'static str) -> Self {
        let folder = workspace::fresh_run_folder(&format!("secured-{name}")).unwrap();
        let destinations = Destinations::start().await.unwrap();
        let brokers = ground().broker.guarded().unwrap().to_owned();
        let configuration = Configuration {
            brokers,
            schema_registry: None,
            topic_prefix: format!("{name}."),
            secrets: None,
            listeners: Listeners::free().unwrap(),
            state_dir: folder.join("state"),
            reorder_window: Duration::from_secs(2),
            retry_delays: "[500ms, 1s]".to_owned(),
            rate_per_second: 700,
            customerio: Receiver::Emulator { base_url: destinations.customerio.base_url() },
            intercom: Receiver::Emulator { base_url: destinations.intercom.base_url() },
        };
        let file = folder.join("tributary.yaml");
        std::fs::write(&file, configuration.render()).unwrap();
        let chart = rendered(name, &folder, Given::WhatRunningTakes);
        let rights = chart.rights().unwrap();
        Self { name, rights, chart, folder, file, configuration, destinations }
    }

    /// What the chart gives in addition when told what operators need, as its page says.
    pub(crate) fn rights_of_operators(&self) -> Vec<Right> {
        let all = rendered(self.name, &self.folder, Given::WhatOperatorsTake).rights().unwrap();
        all.into_iter().filter(|right| !self.rights.contains(right)).collect()
    }

    /// As this component runs in Kubernetes, but for where the files lie. Its log lies in `place`.
    pub(crate) fn setting(&self, component: &str, place: &str) -> Setting {
        let (container, command) =
            if component == "setup" { ("topics", "setup") } else { (component, "run") };
        let variables = self.chart.container(container, command).unwrap().variables;
        let authority = ground().authority.certificate().display().to_string();
        let at_kafka = variables.into_iter().filter(|(name, _)| name.contains("__KAFKA__"));
        let environment = at_kafka.map(|(name, value)| {
            let value = match (name.rsplit("__").next().unwrap(), value) {
                ("SSL_CA_LOCATION", _) => authority.clone(),
                ("SASL_PASSWORD", None) => password(&format!("{}-{component}", self.name)),
                (_, value) => value.unwrap(),
            };
            (name, value)
        });
        let folder = self.folder.join(place);
        std::fs::create_dir_all(&folder).unwrap();
        let environment = environment.collect();
        Setting { configuration: self.file.clone(), folder, environment, binaries: None }
    }

    /// Makes the topics with the user that is there for that.
    pub(crate) fn set_up(&self) {
        let setting = self.setting("setup", "setup");
        for binary in Binary::ALL {
            setting.command(binary, "setup", PATIENCE).unwrap();
        }
    }

    pub(crate) fn start(&self, binary: Binary, place: &str) -> Process {
        let Listeners { ingest, transform, deliver, .. } = self.configuration.listeners;
        let admin_port = match binary {
            Binary::Ingest => ingest,
            Binary::Transform => transform,
            Binary::Deliver => deliver,
        };
        Process::start(binary, &self.setting(binary.name(), place), admin_port).unwrap()
    }

    pub(crate) fn start_all(&self) -> Pipeline {
        let mut pipeline = Pipeline {
            destinations: self.destinations.clone(),
            ingest: self.start(Binary::Ingest, "run"),
            transform: self.start(Binary::Transform, "run"),
            deliver: self.start(Binary::Deliver, "run"),
            configuration: self.configuration.clone(),
            setting: self.setting("ingest", "run"),
        };
        for process in pipeline.processes() {
            process.wait_until_ready(PATIENCE).unwrap();
        }
        pipeline
    }

    /// Runs one of a binary's commands as its user; what it says.
    pub(crate) fn told(&self, binary: Binary, command: &'static str, arguments: &str) -> String {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        self.setting(binary.name(), "commands").told(binary, command, &arguments).unwrap()
    }

    /// What was denied to its users.
    pub(crate) fn denials(&self) -> Vec<String> {
        let users = COMPONENTS.map(|component| format!("{}-{component}", self.name));
        ground().broker.denials(&users).unwrap()
    }
}

fn rendered(name: &str, folder: &Path, given: Given) -> Rendered {
    let additional = match given {
        Given::WhatRunningTakes => String::new(),
        Given::WhatOperatorsTake => what_operators_take(name),
    };
    let values = format!(
        "fullnameOverride: {name}
config:
  kafka: {{brokers: \"kafka:9093\", topic_prefix: {name}.}}
  sources:
    stripe: {{provider: stripe, secrets_file: /secrets/sources/stripe}}
  destinations:
    customerio:
      type: customerio
      region: us
      site_id_file: /secrets/destinations/site-id
      api_key_file: /secrets/destinations/api-key
    intercom: {{type: intercom, region: us, access_token_file: /secrets/destinations/token}}
kafka:
  tls: {{enabled: true}}
  authentication: {{mechanism: SCRAM-SHA-512}}
strimzi:
  cluster: main
  users:
    create: true
{additional}"
    );
    let file = folder.join("values.yaml");
    std::fs::write(&file, values).unwrap();
    Rendered::with_values(&file).unwrap()
}

/// The example of the chart's page, in this installation's names.
fn what_operators_take(name: &str) -> String {
    let (_, from) = OPERATORS.split_once("    additionalAcls:\n").expect("the example");
    let (example, _) = from.split_once("```").unwrap();
    let own = |line: &str| {
        ["subscriptions.", "transform"].iter().fold(line.to_owned(), |line, topic| {
            line.replace(&format!("name: {topic}"), &format!("name: {name}.{topic}"))
        })
    };
    let lines: Vec<_> = example.lines().map(own).collect();
    format!("    additionalAcls:\n{}\n", lines.join("\n"))
}
