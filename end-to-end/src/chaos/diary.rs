//! What happens during a run, as it happens: lines for whoever watches, and a record for the judge.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::programme::Fault;
use crate::Narrate;

/// A fault that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happened {
    pub fault: Fault,
    /// When it was taken back: the process started again, the connection let through, the destination well.
    pub ended: Instant,
}

/// Shared by the lanes.
pub struct Diary<'a> {
    began: Instant,
    narrate: Narrate<'a>,
    pages: Mutex<Pages>,
}

impl std::fmt::Debug for Diary<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Diary").field("pages", &self.pages).finish_non_exhaustive()
    }
}

/// What stands in it.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    pub happened: Vec<Happened>,
    /// What must not happen whatever goes wrong, in words.
    pub wrong: Vec<String>,
    under_way: Vec<Fault>,
}

impl<'a> Diary<'a> {
    pub fn new(narrate: Narrate<'a>) -> Self {
        Self { began: Instant::now(), narrate, pages: Mutex::default() }
    }

    /// Since the beginning of the run.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sleeps until so long after the beginning.
    pub fn sleep_until(&self, at: Duration) {
        std::thread::sleep(at.saturating_sub(self.elapsed()));
    }

    pub fn begins(&self, fault: Fault) {
        self.pages().under_way.push(fault);
        self.say(&fault.to_string());
    }

    /// It was taken back at this moment.
    pub fn ended(&self, fault: Fault, ended: Instant) {
        let mut pages = self.pages();
        pages.under_way.retain(|other| *other != fault);
        pages.happened.push(Happened { fault, ended });
    }

    pub fn wrong(&self, what: String) {
        self.say(&format!("WRONG: {what}"));
        self.pages().wrong.push(what);
    }

    /// One line with the time before it.
    pub fn say(&self, line: &str) {
        let seconds = self.elapsed().as_secs();
        (self.narrate)(&format!("{:02}:{:02}  {line}", seconds / 60, seconds % 60));
    }

    /// What is going wrong at the moment.
    pub fn now(&self) -> String {
        let under_way: Vec<String> = self.pages().under_way.iter().map(Fault::to_string).collect();
        if under_way.is_empty() { "nothing".to_owned() } else { under_way.join(", ") }
    }

    pub fn read(&self) -> Pages {
        self.pages().clone()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
