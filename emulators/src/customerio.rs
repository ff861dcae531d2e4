//! Customer.io's Track API, version 2, in the client's region.

mod settings;

use crate::exchange::{Moment, Received, Reply, Vendor};
use crate::people::Person;
use crate::violations::Findings;
pub use settings::Settings;

/// What Customer.io knows.
#[derive(Debug)]
pub struct Workspace {
    settings: Settings,
}

impl Workspace {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Vendor for Workspace {
    fn concerns(&self, _request: &Received) -> Vec<String> {
        Vec::new()
    }
    fn apply(&mut self, _request: &Received, _now: Moment, _findings: &mut Findings) -> Reply {
        Reply::empty(200)
    }
    fn failure(&self, status: u16) -> Reply {
        Reply::empty(status)
    }
    fn people(&self) -> Vec<Person> {
        Vec::new()
    }
    fn person(&self, _who: &str) -> Option<Person> {
        None
    }
    fn hook(&mut self, _name: &str, _argument: &serde_json::Value, _now: Moment) -> Option<Reply> {
        None
    }
    fn reset(&mut self) {}
}
