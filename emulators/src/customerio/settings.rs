//! How the emulated workspace is set up.

use secrecy::SecretString;

/// Credentials and limits of the emulated workspace.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The user name of HTTP Basic. Default `emulator-site`.
    pub site_id: String,
    /// The password of HTTP Basic. Default `emulator-key`.
    pub api_key: SecretString,
    /// Requests in one second beyond which a violation is noted. Default 1000, the documented fair
    /// use (Customer.io Track API specification, read 2026-08-22).
    pub fair_use_per_second: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            site_id: "emulator-site".to_owned(),
            api_key: SecretString::from("emulator-key"),
            fair_use_per_second: 1000,
        }
    }
}
