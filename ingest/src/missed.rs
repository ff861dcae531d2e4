//! `ingest missed`: gets events that a provider announced while nobody answered, and gave up on.
//!
//! Where a provider keeps a list of its events (Stripe), they are read from there and written to the raw topic like
//! webhooks, oldest first; `transform` leaves out what it has accepted already. Where it does not, the command says
//! what its documentation says. Nothing is marked as done: what was written is known by the events' ids, so that a
//! run that was interrupted goes on from the moment that it names, and one that is repeated changes nothing.

mod advice;
mod recovery;
mod stripe;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use hyper::HeaderMap;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use service::cli::say;
use service::clock::Clock;
use service::config::{Config, Provider};
use service::exit::Failure;
use service::secrets::Secrets;
use stream::Appender;
use tokio_util::sync::CancellationToken;

pub use self::recovery::{Archive, ArchiveError, Listed, Page, Recovery, Span};
pub use self::stripe::{EventList, read as read_page};
use crate::envelope::{RawRecord, Reception, seal};
use crate::preflight::{check_topics, cluster, raw_topic};
use crate::publish::{KafkaLog, RawLog};
use crate::sources::Adapter;
use crate::{sources, traceparent};

/// How far back Stripe tells its events.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// `ingest missed ...`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Arguments {
    /// The configured source.
    #[arg(long, value_name = "NAME")]
    source: String,
    /// From when on nothing was received (RFC 3339, such as 2026-12-01T08:30:00Z); rather earlier than later.
    #[arg(long, value_name = "TIME")]
    from: Timestamp,
    /// Until when; now unless said.
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// A file with a secret or restricted key of the account that may read events. Needed for Stripe.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Where the provider's API is.
    #[arg(long, value_name = "URL", default_value = stripe::API)]
    api: String,
    /// Count what there is, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    listed: u64,
    written: u64,
    too_large: u64,
}

/// Gets what was missed, or says how to.
///
/// # Errors
/// When the source is none that was configured, when the provider refuses or cannot be reached, and when an event
/// could not be written. What was written before stays.
pub async fn work(
    arguments: Arguments,
    config: &Config,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let name = &arguments.source;
    let Some(source) = config.sources.get(name) else {
        let known: Vec<_> = config.sources.keys().map(String::as_str).collect();
        let known = known.join(", ");
        return Err(Failure::Usage(format!("there is no source `{name}`; configured: {known}")));
    };
    let span = span(&arguments, clock.now())?;
    if source.provider != Provider::Stripe {
        return say(advice::of(source.provider));
    }
    let Some(file) = &arguments.api_key_file else {
        let message = "a source of `stripe` needs --api-key-file: a restricted key that may read events is enough";
        return Err(Failure::Usage(message.to_owned()));
    };
    let keys = Secrets::in_file(file.clone(), clock.clone()).current();
    let Some(key) = keys.first() else {
        return Err(Failure::Usage(format!("{} holds no key", file.display())));
    };
    let list = EventList::open(&arguments.api, key.clone()).map_err(Failure::failed)?;
    let log = open(config).await?;
    let writer = Writer {
        name,
        provider: source.provider,
        adapter: &sources::stripe::ADAPTER,
        max_body: config.ingest.max_body,
        log: &log,
        clock: &*clock,
        is_dry_run: arguments.dry_run,
    };
    let bar = bar(span);
    let (count, ended) = all(&list, span, &writer, &shutdown, &bar).await;
    bar.finish_and_clear();
    tell(&arguments, count)?;
    match ended {
        Ok(()) if count.too_large == 0 => Ok(()),
        Ok(()) => Err(Failure::Refused(format!(
            "{} events are larger than ingest.max_body and were not written",
            count.too_large
        ))),
        Err(failure) => Err(failure),
    }
}

