//! The `transform` that is put to the test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use end_to_end::configuration::{Configuration, Listeners, Receiver};
use end_to_end::processes::{Binary, Process, Setting};
use end_to_end::workspace;
use service::clock::{Clock, SystemClock};
use stream::Cluster;

use crate::Ground;
use crate::feed::SOURCE;

const SETUP_WITHIN: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_mins(1);
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// Long enough that records meet it held, short enough not to be waited for.
const REORDER_WINDOW: Duration = Duration::from_millis(200);

/// How the client library is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It soon gives up a request and repeats it, and soon gives up a record.
    Impatient,
    /// As users run it.
    AsShipped,
}

pub(crate) struct Subject {
    process: Process,
    setting: Setting,
    configuration: Configuration,
    /// Reaches the broker directly, for those who feed and look.
    cluster: Cluster,
}

impl Subject {
    /// An installation of its own, with two workers that know the broker only through the proxy. `name` is their
    /// client id there.
    pub(crate) fn start(ground: &Ground, name: &str, manner: Manner) -> Self {
        let folder = workspace::fresh_run_folder(name).unwrap();
        let nobody = Receiver::Emulator { base_url: "http://127.0.0.1:1".to_owned() };
        let configuration = Configuration {
            brokers: ground.proxy.address(),
            schema_registry: None,
            topic_prefix: format!("{name}-{:x}.", SystemClock::new().now_millis()),
            listeners: Listeners::free().unwrap(),
            state_dir: folder.join("state"),
            reorder_window: REORDER_WINDOW,
            retry_delays: "[1s]".to_owned(),
            rate_per_second: 1,
            customerio: nobody.clone(),
            intercom: nobody,
        };
        let file = write(&configuration, &folder);
        let setting = |manner| Setting {
            configuration: file.clone(),
            folder: folder.clone(),
            environment: environment(name, manner),
        };
        let turn = ground.creating.lock().unwrap_or_else(PoisonError::into_inner);
        setting(Manner::AsShipped).command(Binary::Transform, "setup", SETUP_WITHIN).unwrap();
        drop(turn);
        let setting = setting(manner);
        let admin = configuration.listeners.transform;
        let mut process = Process::start(Binary::Transform, &setting, admin).unwrap();
        process.wait_until_ready(READY_WITHIN).unwrap();
        let cluster = Cluster {
            brokers: ground.broker.address().to_owned(),
            properties: BTreeMap::new(),
            session_timeout: Duration::from_secs(6),
            max_message_bytes: 2 * 1024 * 1024,
        };
        Self { process, setting, configuration, cluster }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.configuration.topic_prefix
    }

    /// Where to read on when something is wrong.
    pub(crate) fn log(&self) -> String {
        format!("see {}", self.setting.folder.join("transform.log").display())
    }

    pub(crate) fn assert_alive(&mut self) {
        let ended = self.process.ended().unwrap();
        assert!(ended.is_none(), "it died: {ended:?}; {}", self.log());
    }

    /// It lives, is ready and has parked nothing.
    pub(crate) fn assert_in_order(&mut self, name: &str) {
        self.process.wait_until_ready(READY_WITHIN).unwrap();
        let parked = self.count("tributary_transform_parked_total", &[]);
        assert_eq!(parked, 0, "{name}: parked; {}", self.log());
    }

    /// Transactions of which it did not learn whether they were committed.
    pub(crate) fn doubts(&self) -> usize {
        self.count("tributary_transform_transactions_total", &["outcome=\"doubtful\""])
    }

    fn count(&self, name: &str, labels: &[&str]) -> usize {
        let sum = self.process.metrics().unwrap().sum(name, labels);
        format!("{sum:.0}").parse().unwrap()
    }

    /// Ends it, and starts another in its place that has no local state.
    pub(crate) fn start_from_nothing(&mut self) {
        let status = self.process.terminate(ENDS_WITHIN).unwrap();
        assert!(status.success(), "{status}; {}", self.log());
        self.configuration.state_dir = self.setting.folder.join("no-state");
        self.setting.configuration = write(&self.configuration, &self.setting.folder);
        self.process.start_again().unwrap();
        self.process.wait_until_ready(READY_WITHIN).unwrap();
    }
}

fn write(configuration: &Configuration, folder: &Path) -> PathBuf {
    let file = folder.join("tributary.yaml");
    std::fs::write(&file, configuration.render()).unwrap();
    file
}

/// What differs from the usual configuration of a run.
fn environment(name: &str, manner: Manner) -> Vec<(String, String)> {
    let source = format!("SOURCES__{}__PROVIDER", SOURCE.to_uppercase());
    let always = [
        (source.as_str(), "native"),
        ("KAFKA__PARTITIONS", "3"),
        ("KAFKA__SESSION_TIMEOUT", "6s"),
        ("KAFKA__PROPERTIES__CLIENT_ID", name),
        // The next start takes the place of this one, also without what `state_dir` knew.
        ("TRANSFORM__INSTANCE_ID", name),
        ("TRANSFORM__WORKERS", "2"),
    ];
    let impatience = [
        ("KAFKA__PROPERTIES__SOCKET_TIMEOUT_MS", "1500"),
        ("KAFKA__PROPERTIES__MESSAGE_TIMEOUT_MS", "3000"),
        ("KAFKA__PROPERTIES__RECONNECT_BACKOFF_MAX_MS", "500"),
    ];
    let impatience = impatience.iter().filter(|_| manner == Manner::Impatient);
    let variable = |&(key, value): &(&str, &str)| (format!("TRIBUTARY__{key}"), value.to_owned());
    always.iter().chain(impatience).map(variable).collect()
}
