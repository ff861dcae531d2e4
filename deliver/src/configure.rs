//! From the operator's configuration to what the modules of this crate take.

mod names;
mod transformation;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use registry::{Registry, RegistryError};
use schemas::topics::{
    CatalogueError, Installation, MESSAGE_OVERHEAD, Topic, TopicSpec, catalogue,
};
use schemas::{Environment, EventType, Provider};
use service::clock::Clock;
use service::config::{self, Account, Config, CustomerioRegion, IntercomRegion, Problems};
use stream::Cluster;
use strum::IntoEnumIterator;
use transform::sources::{Mapper, Treatment, mapper_of};

use crate::broker::Place;
use crate::cut::Cut;
use crate::destinations::customerio::{self, CustomerIo};
use crate::destinations::intercom::{self, API_VERSION, Intercom};
use crate::destinations::webhook::Webhook;
use crate::destinations::{
    Anonymous, Audience, Change, Changes, Identity, Names, Naming, our_attribute_names,
};
use crate::dispatch::{Caller, Observers};
use crate::gate::Gate;
use crate::http::{Credentials, Http, HttpError, is_signing_secret};
use crate::lanes::Schedule;
use crate::lease::{Lease, Terms};
use crate::line::{Mode, Settings};
use crate::preview::Rehearse;
use crate::tenure::Owner;
use crate::transformation::{Counts, Transformable, Transformed};
use crate::waits;

pub use self::transformation::{handlers, reach, read as read_handler};

/// How long one question to the schema registry may take.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(10);

/// The event names that may stand below `events:` where ours are the default ones.
pub fn event_names() -> Vec<&'static str> {
    EventType::iter().filter(|event| *event != EventType::Unknown).map(EventType::name).collect()
}

/// The attribute names that may stand below `attributes:` where ours are the default ones.
pub fn attribute_names() -> Vec<&'static str> {
    our_attribute_names()
}

/// What only this binary can find wrong: names that no event and no attribute has under
/// `naming: provider`, secrets that nothing can be signed with.
pub fn judge(config: &Config) -> Result<(), Problems> {
    let mut problems = Problems::new();
    transformation::judge(config, &mut problems);
    for destination in config.destinations.values() {
        if let Account::Webhook(account) = &destination.account
            && !account.secrets.current().iter().all(is_signing_secret)
        {
            let message = "a secret is not `whsec_` and a key in base64";
            problems.push(&destination.place, message.to_owned());
        }
        match destination.naming {
            config::Naming::Unified => {}
            config::Naming::Provider => {
                names::judge(
                    destination,
                    sources(config).map(|(_, provider)| provider),
                    &mut problems,
                );
            }
        }
    }
    problems.into_result()
}

/// The configured sources with their providers.
pub fn sources(config: &Config) -> impl Iterator<Item = (&str, Provider)> + Clone {
    config.sources.iter().map(|(name, source)| {
        let provider = match source.provider {
            config::Provider::Stripe => Provider::Stripe,
            config::Provider::Dodo => Provider::Dodo,
            config::Provider::Revenuecat => Provider::Revenuecat,
            config::Provider::Purchasely => Provider::Purchasely,
            config::Provider::Native => Provider::Native,
        };
        (name.as_str(), provider)
    })
}

/// The configured sources' providers, each with the types of its events that `transform` tells: those
/// that mean something to it, and those that are passed on by configuration.
pub fn told_types(config: &Config) -> Vec<(Provider, Vec<&str>)> {
    let told = sources(config).map(|(name, provider)| {
        let treatments = mapper_of(provider).map(Mapper::treatments).unwrap_or_default();
        let mapped = treatments.iter().filter(|(_, treatment)| *treatment == Treatment::Mapped);
        let also = config.sources.get(name).map(|source| &source.also);
        let also = also.into_iter().flatten().map(String::as_str);
        (provider, mapped.map(|(event_type, _)| *event_type).chain(also).collect())
    });
    told.collect()
}

/// The cluster.
pub fn cluster(config: &Config) -> Cluster {
    let properties = config.kafka.properties.iter();
    Cluster {
        brokers: config.kafka.brokers.clone(),
        properties: properties.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        session_timeout: config.kafka.session_timeout,
        max_message_bytes: config.ingest.max_body.saturating_add(MESSAGE_OVERHEAD),
    }
}

