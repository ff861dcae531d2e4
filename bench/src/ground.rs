//! What all stages stand on: one broker for both sides, a folder, and a core for each role.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use end_to_end::broker::Broker;
use end_to_end::configuration::Configuration;
use end_to_end::processes::{Binary, Process, Setting};
use end_to_end::supervise::{Program, Supervised};
use end_to_end::{preflight, workspace};
use jiff::Timestamp;
use service::clock::{Clock, SystemClock};
use stream::Cluster;

use crate::sample::{Raw, Sample, Series};
use crate::usage::load_average;

const SETUP_WITHIN: Duration = Duration::from_mins(2);
const READY_WITHIN: Duration = Duration::from_mins(2);

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// For the page.
    Full,
    /// For whoever changes something: too short to be believed, long enough to see a blunder.
    Quick,
}

impl Scale {
    pub(crate) fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// Who runs on which core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Load, broker and destinations on the first core, what is measured on the second.
    Divided,
    /// Anything anywhere: where there is one core, or others leave too little of one.
    Free,
}

impl Layout {
    /// Divided where that is possible.
    pub(crate) fn usual() -> Self {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cores = text.lines().filter(|line| line.starts_with("processor")).count();
        if cores > 1 { Self::Divided } else { Self::Free }
    }

    /// The cores of load, broker and destinations, as `taskset` wants them.
    fn of_the_load(self) -> String {
        match self {
            Self::Divided => "0".to_owned(),
            Self::Free => {
                let online = std::fs::read_to_string("/sys/devices/system/cpu/online");
                online.map_or_else(|_| "0".to_owned(), |cores| cores.trim().to_owned())
            }
        }
    }

    /// Put before a command, it keeps the command to the core that is measured.
    fn measured(self) -> Vec<OsString> {
        match self {
            Self::Divided => ["taskset", "-c", "1"].map(OsString::from).to_vec(),
            Self::Free => Vec::new(),
        }
    }
}

/// Everything around what is measured. Dropping it ends the broker.
pub(crate) struct Ground {
    pub(crate) stage: &'static str,
    pub(crate) scale: Scale,
    layout: Layout,
    pub(crate) folder: PathBuf,
    pub(crate) broker: Arc<Broker>,
    pub(crate) raw: Raw,
    /// Where our binaries lie, unless it is where the build puts them.
    binaries: Option<PathBuf>,
}

impl Ground {
    pub(crate) fn prepare(stage: &'static str, scale: Scale, layout: Layout) -> Result<Self> {
        let folder = workspace::fresh_run_folder(&format!("bench-{stage}"))?;
        keep_to(&layout.of_the_load())?;
        let broker = Arc::new(Broker::start_alone(&folder, &say)?);
        let raw = Raw::create(&results(scale)?.join(format!("{stage}.csv")))?;
        Ok(Self { stage, scale, layout, folder, broker, raw, binaries: None })
    }

