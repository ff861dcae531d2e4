//! `deliver test-transform <file.js> [--source NAME] [payload.json…]`: what a handler makes of webhooks, before and
//! after side by side. Nobody is called and nothing is written; without payloads it is tried with a webhook of each kind
//! of each provider, which come with this program. It needs no configuration: without the file that `--config` names, it
//! is tried with a source of each provider and a Customer.io workspace.
//!
//! It exits non-zero when a webhook would be parked for the handler's sake, so that a pipeline of one's own may refuse a
//! change. Warnings say what was put right, and where an amount is divided by 100 whatever its currency ([`money`]).

mod columns;
mod money;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use schemas::{LifecycleEvent, Provider};
use service::cli::say;
use service::clock::Clock;
use service::config::{self, Account, Config, unknown};
use service::exit::Failure;
use transform::sources::samples::SAMPLES;

use self::columns::columns;
use crate::configure;
use crate::destinations::{Plan, Request};
use crate::http::Http;
use crate::preview::webhook::{Fate, Given, Pipeline};
use crate::preview::{Untold, rehearse, why};
use crate::transformation::{
    Correction, Counts, Handler, Handlers, Outcome, Transformable, Transformed,
};

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

/// A webhook to try.
struct Trial {
    title: String,
    source: String,
    body: Vec<u8>,
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

struct Destination {
    name: String,
    told: Box<dyn Try>,
    http: Http,
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
    let trials = trials(&arguments, config).await?;
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
        let report = try_out(trial, &going_on.take(given)?.fate, &destinations);
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

fn try_out(trial: &Trial, fate: &Fate, destinations: &[Destination]) -> Report {
    let mut report =
        Report { text: format!("── {}\n", trial.title), failed: false, warnings: 0 };
    let Fate::Events(events) = fate else {
        report.text.push_str("no event comes of it, so that the handler is not asked\n");
        return report;
    };
    let body = String::from_utf8_lossy(&trial.body);
    let before = pretty(&body);
    for event in events.iter().filter(|event| event.ordinal == 0) {
        let mut event = event.clone();
        event.payload = Some(trial.body.clone());
        for Destination { name, told, http } in destinations {
            let tried = told.consider(&event);
            report.failed |= tried.outcome == Outcome::Failed;
            let after = after(&tried, http);
            let title = format!("{name}: {}", tried.outcome.word());
            report.text.push_str(&columns((&event.provider_event_type, &before), (&title, &after)));
            let doubts = doubts(&tried, &event, told.as_ref());
            let corrected = tried.corrections.iter().map(|correction| correction.text.clone());
            for warning in corrected.chain(doubts) {
                report.warnings += 1;
                report.text.extend(["warning: ", &warning, "\n"]);
            }
            for line in &tried.console {
                report.text.extend(["console: ", line, "\n"]);
            }
        }
    }
    report
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

fn destinations(
    arguments: &Arguments,
    config: &Config,
    handler: &Arc<Handler>,
) -> Result<Vec<Destination>, Failure> {
    if let Some(name) = &arguments.destination
        && !config.destinations.contains_key(name)
    {
        let known = config.destinations.keys().map(String::as_str);
        return Err(Failure::Usage(unknown("destination", name, known)));
    }
    let has_file = |destination: &config::Destination| {
        let transformation = &destination.transformation;
        let files = transformation.by_source.values().map(|(file, _)| file);
        files.chain(&transformation.all).any(|file| *file == arguments.file)
    };
    let is_customerio = |destination: &config::Destination| match destination.account {
        Account::Customerio(_) => true,
        Account::Intercom(_) | Account::Webhook(_) => false,
    };
    let all = || config.destinations.iter();
    let configured = all().any(|(_, destination)| has_file(destination));
    let first = all().find(|(_, one)| is_customerio(one)).or_else(|| all().next());
    let chosen = all().filter(|(name, destination)| match &arguments.destination {
        Some(only) => *name == only,
        None if configured => has_file(destination),
        None => first.is_some_and(|(first, _)| first == *name),
    });
    chosen.map(|(name, destination)| tried_at(name, destination, handler)).collect()
}

fn tried_at(
    name: &str,
    destination: &config::Destination,
    handler: &Arc<Handler>,
) -> Result<Destination, Failure> {
    let told: Box<dyn Try> = match &destination.account {
        Account::Customerio(_) => told(destination, configure::customerio(destination), handler),
        Account::Intercom(_) => told(destination, configure::intercom(destination), handler),
        Account::Webhook(account) => {
            told(destination, configure::webhook(destination, account), handler)
        }
    };
    let http = configure::http(destination).map_err(Failure::failed)?;
    Ok(Destination { name: name.to_owned(), told, http })
}

fn told<D: Transformable>(
    destination: &config::Destination,
    inner: D,
    handler: &Arc<Handler>,
) -> Box<dyn Try> {
    let handlers = Handlers { all: Some(Arc::clone(handler)), ..Handlers::default() };
    let reach = configure::reach(destination);
    Box::new(Transformed::new(inner, handlers, reach, Counts::default()))
}

async fn trials(arguments: &Arguments, config: &Config) -> Result<Vec<Trial>, Failure> {
    if let Some(source) = &arguments.source
        && !config.sources.contains_key(source)
    {
        let known = config.sources.keys().map(String::as_str);
        return Err(Failure::Usage(unknown("source", source, known)));
    }
    if arguments.payloads.is_empty() {
        return Ok(samples(config, arguments.source.as_deref()));
    }
    let Some(source) = &arguments.source else {
        return Err(Failure::Usage("payloads need a `--source` that they come to".to_owned()));
    };
    let mut trials = Vec::new();
    for path in &arguments.payloads {
        let body = tokio::fs::read(path).await.map_err(|error| {
            Failure::Usage(format!("{} cannot be read: {error}", path.display()))
        })?;
        let title = format!("{source}: {}", path.display());
        trials.push(Trial { title, source: source.clone(), body });
    }
    Ok(trials)
}

/// The samples of each provider that has a source, or of the one source's.
fn samples(config: &Config, source: Option<&str>) -> Vec<Trial> {
    let mut seen: Vec<Provider> = Vec::new();
    let mut trials = Vec::new();
    for (name, provider) in configure::sources(config) {
        if source.is_some_and(|source| source != name) || seen.contains(&provider) {
            continue;
        }
        seen.push(provider);
        for sample in SAMPLES.iter().filter(|sample| sample.provider == provider) {
            trials.push(Trial {
                title: format!("{name}: sample {}", sample.name),
                source: name.to_owned(),
                body: sample.body.as_bytes().to_vec(),
            });
        }
    }
    trials
}
