//! `deliver refresh`: shows subscribers at the destinations once more, as they are known now, and tells no event:
//! after an attribute was added or renamed, and after an import, of which nobody was told.
//!
//! What is known lies in `subscriptions.state` ([`present`]). [`choice`] says who and where; [`record`] makes of one
//! state what an event would show, and appends nothing to the stream that everybody reads: a refresh goes into the
//! retry topic of the one destination that it is for, as a redriven dead letter does, and the running `deliver`
//! sends it behind everything live of its subscriber (lane protocol, rule 16). [`send`] keeps the pace, and [`room`]
//! sees to it that refreshes are taken before more come, because what waits in a retry topic is held in memory by
//! whoever works on it, and shares the destination's rate with the events.
//!
//! Nothing has to be remembered between two runs. Subscribers come in a fixed order, so that one that was ended says
//! behind whom the next goes on; and whoever is refreshed twice is shown the same.

mod choice;
mod present;
mod record;
mod report;
mod room;
mod send;

use std::sync::Arc;

use clap::Args;
use dead_letters::present::clean;
use schemas::codec::CodecError;
use service::cli::say;
use service::clock::Clock;
use service::config::{Config, Problems, Rate};
use service::exit::Failure;
use stream::{AppendError, ReadError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::choice::{Choice, chosen_destinations};
use self::report::Done;
use self::send::{Ended, Refreshing};
use crate::configure;
use crate::marks::MarksError;

/// `deliver refresh ...`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Arguments {
    /// These subscribers (<source>/<id>); `deliver trace` finds the key of a person.
    #[arg(
        value_name = "SUBSCRIBER",
        required_unless_present_any = ["all", "source"],
        conflicts_with_all = ["all", "source", "after"],
    )]
    subscribers: Vec<String>,
    /// Everybody.
    #[arg(long, conflicts_with = "source")]
    all: bool,
    /// Everybody of this source; may be given several times.
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// At this destination alone; may be given several times. At all of them when not said.
    #[arg(long, value_name = "NAME")]
    destination: Vec<String>,
    /// Go on behind this subscriber, where an earlier run says that it ended.
    #[arg(long, value_name = "SUBSCRIBER")]
    after: Option<String>,
    /// At most so many subscribers in a time. The events of all others share the destination's rate with them.
    #[arg(long, value_name = "RATE", default_value = "20/s")]
    rate: Rate,
    /// Say who would be refreshed where, and who would not and why.
    #[arg(long)]
    dry_run: bool,
}

/// Why not everybody was refreshed.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    /// A topic is not there.
    #[error("the topic {0} does not exist; `setup` creates it")]
    NoTopic(String),
    /// Somebody of whom there is no state.
    #[error("nothing is known of {0}; nobody was refreshed")]
    Unknown(String),
    /// A state that this version cannot read.
    #[error(
        "the state of {0} cannot be read: was it written by a later version? Nobody was refreshed"
    )]
    Unreadable(String),
    /// Several of them, among many.
    #[error("the states of {0} subscribers cannot be read: were they written by a later version?")]
    SomeUnreadable(usize),
    /// The process was asked to end.
    #[error("ended before everybody was refreshed{}", go_on(.0.as_deref()))]
    Interrupted(Option<String>),
    /// A destination's transformation code cannot be read.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// Topics or a group could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What a group has committed cannot be understood.
    #[error("what is committed for {topic}[{partition}] cannot be read")]
    Marks {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Why.
        #[source]
        cause: MarksError,
    },
    /// A schema that is built in cannot be used.
    #[error("a refresh cannot be written")]
    Codec(#[from] CodecError),
    /// A refresh was not acknowledged.
    #[error("not everybody was refreshed{}", go_on(.after.as_deref()))]
    Append {
        /// The last one who surely was.
        after: Option<String>,
        /// Why.
        #[source]
        cause: AppendError,
    },
}

/// What goes on where a run ended.
fn go_on(after: Option<&str>) -> String {
    match after {
        None => "; nobody was".to_owned(),
        Some(after) => format!("; the same command with `--after {}` goes on", clean(after)),
    }
}

impl From<RefreshError> for Failure {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::NoTopic(_) => Self::Refused(error.to_string()),
            RefreshError::Configuration(problems) => problems.into(),
            RefreshError::Unknown(_)
            | RefreshError::Unreadable(_)
            | RefreshError::SomeUnreadable(_)
            | RefreshError::Interrupted(_)
            | RefreshError::Read(_)
            | RefreshError::Marks { .. }
            | RefreshError::Codec(_)
            | RefreshError::Append { .. } => Self::failed(error),
        }
    }
}

/// Refreshes whoever is meant.
///
/// # Errors
/// When somebody is not known, and when not everybody could be refreshed.
pub async fn work(
    arguments: Arguments,
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    configure::judge(&config)?;
    let choice = Choice::of(&arguments, &config)?;
    let destinations = chosen_destinations(&config, &arguments.destination)?;
    for (name, reason) in &destinations.left_out {
        say(&format!("{name}: left out: {reason}"))?;
    }
    let (rate, dry_run) = (arguments.rate, arguments.dry_run);
    let runtime = Handle::current();
    // Reading and waiting block.
    let ended = tokio::task::spawn_blocking(move || {
        let done = if dry_run { Done::DryRun } else { Done::HandedOver };
        let refreshing = Refreshing::open(&config, &destinations.chosen, (done, rate))?;
        Ok::<_, RefreshError>((refreshing.run(&choice, (&*clock, &shutdown, &runtime)), done))
    });
    let (Ended { tally, error }, done) = ended.await.map_err(Failure::failed)??;
    report::lines(&tally, done).iter().try_for_each(|line| say(line))?;
    match error {
        Some(error) => Err(error.into()),
        None if tally.unreadable > 0 => Err(RefreshError::SomeUnreadable(tally.unreadable).into()),
        None => Ok(()),
    }
}
