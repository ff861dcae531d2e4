//! What the commands show: a spinner or bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line of the command's output.
#[expect(clippy::print_stdout, reason = "the output of a command for people")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// The steps of a command, one after the other. The one under way is a spinner with its latest news; without a
/// terminal the news are lines, each different one once.
#[derive(Debug)]
pub(crate) struct Steps {
    spinner: Option<ProgressBar>,
    last: Mutex<String>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner();
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner.set_style(style("{spinner} {elapsed:>4} {wide_msg}"));
            spinner
        });
        Self { spinner, last: Mutex::new(String::new()) }
    }

    /// The newest about the step under way.
    pub(crate) fn news(&self, text: &str) {
        let Ok(mut last) = self.last.lock() else { return };
        if *last == text {
            return;
        }
        text.clone_into(&mut last);
        match &self.spinner {
            Some(spinner) => spinner.set_message(text.to_owned()),
            None => say(text),
        }
    }

    /// A step that is over: its line stays.
    pub(crate) fn done(&self, line: &str) {
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| say(&format!("✓ {line}"))),
            None => say(line),
        }
    }

    /// Takes the spinner away, because results follow.
    pub(crate) fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// A bar over a known number of things; without a terminal a line at every tenth.
#[derive(Debug)]
pub(crate) struct Bar {
    line: Option<ProgressBar>,
    title: String,
    total: usize,
    shown: Mutex<usize>,
}

impl Bar {
    pub(crate) fn new(title: &str, total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
            bar.set_style(style("{elapsed:>6} {msg:<28} {wide_bar} {pos}/{len}"));
            bar.set_message(title.to_owned());
            bar
        });
        Self { line: bar, title: title.to_owned(), total, shown: Mutex::new(0) }
    }

    pub(crate) fn at(&self, position: usize) {
        if let Some(bar) = &self.line {
            bar.set_position(u64::try_from(position).unwrap_or(u64::MAX));
            return;
        }
        let tenth = position * 10 / self.total.max(1);
        let Ok(mut shown) = self.shown.lock() else { return };
        if tenth > *shown {
            *shown = tenth;
            say(&format!("{}: {position} of {}", self.title, self.total));
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.line {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
