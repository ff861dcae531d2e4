//! The client against a registry that can be told to misbehave. How a real one behaves is tested in
//! `end-to-end`.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

mod asking;
mod fake;
mod remembering;

use std::path::Path;
use std::time::Duration;

use registry::{Registry, Settings};

pub(crate) const SUBJECT: &str = "subscriptions.events-value";
pub(crate) const SCHEMA: &str = r#"{"type": "string"}"#;

pub(crate) fn open(url: &str, folder: Option<&Path>) -> Registry {
    let settings = Settings {
        url: url.to_owned().into(),
        folder: folder.map(Path::to_path_buf),
        patience: Duration::from_secs(20),
    };
    Registry::open(&settings).unwrap()
}
