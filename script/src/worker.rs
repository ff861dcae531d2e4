//! Scripts in a process of their own.
//!
//! The parent writes a question and reads the answer, one at a time: each is a line of JSON. The worker has no
//! environment, no file but these two and no privileges of its own to lose; before each call it asks the kernel to be
//! ended if it computes for a second longer than it has by then ([`Resource::Cpu`]). So the parent need not look at a
//! clock: an answer comes, or the end of the worker does. Then the next call gets a new one.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Ambient, Fault, Kind, Limits, Output, Script, run};

/// Seconds of the processor that a call may take beyond its own limit: of those that are counted, the first may be
/// nearly over.
const GRACE_SECONDS: u64 = 2;

/// Bytes that the process may need beside its engine.
const MEMORY_BESIDE: u64 = 128 << 20;

/// Bytes of an answer: an output as JSON may say it once more, in six bytes for each.
const LONGEST_ANSWER: u64 = 16 << 20;

/// A question.
#[derive(Serialize, Deserialize)]
enum Asked {
    /// Reads it; of this is spoken from now on.
    Script(Script),
    /// Calls it.
    Call(String, Ambient),
}

/// Answers questions until there are no more.
///
/// # Errors
/// When what is asked cannot be read, or nobody listens.
pub fn serve(questions: impl Read, mut answers: impl Write) -> std::io::Result<()> {
    // What it is given names people, and must not lie about as the memory of a process that was ended.
    let there_already = mapped();
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)?;
    setrlimit(Resource::Nofile, none)?;
    let mut script: Option<Script> = None;
    for line in BufReader::new(questions).lines() {
        match serde_json::from_str(&line?)? {
            Asked::Script(given) => {
                limit_memory(&given, there_already)?;
                limit_processor_time(&given)?;
                write_line(&mut answers, &run::check(&given))?;
                script = Some(given);
            }
            Asked::Call(input, ambient) => {
                // Who asks waits for an answer; without a script this is the end of it.
                let script = script.as_ref().ok_or(std::io::ErrorKind::InvalidInput)?;
                limit_processor_time(script)?;
                write_line(&mut answers, &script.call(&input, ambient))?;
            }
        }
    }
    Ok(())
}

fn write_line(to: &mut impl Write, said: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Beyond what the engine counts: a text is copied some times on its way in and out. An allocator may have mapped more
/// than that before, so what is there already counts in addition; where that is not known, there is no such limit.
fn limit_memory(script: &Script, there_already: Option<u64>) -> std::io::Result<()> {
    let Some(there_already) = there_already else { return Ok(()) };
    let most = u64::try_from(script.limits.memory).unwrap_or(u64::MAX).saturating_mul(2);
    let most = most.saturating_add(MEMORY_BESIDE).saturating_add(there_already);
    let Rlimit { maximum, .. } = getrlimit(Resource::Data);
    let current = Some(maximum.map_or(most, |allowed| most.min(allowed)));
    Ok(setrlimit(Resource::Data, Rlimit { current, maximum })?)
}

/// Bytes that this process has mapped for itself, as Linux tells them.
fn mapped() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let data = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    data.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1 << 10)
}

fn limit_processor_time(script: &Script) -> std::io::Result<()> {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let spent = u64::try_from(spent.tv_sec).unwrap_or(0);
    let until = spent + script.limits.time.as_secs() + GRACE_SECONDS;
    let Rlimit { maximum, .. } = getrlimit(Resource::Cpu);
    let current = Some(maximum.map_or(until, |most| until.min(most)));
    Ok(setrlimit(Resource::Cpu, Rlimit { current, maximum })?)
}

/// The text of a script that was not read yet.
#[derive(Clone, Copy)]
pub struct Unread<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// What it says.
    pub text: &'a str,
    /// What it may use up.
    pub limits: Limits,
}

impl std::fmt::Debug for Unread<'_> {
    /// Without the text: it may hold credentials of others.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Unread").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Calls one script, each call in a process that serves nothing else.
