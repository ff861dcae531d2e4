//! The Helm chart and the binaries agree: what it gives them they accept, the topics it asks Strimzi for are those of the
//! catalogue, and with its arguments, variables and configuration they start.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use emulators::{CustomerIo, CustomerIoSettings};
use end_to_end::broker::Broker;
use end_to_end::chart::{Container, Rendered};
use end_to_end::ports;
use end_to_end::processes::{Binary, Process, Setting};
use schemas::topics::{Installation, catalogue};
use serde_json::{Value, json};
use service::clock::SystemClock;
use service::config::{Config, Loader, Mode, Variables, Vocabulary};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(40);

/// Where the chart puts things in a container, and what lies there.
const SECRETS: &str = "/secrets/";
const HANDLERS: &str = "/handlers/";
const CONFIGURATION: &str = "/etc/tributary/tributary.yaml";

/// What `${VAR}` and entries of Secrets are in this test; any of the binaries' credentials may look like it.
const CREDENTIAL: &str = "whsec_cGxhbnRlZA==";

/// The configuration with the files of Secrets in a folder of this machine, each with a credential in it.
fn with_secrets(text: &str, folder: &TempDir) -> String {
    let here = format!("{}/", folder.path().display());
    let text = text.replace(SECRETS, &here);
    for file in text.split_whitespace().filter(|word| word.starts_with(&here)) {
        std::fs::create_dir_all(Path::new(file).parent().unwrap()).unwrap();
        std::fs::write(file, CREDENTIAL).unwrap();
    }
    text
}

/// What a container finds in its environment; what comes from elsewhere is made up.
fn variables(container: &Container, text: &str) -> BTreeMap<String, String> {
    let named = container.variables.iter().map(|(name, value)| {
        let made_up = if name.ends_with("INSTANCE_ID") { "stream-transform-0" } else { CREDENTIAL };
        (name.clone(), value.clone().unwrap_or_else(|| made_up.to_owned()))
    });
    let referred = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
    let referred = referred.map(|(name, _)| (name.to_owned(), "made-up".to_owned()));
    referred.chain(named).collect()
}

/// What a binary makes of what the chart gives it.
fn read(rendered: &Rendered, binary: Binary, container: &Container) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let text = with_secrets(rendered.configuration().unwrap(), &folder);
    let events = deliver::configure::event_names();
    let attributes = deliver::configure::attribute_names();
    let loader = Loader {
        binary: match binary {
            Binary::Ingest => service::Binary::Ingest,
            Binary::Transform => service::Binary::Transform,
            Binary::Deliver => service::Binary::Deliver,
        },
        variables: &variables(container, &text).into_iter().collect::<Variables>(),
        vocabulary: Vocabulary { events: &events, attributes: &attributes },
        clock: Arc::new(SystemClock::new()),
    };
    let read = loader.read("tributary.yaml", &text);
    read.map_err(|problems| format!("{}: {problems}\n{text}", binary.name())).unwrap()
}

#[test]
fn the_binaries_read_what_every_case_of_the_matrix_gives_them() {
    let matrix = Rendered::matrix().unwrap();
    assert!(matrix.len() >= 7, "{:?}", matrix.keys());
    for (case, rendered) in matrix {
        let mut found = 0;
        for binary in Binary::ALL {
            let Some(container) = rendered.container(binary.name(), "run") else { continue };
            let config = read(&rendered, binary, &container);
            assert_eq!(container.arguments, ["run", "--config", CONFIGURATION], "{case}");
            assert_eq!(config.transform.state_dir, Path::new("/state"), "{case}");
            let instance = (binary == Binary::Transform).then_some("stream-transform-0");
            assert_eq!(config.transform.instance_id.as_deref(), instance, "{case}");
            let secure = config.kafka.properties.iter().any(|(key, _)| key == "security.protocol");
            assert_eq!(secure, ["everything", "keda", "production", "strimzi"].contains(&&*case));
            found += 1;
        }
        assert_eq!(found, if case == "no-metrics" { 1 } else { 3 }, "{case}");
    }
}

/// The topics of an installation as KafkaTopics say it.
fn asked_for(rendered: &Rendered) -> BTreeMap<String, Value> {
    let topics = rendered.of_kind("KafkaTopic").map(|topic| {
        let spec = &topic["spec"];
        let mut config = spec["config"].as_object().unwrap().clone();
        // Strimzi's values say it; the catalogue leaves it to the cluster.
        assert_eq!(config.remove("min.insync.replicas"), Some(json!(2)));
        let config: BTreeMap<_, _> = config
            .into_iter()
            .map(|(key, value)| (key, value.as_str().map_or(value.to_string(), str::to_owned)))
            .collect();
        let name = spec["topicName"].as_str().unwrap().to_owned();
        (name, json!({ "partitions": spec["partitions"], "replicas": spec["replicas"], "config": config }))
    });
    topics.collect()
}

/// The same, as the binaries know it.
fn catalogued(config: &Config) -> BTreeMap<String, Value> {
    let shadows = config.destinations.iter().filter(|(_, each)| each.mode == Mode::Shadow);
    let installation = Installation {
        prefix: &config.kafka.topic_prefix,
        destinations: config.destinations.keys().map(String::as_str).collect(),
        in_shadow: shadows.map(|(name, _)| name.as_str()).collect(),
        partitions: i32::try_from(config.kafka.partitions).unwrap(),
        max_body: config.ingest.max_body,
    };
    let specs = catalogue(&installation).unwrap();
    let replicas = config.kafka.replication_factor;
    let told = specs.into_iter().map(|spec| {
        let config = spec.configs();
        (
            spec.name,
            json!({ "partitions": spec.partitions, "replicas": replicas, "config": config }),
        )
    });
    told.collect()
}

