//! The command line. Credentials have well-known defaults, so that the demo needs none.

use std::net::SocketAddr;

use clap::{Parser, Subcommand};
use emulators::{CustomerIoSettings, IntercomSettings};
use secrecy::SecretString;

/// Strict emulators of Customer.io and Intercom.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Where Customer.io listens.
    #[arg(long, default_value = "127.0.0.1:9201")]
    pub(crate) customerio: SocketAddr,
    /// Where Intercom listens.
    #[arg(long, default_value = "127.0.0.1:9202")]
    pub(crate) intercom: SocketAddr,
    /// Customer.io's site id.
    #[arg(long, env = "CUSTOMERIO_SITE_ID", default_value = "emulator-site")]
    customerio_site_id: String,
    /// Customer.io's API key.
    #[arg(
        long,
        env = "CUSTOMERIO_API_KEY",
        default_value = "emulator-key",
        hide_env_values = true
    )]
    customerio_api_key: SecretString,
    /// Intercom's access token.
    #[arg(
        long,
        env = "INTERCOM_ACCESS_TOKEN",
        default_value = "emulator-token",
        hide_env_values = true
    )]
    intercom_access_token: SecretString,
    /// Requests that Intercom takes in ten seconds.
    #[arg(long, default_value_t = 1667)]
    intercom_requests_per_ten_seconds: u64,
}

/// What to do instead of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Ask the emulators that listen there whether they answer: exit 0 if so. For an image, which has no shell.
    Healthcheck,
}

impl Arguments {
    pub(crate) fn customerio_settings(&self) -> CustomerIoSettings {
        CustomerIoSettings {
            site_id: self.customerio_site_id.clone(),
            api_key: self.customerio_api_key.clone(),
            ..CustomerIoSettings::default()
        }
    }

    pub(crate) fn intercom_settings(&self) -> IntercomSettings {
        IntercomSettings {
            access_token: self.intercom_access_token.clone(),
            requests_per_ten_seconds: self.intercom_requests_per_ten_seconds,
            ..IntercomSettings::default()
        }
    }
}
