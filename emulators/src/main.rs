//! Serves both emulators until told to stop.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use emulators::{CustomerIo, CustomerIoSettings, Intercom, IntercomSettings};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};

/// Strict emulators of Customer.io and Intercom.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where Customer.io listens.
    #[arg(long, default_value = "127.0.0.1:9201")]
    customerio: SocketAddr,
    /// Where Intercom listens.
    #[arg(long, default_value = "127.0.0.1:9202")]
    intercom: SocketAddr,
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

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the addresses are this program's output")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let customerio = CustomerIoSettings {
        site_id: arguments.customerio_site_id,
        api_key: arguments.customerio_api_key,
        ..CustomerIoSettings::default()
    };
    let intercom = IntercomSettings {
        access_token: arguments.intercom_access_token,
        requests_per_ten_seconds: arguments.intercom_requests_per_ten_seconds,
        ..IntercomSettings::default()
    };
    let customerio = CustomerIo::start(arguments.customerio, customerio)
        .await
        .context("starting Customer.io")?;
    let intercom =
        Intercom::start(arguments.intercom, intercom).await.context("starting Intercom")?;
    println!("customerio {}", customerio.base_url());
    println!("intercom {}", intercom.base_url());
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listening for SIGINT")?,
    }
    Ok(())
}