    /// The same, with a folder of its own and these binaries; the broker is the same one.
    pub(crate) fn beside(&self, name: &str, binaries: Option<&Path>) -> Result<Self> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).context("making a folder")?;
        let Self { stage, scale, layout, .. } = *self;
        let (broker, raw) = (Arc::clone(&self.broker), self.raw.clone());
        let binaries = binaries.map(Path::to_path_buf);
        Ok(Self { stage, scale, layout, folder, broker, raw, binaries })
    }

    /// Starts a program on the core that is measured. Its log is `<name>.log` in `folder`.
    pub(crate) fn start(
        &self,
        folder: &Path,
        name: &str,
        words: Vec<OsString>,
    ) -> Result<Supervised> {
        let mut all = self.layout.measured().into_iter().chain(words);
        let first = all.next().context("nothing to start")?;
        let program = Program::new(first, folder.join(format!("{name}.log"))).arguments(all);
        program.start().with_context(|| format!("starting {name}"))
    }

    /// For those who fill topics and look into them.
    pub(crate) fn cluster(&self) -> Cluster {
        cluster(self.broker.address())
    }

    /// Topics of its own for one side, as `setup` makes them, and what one of our binaries needs to run on them.
    pub(crate) fn side(
        &self,
        name: &str,
        binary: Binary,
        environment: &[(&str, &str)],
    ) -> Result<Side> {
        self.side_to(name, binary, environment, None)
    }

    /// The same with these destinations and no others, as the section of the configuration.
    pub(crate) fn side_to(
        &self,
        name: &str,
        binary: Binary,
        environment: &[(&str, &str)],
        destinations: Option<&str>,
    ) -> Result<Side> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).context("making the folder of a side")?;
        let prefix = format!("{name}-{:x}.", SystemClock::new().now_millis());
        let configuration = Configuration {
            reorder_window: Duration::ZERO,
            ..Configuration::without_destinations(self.broker.address(), &prefix, &folder)?
        };
        let file = folder.join("tributary.yaml");
        let text = configuration.render();
        let text = match (destinations, text.split_once("destinations:\n")) {
            (Some(destinations), Some((before, _))) => format!("{before}{destinations}"),
            (None, _) | (_, None) => text,
        };
        std::fs::write(&file, text).context("writing a configuration")?;
        let variable =
            |&(key, value): &(&str, &str)| (format!("TRIBUTARY__{key}"), value.to_owned());
        let environment = environment.iter().map(variable).collect();
        let binaries = self.binaries.clone();
        let setting = Setting { configuration: file, folder, environment, binaries };
        setting.command(binary, "setup", SETUP_WITHIN)?;
        Ok(Side { binary, layout: self.layout, prefix, configuration, setting })
    }

    /// Takes a run in, and says how it went.
    pub(crate) fn tell(&self, series: &mut Series, run: usize, sample: Sample) -> Result<()> {
        let (rate, cost, wrong) = (sample.rate(), sample.cost(), sample.flaws.sum());
        let side = &series.side;
        say(&format!(
            "  {side:<28} {rate:>8.0} a second, {cost:>6.1} µs of processor each, {wrong} wrong"
        ));
        self.raw.note(side, run, &sample)?;
        series.samples.push(sample);
        Ok(())
    }

    /// When and where it was measured, for the page.
    pub(crate) fn circumstances(&self) -> String {
        let millis = SystemClock::new().now_millis();
        let day =
            Timestamp::from_millisecond(millis).map(|now| now.to_string()).unwrap_or_default();
        let quick = self.scale.pick("", ", `--quick`");
        let placed = match self.layout {
            Layout::Divided => "load and broker on one core, what is measured on another",
            Layout::Free => "no core of anybody's own",
        };
        let day = day.split('T').next().unwrap_or_default();
        format!("{day}, {placed}, load average {}{quick}", load_average())
    }
}

/// A cluster as the binaries reach it.
pub(crate) fn cluster(brokers: &str) -> Cluster {
    Cluster {
        brokers: brokers.to_owned(),
        properties: BTreeMap::new(),
        session_timeout: Duration::from_secs(30),
        max_message_bytes: 2 * 1024 * 1024,
    }
}

/// One side's topics, and how one of our binaries runs on them.
pub(crate) struct Side {
    binary: Binary,
    layout: Layout,
    pub(crate) prefix: String,
    pub(crate) configuration: Configuration,
    setting: Setting,
}

impl Side {
    pub(crate) fn folder(&self) -> &Path {
        &self.setting.folder
    }

    /// Starts the binary on the core that is measured, and waits until it is ready.
    pub(crate) fn start(&self) -> Result<Process> {
        let listeners = self.configuration.listeners;
        let admin = match self.binary {
            Binary::Ingest => listeners.ingest,
            Binary::Transform => listeners.transform,
            Binary::Deliver => listeners.deliver,
        };
        let mut process =
            Process::start_under(&self.layout.measured(), self.binary, &self.setting, admin)?;
        process.wait_until_ready(READY_WITHIN)?;
        Ok(process)
    }
}

/// Where results lie: those of `--quick` apart, so that they never reach the page.
pub(crate) fn results(scale: Scale) -> Result<PathBuf> {
    let folder = workspace::cache().join("bench").join(scale.pick("full", "quick"));
    std::fs::create_dir_all(&folder).context("making the folder of the results")?;
    Ok(folder)
}

pub(crate) fn say(news: &str) {
    #[expect(clippy::print_stdout, reason = "this is a program for people")]
    {
        println!("{news}");
    }
}

/// This process, and whatever it starts from now on, keeps to these cores.
fn keep_to(cores: &str) -> Result<()> {
    preflight::ensure(&[preflight::TASKSET], &say)?;
    let status = Command::new("taskset")
        .args(["-a", "-p", "-c", cores, &std::process::id().to_string()])
        .stdout(Stdio::null())
        .status()
        .context("keeping to some cores")?;
    ensure!(status.success(), "keeping to the cores {cores}: taskset ended with {status}");
    Ok(())
}
