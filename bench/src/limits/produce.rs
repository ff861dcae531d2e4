//! The most that can become durable in a second: the same bytes as `ingest` writes, by the same client with the same
//! settings, without a request for each.

use std::time::Instant;

use anyhow::Result;
use schemas::topics::Topic;

use crate::ground::{cluster, say};
use crate::payload::Renewals;
use crate::topics::Filler;
use crate::usage::Usage;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    prefix: String,
    #[arg(long)]
    records: usize,
    #[arg(long)]
    subscribers: usize,
}

/// Its last line says how many microseconds passed, and how many of them it was at work.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { brokers, prefix, records, subscribers } = arguments;
    let topic = Topic::Raw.name(prefix);
    let filler = Filler::open(&cluster(brokers))?;
    filler.warm(&topic)?;
    let mut renewals = Renewals::of(*subscribers)?;
    let all: Vec<_> = (0..*records).map(|_| renewals.next().record(&topic)).collect();
    let own = Usage::of(Some(std::process::id()))?;
    let (began, worked) = (Instant::now(), own.cpu()?);
    filler.fill(all)?;
    let (took, worked) = (began.elapsed(), own.cpu()?.saturating_sub(worked));
    say(&format!("{} {}", took.as_micros(), worked.as_micros()));
    Ok(())
}
