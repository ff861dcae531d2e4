//! Which handler is given the events of which source, and where it runs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use script::{Ambient, Fault, Output, Script, Unread, Worker};
use tokio::runtime::{Handle, RuntimeFlavor};

/// The argument with which a program does nothing but run scripts ([`run_scripts_if_asked`]).
pub const WORKER: &str = "transformation-worker";

/// Runs scripts, where another process of this program has begun this one for that, until it asks no more. Neither a
/// configuration nor a log is within reach of what runs there.
pub fn run_scripts_if_asked() -> Option<ExitCode> {
    let first = std::env::args_os().nth(1);
    first.filter(|first| first == WORKER)?;
    let served = script::serve(std::io::stdin().lock(), std::io::stdout().lock());
    Some(if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The handlers of one destination.
#[derive(Clone, Debug, Default)]
pub struct Handlers {
    /// For the events of every source that has none of its own.
    pub all: Option<Arc<Handler>>,
    /// By source.
    pub by_source: BTreeMap<String, Arc<Handler>>,
}

impl Handlers {
    /// The handler of a source's events.
    pub fn of(&self, source: &str) -> Option<&Handler> {
        self.by_source.get(source).or(self.all.as_ref()).map(Arc::as_ref)
    }
}

/// One handler.
#[derive(Debug)]
pub struct Handler {
    name: String,
    runner: Runner,
}

#[derive(Debug)]
enum Runner {
    /// In this process.
    Here(Script),
    /// In one of its own, which is begun again when it was ended.
    Apart(Mutex<Worker>),
}

impl Handler {
    /// A handler that runs in this process: for whoever may stand still.
    pub fn here(script: Script) -> Self {
        Self { name: script.name().to_owned(), runner: Runner::Here(script) }
    }

    /// A handler that is read and runs in a process of its own, which is this program once more.
    ///
    /// # Errors
    /// When it cannot be read, or that process cannot be begun.
    pub fn apart(script: Unread<'_>) -> Result<Self, Fault> {
        let worker = Worker::read(this_program(), [OsString::from(WORKER)], script)?;
        Ok(Self { name: script.name.to_owned(), runner: Runner::Apart(Mutex::new(worker)) })
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn call(&self, input: &str, ambient: Ambient) -> Result<Output, Fault> {
        match &self.runner {
            Runner::Here(script) => script.call(input, ambient),
            Runner::Apart(worker) => standing_still(|| {
                worker.lock().unwrap_or_else(PoisonError::into_inner).call(input, ambient)
            }),
        }
    }
}

/// Waits without holding up what else the runtime has for this thread, where it has other threads to give it to.
fn standing_still<T>(wait: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        return tokio::task::block_in_place(wait);
    }
    wait()
}

/// The file of a running program may have been replaced meanwhile; Linux knows it all the same.
fn this_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or(running) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With one thread for all of it: what waits would wait for the other for ever.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn whoever_waits_for_a_handler_holds_up_nobody() {
        let (say, said) = std::sync::mpsc::sync_channel(1);
        let waits = tokio::spawn(async move {
            tokio::spawn(async move { say.send(()) });
            standing_still(|| said.recv())
        });
        assert_eq!(waits.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_waits() {
        assert_eq!(standing_still(|| 1), 1);
    }
}
