//! `deliver test-transform <file.js> [--source NAME] [payload.json…]`: what a handler makes of webhooks, before and
//! after side by side. Nobody is called and nothing is written; without payloads it is tried with a webhook of each kind
//! of each provider, which come with this program. It needs no configuration: without the file that `--config` names, it
//! is tried with a source of each provider and a Customer.io workspace.
//!
//! It exits non-zero when a webhook would be parked for the handler's sake, so that a pipeline of one's own may refuse a
//! change. Warnings say what was put right, and where an amount is divided by 100 whatever its currency ([`money`]).

mod choice;
mod columns;
mod money;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use schemas::LifecycleEvent;
use service::cli::say;
use service::clock::Clock;
use service::config::Config;
use service::exit::Failure;

use self::choice::{Destination, Trial, destinations, trials};
use self::columns::columns;
use crate::configure;
use crate::destinations::{Plan, Request};
use crate::http::Http;
use crate::preview::webhook::{Fate, Given, Pipeline};
use crate::preview::{Untold, rehearse, why};
use crate::transformation::{Correction, Outcome, Transformable, Transformed};

/// What it is tried with where there is no configuration.
pub const BUILT_IN: &str = include_str!("test_transform/built-in.yaml");

/// `deliver test-transform ...`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Arguments {
    /// The file with `function handler(webhook)`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the provider sends, byte for byte; several are one story in this order. Without any: samples.
    #[arg(value_name = "PAYLOAD")]
    payloads: Vec<PathBuf>,
    /// The configured source that they come to; samples of its provider alone.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// At this destination. When not said: those that are configured with the file, else one.
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
}

/// What a handler makes of an event at one destination.
struct Tried {
    outcome: Outcome,
    sent: Result<Vec<Request>, Untold>,
    corrections: Vec<Correction>,
    console: Vec<String>,
}

/// Any destination with transformation code.
trait Try {
    fn consider(&self, event: &LifecycleEvent) -> Tried;
}

impl<D: Transformable> Try for Transformed<D> {
    fn consider(&self, event: &LifecycleEvent) -> Tried {
        let considered = Self::consider(self, event);
        let sent = match considered.plan {
            Plan::Skip(skip) => Err(Untold::Skip(skip)),
            Plan::End(verdict) => Err(Untold::End(verdict)),
            Plan::Send(delivery) => Ok(rehearse(self, delivery)),
        };
        let (outcome, corrections) = (considered.outcome, considered.corrections);
        Tried { outcome, sent, corrections, console: considered.console }
    }
}

/// Prints what the handler makes of the webhooks.
///
/// # Errors
/// When the handler cannot be read, and when it fails for any of them.
pub async fn work(
    arguments: Arguments,
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<(), Failure> {
    let handler = Arc::new(configure::read_handler(&arguments.file).map_err(Failure::failed)?);
    let destinations = destinations(&arguments, config, &handler)?;
    let trials = trials(&arguments, config, &destinations).await?;
    let (mut failed, mut warned) = (0_usize, 0_usize);
    let mut pipeline: Option<(String, Pipeline)> = None;
    for trial in &trials {
        // The webhooks of a source are one story: a refund is nobody's without its payment.
        let story = pipeline.take().filter(|(source, _)| *source == trial.source);
        let (_, going_on) = match story {
            Some(story) => story,
            None => (trial.source.clone(), Pipeline::new(config, &trial.source)?),
        };
        let going_on = &mut pipeline.insert((trial.source.clone(), going_on)).1;
        let given = Given { body: trial.body.clone(), id: None, subscriber: None, at: clock.now() };
        let fate = going_on.take(given)?.fate;
        let report = try_out(trial, &fate, going_on.longest_payload(), &destinations);
        failed += usize::from(report.failed);
        warned += report.warnings;
        say(&report.text)?;
    }
    say(&format!("{} webhooks, {failed} failed, {warned} warnings", trials.len()))?;
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::failed(format!("{failed} of {} would be parked", trials.len())))
}

