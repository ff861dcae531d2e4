//! Processes that cannot outlive the one that started them.
//!
//! Each runs under a few lines of shell, in a process group of its own, whose standard input is a pipe held by us.
//! Signals are asked for through that pipe, so that they always reach the right process. When the pipe closes, for
//! whatever reason (dropped, panicked, Ctrl-C, `kill -9` of the starter), the kernel closes it for us and the shell
//! kills its whole group. That needs neither `unsafe` nor anything that Linux alone has.
//!
//! A terminal's Ctrl-C goes to the starter alone: who starts also decides in which order things stop.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The inner shell stops the outer one before it kills the command, or the outer one would see the command's end and
/// kill the inner one before it is done. `$1` is run once the starter is gone and the command is killed (empty: nothing), the rest is the command.
const WATCHDOG: &str = r#"
farewell=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
(
  while read -r signal <&3; do kill -s "$signal" "$child"; done
  kill -s STOP "$$"
  kill -s KILL "$child" 2>/dev/null
  if [ -n "$farewell" ]; then sh -c "$farewell" >/dev/null 2>&1; fi
  kill -s KILL 0
) &
watcher=$!
wait "$child"; status=$?
kill -s KILL "$watcher" 2>/dev/null
exit "$status"
"#;

const POLL: Duration = Duration::from_millis(20);

/// What can be sent to a supervised process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end in good order.
    Terminate,
    /// SIGKILL: end now, as a crash does.
    Kill,
    /// SIGSTOP: freeze, as a machine under a live migration does.
    Stop,
    /// SIGCONT: thaw.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// What to start and how.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program, by path or by name on `PATH`.
    pub executable: OsString,
    pub arguments: Vec<OsString>,
    /// Added to our own environment.
    pub environment: Vec<(String, String)>,
    /// Standard output and error are appended here.
    pub log: PathBuf,
    /// A shell command for the end, for what a killed process leaves behind (files, a container). It is not
    /// said to a program that ended by itself or by a signal.
    pub farewell: Option<String>,
}

impl Program {
    pub fn new(executable: impl Into<OsString>, log: impl Into<PathBuf>) -> Self {
        Self {
            executable: executable.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: log.into(),
            farewell: None,
        }
    }

    #[must_use]
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn environment(mut self, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(environment);
        self
    }

    #[must_use]
    pub fn farewell(mut self, command: impl Into<String>) -> Self {
        self.farewell = Some(command.into());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the log cannot be opened or no process be started. A program that does not exist shows as exit code 127
    /// of the supervised process.
    pub fn start(&self) -> std::io::Result<Supervised> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut child = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(self.farewell.as_deref().unwrap_or_default())
            .arg(&self.executable)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let orders = child.stdin.take();
        Ok(Supervised { child, orders, log: self.log.clone() })
    }
}

/// A running program; dropping it kills it and all it started.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    orders: Option<ChildStdin>,
    log: PathBuf,
}

impl Supervised {
    /// Asks for a signal. A process that has already ended is no error: there is nothing left to signal.
    pub fn signal(&mut self, signal: Signal) {
        if let Some(orders) = &mut self.orders
            && writeln!(orders, "{}", signal.name()).is_err()
        {
            self.orders = None;
        }
    }

    /// The program's own process, below the shell that watches it, for whoever asks the system what it uses. Linux
    /// alone tells; nothing where the program has ended.
    pub fn pid(&self) -> Option<u32> {
        let shell = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
        // The program is started before the inner shell.
        children.ok()?.split_ascii_whitespace().next()?.parse().ok()
    }

