//! Whether the names below `events` and `attributes` are names of anything under `naming: provider`.
//!
//! There the default names are those of the providers of the configured sources. Where a provider's own
//! event types are the names, they cannot all be listed; what has their form is believed.

use schemas::Provider;
use service::config::{self, Account, Problems, unknown};

use super::{attribute_names, event_names};
use crate::destinations::{Receiver, integrations};

/// Adds a problem for every name that is none.
pub(super) fn judge(
    destination: &config::Destination,
    providers: impl Iterator<Item = Provider> + Clone,
    problems: &mut Problems,
) {
    let receiver = match &destination.account {
        Account::Customerio(_) => Receiver::Customerio,
        Account::Intercom(_) => Receiver::Intercom,
        Account::Webhook(_) => Receiver::Webhook,
    };
    let known = providers.clone().flat_map(|provider| events_of(provider, receiver));
    let known: Vec<_> = known.collect();
    let open = |name: &str| providers.clone().any(|provider| may_be_type(provider, receiver, name));
    for (name, entry) in &destination.events {
        if !known.contains(&name.as_str()) && !open(name) {
            problems.push(&entry.place, unknown("event", name, known.iter().copied()));
        }
    }
    let known: Vec<_> = providers.flat_map(|provider| attributes_of(provider, receiver)).collect();
    for (name, entry) in &destination.attributes {
        if !known.contains(&name.as_str()) {
            problems.push(&entry.place, unknown("attribute", name, known.iter().copied()));
        }
    }
}

fn events_of(provider: Provider, receiver: Receiver) -> Vec<&'static str> {
    match provider {
        Provider::Native => event_names(),
        Provider::Stripe
        | Provider::Dodo
        | Provider::Revenuecat
        | Provider::Purchasely
        | Provider::Unknown => integrations::event_names(provider, receiver),
    }
}

fn attributes_of(provider: Provider, receiver: Receiver) -> Vec<&'static str> {
    let mut names = integrations::field_names(provider, receiver);
    if provider == Provider::Native || integrations::has_ours(provider, receiver) {
        names.extend(attribute_names());
    }
    names
}

/// Whether the name has the form of the provider's own types, where those are names.
fn may_be_type(provider: Provider, receiver: Receiver, name: &str) -> bool {
    let in_capitals = || name.chars().all(|each| each.is_ascii_uppercase() || each == '_');
    integrations::is_own_name(provider, receiver, name)
        && match provider {
            Provider::Stripe | Provider::Dodo => name.contains('.'),
            Provider::Revenuecat | Provider::Purchasely => in_capitals(),
            Provider::Native | Provider::Unknown => false,
        }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use service::Binary;
    use service::clock::SystemClock;
    use service::config::{Loader, Variables, Vocabulary};

    use crate::configure::{attribute_names, event_names, judge};

    const SOURCES: &str = "\
kafka: { brokers: 'localhost:9092' }
sources:
  apps: { provider: revenuecat, authorization: [word] }
  shop: { provider: stripe, secrets: [word] }
destinations:
  desk:
    type: intercom
    region: us
    access_token: word
";

    /// What is said about names for an Intercom destination.
    fn said(names: &str) -> String {
        let (events, attributes) = (event_names(), attribute_names());
        let vocabulary = Vocabulary { events: &events, attributes: &attributes };
        let variables = Variables::default();
        let clock = Arc::new(SystemClock::new());
        let loader = Loader { binary: Binary::Deliver, variables: &variables, vocabulary, clock };
        let read = loader.read("it.yaml", &format!("{SOURCES}{names}"));
        match read.and_then(|config| judge(&config)) {
            Ok(()) => String::new(),
            Err(problems) => problems.to_string(),
        }
    }

    #[test]
    fn names_of_the_configured_providers_are_known_where_they_are_the_default_ones() {
        let names = "    naming: provider
    events:
      rc_renewal_event: { name: Renewed }
      rc_expiration_event: { enabled: true }
      invoice.payment_failed: { enabled: false }
    attributes:
      latest_store: { name: shop }
      product_identifier: { enabled: false }
      plan_id: { enabled: false }
";
        assert_eq!(said(names), "");
    }

    #[test]
    fn a_name_that_no_configured_provider_has_is_refused_with_the_nearest_that_one_has() {
        let names = "    naming: provider
    events:
      rc_renewal: { name: Renewed }
      subscription_renewed: { name: Renewed }
    attributes:
      last_store: { name: shop }
";
        let said = said(names);
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 3, "{said}");
        assert!(lines[0].ends_with("unknown event; the nearest known one is `rc_renewal_event`"));
        assert!(lines[1].contains("desk.events.subscription_renewed: unknown event"), "{said}");
        assert!(lines[2].ends_with("unknown attribute; the nearest known one is `latest_store`"));
    }

    #[test]
    fn where_ours_are_the_default_ones_the_providers_are_unknown_and_what_goes_with_events_is_known()
     {
        let ours = "    events: { subscription_renewed: { name: renewed } }
    attributes: { expires_at: { enabled: false }, previous_status: { name: before } }
";
        assert_eq!(said(ours), "");
        let theirs = "    events: { rc_renewal_event: { name: renewed } }\n";
        assert!(said(theirs).contains("unknown event"));
    }
}