#[test]
fn the_topics_of_strimzi_are_those_of_the_catalogue() {
    let matrix = Rendered::matrix().unwrap();
    for case in ["strimzi", "everything"] {
        let rendered = &matrix[case];
        let container = rendered.container("deliver", "run").unwrap();
        let config = read(rendered, Binary::Deliver, &container);
        assert_eq!(asked_for(rendered), catalogued(&config), "{case}");
    }
}

/// A container of the chart on this machine: other ports and folders, all else as it is.
struct Machine {
    folder: TempDir,
    setting: Setting,
    ports: BTreeMap<&'static str, u16>,
}

impl Machine {
    fn new(rendered: &Rendered) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = with_secrets(rendered.configuration().unwrap(), &folder);
        let state = folder.path().join("state").display().to_string();
        text = text.replace("state_dir: /state", &format!("state_dir: {state}"));
        for (name, handler) in rendered.handlers() {
            let file = folder.path().join(name);
            text = text.replace(&format!("{HANDLERS}{name}"), &file.display().to_string());
            std::fs::write(file, handler).unwrap();
        }
        let mut ports = BTreeMap::new();
        for (name, usual) in
            [("webhooks", 8080), ("ingest", 9101), ("transform", 9102), ("deliver", 9103)]
        {
            let port = ports::free().unwrap();
            let listener = format!("0.0.0.0:{usual}");
            assert!(text.contains(&listener), "{text}");
            text = text.replace(&listener, &format!("127.0.0.1:{port}"));
            ports.insert(name, port);
        }
        let configuration = folder.path().join("tributary.yaml");
        std::fs::write(&configuration, text).unwrap();
        let environment = Vec::new();
        let setting = Setting {
            configuration,
            folder: folder.path().to_owned(),
            environment,
            binaries: None,
        };
        Self { folder, setting, ports }
    }

    fn setting(&self, container: &Container) -> Setting {
        let text = std::fs::read_to_string(&self.setting.configuration).unwrap();
        let environment = variables(container, &text).into_iter().collect();
        Setting { environment, ..self.setting.clone() }
    }

    /// Starts it as a container of this name is started.
    fn start(&self, rendered: &Rendered, binary: Binary) -> Process {
        let container = rendered.container(binary.name(), "run").unwrap();
        assert_eq!(container.arguments, ["run", "--config", CONFIGURATION]);
        let port = self.ports[binary.name()];
        Process::start(binary, &self.setting(&container), port).unwrap()
    }
}

/// What an operator would write.
fn values(brokers: &str, prefix: &str, customerio: SocketAddr) -> String {
    format!(
        "config:
  kafka: {{brokers: \"{brokers}\", topic_prefix: {prefix}, partitions: 3}}
  sources:
    stripe: {{provider: stripe, secrets_file: /secrets/sources/stripe}}
  destinations:
    crm:
      type: customerio
      region: us
      site_id_file: /secrets/destinations/site
      api_key_file: /secrets/destinations/key
      base_url: http://{customerio}
      transform: /handlers/as-it-is.js
ingest: {{existingSecrets: [sources]}}
transform: {{persistence: {{enabled: false}}}}
deliver:
  existingSecrets: [destinations]
  handlers: {{as-it-is.js: \"function handler(webhook) {{ return webhook; }}\"}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binaries_start_with_what_the_chart_gives_them() {
    let broker = Broker::shared().unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free().unwrap()));
    let _customerio = CustomerIo::start(address, CustomerIoSettings::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    let prefix = format!("chart-{}.", std::process::id());
    std::fs::write(&file, values(broker.address(), &prefix, address)).unwrap();
    let rendered = Rendered::with_values(&file).unwrap();
    let machine = Machine::new(&rendered);
    for (name, credential) in [("site", "emulator-site"), ("key", "emulator-key")] {
        std::fs::write(machine.folder.path().join("destinations").join(name), credential).unwrap();
    }

    // The setup job, in its order.
    for (name, binary) in [("topics", Binary::Transform), ("destinations", Binary::Deliver)] {
        let container = rendered.container(name, "setup").unwrap();
        assert_eq!(container.arguments, ["setup", "--config", CONFIGURATION]);
        machine.setting(&container).command(binary, "setup", PATIENCE).unwrap();
    }
    let mut processes = Binary::ALL.map(|binary| machine.start(&rendered, binary));
    for process in &mut processes {
        process.wait_until_ready(PATIENCE).unwrap();
    }
    // `helm test`.
    for binary in Binary::ALL {
        let container = rendered.container(binary.name(), "check").unwrap();
        assert_eq!(container.arguments, ["check", "--config", CONFIGURATION]);
        machine.setting(&container).command(binary, "check", PATIENCE).unwrap();
    }
    // The identity is the pod's.
    let identity = machine.folder.path().join("state").join("identity.json");
    assert!(std::fs::read_to_string(identity).unwrap().contains("stream-transform-0"));
    for mut process in processes {
        assert!(process.terminate(PATIENCE).unwrap().success(), "{:?}", process.binary());
    }
}
