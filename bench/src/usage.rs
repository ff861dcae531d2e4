//! What a process has used, as the system counts it: neighbours change how long it took, hardly how much it took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// `USER_HZ`, which is 100 on every architecture that Linux has a stable interface for (proc(5), read 2026-11).
const TICK: Duration = Duration::from_millis(10);

const STANDS_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// A process, by its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pid: u32,
}

impl Usage {
    pub(crate) fn of(pid: Option<u32>) -> Result<Self> {
        Ok(Self { pid: pid.context("the process that is to be measured has ended")? })
    }

    /// User and system time of all its threads, also those that have ended, so far.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        cpu(&stat).with_context(|| format!("/proc/{}/stat cannot be understood", self.pid))
    }

    /// The most memory it ever had resident, in bytes.
    pub(crate) fn peak_memory(self) -> Result<f64> {
        let status = self.read("status")?;
        peak(&status).with_context(|| format!("/proc/{}/status does not say", self.pid))
    }

    /// Waits until none of it runs any more after it was told to stand still.
    pub(crate) fn await_stop(self) -> Result<()> {
        let deadline = Instant::now() + STANDS_WITHIN;
        while !stands(&self.read("stat")?) {
            ensure!(Instant::now() < deadline, "process {} does not stand still", self.pid);
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn read(self, what: &str) -> Result<String> {
        let path = format!("/proc/{}/{what}", self.pid);
        std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    }
}

/// Fields 14 and 15; the second, the name, stands in brackets and may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

/// Field 3: `T` after SIGSTOP.
fn stands(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, after_name)| after_name.trim_start().starts_with('T'))
}

fn peak(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

/// How busy the machine is, by the system's own words.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_user_and_system_whatever_the_name() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 7 8 20 0 5 0 100";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu("42 (cut"), None);
        assert!(!stands(stat) && stands("42 (x) T 1 2"));
    }

    #[test]
    fn memory_is_the_high_water_mark() {
        assert_eq!(peak("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2_097_152.0));
        assert_eq!(peak("Name:\tx\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process_can_be_measured() {
        let own = Usage::of(Some(std::process::id())).unwrap();
        assert!(own.peak_memory().unwrap() > 0.0);
        assert!(own.cpu().is_ok());
    }
}
