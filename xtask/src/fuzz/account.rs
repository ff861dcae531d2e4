//! What became of a target: numbers, and of a failure where its input lies. Of what the engine says, everything else is
//! left out, because it prints inputs.

use std::fmt;
use std::process::{ExitCode, ExitStatus};

/// The outcome of one target.
#[derive(Debug)]
pub(super) struct Account {
    name: String,
    executions: u64,
    per_second: u64,
    /// Edges of the program that were reached: by the kept inputs, and in the end.
    covered: Option<(u64, u64)>,
    broken: Vec<String>,
    input: Option<String>,
    succeeded: bool,
}

impl Account {
    pub(super) fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            executions: 0,
            per_second: 0,
            covered: None,
            broken: Vec::new(),
            input: None,
            succeeded: false,
        }
    }

    /// Takes in a line of the engine.
    pub(super) fn hear(&mut self, line: &str) {
        let number = |label: &str| line.strip_prefix(label)?.trim().parse().ok();
        if let Some(executions) = number("stat::number_of_executed_units:") {
            self.executions = executions;
        } else if let Some(rate) = number("stat::average_exec_per_sec:") {
            self.per_second = rate;
        } else if let Some(path) = line.split_once("Test unit written to ").map(|(_, path)| path) {
            self.input = Some(path.to_owned());
        } else if line.starts_with("broken at ") {
            self.broken.push(line.to_owned());
        } else if let Some((_, error)) = line.split_once("ERROR: libFuzzer: ") {
            self.broken.push(error.split('(').next().unwrap_or_default().trim().to_owned());
        } else if line.starts_with('#') {
            self.reached(line);
        }
    }

    /// `#2 INITED cov: 41 ft: 42 corp: 1/1b …`
    fn reached(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let covered = words.find(|word| *word == "cov:").and(words.next());
        let Some(covered) = covered.and_then(|covered| covered.parse().ok()) else { return };
        let first = match self.covered {
            Some((first, _)) if !line.contains("INITED") => first,
            Some(_) | None => covered,
        };
        self.covered = Some((first, covered));
    }

    pub(super) fn ended(&mut self, status: ExitStatus) {
        self.succeeded = status.success();
        if !self.succeeded && self.broken.is_empty() {
            self.broken.push(status.to_string());
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.succeeded && self.broken.is_empty()
    }

    pub(super) fn exit(&self) -> ExitCode {
        if self.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, executions, per_second, .. } = self;
        write!(formatter, "{name:<22} {executions:>9} executions, {per_second:>6} a second")?;
        if let Some((first, last)) = self.covered {
            write!(formatter, ", {first} -> {last} edges")?;
        }
        for broken in &self.broken {
            write!(formatter, "\n  {broken}")?;
        }
        if let Some(input) = &self.input {
            write!(formatter, "\n  input: {input}")?;
            write!(formatter, "\n  again: cargo xtask fuzz --target {name} --input {input}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_the_engine_says_numbers_and_places_are_told_and_no_input() {
        let mut account = Account::of("texts");
        for line in [
            "#2\tINITED cov: 41 ft: 42 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#900\tNEW    cov: 57 ft: 60 corp: 2/9b lim: 4 exec/s: 0 rss: 30Mb",
            "broken at fuzz/src/promise.rs:9:5: an amount is what its digits say",
            "==7== ERROR: libFuzzer: deadly signal",
            "0x55,0x53,0x44,",
            "Base64: VVNECjEuMDA=",
            "artifact_prefix='failures/'; Test unit written to failures/crash-1",
            "stat::number_of_executed_units: 900",
            "stat::average_exec_per_sec:     450",
        ] {
            account.hear(line);
        }
        let shown = account.to_string();
        assert!(shown.starts_with("texts"), "{shown}");
        for told in
            ["900 executions", "450 a second", "41 -> 57", "its digits say", "deadly signal"]
        {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        assert!(shown.ends_with("--target texts --input failures/crash-1"), "{shown}");
        assert!(!shown.contains("VVNE") && !shown.contains("0x55"), "{shown}");
        assert!(!account.is_clean());
    }
}
