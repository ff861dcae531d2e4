//! Serves both emulators until told to stop.

mod arguments;

use anyhow::Context;
use clap::Parser;
use emulators::{CustomerIo, Intercom};
use service::healthcheck;
use tokio::signal::unix::{SignalKind, signal};

use arguments::{Arguments, Command};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the addresses are this program's output")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.command == Some(Command::Healthcheck) {
        return answering(&arguments);
    }
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let customerio = CustomerIo::start(arguments.customerio, arguments.customerio_settings())
        .await
        .context("starting Customer.io")?;
    let intercom = Intercom::start(arguments.intercom, arguments.intercom_settings())
        .await
        .context("starting Intercom")?;
    println!("customerio {}", customerio.base_url());
    println!("intercom {}", intercom.base_url());
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listening for SIGINT")?,
    }
    Ok(())
}

/// Whether both answer.
fn answering(arguments: &Arguments) -> anyhow::Result<()> {
    for (name, listens) in [("Customer.io", arguments.customerio), ("Intercom", arguments.intercom)]
    {
        healthcheck::ask(&healthcheck::reachable(&listens.to_string()), "/__emulator/faults")
            .with_context(|| format!("asking the emulated {name}"))?;
    }
    Ok(())
}
