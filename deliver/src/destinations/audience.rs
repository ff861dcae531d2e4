//! Who hears of an event at a destination, and as whom.

use std::fmt;

use schemas::event::Subscriber;
use schemas::{Environment, LifecycleEvent};

use super::Skip;

/// By what a destination identifies people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The application's own id.
    UserId,
    /// The e-mail address.
    Email,
    /// The billing provider's id.
    ProviderId,
}

/// What becomes of anonymous subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// Their events are not sent.
    Skip,
    /// They become people.
    Send,
}

/// By what an event finds its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// By what the destination identifies people.
    Configured,
    /// By the billing provider's id.
    ProvidersId,
    /// By the e-mail address, to be given the billing provider's id.
    ProvidersIdFoundByEmail,
    /// By what the provider keeps under this name for the purpose, else as configured.
    KeptAttribute(&'static str),
}

/// The identifier of one person.
#[derive(Clone, PartialEq, Eq)]
pub enum Identifier {
    /// An id of the destination's user.
    Id(String),
    /// An e-mail address.
    Email(String),
}

impl fmt::Debug for Identifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Id(_) => "Identifier::Id",
            Self::Email(_) => "Identifier::Email",
        })
    }
}

/// Whose events a destination gets.
#[derive(Clone, Debug)]
pub struct Audience {
    /// The first that is known identifies the person.
    pub identify_by: Vec<Identity>,
    /// What becomes of anonymous subscribers.
    pub anonymous: Anonymous,
    /// Purchases of which environments are sent.
    pub environments: Vec<Environment>,
}

impl Audience {
    /// Whether events like this are for the destination at all, whoever the subscriber is there.
    pub fn admits(&self, event: &LifecycleEvent) -> Result<(), Skip> {
        if !self.environments.contains(&event.environment) {
            return Err(Skip::Environment);
        }
        match self.anonymous {
            Anonymous::Skip if event.subscriber.anonymous => Err(Skip::Anonymous),
            Anonymous::Skip | Anonymous::Send => Ok(()),
        }
    }

    /// As whom the subscriber of `event` is known at the destination, or why the event is not sent. An
    /// identifier of more than `longest` bytes identifies nobody there.
    pub fn admit(
        &self,
        event: &LifecycleEvent,
        recipient: Recipient,
        longest: usize,
    ) -> Result<Identifier, Skip> {
        if !self.environments.contains(&event.environment) {
            return Err(Skip::Environment);
        }
        let subscriber = &event.subscriber;
        let kept = |name: &str| id(subscriber.attributes.get(name)?, longest);
        if let Recipient::KeptAttribute(name) = recipient
            && let Some(identifier) = kept(name)
        {
            return Ok(identifier);
        }
        if subscriber.anonymous && self.anonymous == Anonymous::Skip {
            return Err(Skip::Anonymous);
        }
        let identifier = match recipient {
            Recipient::Configured | Recipient::KeptAttribute(_) => {
                self.identifier(subscriber, longest)
            }
            Recipient::ProvidersId | Recipient::ProvidersIdFoundByEmail => {
                id(&subscriber.id, longest)
            }
        };
        identifier.ok_or(Skip::NoIdentity)
    }

    fn identifier(&self, subscriber: &Subscriber, longest: usize) -> Option<Identifier> {
        let id = |text: &str| id(text, longest);
        let named = self.identify_by.iter().find_map(|identity| match identity {
            Identity::UserId => subscriber.user_id.as_deref().and_then(id),
            Identity::Email => subscriber.email.as_deref().and_then(|text| email(text, longest)),
            Identity::ProviderId => id(&subscriber.id),
        });
        // Sending anonymous subscribers is asking for the provider's id of those who have no other.
        named.or_else(|| if subscriber.anonymous { id(&subscriber.id) } else { None })
    }
}

fn id(text: &str, longest: usize) -> Option<Identifier> {
    is_usable(text, longest).then(|| Identifier::Id(text.to_owned()))
}

fn email(text: &str, longest: usize) -> Option<Identifier> {
    (is_usable(text, longest) && text.contains('@')).then(|| Identifier::Email(text.to_owned()))
}

/// Whether the text can identify somebody where identifiers have at most `longest` bytes.
pub(super) fn is_usable(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.len() <= longest
}

#[cfg(test)]
mod tests {
    use schemas::EventType;

    use super::*;
    use crate::destinations::samples::event;

    fn audience() -> Audience {
        Audience {
            identify_by: vec![Identity::UserId, Identity::Email],
            anonymous: Anonymous::Skip,
            environments: vec![Environment::Production],
        }
    }

    #[test]
    fn the_first_known_identity_counts() {
        let mut event = event(EventType::SubscriptionStarted);
        let admit = |event: &LifecycleEvent| audience().admit(event, Recipient::Configured, 150);
        assert_eq!(admit(&event), Ok(Identifier::Id("u_42".into())));
        event.subscriber.user_id = Some("x".repeat(151));
        assert_eq!(admit(&event), Ok(Identifier::Email("ada@example.com".into())));
        event.subscriber.email = Some("none".into());
        assert_eq!(admit(&event), Err(Skip::NoIdentity));
    }

    #[test]
    fn the_providers_id_counts_only_when_asked_for() {
        let mut event = event(EventType::SubscriptionStarted);
        event.subscriber.user_id = None;
        event.subscriber.email = None;
        let asked = Audience { identify_by: vec![Identity::ProviderId], ..audience() };
        let admitted = asked.admit(&event, Recipient::Configured, 150);
        assert_eq!(admitted, Ok(Identifier::Id("cus_9".into())));
    }

    #[test]
    fn anonymous_subscribers_create_nobody_unless_the_destination_says_so() {
        let mut event = event(EventType::SubscriptionStarted);
        event.subscriber.user_id = None;
        event.subscriber.email = None;
        event.subscriber.id = "$RCAnonymousID:1f".into();
        event.subscriber.anonymous = true;
        assert_eq!(audience().admit(&event, Recipient::Configured, 150), Err(Skip::Anonymous));
        let open = Audience { anonymous: Anonymous::Send, ..audience() };
        let admitted = open.admit(&event, Recipient::Configured, 150);
        assert_eq!(admitted, Ok(Identifier::Id("$RCAnonymousID:1f".into())));
    }

    #[test]
    fn who_is_found_by_the_providers_id_or_by_what_it_keeps_needs_no_configured_identity() {
        let mut event = event(EventType::SubscriptionStarted);
        let admit = |event: &LifecycleEvent, recipient| audience().admit(event, recipient, 150);
        let by_provider = Ok(Identifier::Id("cus_9".into()));
        assert_eq!(admit(&event, Recipient::ProvidersId), by_provider);
        assert_eq!(admit(&event, Recipient::ProvidersIdFoundByEmail), by_provider);
        let kept = Recipient::KeptAttribute("$customerioId");
        assert_eq!(admit(&event, kept), Ok(Identifier::Id("u_42".into())));
        event.subscriber.attributes.insert("$customerioId".into(), "person_7".into());
        event.subscriber.anonymous = true;
        assert_eq!(admit(&event, kept), Ok(Identifier::Id("person_7".into())));
    }

    #[test]
    fn environments_that_are_not_for_this_destination_are_skipped() {
        let mut event = event(EventType::SubscriptionStarted);
        event.environment = Environment::Sandbox;
        assert_eq!(audience().admit(&event, Recipient::Configured, 150), Err(Skip::Environment));
        let tests_too = vec![Environment::Production, Environment::Sandbox];
        let both = Audience { environments: tests_too, ..audience() };
        assert!(both.admit(&event, Recipient::Configured, 150).is_ok());
    }
}
