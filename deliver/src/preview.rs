//! `deliver preview <payload.json> --source NAME`: the requests that a webhook would cause, or why it
//! causes none. Nobody is called, nothing is written, and Kafka need not be there. With `--from-topic` it shows
//! what a destination in shadow noted instead ([`recorded`]).
//!
//! A preview is worth something only if nothing in it is imitated. So the payload goes the pipeline's own
//! way: [`webhook`] lets the edge's adapter find the ids, and gives the record that `ingest` would write
//! to a line of `transform` that knows nobody yet; [`rehearsal`] asks each destination's own `plan` and
//! conversation. That is why this crate depends on the libraries of the two steps before it. Only what is
//! asked before anything runs uses them (this, and `check`, which counts the names that events can have):
//! what runs meets their work in the topics and nowhere else.
//!
//! Several payloads are one story, told in the order given: what the first teaches about the subscriber is
//! known to the second. What a preview cannot know is what the installation knows by now (the subscriber's
//! history, hence sequence and status; whom Intercom has met), and it makes no batches of several people.
//! It shows people's data, as the payload does, but no credentials.

mod page;
mod recorded;
mod rehearsal;
#[cfg(test)]
mod tests;
pub(crate) mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use service::cli::say;
use service::clock::Clock;
use service::config::{self, Config};
use service::exit::Failure;

pub(crate) use self::page::why;
use self::rehearsal::{Fictitious, Rehearsal};
pub use self::rehearsal::{Rehearse, Untold, rehearse};
use self::webhook::{Given, Pipeline};
use crate::configure;

/// `deliver preview ...`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Arguments {
    /// What the provider sends, byte for byte; several are one story in this order.
    #[arg(required_unless_present = "from_topic", value_name = "PAYLOAD")]
    payloads: Vec<PathBuf>,
    /// The configured source that it comes to.
    #[arg(long, required_unless_present = "from_topic", value_name = "NAME")]
    source: Option<String>,
    /// Show instead what a destination in shadow would have been sent, oldest first.
    #[arg(long, requires = "destination", conflicts_with_all = ["payloads", "source", "id"])]
    from_topic: bool,
    /// At this destination alone; at all of them when not said.
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// The event's id, where the provider tells it in a header (Dodo: `webhook-id`); with one payload.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The provider's id of the person, where the payload names only a thing of theirs (a dispute). With
    /// --from-topic: the subscriber key (<source>/<id>).
    #[arg(long, value_name = "ID")]
    subscriber: Option<String>,
    /// With --from-topic: so many of the newest events; 100 when not said.
    #[arg(long, requires = "from_topic", value_name = "NUMBER")]
    limit: Option<usize>,
}

/// Prints what the payloads would cause.
///
/// # Errors
/// When there is no such source, destination or file, and when a payload would be parked.
pub async fn work(
    arguments: Arguments,
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<(), Failure> {
    judge(&arguments)?;
    configure::judge(config)?;
    // There is one unless `--from-topic` is said.
    let Some(source) = &arguments.source else {
        return recorded::work(&arguments, config).await;
    };
    let destinations = destinations(config, arguments.destination.as_deref())?;
    let mut pipeline = Pipeline::new(config, source)?;
    let mut parked = 0_usize;
    for path in &arguments.payloads {
        let body = tokio::fs::read(path).await.map_err(|error| {
            Failure::Usage(format!("{} cannot be read: {error}", path.display()))
        })?;
        let given = Given {
            body,
            id: arguments.id.clone(),
            subscriber: arguments.subscriber.clone(),
            at: clock.now(),
        };
        let told = pipeline.take(given)?;
        parked += usize::from(told.is_parked());
        say(&page::page(&told, &destinations, clock.now().as_second()))?;
    }
    if parked == 0 {
        return Ok(());
    }
    Err(Failure::failed(format!("{parked} of {} would be parked", arguments.payloads.len())))
}

/// With one id for all of them the second payload would be a repetition of the first.
fn judge(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.id.is_some() && arguments.payloads.len() > 1 {
        let text = "`--id` is the id of one event: give it with one payload";
        return Err(Failure::Usage(text.to_owned()));
    }
    Ok(())
}

fn destinations(config: &Config, only: Option<&str>) -> Result<Vec<Rehearsal>, Failure> {
    if let Some(name) = only
        && !config.destinations.contains_key(name)
    {
        return Err(none_such("destination", name, config.destinations.keys()));
    }
    let chosen = config.destinations.iter().filter(|(name, _)| only.is_none_or(|one| one == *name));
    let rehearsals = chosen.map(|(name, destination)| {
        Ok(Rehearsal {
            name: name.clone(),
            destination: configure::rehearsed(destination)?,
            http: configure::http(destination).map_err(Failure::failed)?,
            calls: match destination.mode {
                config::Mode::Live => Fictitious::No,
                config::Mode::Shadow => Fictitious::Shadow,
            },
        })
    });
    rehearsals.collect()
}

fn none_such<'a>(what: &str, name: &str, there: impl Iterator<Item = &'a String>) -> Failure {
    let names: Vec<_> = there.map(String::as_str).collect();
    Failure::Usage(format!("there is no {what} {name}; there is {}", names.join(", ")))
}
