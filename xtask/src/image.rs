//! The images: their true runtime stages are built with the binaries of this build, judged, and run the way a cluster
//! runs them: read-only, as nobody, without capabilities, until they are ready and `healthcheck` says so.
//!
//! There is no registry of images in a build, so the base is made here, of exactly the libraries that may be linked
//! (see [`base`]). Buildah builds, podman runs. Each judgement is then made once more of something that is wrong, which
//! it must find.
//!
//! A machine that cannot run containers (not Linux, not root, or the kernel says no) is no reason to fail a
//! contributor: the step says aloud that it was left out, and so does the end of it all. Where that must not be,
//! `TRIBUTARY_IMAGES=required` makes it fail instead.

mod base;
mod containers;
mod plants;
mod recipe;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use end_to_end::broker::Broker;
use end_to_end::configuration::{Configuration, Receiver};
use end_to_end::supervise::{Signal, Supervised};
use end_to_end::{http, ports};
use service::clock::{Clock, SystemClock};

use self::containers::{Containers, Errand, State};
use self::verdict::{Target, faults};
use crate::display::say;

/// What a start may take until it is ready.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longer than the binaries' own time to drain.
const ENDS_WITHIN: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(100);
/// Says whether a machine must be able to run containers.
const REQUIRED: &str = "TRIBUTARY_IMAGES";

/// What is known of the images after this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    InFull,
    /// This machine cannot, and why.
    NotHere(String),
}

impl Checked {
    /// What to say at the end of everything, when nothing failed.
    pub(crate) fn conclusion(&self) -> String {
        match self {
            Self::InFull => "all checks passed".to_owned(),
            Self::NotHere(reason) => {
                format!("all checks passed but those of the images, WHICH WERE NOT MADE: {reason}")
            }
        }
    }
}

/// Builds, judges and runs every image.
pub(crate) fn check(broker: &Broker, folder: &Path) -> Result<Checked> {
    say("== the images");
    recipe::check()?;
    if let Err(reason) = containers::installed() {
        return not_here(reason);
    }
    let containers = Containers::none()?;
    let binaries = stripped(containers.folder())?;
    let base = base::build(&containers, &binaries).map_err(|error| format!("{error:#}"));
    if let Err(reason) = base.and_then(|()| containers.work()) {
        return not_here(reason);
    }
    for target in Target::ALL {
        containers.build(target, &binaries)?;
        let found = faults(target, &containers.facts(target.image(), target)?);
        ensure!(found.is_empty(), "the image of {}: {}", target.name(), found.join("; "));
    }
    let folder = folder.join("images");
    std::fs::create_dir_all(&folder).context("making a folder for the containers' logs")?;
    let configuration = run_all(&containers, broker, &folder)?;
    plants::check(&containers, configuration)?;
    Ok(Checked::InFull)
}

fn not_here(reason: String) -> Result<Checked> {
    let is_required = std::env::var_os(REQUIRED).is_some_and(|value| value == "required");
    ensure!(!is_required, "{REQUIRED}=required, but {reason}");
    say(&format!("!! THE IMAGES WERE NOT CHECKED: {reason}"));
    Ok(Checked::NotHere(reason))
}

/// A folder as the recipe's stage `binaries` makes it, with the binaries that lie beside this program. The build gives
/// them their line tables; what is shipped has none.
fn stripped(folder: &Path) -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let built = own.parent().context("finding the folder of this program")?;
    let binaries = folder.join("binaries");
    std::fs::create_dir_all(binaries.join("state")).context("making a folder for the binaries")?;
    for target in Target::ALL {
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(binaries.join(target.name())).arg(built.join(target.name()));
        containers::succeed(&mut strip, "stripping a binary")?;
    }
    Ok(binaries)
}

/// The pipeline in containers: topics and attributes created, all started, all ready, all ended. Gives the
/// configuration that it ran with.
fn run_all(containers: &Containers, broker: &Broker, folder: &Path) -> Result<PathBuf> {
    let emulators = [ports::free()?, ports::free()?];
    let listeners = emulators.map(|port| format!("127.0.0.1:{port}"));
    let serve = ["--customerio", &listeners[0], "--intercom", &listeners[1]];
    let mut destinations = containers.start(
        Target::Emulators,
        &Errand::default(),
        &serve,
        &folder.join("emulators.log"),
    )?;
    await_answer(&mut destinations, emulators[1], "/__emulator/faults")?;
    containers.healthy(Target::Emulators, &[&serve[..], &["healthcheck"]].concat())?;

    let prefix = format!("images-{:x}.", SystemClock::new().now_millis());
    let mut configuration = Configuration::without_destinations(broker.address(), &prefix, folder)
        .context("choosing ports")?;
    let [customerio, intercom] =
        listeners.map(|it| Receiver::Emulator { base_url: format!("http://{it}") });
    (configuration.customerio, configuration.intercom) = (customerio, intercom);
    configuration.state_dir = PathBuf::from("/state");
    let file = folder.join("tributary.yaml");
    std::fs::write(&file, configuration.render()).context("writing the configuration")?;
    let errand = Errand { configuration: Some(file.clone()), state: State::Volume };

    let listeners = configuration.listeners;
    let services = [
        (Target::Transform, listeners.transform),
        (Target::Deliver, listeners.deliver),
        (Target::Ingest, listeners.ingest),
    ];
    // As the jobs of docker-compose.yml do: these two create what all three need.
    for target in [Target::Transform, Target::Deliver] {
        containers.finishes(target, &errand, &["setup"])?;
    }
    let mut running = Vec::new();
    for (target, port) in services {
        let log = folder.join(format!("{}.log", target.name()));
        running.push((target, port, containers.start(target, &errand, &["run"], &log)?));
    }
    for (target, port, container) in &mut running {
        await_answer(container, *port, "/readyz")
            .with_context(|| format!("running {}", target.name()))?;
        containers.healthy(*target, &["healthcheck"])?;
    }
    running.push((Target::Emulators, emulators[0], destinations));
    for (_, _, container) in &mut running {
        container.signal(Signal::Terminate);
    }
    for (target, _, container) in &mut running {
        ended(container).with_context(|| format!("ending {}", target.name()))?;
    }
    Ok(file)
}

/// Waits until a container answers 200.
fn await_answer(container: &mut Supervised, port: u16, path: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if http::get(port, path).is_ok_and(|(status, _)| status == 200) {
            return Ok(());
        }
        if let Some(status) = container.ended().context("watching a container")? {
            bail!("it ended with {status}:\n{}", container.last_words(20));
        }
        ensure!(Instant::now() < deadline, "not ready:\n{}", container.last_words(20));
        std::thread::sleep(POLL);
    }
}

/// Waits for the end of a container that was asked to, which it reaches in good order.
fn ended(container: &mut Supervised) -> Result<()> {
    let ended = container.wait(ENDS_WITHIN).context("waiting for a container")?;
    let status = ended.with_context(|| format!("no end within {} s", ENDS_WITHIN.as_secs()))?;
    ensure!(status.success(), "it ended with {status}:\n{}", container.last_words(20));
    Ok(())
}
