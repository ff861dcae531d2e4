//! What an import is asked for.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use schemas::Timestamp;
use service::config::Rate;

/// Options of `transform import`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Arguments {
    /// The file.
    pub file: PathBuf,
    /// The configured source whose subscribers these are.
    #[arg(long, value_name = "NAME")]
    pub source: String,
    /// How the file is written; by its ending where nothing is said (.csv, .jsonl, .ndjson).
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// The moment of which the file tells, where it does not say itself: that at which the export began, such
    /// as 2026-12-01T00:00:00Z. What happened later comes by webhook, what happened before is in the file.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub as_of: Option<Timestamp>,
    /// Only read the file and tell what would be refused. Kafka is not asked.
    #[arg(long)]
    pub dry_run: bool,
    /// At most so many subscribers in a time, such as 500/s.
    #[arg(long, value_name = "RATE")]
    pub rate: Option<Rate>,
    /// Print JSON, one object a line, instead of text for people.
    #[arg(long)]
    pub json: bool,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One row a subscription, with the columns that docs/importing.md lists.
    Csv,
    /// One line a subscriber: the body of the record.
    Jsonl,
    /// Subscriptions as Stripe's API lists them.
    Stripe,
    /// Subscriptions as Dodo's API lists them.
    Dodo,
    /// Transactions as RevenueCat's scheduled data export writes them (CSV, version 4 and later).
    Revenuecat,
}

impl Format {
    /// What the ending of a file's name says.
    pub(super) fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::from_rfc3339(text).ok_or("must be a time such as 2026-12-01T00:00:00Z")
}
