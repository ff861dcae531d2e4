//! An `ingest` of a test's own, and what the system says of its process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use end_to_end::broker::Broker;
use end_to_end::configuration::Configuration;
use end_to_end::processes::{Binary, Process, Setting};
use end_to_end::workspace;
use service::clock::{Clock, SystemClock};
use tokio::time::{Instant, sleep};

use crate::edge::honest::{Honest, Report};
use crate::edge::wire::PATIENCE;

const WITHIN: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);
const QUIET: Duration = Duration::from_secs(3);

/// An honest webhook is answered within this, however hostile others are: a fifth of the shortest time that a
/// provider waits for an answer (Purchasely's).
const SOON: Duration = Duration::from_secs(2);
/// How much longer it may take than without them. When connections are opened faster than they are taken, the system
/// asks once more for one after a second.
const TIMES_QUIET: u32 = 10;
const ASKED_TWICE: Duration = Duration::from_millis(1_250);

/// What `ingest` may take in the end, of the chart's 512 MiB.
const MOST_MEMORY: u64 = 256;

pub(crate) struct Edge {
    pub(crate) port: u16,
    pub(crate) setting: Setting,
    pub(crate) configuration: Configuration,
    ingest: Process,
    pid: u32,
}

/// What differs from test to test.
#[derive(Default)]
pub(crate) struct Circumstances<'a> {
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// Where the secrets are files.
    pub(crate) secrets: Option<&'a Path>,
}

impl Edge {
    /// Starts one, with topics of its own.
    pub(crate) fn start(name: &str, circumstances: &Circumstances<'_>) -> Self {
        let broker = Broker::shared().expect("a broker to test against");
        let folder = workspace::fresh_run_folder(name).unwrap();
        let prefix = format!("{name}-{:x}.", SystemClock::new().now_millis());
        let mut configuration =
            Configuration::without_destinations(broker.address(), &prefix, &folder).unwrap();
        configuration.secrets = circumstances.secrets.map(Path::to_path_buf);
        let file = folder.join("tributary.yaml");
        std::fs::write(&file, configuration.render()).unwrap();
        let variable =
            |(option, value): &(&str, &str)| (format!("TRIBUTARY__{option}"), (*value).to_owned());
        let environment = circumstances.environment.iter().map(variable).collect();
        let setting =
            Setting { configuration: file, folder: folder.clone(), environment, binaries: None };
        setting.command(Binary::Ingest, "setup", WITHIN).unwrap();
        let told = folder.join("pid");
        let shell = ["sh", "-c", "echo $$ > \"$0\" && exec \"$@\""].map(OsString::from);
        let under = shell.into_iter().chain([told.clone().into_os_string()]).collect::<Vec<_>>();
        let port = configuration.listeners.ingest;
        let mut ingest = Process::start_under(&under, Binary::Ingest, &setting, port).unwrap();
        ingest.wait_until_ready(WITHIN).unwrap();
        let pid = std::fs::read_to_string(told).unwrap().trim().parse().unwrap();
        Self { port: configuration.listeners.webhooks, setting, configuration, ingest, pid }
    }

    /// What it counted.
    pub(crate) fn counted(&self, name: &str, labels: &[&str]) -> f64 {
        self.ingest.metrics().unwrap().sum(&format!("tributary_ingest_{name}"), labels)
    }

    /// Lets the attack happen beside honest senders, who must not notice, and waits until nothing is left of it.
    pub(crate) async fn withstand<Seen>(
        &self,
        attack: &str,
        attacking: impl Future<Output = Seen>,
    ) -> Seen {
        let honest = Honest::start(self.port);
        sleep(QUIET).await;
        let quiet = honest.stop().await;
        self.until_left().await;
        let before = self.resources();
        self.forget_peak();
        let honest = Honest::start(self.port);
        // Too few webhooks would be no measurement.
        let (seen, ()) = tokio::join!(attacking, sleep(QUIET));
        let beside = honest.stop().await;
        self.until_left().await;
        let after = self.resources();
        say(attack, (&quiet, &beside), (before, after));
        quiet.assert_taken();
        beside.assert_taken();
        let (usual, took) = (quiet.took.percentile(99), beside.took.percentile(99));
        // A machine that is slow without an attack is no faster with one.
        assert!(took <= SOON.max(usual * 2), "{attack}: honest senders waited {took:.2?}");
        assert!(took <= usual * TIMES_QUIET + ASKED_TWICE, "{attack}: {took:.2?}, not {usual:.2?}");
        assert!(after.peak <= MOST_MEMORY, "{attack}: {} MiB", after.peak);
        // A broker's connection more or less is its own affair.
        assert!(after.files <= before.files + 4, "{attack}: {} files are left open", after.files);
        seen
    }

    /// Nobody has a place any more.
    async fn until_left(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.counted("connections", &[]) > 0.5 {
            assert!(Instant::now() < deadline, "somebody stays");
            sleep(POLL).await;
        }
    }

    fn resources(&self) -> Resources {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let mebibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
        };
        Resources {
            resident: mebibytes("VmRSS:"),
            peak: mebibytes("VmHWM:"),
            files: std::fs::read_dir(self.proc("fd")).unwrap().count(),
        }
    }

    /// The highest mark of its memory is that of now.
    fn forget_peak(&self) {
        std::fs::write(self.proc("clear_refs"), "5").unwrap();
    }

    fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join(name)
    }
}

/// What a process has of the machine; memory in MiB.
#[derive(Clone, Copy)]
struct Resources {
    resident: u64,
    peak: u64,
    files: usize,
}

#[expect(clippy::print_stdout, reason = "figures for whoever runs it")]
fn say(attack: &str, (quiet, beside): (&Report, &Report), (before, after): (Resources, Resources)) {
    println!(
        "{attack}: honest {quiet} quiet, {beside} beside it; memory {} MiB before, {} at most, {} after; files {} and {}",
        before.resident, after.peak, after.resident, before.files, after.files
    );
}
