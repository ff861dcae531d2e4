//! What is told of an event, before a destination puts it into its own words: the event's name, what it
//! says, and what the person shows, each under the name it has at this destination.
//!
//! `naming: unified` tells every event in our words. `naming: provider` tells what the provider's own
//! integration would tell: one event for one of the provider's, hence the first of those that
//! `transform` made of it, by the tables in `integrations`. What a `native` source says was ours from the
//! beginning and stays so.

use std::collections::BTreeSet;

use schemas::{EventType, LifecycleEvent, Provider, Status};
use strum::IntoEnumIterator;

use super::integrations::{self, Content, Field, Integration, Receiver, Rest};
use super::metadata::{Fact, metadata};
use super::{Attribute, DataType, Names, Naming, Recipient, Shown, Skip, Standing};

/// What is told of one event.
#[derive(Debug)]
pub(super) struct Telling {
    /// Whom it is told of.
    pub(super) recipient: Recipient,
    /// The event itself; `None` where only the person is brought up to date.
    pub(super) event: Option<Told>,
    /// What the person shows.
    pub(super) attributes: Vec<Said>,
    /// Whether what the provider knows of the person goes along.
    pub(super) profile: Profile,
}

/// The event itself.
#[derive(Debug)]
pub(super) struct Told {
    /// Its name.
    pub(super) name: String,
    /// What it says, in order of importance.
    pub(super) facts: Vec<Said>,
}

/// One attribute, or one thing an event says.
#[derive(Debug)]
pub(super) struct Said {
    /// Its default name.
    pub(super) key: &'static str,
    /// Its name at this destination.
    pub(super) name: String,
    /// What is said.
    pub(super) shown: Shown,
}

/// Whether what the provider knows of the person goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// The e-mail address and the provider's own attributes.
    Whole,
    /// Nothing but what is listed.
    Listed,
    /// Nothing at all is told of the person.
    Untold,
}

/// Whose status `subscription_status` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spokesman {
    /// The person's, over all subscriptions.
    Person,
    /// That of the event's own subscription, as the native integrations show it.
    Subscription,
}

/// What is told of `event` at a destination of this kind, or why nothing is. That a person is to be forgotten is
/// told to a receiver of webhooks in our words; a destination that forgets people itself is only told whom.
pub(super) fn telling(
    event: &LifecycleEvent,
    names: &Names,
    receiver: Receiver,
) -> Result<Telling, Skip> {
    if event.event_type == EventType::Unknown {
        return Err(Skip::UnknownType);
    }
    if event.is_erasure() {
        return match receiver {
            Receiver::Webhook => unified(event, names),
            Receiver::Customerio | Receiver::Intercom => Ok(untold(event, names, receiver)),
        };
    }
    match names.naming {
        Naming::Provider if event.provider != Provider::Native => {
            by_integration(event, names, integrations::of(event.provider, receiver))
        }
        Naming::Provider | Naming::Unified => unified(event, names),
    }
}

/// What is left of an event of which nothing is told: whom it is about. For what an event asks for beside
/// being told, as a deletion does.
pub(super) fn untold(event: &LifecycleEvent, names: &Names, receiver: Receiver) -> Telling {
    let recipient = match names.naming {
        Naming::Provider if event.provider != Provider::Native => {
            integrations::of(event.provider, receiver).recipient(event)
        }
        Naming::Provider | Naming::Unified => Recipient::Configured,
    };
    Telling { recipient, event: None, attributes: Vec::new(), profile: Profile::Untold }
}

/// What a person shows after `snapshot`, and nothing else: with `naming: provider` whatever any of the provider's
/// events leaves on people and holds beyond that event.
pub(super) fn refreshing(snapshot: &LifecycleEvent, names: &Names, receiver: Receiver) -> Telling {
    let (recipient, shown, profile) = match names.naming {
        Naming::Provider if snapshot.provider != Provider::Native => {
            let integration = integrations::of(snapshot.provider, receiver);
            let ours = our_attributes(snapshot, Spokesman::Subscription);
            let shows_ours = integration.shows_ours();
            let lasting = integration.lasting().map(|field| (field.name, field.of(snapshot)));
            let shown: Unnamed = lasting.chain(ours.into_iter().filter(|_| shows_ours)).collect();
            let profile = if shows_ours { Profile::Whole } else { Profile::Listed };
            (integration.recipient_of_refresh(), shown, profile)
        }
        Naming::Provider | Naming::Unified => {
            let shown = our_attributes(snapshot, Spokesman::Person);
            (Recipient::Configured, shown, Profile::Whole)
        }
    };
    Telling { recipient, event: None, attributes: renamed(shown, names), profile }
}

fn unified(event: &LifecycleEvent, names: &Names) -> Result<Telling, Skip> {
    if event.event_type == EventType::ProviderEvent {
        return Err(Skip::ProviderEvent);
    }
    let default = event.event_type.name();
    let name = names.events.called(default, Standing::Sent).ok_or(Skip::Disabled)?;
    Ok(Telling {
        recipient: Recipient::Configured,
        event: is_news(event.event_type).then(|| Told {
            name: name.to_owned(),
            facts: renamed(our_facts(event, Spokesman::Person), names),
        }),
        attributes: renamed(our_attributes(event, Spokesman::Person), names),
        profile: Profile::Whole,
    })
}

