//! `cargo xtask chaos`: everything goes wrong, and a verdict.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use end_to_end::chaos::{self, Chaos, Plant};
use end_to_end::{pipeline, workspace};
use service::clock::{Clock, SystemClock};

use crate::display::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long things go wrong; on top come the start and, at the end, up to four minutes of rest
    #[arg(long, default_value_t = 3)]
    minutes: u64,
    /// The same seed and minutes: the same stories and the same faults at the same times. Drawn, and told, if not given
    #[arg(long)]
    seed: Option<u64>,
    /// 1 or 3. Of three one at a time goes away, everything is kept three times, and two have what is acknowledged
    #[arg(long, default_value = "1", value_parser = PossibleValuesParser::new(["1", "3"]).try_map(|n| n.parse::<usize>()))]
    brokers: usize,
    /// Plants a bug; the run must then fail. `list` says which there are, and what finds those that no run can
    #[arg(long)]
    plant: Option<Planted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Planted {
    List,
    OffsetEarly,
    DoubledOnRetry,
    ReorderedOnRestart,
    ForgedAccepted,
}

impl Planted {
    /// None for the list.
    fn plant(self) -> Option<Plant> {
        match self {
            Self::List => None,
            Self::OffsetEarly => Some(Plant::OffsetEarly),
            Self::DoubledOnRetry => Some(Plant::DoubledOnRetry),
            Self::ReorderedOnRestart => Some(Plant::ReorderedOnRestart),
            Self::ForgedAccepted => Some(Plant::ForgedAccepted),
        }
    }
}

/// The bugs that a run of some minutes finds, how each is planted, and where the others are found.
const LIST: &str = "\
planted from outside, and found by a run:
  offset-early          the offsets of deliver's groups go to the end while it is away
  doubled-on-retry      an event that is sent to Customer.io again gets another id on its way
  reordered-on-restart  the first calls to Customer.io after a restart are answered and land later
  forged-accepted       what is to be forged is signed rightly
too rare for a run, and found by searching what can happen (transform/tests/protocol; each is a rule switched off):
  ambiguous commit reused                  NewProducerAfterDoubt, ChangelogAfterDoubt
  the end of the changelog read as the LSO HighWatermark
  a timer's transaction without offsets    OffsetsAlways
  see them found: cargo test -p transform --test protocol -- --nocapture";

#[tokio::main]
pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.plant == Some(Planted::List) {
        say(LIST);
        return Ok(ExitCode::SUCCESS);
    }
    let plant = arguments.plant.and_then(Planted::plant);
    let now = u64::try_from(SystemClock::new().now_millis()).unwrap_or_default();
    let seed = arguments.seed.unwrap_or(now % 1_000_000);
    let length = Duration::from_secs(60 * arguments.minutes);
    let planted = arguments.plant.as_ref().and_then(ValueEnum::to_possible_value);
    let planted = planted.map(|value| format!(" --plant {}", value.get_name()));
    let again = format!(
        "cargo xtask chaos --minutes {} --seed {seed} --brokers {}{}",
        arguments.minutes,
        arguments.brokers,
        planted.unwrap_or_default()
    );
    say(&format!("{} webhooks a second; again with: {again}", chaos::RATE));
    let verdict =
        chaos::run(Chaos { length, seed, plant, brokers: arguments.brokers }, &say).await?;
    say("");
    say(&verdict.to_string());
    let logs = pipeline::logs(&workspace::cache().join("runs").join("chaos"));
    if verdict.is_clean() {
        say("Everything arrived once and in order, or lies where it belongs.");
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("Something went wrong that must not; see above.\nlogs: {logs}\nagain: {again}"));
    Ok(ExitCode::FAILURE)
}