/// The schema registry, if there is one. It keeps nothing on disk, as all of `deliver`: a restart asks
/// anew.
pub fn registry(config: &Config) -> Result<Option<Arc<Registry>>, RegistryError> {
    let Some(url) = config.schema_registry.url.clone() else { return Ok(None) };
    let settings = registry::Settings { url, folder: None, patience: REGISTRY_PATIENCE };
    Registry::open(&settings).map(|registry| Some(Arc::new(registry)))
}

/// The topics that `deliver` reads or writes.
pub fn topics(config: &Config) -> Result<Vec<TopicSpec>, CatalogueError> {
    let in_shadow = config.destinations.iter().filter_map(|(name, destination)| {
        (destination.mode == config::Mode::Shadow).then_some(name.as_str())
    });
    let mut specs = catalogue(&Installation {
        prefix: &config.kafka.topic_prefix,
        destinations: config.destinations.keys().map(String::as_str).collect(),
        in_shadow: in_shadow.collect(),
        partitions: i32::try_from(config.kafka.partitions).unwrap_or(i32::MAX),
        max_body: config.ingest.max_body,
    })?;
    let ours = |names: &[String]| names.iter().any(|name| name == "deliver");
    specs.retain(|spec| ours(&spec.writers) || ours(&spec.readers));
    Ok(specs)
}

/// Where instances tell each other that a destination asked to be left alone.
pub fn waits(config: &Config, name: &str) -> waits::Place {
    waits::Place {
        cluster: cluster(config),
        group: group(config, name, config::Mode::Live),
        topic: Topic::Waits(name.to_owned()).name(&config.kafka.topic_prefix),
    }
}

/// How the line of a destination works.
pub fn line(config: &Config, name: &str, destination: &config::Destination) -> Settings {
    let prefix = &config.kafka.topic_prefix;
    let group = group(config, name, destination.mode);
    let cut = Cut::of(destination.start);
    let park = destination.park_limit;
    let owner = Owner(rand::random());
    Settings {
        name: name.to_owned(),
        owner,
        place: Place {
            cluster: cluster(config),
            // Of this process alone: what a dead one left open is fenced by the group, not by it.
            transactional_id: format!("{group}.{:016x}", owner.0),
            group,
            events: Topic::Events.name(prefix),
            retry: Topic::Retry(name.to_owned()).name(prefix),
            beginning: cut.beginning(),
        },
        schedule: Arc::new(Schedule {
            in_place: destination.retry.in_place.clone(),
            delays: destination.retry.delays.clone(),
            horizon: destination.retry.horizon,
            quarantine: destination.retry.quarantine,
        }),
        mode: match destination.mode {
            config::Mode::Live => Mode::Live,
            config::Mode::Shadow => Mode::Shadow,
        },
        cut,
        // What the topic takes leaves room for the key.
        longest_note: config.ingest.max_body,
        concurrency: usize::try_from(config.deliver.concurrency).unwrap_or(usize::MAX),
        commit_interval: config.deliver.commit_interval,
        drain: config.deliver.drain,
        terms: Terms {
            lease: config.deliver.lease,
            landing: destination.timeout + destination.retry.quarantine,
        },
        park_most: park.count,
        park_window: park.period,
    }
}

/// The consumer group of a destination. The shadow has one of its own: what it passed was sent to nobody, and is
/// not done for that reason.
pub fn group(config: &Config, name: &str, mode: config::Mode) -> String {
    let live = format!("{}deliver.{name}", config.kafka.topic_prefix);
    match mode {
        config::Mode::Live => live,
        config::Mode::Shadow => format!("{live}.shadow"),
    }
}

/// What makes the calls of a destination.
pub fn caller(
    config: &Config,
    destination: &config::Destination,
    clock: Arc<dyn Clock>,
    observers: Observers,
) -> Result<Caller, HttpError> {
    let gate = Gate::new(destination.rate_limit.per_second(), Lease::new(config.deliver.lease));
    Ok(Caller { http: http(destination)?, gate: Arc::new(gate), clock, observers })
}

/// What opens the connections to a destination.
pub fn http(destination: &config::Destination) -> Result<Http, HttpError> {
    let (credentials, headers) = match &destination.account {
        Account::Customerio(account) => {
            let user = account.site_id.clone();
            let password = account.api_key.clone();
            (Credentials::Basic { user, password }, Vec::new())
        }
        Account::Intercom(account) => {
            let token = Credentials::Bearer(account.access_token.clone());
            (token, vec![("intercom-version", API_VERSION)])
        }
        Account::Webhook(account) => (Credentials::Signed(account.secrets.clone()), Vec::new()),
    };
    let default_url = default_url(&destination.account);
    let url = destination.base_url.as_deref().unwrap_or(default_url);
    Http::new(url, credentials, destination.timeout, headers)
}

