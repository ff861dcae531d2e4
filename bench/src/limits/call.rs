//! The most that a destination can be called: requests made beforehand, over as many connections as may call at once, the
//! next as soon as one is answered. No order is kept, nothing is read from a topic, and nothing is planned.

use anyhow::{Result, ensure};
use schemas::LifecycleEvent;
use schemas::samples::full_event;
use serde_json::json;

use crate::ground::say;
use crate::usage::Usage;
use crate::volley::{Answered, fire};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    requests: usize,
    /// Tells its subscribers from those of other runs
    #[arg(long)]
    run: usize,
}

/// Its last line says how many microseconds passed, and how many of them it was at work.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { port, connections, requests, run } = arguments;
    let all: Vec<_> = (0..*requests).map(|number| request(*run, number)).collect();
    let own = Usage::of(Some(std::process::id()))?;
    let worked = own.cpu()?;
    let Answered { took, statuses, .. } = fire(*port, all, *connections)?;
    let worked = own.cpu()?.saturating_sub(worked);
    let taken = statuses.iter().all(|status| (200..300).contains(status));
    ensure!(taken, "not every call was taken");
    say(&format!("{} {}", took.as_micros(), worked.as_micros()));
    Ok(())
}

/// The first message of somebody who gets no other.
fn request(run: usize, number: usize) -> Vec<u8> {
    let id = format!("caller-{run}-{number}");
    let mut event =
        LifecycleEvent { event_id: id.clone(), sequence: 1, payload: None, ..full_event() };
    event.subscriber.key = id;
    let body = json!({ "data": event }).to_string();
    let head = format!(
        "POST /hooks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}
