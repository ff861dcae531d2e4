//! An installation with nothing but `transform`, in as many instances as a test wants.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use end_to_end::configuration::Configuration;
use end_to_end::processes::{Binary, Process, Setting};
use end_to_end::workspace;
use service::clock::{Clock, SystemClock};
use stream::Cluster;

use crate::transform::feed::SOURCE;
use crate::transform::ledger::Ledger;

const SETUP_WITHIN: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_mins(1);
const ENDS_WITHIN: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// Long enough that records meet it held, short enough not to be waited for.
const REORDER_WINDOW: Duration = Duration::from_millis(200);

/// A member that fell silent is missed for this long.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Topics of its own on the broker it is given.
pub(crate) struct Installation {
    folder: PathBuf,
    prefix: String,
    brokers: String,
    environment: Vec<(String, String)>,
    cluster: Cluster,
}

impl Installation {
    /// Creates the topics. `brokers` is what the instances are told, `direct` what a test uses itself.
    pub(crate) fn new(
        name: &str,
        (brokers, direct): (&str, &str),
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = workspace::fresh_run_folder(name).unwrap();
        let source = format!("SOURCES__{}__PROVIDER", SOURCE.to_uppercase());
        let always = [
            (source.as_str(), "native"),
            ("KAFKA__SESSION_TIMEOUT", "6s"),
            ("TRANSFORM__WORKERS", "2"),
        ];
        let installation = Self {
            prefix: format!("{name}-{:x}.", SystemClock::new().now_millis()),
            brokers: brokers.to_owned(),
            environment: Vec::new(),
            cluster: Cluster {
                brokers: direct.to_owned(),
                properties: BTreeMap::new(),
                session_timeout: SESSION_TIMEOUT,
                max_message_bytes: 2 * 1024 * 1024,
            },
            folder,
        };
        let installation = installation.told(&always).told(environment);
        let (setting, _) = installation.setting("setup");
        setting.command(Binary::Transform, "setup", SETUP_WITHIN).unwrap();
        installation
    }

    /// The same, whose instances are told more.
    pub(crate) fn told(mut self, more: &[(&str, &str)]) -> Self {
        let variable =
            |&(key, value): &(&str, &str)| (format!("TRIBUTARY__{key}"), value.to_owned());
        self.environment.extend(more.iter().map(variable));
        self
    }

    /// Reaches the broker directly, for those who feed and look.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Starts one more instance, and waits until it has joined. Another of the same name takes the place
    /// of the first, also without what its `state_dir` knew.
    pub(crate) fn instance(&self, name: &str) -> Instance {
        let (setting, configuration) = self.setting(name);
        let admin = configuration.listeners.transform;
        let process = Process::start(Binary::Transform, &setting, admin).unwrap();
        let mut instance = Instance { process, setting, configuration };
        instance.await_ready();
        instance
    }

    /// Runs a command of `transform` to its end.
    pub(crate) fn command(&self, name: &str, words: &[&str]) -> std::process::Output {
        self.prepared(name, words).output().unwrap()
    }

    /// A command of `transform`, to be run.
    pub(crate) fn prepared(&self, name: &str, words: &[&str]) -> std::process::Command {
        let (setting, _) = self.setting(name);
        let mut command =
            std::process::Command::new(end_to_end::processes::path(Binary::Transform));
        command
            .args(words)
            .arg("--config")
            .arg(&setting.configuration)
            .envs(setting.environment.iter().cloned());
        command
    }

    /// A file of a test's own.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn setting(&self, name: &str) -> (Setting, Configuration) {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let configuration = Configuration {
            reorder_window: REORDER_WINDOW,
            ..Configuration::without_destinations(&self.brokers, &self.prefix, &folder).unwrap()
        };
        let mut environment = self.environment.clone();
        environment.push(("TRIBUTARY__TRANSFORM__INSTANCE_ID".to_owned(), name.to_owned()));
        let setting = Setting {
            configuration: write(&configuration, &folder),
            folder,
            environment,
            binaries: None,
        };
        (setting, configuration)
    }

    /// Until every event told so far can be read.
    pub(crate) fn await_events(&self, ledger: &mut Ledger, told: usize, within: Duration) {
        let began = Instant::now();
        loop {
            let seen = ledger.read_on();
            if seen >= told {
                return;
            }
            let logs = self.folder.display();
            assert!(began.elapsed() < within, "{seen} of {told} events came out; see {logs}");
            std::thread::sleep(POLL);
        }
    }
}

/// One process of it.
pub(crate) struct Instance {
    pub(crate) process: Process,
    setting: Setting,
    configuration: Configuration,
}

impl Instance {
    pub(crate) fn await_ready(&mut self) {
        self.process.wait_until_ready(READY_WITHIN).unwrap();
    }

    /// Where to read on when something is wrong.
    pub(crate) fn log(&self) -> String {
        format!("see {}", self.setting.folder.join("transform.log").display())
    }

    /// What it has logged so far, in all its lives.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(self.setting.folder.join("transform.log")).unwrap()
    }

    pub(crate) fn state_dir(&self) -> &Path {
        &self.configuration.state_dir
    }

    pub(crate) fn assert_alive(&mut self) {
        let ended = self.process.ended().unwrap();
        assert!(ended.is_none(), "it died: {ended:?}; {}", self.log());
    }

    /// It lives, is ready and has parked nothing.
    pub(crate) fn assert_in_order(&mut self, name: &str) {
        self.await_ready();
        let parked = self.count("tributary_transform_parked_total", &[]);
        assert_eq!(parked, 0, "{name}: parked; {}", self.log());
    }

    /// Transactions of which it did not learn whether they were committed.
    pub(crate) fn doubts(&self) -> usize {
        self.count("tributary_transform_transactions_total", &["outcome=\"doubtful\""])
    }

    pub(crate) fn count(&self, name: &str, labels: &[&str]) -> usize {
        let sum = self.process.metrics().unwrap().sum(name, labels);
        format!("{sum:.0}").parse().unwrap()
    }

    /// `kill -9`, and the same again.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.process.kill().unwrap();
        self.process.start_again().unwrap();
    }

    /// Ends it in good order.
    pub(crate) fn terminate(&mut self) {
        let status = self.process.terminate(ENDS_WITHIN).unwrap();
        assert!(status.success(), "{status}; {}", self.log());
    }

    /// Ends it, and starts another in its place that has no local state.
    pub(crate) fn start_from_nothing(&mut self) {
        self.terminate();
        self.configuration.state_dir = self.setting.folder.join("no-state");
        self.setting.configuration = write(&self.configuration, &self.setting.folder);
        self.process.start_again().unwrap();
        self.await_ready();
    }
}

fn write(configuration: &Configuration, folder: &Path) -> PathBuf {
    let file = folder.join("tributary.yaml");
    std::fs::write(&file, configuration.render()).unwrap();
    file
}