/// Where a service is, unless the configuration says otherwise.
fn default_url(account: &Account) -> &str {
    match account {
        Account::Customerio(account) => match account.region {
            CustomerioRegion::Us => "https://track.customer.io",
            CustomerioRegion::Eu => "https://track-eu.customer.io",
        },
        Account::Intercom(account) => match account.region {
            IntercomRegion::Us => "https://api.intercom.io",
            IntercomRegion::Eu => "https://api.eu.intercom.io",
            IntercomRegion::Au => "https://api.au.intercom.io",
        },
        Account::Webhook(account) => origin_and_path(&account.url).0,
    }
}

/// A Customer.io workspace as configured.
pub fn customerio(destination: &config::Destination) -> CustomerIo {
    CustomerIo {
        audience: audience(destination),
        names: names(destination),
        on_customer_deleted: match destination.on_customer_deleted {
            config::OnCustomerDeleted::Keep => customerio::OnCustomerDeleted::Keep,
            config::OnCustomerDeleted::Suppress => customerio::OnCustomerDeleted::Suppress,
        },
    }
}

/// An Intercom workspace as configured.
pub fn intercom(destination: &config::Destination) -> Intercom {
    let end = match destination.on_customer_deleted {
        config::OnCustomerDeleted::Keep => intercom::OnCustomerDeleted::Keep,
        config::OnCustomerDeleted::Suppress => intercom::OnCustomerDeleted::Archive,
    };
    Intercom::new(audience(destination), names(destination), end)
}

/// A receiver of webhooks as configured.
pub fn webhook(destination: &config::Destination, account: &config::Webhook) -> Webhook {
    let (_, path) = origin_and_path(&account.url);
    Webhook { audience: audience(destination), names: names(destination), path: path.to_owned() }
}

/// A URL before and from its path, or its query where it has no path.
fn origin_and_path(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |scheme| scheme + "://".len());
    let path = url[authority..].find(['/', '?']).map_or(url.len(), |path| authority + path);
    url.split_at(path)
}

/// A destination of any kind, to ask for its requests: one row for each kind.
///
/// # Errors
/// What is wrong with its transformation code.
pub fn rehearsed(destination: &config::Destination) -> Result<Box<dyn Rehearse>, Problems> {
    match &destination.account {
        Account::Customerio(_) => transformed(destination, customerio(destination)),
        Account::Intercom(_) => transformed(destination, intercom(destination)),
        Account::Webhook(account) => transformed(destination, webhook(destination, account)),
    }
}

fn transformed<D: Transformable>(
    destination: &config::Destination,
    inner: D,
) -> Result<Box<dyn Rehearse>, Problems> {
    Ok(match handlers(destination)? {
        None => Box::new(inner),
        Some(handlers) => {
            let (reach, counts) = (reach(destination), Counts::default());
            Box::new(Transformed::new(inner, handlers, reach, counts))
        }
    })
}

/// Purchases of which environments a destination is sent.
pub fn environments(destination: &config::Destination) -> Vec<Environment> {
    let environments = destination.environments.iter().map(|environment| match environment {
        config::Environment::Production => Environment::Production,
        config::Environment::Sandbox => Environment::Sandbox,
    });
    environments.collect()
}

fn audience(destination: &config::Destination) -> Audience {
    let identities = destination.identify_by.iter().map(|identity| match identity {
        config::Identity::UserId => Identity::UserId,
        config::Identity::Email => Identity::Email,
        config::Identity::ProviderId => Identity::ProviderId,
    });
    Audience {
        identify_by: identities.collect(),
        anonymous: match destination.anonymous {
            config::Anonymous::Skip => Anonymous::Skip,
            config::Anonymous::Send => Anonymous::Send,
        },
        environments: environments(destination),
    }
}

fn names(destination: &config::Destination) -> Names {
    Names {
        naming: match destination.naming {
            config::Naming::Unified => Naming::Unified,
            config::Naming::Provider => Naming::Provider,
        },
        events: changes(&destination.events),
        attributes: changes(&destination.attributes),
    }
}

fn changes(entries: &BTreeMap<String, config::Entry>) -> Changes {
    let change = |entry: &config::Entry| match (&entry.name, entry.enabled) {
        (_, false) => Change::Off,
        (Some(name), true) => Change::Renamed(name.clone()),
        (None, true) => Change::On,
    };
    entries.iter().map(|(default, entry)| (default.as_str(), change(entry))).collect()
}
