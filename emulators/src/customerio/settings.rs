//! How the emulated workspace is set up.

use secrecy::SecretString;
use serde_json::{Value, json};

/// Where the account's data is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// United States.
    Us,
    /// European Union.
    Eu,
}

impl Region {
    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Us => {
                json!({"url": "https://track.customer.io", "region": "us", "environment_id": 1})
            }
            Self::Eu => {
                json!({"url": "https://track-eu.customer.io", "region": "eu", "environment_id": 1})
            }
        }
    }
}

/// Credentials and limits of the emulated workspace.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The user name of HTTP Basic. Default `emulator-site`.
    pub site_id: String,
    /// The password of HTTP Basic. Default `emulator-key`.
    pub api_key: SecretString,
    /// What the region check answers. Default United States.
    pub region: Region,
    /// Requests in one second beyond which a violation is noted. Default 1000, the documented fair
    /// use (Customer.io Track API specification, read 2026-08-22).
    pub fair_use_per_second: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            site_id: "emulator-site".to_owned(),
            api_key: SecretString::from("emulator-key"),
            region: Region::Us,
            fair_use_per_second: 1000,
        }
    }
}