fn by_integration(
    event: &LifecycleEvent,
    names: &Names,
    integration: &'static Integration,
) -> Result<Telling, Skip> {
    if event.ordinal != 0 {
        return Err(Skip::ToldByFirst);
    }
    let row = integration.row(event);
    let (default, standing, facts, attributes, recipient) = match (row, &integration.rest) {
        (Some(row), _) => {
            let store = event.subscription.as_ref().and_then(|subscription| subscription.store);
            if store.is_some_and(|store| row.except.contains(&store)) {
                return Err(Skip::NotInIntegration);
            }
            (row.name, row.standing, row.facts, row.attributes, row.recipient)
        }
        (None, Rest::OwnName { facts, attributes, recipient }) => {
            let name = event.provider_event_type.as_str();
            (name, Standing::Sent, *facts, *attributes, *recipient)
        }
        (None, Rest::NotSent) => return Err(Skip::NotInIntegration),
    };
    let name = names.events.called(default, standing).ok_or(Skip::Disabled)?;
    let ours = |status| (our_facts(event, status), our_attributes(event, status));
    let (our_facts, our_attributes) = ours(Spokesman::Subscription);
    Ok(Telling {
        recipient,
        event: Some(Told {
            name: name.to_owned(),
            facts: renamed(filled(facts, our_facts, event), names),
        }),
        profile: match attributes {
            Content::Ours | Content::OursAnd(_) => Profile::Whole,
            Content::Only(_) => Profile::Listed,
        },
        attributes: renamed(filled(attributes, our_attributes, event), names),
    })
}

/// The default names of the attributes that people may show, with their types, whoever of `providers`
/// speaks of them.
pub(super) fn attributes(
    names: &Names,
    receiver: Receiver,
    providers: impl IntoIterator<Item = Provider>,
) -> BTreeSet<(&'static str, DataType)> {
    let ours = || Attribute::iter().map(|attribute| (attribute.name(), attribute.data_type()));
    match names.naming {
        Naming::Unified => ours().collect(),
        Naming::Provider => {
            let of_one = |provider| {
                let shows_ours =
                    provider == Provider::Native || integrations::has_ours(provider, receiver);
                let ours = ours().filter(move |_| shows_ours);
                integrations::attributes(provider, receiver).into_iter().chain(ours)
            };
            providers.into_iter().flat_map(of_one).collect()
        }
    }
}

/// The names that events of a provider can have, where `types` are the provider's types of those that
/// are told.
pub(super) fn event_names(
    names: &Names,
    receiver: Receiver,
    provider: Provider,
    types: &[&str],
) -> Vec<String> {
    let called = |(default, standing): (&str, Standing)| {
        names.events.called(default, standing).map(str::to_owned)
    };
    match names.naming {
        Naming::Provider if provider != Provider::Native => {
            integrations::names(provider, receiver, types).into_iter().filter_map(called).collect()
        }
        Naming::Provider | Naming::Unified => {
            let news = EventType::iter().filter(|event_type| {
                *event_type != EventType::Unknown
                    && *event_type != EventType::ProviderEvent
                    && is_news(*event_type)
            });
            let defaults = news.map(|event_type| (event_type.name(), Standing::Sent));
            defaults.filter_map(called).collect()
        }
    }
}

/// Two say who somebody is, not what happened.
fn is_news(event_type: EventType) -> bool {
    !matches!(event_type, EventType::CustomerCreated | EventType::CustomerUpdated)
}

type Unnamed = Vec<(&'static str, Shown)>;

fn filled(content: Content, ours: Unnamed, event: &LifecycleEvent) -> Unnamed {
    let of = |fields: &'static [Field]| fields.iter().map(|field| (field.name, field.of(event)));
    match content {
        Content::Ours => ours,
        // What is named first survives where only so many are kept.
        Content::OursAnd(fields) => of(fields).chain(ours).collect(),
        Content::Only(fields) => of(fields).collect(),
    }
}

fn our_facts(event: &LifecycleEvent, spokesman: Spokesman) -> Unnamed {
    let told = metadata(event).into_iter().map(|(key, fact)| match (key, spokesman) {
        ("subscription_status", Spokesman::Subscription) => (key, own_status(event)),
        _ => (key, Shown::Is(fact)),
    });
    told.collect()
}

fn our_attributes(event: &LifecycleEvent, spokesman: Spokesman) -> Unnamed {
    let shown = Attribute::iter().map(|attribute| {
        let shown = match (attribute, spokesman) {
            (Attribute::SubscriptionStatus, Spokesman::Subscription) => own_status(event),
            _ => attribute.shown(event),
        };
        (attribute.name(), shown)
    });
    shown.collect()
}

/// The status of the event's own subscription.
pub(super) fn own_status(event: &LifecycleEvent) -> Shown {
    let status = event.subscription.as_ref().and_then(|subscription| subscription.status);
    let word = |status: Status| Shown::Is(Fact::Text(status.name().to_owned()));
    status.map_or(Shown::Unsaid, word)
}

/// Only what is said and not switched off, under its name here.
fn renamed(said: Unnamed, names: &Names) -> Vec<Said> {
    let said = said.into_iter().filter(|(_, shown)| *shown != Shown::Unsaid);
    said.filter_map(|(key, shown)| {
        let name = names.attributes.called(key, Standing::Sent)?.to_owned();
        Some(Said { key, name, shown })
    })
    .collect()
}
