//! What a handler is tried with: destinations, and webhooks of the sources whose events each gives it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use schemas::Provider;
use service::config::{self, Account, Config, unknown};
use service::exit::Failure;
use transform::sources::samples::SAMPLES;

use super::{Arguments, Try};
use crate::configure;
use crate::http::Http;
use crate::transformation::{Counts, Handler, Handlers, Transformable, Transformed};

/// A webhook to try.
pub(super) struct Trial {
    pub(super) title: String,
    pub(super) source: String,
    pub(super) body: Vec<u8>,
}

/// Where it is tried.
pub(super) struct Destination {
    pub(super) name: String,
    pub(super) told: Box<dyn Try>,
    pub(super) http: Http,
    /// Whose events are given to the handler.
    pub(super) sources: BTreeSet<String>,
}

impl Destination {
    pub(super) fn is_for(&self, source: &str) -> bool {
        self.sources.contains(source)
    }
}

pub(super) fn destinations(
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
    let file = arguments.file.as_path();
    let is_customerio = |destination: &config::Destination| match destination.account {
        Account::Customerio(_) => true,
        Account::Intercom(_) | Account::Webhook(_) => false,
    };
    let all = || config.destinations.iter();
    let configured = all().any(|(_, destination)| has_file(destination, file));
    let first = all().find(|(_, one)| is_customerio(one)).or_else(|| all().next());
    let chosen = all().filter(|(name, destination)| match &arguments.destination {
        Some(only) => *name == only,
        None if configured => has_file(destination, file),
        None => first.is_some_and(|(first, _)| first == *name),
    });
    chosen
        .map(|(name, destination)| {
            let sources = sources(config, destination, file, arguments.source.as_deref());
            tried_at(name, destination, handler, sources)
        })
        .collect()
}

fn has_file(destination: &config::Destination, file: &Path) -> bool {
    let transformation = &destination.transformation;
    let files = transformation.by_source.values().map(|(file, _)| file);
    files.chain(&transformation.all).any(|one| is_same(one, file))
}

/// Whether both name one file, however they do.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

/// The sources of whose events the destination gives the file; the one that is asked for; or all, where it has not this
/// file at all.
fn sources(
    config: &Config,
    destination: &config::Destination,
    file: &Path,
    only: Option<&str>,
) -> BTreeSet<String> {
    if let Some(only) = only {
        return BTreeSet::from([only.to_owned()]);
    }
    let is_anywhere = has_file(destination, file);
    let is_given = |source: &&String| {
        let given = destination.transformation.of(source);
        !is_anywhere || given.is_some_and(|given| is_same(given, file))
    };
    config.sources.keys().filter(is_given).cloned().collect()
}

fn tried_at(
    name: &str,
    destination: &config::Destination,
    handler: &Arc<Handler>,
    sources: BTreeSet<String>,
) -> Result<Destination, Failure> {
    let told: Box<dyn Try> = match &destination.account {
        Account::Customerio(_) => told(destination, configure::customerio(destination), handler),
        Account::Intercom(_) => told(destination, configure::intercom(destination), handler),
        Account::Webhook(account) => {
            told(destination, configure::webhook(destination, account), handler)
        }
    };
    let http = configure::http(destination).map_err(Failure::failed)?;
    Ok(Destination { name: name.to_owned(), told, http, sources })
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

pub(super) async fn trials(
    arguments: &Arguments,
    config: &Config,
    destinations: &[Destination],
) -> Result<Vec<Trial>, Failure> {
    if let Some(source) = &arguments.source
        && !config.sources.contains_key(source)
    {
        let known = config.sources.keys().map(String::as_str);
        return Err(Failure::Usage(unknown("source", source, known)));
    }
    if arguments.payloads.is_empty() {
        let sources = destinations.iter().flat_map(|destination| &destination.sources);
        return Ok(samples(config, &sources.cloned().collect()));
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

/// The samples of each provider that has one of these sources.
pub(super) fn samples(config: &Config, sources: &BTreeSet<String>) -> Vec<Trial> {
    let mut seen: Vec<Provider> = Vec::new();
    let mut trials = Vec::new();
    for (name, provider) in configure::sources(config) {
        if !sources.contains(name) || seen.contains(&provider) {
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
