//! `transform import`: tells of subscribers who were there before, from a file.
//!
//! A file's way: [`table`], [`lines`], [`listed`] or [`transactions`] read it piece by piece, [`gather`] makes one
//! record of each subscriber and refuses what could not be read later, [`report`] says what was refused. Only
//! then anything is written, to the raw topic, where what becomes of it is decided like of everything else.
//!
//! There is nothing to remember between two runs: a record says how things are as of a moment, and taken twice it
//! is taken once. An import that was interrupted is run again.

mod arguments;
mod gather;
mod lines;
mod listed;
mod report;
mod rows;
mod send;
mod table;
mod told;
mod transactions;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use schemas::topics::Topic;
use schemas::{Provider, Timestamp};
use service::cli::say;
use service::clock::Clock;
use service::config::Config;
use service::exit::Failure;
use tokio_util::sync::CancellationToken;

pub use self::arguments::{Arguments, Format};
use self::gather::Gathering;
pub use self::gather::{Outcome, Setting};
use self::report::{Done, Numbers};
use self::send::{Around, send};
use self::told::FileError;
pub use self::told::Refusal;
use crate::budget::Budget;
use crate::configure;
use crate::preflight::check_topics;
use crate::sources::{Source, Sources};

/// Why not all of a file was imported.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    /// Something of it cannot be used.
    #[error(
        "not everything could be imported (lines refused: {1}, subscribers: {0}); what is corrected \
         can be imported again"
    )]
    Refused(usize, usize),
    /// The process was asked to end.
    #[error("{left} of {all} are left; the same command goes on")]
    Interrupted {
        /// Not imported yet.
        left: usize,
        /// All of them.
        all: usize,
    },
}

/// Does what was asked for.
///
/// # Errors
/// When not all of the file could be imported.
pub async fn run(
    config: &Config,
    arguments: Arguments,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let sources = configure::sources(config);
    let source = source(&sources, &arguments.source)?;
    let format = format(&arguments, source)?;
    let topic = Topic::Raw.name(&config.kafka.topic_prefix);
    let setting = Setting {
        source,
        as_of: arguments.as_of,
        now: Timestamp::from_millis(clock.now_millis()),
        topic: &topic,
        budget: Budget::of(configure::max_message_bytes(config)),
    };
    let file = File::open(&arguments.file).map_err(FileError::Unreadable);
    let file = BufReader::new(file.map_err(Failure::failed)?);
    let outcome = read(file, format, arguments.as_of, &setting)?;
    let numbers = Numbers::of(&outcome);
    let Outcome { records, refusals, .. } = outcome;
    if arguments.json {
        report::objects(&refusals).iter().try_for_each(|object| say(&object.to_string()))?;
    } else {
        report::refusals(&refusals).iter().try_for_each(|line| say(line))?;
    }
    let done = if arguments.dry_run {
        Done::DryRun
    } else {
        check_topics(config).await?;
        let cluster = configure::cluster(config);
        let around = Around { cluster, rate: arguments.rate, clock, shutdown };
        Done::Sent(send(records, around).await?)
    };
    if arguments.json {
        say(&report::summary(numbers, done, refusals.len()).to_string())?;
    } else {
        report::lines(numbers, done).iter().try_for_each(|line| say(line))?;
    }
    conclude(numbers, done, refusals.len()).map_err(Failure::failed)
}

fn conclude(numbers: Numbers, done: Done, refusals: usize) -> Result<(), ImportError> {
    let all = numbers.subscribers;
    match done {
        Done::Sent(sent) if sent < all => Err(ImportError::Interrupted { left: all - sent, all }),
        Done::Sent(_) | Done::DryRun if refusals > 0 => {
            Err(ImportError::Refused(numbers.refused, refusals))
        }
        Done::Sent(_) | Done::DryRun => Ok(()),
    }
}

fn source<'a>(sources: &'a Sources, name: &str) -> Result<&'a Source, Failure> {
    sources.get(name).ok_or_else(|| {
        let known: Vec<_> = sources.names().collect();
        Failure::Usage(format!("no source is called {name:?}; there are {}", known.join(", ")))
    })
}

/// How the file is written; whose format it is must be who sends.
fn format(arguments: &Arguments, source: &Source) -> Result<Format, Failure> {
    let format = arguments.format.or_else(|| Format::of(&arguments.file)).ok_or_else(|| {
        Failure::Usage("the file's name does not say how it is written: say --format".to_owned())
    })?;
    let provider = match format {
        Format::Csv | Format::Jsonl => return Ok(format),
        Format::Stripe => Provider::Stripe,
        Format::Dodo => Provider::Dodo,
        Format::Revenuecat => Provider::Revenuecat,
    };
    if source.provider == provider {
        return Ok(format);
    }
    let (name, other) = (&source.name, source.provider.name());
    Err(Failure::Usage(format!("{name} is a source of {other}, not of {}", provider.name())))
}

/// What a file comes to: everything of an import but its sending.
///
/// # Errors
/// When nothing of the file can be read.
pub fn read(
    file: impl BufRead,
    format: Format,
    as_of: Option<Timestamp>,
    setting: &Setting<'_>,
) -> Result<Outcome, Failure> {
    let mut gathering = Gathering::default();
    let mut take = |told| gathering.take(told, setting);
    let read = match (format, as_of) {
        (Format::Csv, _) => table::read(file, &mut take),
        (Format::Jsonl, _) => lines::read(file, &mut take),
        (Format::Stripe | Format::Dodo, Some(as_of)) => {
            listed::read(file, setting.source, as_of, &mut take)
        }
        (Format::Revenuecat, Some(as_of)) => transactions::read(file, as_of, &mut take),
        (Format::Stripe | Format::Dodo | Format::Revenuecat, None) => {
            let message = "an export does not say when it was made: say --as-of";
            return Err(Failure::Usage(message.to_owned()));
        }
    };
    read.map_err(|error| match error {
        FileError::Unreadable(_) => Failure::failed(error),
        FileError::NoHeading
        | FileError::UnknownColumn { .. }
        | FileError::ColumnTwice(_)
        | FileError::MissingColumn(_) => Failure::Refused(error.to_string()),
    })?;
    Ok(gathering.finish(setting))
}

#[cfg(test)]
mod tests;