    /// How it ended, if it has. A process ended by signal N shows as exit code 128 + N.
    ///
    /// # Errors
    /// As [`Child::try_wait`].
    pub fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the end, at most `limit`; `None` when it still runs then.
    ///
    /// # Errors
    /// As [`Child::try_wait`].
    pub fn wait(&mut self, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() >= deadline {
                return Ok(ended);
            }
            std::thread::sleep(POLL);
        }
    }

    /// The last lines of its log, for a message that explains why it ended.
    pub fn last_words(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.orders = None;
        // The shell has now lost its pipe and ends by its own hand; the wait only spares us a zombie.
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str, folder: &tempfile::TempDir) -> Program {
        Program::new("sh", folder.path().join("log")).arguments(["-c", script])
    }

    /// Waits until `path` holds a line and gives it back.
    fn line_of(path: &std::path::Path) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            if let Ok(text) = std::fs::read_to_string(path)
                && text.ends_with('\n')
            {
                return text.trim().to_owned();
            }
            assert!(Instant::now() < deadline, "{} was never written", path.display());
            std::thread::sleep(POLL);
        }
    }

    fn is_alive(pid: &str) -> bool {
        Command::new("kill")
            .args(["-0", pid])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn assert_ends(pid: &str) {
        let deadline = Instant::now() + SOON;
        while is_alive(pid) {
            assert!(Instant::now() < deadline, "process {pid} outlived its starter");
            std::thread::sleep(POLL);
        }
    }

    #[test]
    fn reports_how_the_program_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut program = shell("echo a; echo b; exit 7", &folder).start().expect("started");
        let status = program.wait(SOON).expect("waited").expect("ended");
        assert_eq!(status.code(), Some(7));
        assert_eq!(program.last_words(1), "b");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_the_process_of_the_program_and_not_the_shell_that_watches_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = shell("echo $$; exec sleep 600", &folder).start().expect("started");
        let own = line_of(&folder.path().join("log"));
        assert_eq!(program.pid().map(|pid| pid.to_string()), Some(own));
    }

    #[test]
    fn passes_signals_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut program =
            shell("trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done", &folder)
                .start()
                .expect("started");
        line_of(&folder.path().join("log"));
        program.signal(Signal::Terminate);
        assert_eq!(program.wait(SOON).expect("waited").and_then(|status| status.code()), Some(3));
    }

    #[test]
    fn a_killed_program_shows_as_137() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut program = shell("echo up; exec sleep 600", &folder).start().expect("started");
        line_of(&folder.path().join("log"));
        program.signal(Signal::Kill);
        assert_eq!(program.wait(SOON).expect("waited").and_then(|status| status.code()), Some(137));
    }

    #[test]
    fn dropping_it_ends_what_it_started_too_and_says_farewell() {
        let folder = tempfile::tempdir().expect("a folder");
        let farewell = folder.path().join("farewell");
        let program = shell("sleep 600 & echo $!; wait", &folder)
            .farewell(format!("echo bye > '{}'", farewell.display()))
            .start()
            .expect("started");
        let grandchild = line_of(&folder.path().join("log"));
        assert!(is_alive(&grandchild));
        drop(program);
        assert_ends(&grandchild);
        assert_eq!(line_of(&farewell), "bye");
    }

    #[test]
    fn a_killed_starter_takes_it_along() {
        // The starter is a second process, which holds the pipe and is killed without any chance to clean up.
        let folder = tempfile::tempdir().expect("a folder");
        let pid_file = folder.path().join("pid");
        let script = format!("echo $$ > '{}'; exec sleep 600", pid_file.display());
        let mut starter = Command::new("sh")
            .args([
                "-c",
                "(sleep 600 & echo $! > \"$1\"; wait) | sh -c \"$2\" watchdog '' sh -c \"$3\"",
            ])
            .args([
                "starter",
                &folder.path().join("holder").display().to_string(),
                WATCHDOG,
                &script,
            ])
            .process_group(0)
            .spawn()
            .expect("started");
        let supervised = line_of(&pid_file);
        assert!(is_alive(&supervised));
        let holder = line_of(&folder.path().join("holder"));
        assert!(
            Command::new("kill").args(["-KILL", &holder]).status().expect("kill ran").success()
        );
        assert_ends(&supervised);
        starter.wait().expect("reaped");
    }
}
