//! How the emulated workspace is set up.

use std::time::Duration;

use secrecy::SecretString;

/// Where the workspace's data is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// United States.
    Us,
    /// European Union.
    Eu,
    /// Australia.
    Au,
}

impl Region {
    /// As `GET /me` names it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Us => "US",
            Self::Eu => "Europe",
            Self::Au => "AU",
        }
    }
}

/// Credentials and limits of the emulated workspace.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bearer token. Default `emulator-token`.
    pub access_token: SecretString,
    /// What `GET /me` says of the region. Default United States.
    pub region: Region,
    /// Requests taken in each window of ten seconds. Default 1667 (10 000 a minute).
    pub requests_per_ten_seconds: u64,
    /// How long a new contact is missing from the search. Default two minutes ("a few minutes" in
    /// the description of `POST /contacts/search`, API 2.16).
    pub search_delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_token: SecretString::from("emulator-token"),
            region: Region::Us,
            requests_per_ten_seconds: 1667,
            search_delay: Duration::from_mins(2),
        }
    }
}