/// The seconds that are asked for.
fn span(arguments: &Arguments, now: Timestamp) -> Result<Span, Failure> {
    let (from, until) = (arguments.from, arguments.to.unwrap_or(now).min(now));
    let usage = |message: &str| Err(Failure::Usage(message.to_owned()));
    if from >= until {
        return usage("--from has to be before --to, and in the past");
    }
    if now.duration_since(from).unsigned_abs() > KEPT {
        return usage("no provider tells of events that are older than 30 days; --from is earlier");
    }
    // A second that has begun belongs to it.
    Ok(Span { from: from.as_second(), until: until.as_second() + 1 })
}

async fn open(config: &Config) -> Result<KafkaLog, Failure> {
    check_topics(config).await.map_err(Failure::failed)?;
    Ok(KafkaLog {
        appender: Appender::open(&cluster(config), config.ingest.ack_timeout)
            .map_err(Failure::failed)?,
        topic: raw_topic(config),
        broken: CancellationToken::new(),
    })
}

/// Writes everything of the span; says how much that was, and why it is not all.
async fn all<L: RawLog>(
    list: &EventList,
    span: Span,
    writer: &Writer<'_, L>,
    shutdown: &CancellationToken,
    bar: &ProgressBar,
) -> (Count, Result<(), Failure>) {
    let (mut count, mut recovery) = (Count::default(), Recovery::of(span));
    while let Some(slice) = recovery.next_slice() {
        let listing = shutdown.run_until_cancelled(recovery.list(list, slice)).await;
        let written = match listing {
            None => Err("asked to end".to_owned()),
            Some(Err(error)) => Err(Failure::failed(error).report()),
            Some(Ok(listed)) => writer.write(listed, &mut count).await,
        };
        if let Err(reason) = written {
            let from = Timestamp::from_second(slice.from).unwrap_or(Timestamp::MAX);
            let message = format!(
                "{reason}\nwhat happened before {from} is written: go on with --from {from}"
            );
            return (count, Err(Failure::failed(message)));
        }
        bar.set_position(u64::try_from(slice.until - span.from).unwrap_or_default());
    }
    (count, Ok(()))
}

/// Writes events as if they had come as webhooks.
struct Writer<'a, L> {
    name: &'a str,
    provider: Provider,
    adapter: &'static Adapter,
    max_body: usize,
    log: &'a L,
    clock: &'a dyn Clock,
    is_dry_run: bool,
}

impl<L: RawLog> Writer<'_, L> {
    /// One after the other, so that what concerns one subscriber lies in the order in which it happened. Nothing for
    /// a slice that was too much at once.
    async fn write(&self, listed: Listed, count: &mut Count) -> Result<(), String> {
        let Listed::All(bodies) = listed else { return Ok(()) };
        for body in bodies {
            count.listed += 1;
            if body.len() > self.max_body {
                count.too_large += 1;
            } else if !self.is_dry_run {
                let appended = self.log.append(self.record(body)).await;
                appended.map_err(|error| Failure::failed(error).report())?;
                count.written += 1;
            }
        }
        Ok(())
    }

    fn record(&self, body: Bytes) -> RawRecord {
        let located = (self.adapter.locate)(&HeaderMap::new(), &body);
        let reception = Reception {
            source: self.name,
            provider: self.provider,
            received_at: self.clock.now(),
            content_type: Some("application/json"),
            traceparent: traceparent::continued(None, rand::random()).to_string(),
        };
        seal(reception, located, body)
    }
}

fn tell(arguments: &Arguments, count: Count) -> Result<(), Failure> {
    let Count { listed, written, too_large } = count;
    if arguments.json {
        let told = serde_json::json!({
            "source": arguments.source,
            "listed": listed,
            "written": written,
            "too_large": too_large,
        });
        return say(&told.to_string());
    }
    let name = &arguments.source;
    if arguments.dry_run {
        return say(&format!("{name}: {listed} events; nothing was written (--dry-run)"));
    }
    say(&format!(
        "{name}: {listed} events, {written} written; transform leaves out those that it has accepted before"
    ))
}

/// On a terminal; elsewhere nothing is drawn.
fn bar(span: Span) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(span.until - span.from).unwrap_or_default());
    let template = "{elapsed:>6} {wide_bar} {percent} % of the time asked for, {eta} left";
    bar.with_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

#[cfg(test)]
mod tests;