#[derive(Debug)]
pub struct Worker {
    program: PathBuf,
    arguments: Vec<OsString>,
    script: Script,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Reads a script, as [`Script::read`] does, in the process in which it is called: `program` with these arguments
    /// does nothing but [`serve`].
    ///
    /// # Errors
    /// As there; and when the process cannot be begun.
    pub fn read(
        program: PathBuf,
        arguments: impl IntoIterator<Item = OsString>,
        script: Unread<'_>,
    ) -> Result<Self, Fault> {
        let Unread { name, text, limits } = script;
        let script = Script { name: name.to_owned(), text: text.to_owned(), limits };
        let arguments = arguments.into_iter().collect();
        let mut worker = Self { program, arguments, script, running: None };
        match worker.begin() {
            Ok(read) => read.map(|()| worker),
            Err(error) => Err(worker.ended(&error)),
        }
    }

    /// Calls the handler, as [`Script::call`] does.
    ///
    /// # Errors
    /// As there; and when the worker was ended, or none can be begun.
    pub fn call(&mut self, input: &str, ambient: Ambient) -> Result<Output, Fault> {
        let fault = match self.ask(input, ambient) {
            Ok(answer) => return answer,
            Err(error) => self.ended(&error),
        };
        match fault.kind {
            // It may have been gone before it was asked.
            Kind::Lost => self.call_once_more(input, ambient),
            Kind::Syntax
            | Kind::NoHandler
            | Kind::Threw
            | Kind::TimedOut
            | Kind::OutOfMemory
            | Kind::TooDeep
            | Kind::Nonsense
            | Kind::Ended => Err(fault),
        }
    }

    /// Asks a fresh process. One that is gone as well was ended by what it was asked: by what kills those that take too
    /// much memory, say; asking again would end it again.
    fn call_once_more(&mut self, input: &str, ambient: Ambient) -> Result<Output, Fault> {
        match self.begin() {
            Ok(read) => read?,
            Err(error) => return Err(self.ended(&error)),
        }
        match self.ask(input, ambient) {
            Ok(answer) => answer,
            Err(error) => Err(Fault { kind: Kind::Ended, ..self.ended(&error) }),
        }
    }

    /// What the end of the worker means. One that did not heed its limits, or met with a mistake in the engine, would
    /// end in the same way again.
    fn ended(&mut self, error: &std::io::Error) -> Fault {
        let was_begun = self.running.is_some();
        let status = self.end();
        let (kind, message) =
            match status.and_then(|status| status.signal()).map(Signal::from_named_raw) {
                Some(Some(Signal::XCPU)) => (Kind::Ended, "it does not end".to_owned()),
                Some(Some(signal @ (Signal::ABORT | Signal::SEGV | Signal::BUS | Signal::ILL))) => {
                    (Kind::Ended, format!("the process it ran in broke down ({signal:?})"))
                }
                Some(Some(_) | None) | None if was_begun => {
                    (Kind::Lost, format!("the process to run it in is gone: {error}"))
                }
                Some(Some(_) | None) | None => {
                    (Kind::Lost, format!("the process to run it in cannot be begun: {error}"))
                }
            };
        let script = self.script.name.clone();
        Fault { kind, message, script, at: None, console: Vec::new() }
    }

    fn ask(&mut self, input: &str, ambient: Ambient) -> std::io::Result<Result<Output, Fault>> {
        if self.running.is_none()
            && let Err(fault) = self.begin()?
        {
            return Ok(Err(fault));
        }
        let Some(running) = &mut self.running else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        running.ask(&Asked::Call(input.to_owned(), ambient))
    }

    /// Begins the process, which reads the script.
    fn begin(&mut self) -> std::io::Result<Result<(), Fault>> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            // What ends the parent at a terminal is told to the parent alone; it ends this by asking no more.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        let running = Running { child, questions, answers: BufReader::new(answers) };
        self.running.insert(running).ask(&Asked::Script(self.script.clone()))
    }

    /// Ends the worker, and says how it ended.
    fn end(&mut self) -> Option<std::process::ExitStatus> {
        let mut child = self.running.take()?.child;
        // One that has ended by itself cannot be ended any more.
        drop(child.kill());
        child.wait().ok()
    }
}

impl Running {
    fn ask<A: DeserializeOwned>(&mut self, asked: &Asked) -> std::io::Result<A> {
        write_line(&mut self.questions, asked)?;
        let mut line = String::new();
        self.answers.by_ref().take(LONGEST_ANSWER).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}