/// What came of one webhook.
struct Report {
    text: String,
    failed: bool,
    warnings: usize,
}

impl Report {
    fn say(&mut self, lines: &[&str]) {
        self.text.extend(lines.iter().copied().chain(["\n"]));
    }
}

/// `longest_payload` is the size up to which events carry their webhook.
fn try_out(
    trial: &Trial,
    fate: &Fate,
    longest_payload: usize,
    destinations: &[Destination],
) -> Report {
    let mut report = Report { text: String::new(), failed: false, warnings: 0 };
    report.say(&["── ", &trial.title]);
    let Fate::Events(events) = fate else {
        report.failed = matches!(fate, Fate::Parked(_) | Fate::TooLarge(_));
        report.say(&[&no_event(fate)]);
        return report;
    };
    let is_carried = trial.body.len() <= longest_payload;
    let before = pretty(&String::from_utf8_lossy(&trial.body));
    for event in events {
        let payload = is_carried.then(|| trial.body.clone());
        let event = LifecycleEvent { payload, ..event.clone() };
        let before = if event.ordinal == 0 { before.as_str() } else { "(the same webhook)" };
        for destination in destinations.iter().filter(|one| one.is_for(&trial.source)) {
            try_at(destination, &event, before, &mut report);
        }
    }
    report
}

/// What becomes of a webhook about which no handler is asked.
fn no_event(fate: &Fate) -> String {
    let why = match fate {
        Fate::Events(_) => String::new(),
        Fate::Duplicate => "it was accepted before".to_owned(),
        Fate::Ignored(reasons) => format!("ignored as {}", reasons.join(", ")),
        Fate::Parked(parking) => {
            format!("parked as {}: {}", parking.reason.name(), parking.message)
        }
        Fate::TooLarge(limit) => format!("it has more than {limit} bytes and is answered 413"),
    };
    format!("no event comes of it, so that the handler is not asked: {why}")
}

fn try_at(destination: &Destination, event: &LifecycleEvent, before: &str, report: &mut Report) {
    let Destination { name, told, http, .. } = destination;
    let tried = told.consider(event);
    report.failed |= tried.outcome == Outcome::Failed;
    let after = after(&tried, http);
    let webhook = format!("{}: {}", event.provider_event_type, event.event_type.name());
    let title = format!("{name}: {}", tried.outcome.word());
    report.text.push_str(&columns((&webhook, before), (&title, &after)));
    let doubts = doubts(&tried, event, told.as_ref());
    let corrected = tried.corrections.iter().map(|correction| correction.text.clone());
    for warning in corrected.chain(doubts) {
        report.warnings += 1;
        report.say(&["warning: ", &warning]);
    }
    for line in &tried.console {
        report.say(&["console: ", line]);
    }
}

fn after(tried: &Tried, http: &Http) -> String {
    match &tried.sent {
        Err(untold) => why(untold),
        Ok(requests) => {
            let shown = requests.iter().map(|request| {
                let body = request.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                format!("{} {}\n{}", request.method.name(), http.shown_url(request), pretty(&body))
            });
            shown.collect::<Vec<_>>().join("\n")
        }
    }
}

/// Where amounts would be wrong in other currencies than the one at hand.
fn doubts(tried: &Tried, event: &LifecycleEvent, told: &dyn Try) -> Vec<String> {
    match tried.outcome {
        Outcome::Sent | Outcome::Corrected => money::doubts(event, &|event| {
            let tried = told.consider(event);
            let requests = tried.sent.unwrap_or_default();
            let bodies = requests.iter().filter_map(|request| request.body.as_deref());
            bodies.filter_map(|body| serde_json::from_slice(body).ok()).collect()
        }),
        Outcome::AsMapped
        | Outcome::ToldByFirst
        | Outcome::Cancelled
        | Outcome::Failed
        | Outcome::NotAsked => Vec::new(),
    }
}

fn pretty(body: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(body);
    let pretty = value.and_then(|value| serde_json::to_string_pretty(&value));
    pretty.unwrap_or_else(|_| body.to_owned())
}
