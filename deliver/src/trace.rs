//! `deliver trace <subscriber key | user id | e-mail>`: one person's story across everything: each webhook that
//! was received, what it became, and what became of that at each destination.
//!
//! Nothing is kept for it. All of it stands in the topics and in what the groups have committed, and is true of
//! the moment at which it is asked: [`gather`] reads what concerns a key, [`webhooks`] and [`deliveries`] conclude
//! what became of each record, [`story`] puts it in order, [`page`] and [`object`] show it. Only the reason why a
//! webhook became nothing is told by no topic: [`hindsight`] asks `transform`. A key is looked up in the one
//! partition that it has; any other name is first searched for in all states ([`find`]).
//!
//! It is a command of `deliver` because what became of an event only its destinations can say: whether one is
//! skipped is decided by `plan`, what is done by this crate's marks, and how long one waits by its headers. What
//! it needs of `transform` is that crate's line, on which `deliver preview` stands already.
//!
//! It shows one person, who was named by whoever asks, as `dead show` shows one letter: with the key and the
//! destination's words, and without what the webhooks and events say about the person. `--json` is the person's
//! data, for programs and for requests of access: identity, present state and whole events, and with `--body` the
//! webhooks as received. Nothing of it is logged.

mod deliveries;
mod find;
mod gather;
mod hindsight;
mod material;
mod object;
mod page;
mod refreshes;
mod story;
#[cfg(test)]
mod tests;
mod webhooks;
mod words;

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dead_letters::DeadError;
use schemas::Timestamp;
use schemas::codec::CodecError;
use service::cli::say;
use service::clock::Clock;
use service::config::{Config, Problems, read_duration};
use service::exit::Failure;
use stream::ReadError;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use transform::state::StateError;

use self::find::{Who, subscribers};
use self::gather::Archive;
use self::object::Bodies as Shown;
use self::story::{Story, Times};
use crate::bodies::{Bodies, Schemas};
use crate::configure;
use crate::marks::MarksError;

/// `deliver trace ...`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Arguments {
    /// A subscriber key (<source>/<id>), or a user id or an e-mail address, which takes longer.
    #[arg(value_name = "WHO")]
    who: String,
    /// How far to look back: so long (30d, 12h), or to this time (RFC 3339).
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: Since,
    /// Print JSON, one object: all that is known of the person.
    #[arg(long)]
    json: bool,
    /// With --json: the webhooks' bodies as well.
    #[arg(long, requires = "json")]
    body: bool,
}

/// How far back is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ago(Duration),
    At(Timestamp),
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ago = read_duration(text).map(Self::Ago);
        ago.or_else(|| Timestamp::from_rfc3339(text).map(Self::At))
            .ok_or("must be a duration such as 30d or 12h, or a time such as 2026-12-01T00:00:00Z")
    }
}

impl Since {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(time) => {
                let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                now.plus_millis(-millis)
            }
            Self::At(moment) => moment,
        }
    }
}

/// Why there is no story.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    /// A topic is not there.
    #[error("the topic {0} does not exist; `setup` creates it")]
    NoTopic(String),
    /// A destination's transformation code cannot be read.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// A topic or a group could not be read.
    #[error(transparent)]
    Read(Box<ReadError>),
    /// Dead letters could not be read.
    #[error(transparent)]
    Dead(Box<DeadError>),
    /// A state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A schema that is built in cannot be used, or a state was written by a later version.
    #[error("the state of a subscriber cannot be read")]
    Codec(#[from] CodecError),
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
    /// A thread came to an end of its own.
    #[error("reading ended unexpectedly")]
    Ended,
}

impl From<ReadError> for TraceError {
    fn from(error: ReadError) -> Self {
        Self::Read(Box::new(error))
    }
}

impl From<DeadError> for TraceError {
    fn from(error: DeadError) -> Self {
        Self::Dead(Box::new(error))
    }
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::NoTopic(_) => Self::Refused(error.to_string()),
            TraceError::Configuration(problems) => problems.into(),
            TraceError::Dead(error) => (*error).into(),
            TraceError::Read(_)
            | TraceError::State(_)
            | TraceError::Codec(_)
            | TraceError::Marks { .. }
            | TraceError::Ended => Self::failed(error),
        }
    }
}

/// What was found out.
#[derive(Debug)]
struct Answer {
    asked_at: Timestamp,
    since: Timestamp,
    stories: Vec<Story>,
}

/// Prints the story of whoever is meant.
///
/// # Errors
/// When nothing is known of them, or topics could not be read.
pub async fn work(
    arguments: Arguments,
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    configure::judge(&config)?;
    let schemas = configure::registry(&config)
        .map_err(Failure::failed)?
        .map(|registry| Schemas { registry, runtime: Handle::current() });
    let bodies = Bodies::new(schemas).map_err(Failure::failed)?;
    let (answering, answered) = oneshot::channel();
    let asked = arguments.clone();
    // Reading blocks, and changes nothing that would have to be ended in order: whoever asks the process to end
    // need not wait for it.
    std::thread::spawn(move || match Archive::open(&config, &*clock, bodies) {
        // Who asked need not wait until every connection is closed.
        Ok(archive) => drop(answering.send(ask(&asked, &archive, &config, &*clock))),
        Err(error) => drop(answering.send(Err(error))),
    });
    let Some(answer) = shutdown.run_until_cancelled(answered).await else {
        return Err(Failure::failed("asked to end before there was an answer"));
    };
    let answer = answer.map_err(|_| TraceError::Ended)??;
    if arguments.json {
        let shown = if arguments.body { Shown::Shown } else { Shown::LeftOut };
        say(&object::object(&answer, shown).to_string())?;
    } else {
        page::page(&answer).iter().try_for_each(|line| say(line))?;
    }
    if answer.stories.is_empty() {
        return Err(Failure::failed("nothing is known of them in what was looked at"));
    }
    Ok(())
}

fn ask(
    arguments: &Arguments,
    archive: &Archive<'_>,
    config: &Config,
    clock: &dyn Clock,
) -> Result<Answer, TraceError> {
    let asked_at = Timestamp::from_millis(clock.now_millis());
    let since = arguments.since.moment(asked_at);
    let times = Times {
        reorder_window: config.transform.reorder_window,
        link_timeout: config.transform.link_timeout,
    };
    let mut keys = match Who::of(&arguments.who, config) {
        Who::Subscriber(key) => vec![key],
        Who::Person(who) => subscribers(archive, &who)?,
    };
    let mut asked: BTreeSet<String> = keys.iter().cloned().collect();
    let mut stories = Vec::new();
    // The first is told first, and whom it leads to behind it.
    keys.reverse();
    while let Some(key) = keys.pop() {
        let story = Story::of(archive.about(&key, since)?, times);
        for other in story.same_person().into_iter().rev() {
            if asked.insert(other.clone()) {
                keys.push(other);
            }
        }
        if !story.is_empty() {
            stories.push(story);
        }
    }
    Ok(Answer { asked_at, since, stories })
}
