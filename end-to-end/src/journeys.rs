//! Invented subscribers and what their billing providers would say about them.
//!
//! A [`Journey`] is one person at one provider: their webhooks in the order in which things happened, each with the
//! lifecycle events that it must lead to, written by hand from the vocabulary and not computed by the pipeline's own
//! mapping, so that the two can disagree. Everything comes from a seed and a moment: the same two give the same
//! journeys, byte for byte.
//!
//! Provider time runs compressed: steps that take weeks are seconds apart and end just before the given moment,
//! while billing periods keep their length. Two webhooks of one second occur where providers send them so, and only
//! where the kind of event, not its id, says which comes first.

mod dodo;
mod purchasely;
mod revenuecat;
mod stripe;
mod telling;

use std::fmt;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use telling::Telling;

/// A sender of webhooks. Its name is also the name of the source in the configuration of demo and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    Stripe,
    Dodo,
    RevenueCat,
    Purchasely,
}

impl Provider {
    pub const ALL: [Self; 4] = [Self::Stripe, Self::Dodo, Self::RevenueCat, Self::Purchasely];

    /// The source's name, which ends the webhook's path.
    pub fn source(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Dodo => "dodo",
            Self::RevenueCat => "revenuecat",
            Self::Purchasely => "purchasely",
        }
    }
}

/// One webhook, unsigned: signatures carry the time of sending.
#[derive(Clone, PartialEq)]
pub struct Webhook {
    pub provider: Provider,
    /// What the provider tells duplicates by: in the body, at Dodo in a header.
    pub event_id: String,
    pub event_type: String,
    pub occurred_at_ms: i64,
    pub body: Value,
    /// The lifecycle events that this webhook must lead to, in order.
    pub expects: &'static [&'static str],
}

impl fmt::Debug for Webhook {
    /// Without the body: a failed assertion must not print an address.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Webhook")
            .field("provider", &self.provider)
            .field("event_type", &self.event_type)
            .field("event_id", &self.event_id)
            .finish_non_exhaustive()
    }
}

impl Webhook {
    /// The same happening told under another id, as no provider does: to the pipeline it is news.
    #[must_use]
    pub fn told_anew(&self, event_id: &str) -> Self {
        let mut told = self.clone();
        event_id.clone_into(&mut told.event_id);
        let place = match self.provider {
            Provider::Stripe => told.body.pointer_mut("/id"),
            Provider::Dodo => None,
            Provider::RevenueCat => told.body.pointer_mut("/event/id"),
            Provider::Purchasely => told.body.pointer_mut("/event_id"),
        };
        if let Some(place) = place {
            *place = Value::from(event_id);
        }
        told
    }
}

/// One person at one provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Journey {
    pub provider: Provider,
    /// What happens in it, in a few words.
    pub story: &'static str,
    /// The subscriber key that the pipeline must find.
    pub subscriber: String,
    /// What destinations know the person by: the user id, or the e-mail where the provider tells none.
    pub who: String,
    /// In true order.
    pub webhooks: Vec<Webhook>,
}

/// Lifecycle events that change the person at a destination but are no event of their own there (vocabulary,
/// section 7), or that only `naming: provider` sends.
const SILENT: [&str; 3] = ["customer_created", "customer_updated", "provider_event"];

impl Journey {
    /// The events that a destination must show for this person, in order.
    pub fn shown(&self) -> Vec<&'static str> {
        self.webhooks
            .iter()
            .flat_map(|webhook| webhook.expects.iter().copied())
            .filter(|event| !SILENT.contains(event))
            .collect()
    }
}

/// Makes journeys of all providers in turn, until they have at least `webhooks` webhooks and each story was told.
/// The last thing in each happened before `now_ms`. People of different `now_ms` are different people.
pub fn generate(seed: u64, now_ms: i64, webhooks: usize) -> Vec<Journey> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut journeys: Vec<Journey> = Vec::new();
    let mut made = 0;
    let most_stories = Provider::ALL.map(|provider| stories(provider).len()).into_iter().max();
    for round in 0.. {
        if made >= webhooks && round >= most_stories.unwrap_or_default() {
            break;
        }
        for provider in Provider::ALL {
            let stories = stories(provider);
            let (story, tell) = stories[round % stories.len()];
            let person = format!("{now_ms:x}{:04}", journeys.len());
            let telling = Telling::new(provider, &person, now_ms, random.random());
            let told = tell(telling);
            made += told.webhooks.len();
            journeys.push(Journey {
                provider,
                story,
                subscriber: format!("{}/{}", provider.source(), told.subscriber_id),
                who: told.who,
                webhooks: told.webhooks,
            });
        }
    }
    journeys
}

/// A story's name and how it is told.
type Story = (&'static str, fn(Telling) -> telling::Told);

fn stories(provider: Provider) -> &'static [Story] {
    match provider {
        Provider::Stripe => stripe::STORIES,
        Provider::Dodo => dodo::STORIES,
        Provider::RevenueCat => revenuecat::STORIES,
        Provider::Purchasely => purchasely::STORIES,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    #[test]
    fn the_same_seed_tells_the_same_and_another_something_else() {
        assert_eq!(generate(1, NOW, 300), generate(1, NOW, 300));
        assert_ne!(generate(1, NOW, 300), generate(2, NOW, 300));
    }

    #[test]
    fn every_provider_speaks_at_least_ten_types_of_event() {
        let journeys = generate(1, NOW, 0);
        for provider in Provider::ALL {
            let types: BTreeSet<&str> = journeys
                .iter()
                .flat_map(|journey| &journey.webhooks)
                .filter(|webhook| webhook.provider == provider)
                .map(|webhook| webhook.event_type.as_str())
                .collect();
            assert!(types.len() >= 10, "{provider:?} speaks only {types:?}");
        }
    }

    #[test]
    fn people_and_event_ids_are_unique() {
        let journeys = generate(1, NOW, 2000);
        let people: BTreeSet<&str> = journeys.iter().map(|journey| journey.who.as_str()).collect();
        let subscribers: BTreeSet<&str> =
            journeys.iter().map(|journey| journey.subscriber.as_str()).collect();
        assert_eq!(people.len(), journeys.len());
        assert_eq!(subscribers.len(), journeys.len());
        let webhooks: Vec<&Webhook> =
            journeys.iter().flat_map(|journey| &journey.webhooks).collect();
        let ids: BTreeSet<&str> =
            webhooks.iter().map(|webhook| webhook.event_id.as_str()).collect();
        assert_eq!(ids.len(), webhooks.len());
        assert!(webhooks.len() >= 2000);
    }

    #[test]
    fn journeys_are_in_order_and_in_the_past() {
        for journey in generate(1, NOW, 2000) {
            assert!(
                journey.webhooks.is_sorted_by_key(|webhook| webhook.occurred_at_ms),
                "{}",
                journey.story
            );
            assert!(journey.webhooks.iter().all(|webhook| webhook.occurred_at_ms < NOW));
        }
    }

    #[test]
    fn every_journey_shows_something() {
        assert!(generate(1, NOW, 0).iter().all(|journey| !journey.shown().is_empty()));
    }

    #[test]
    fn told_anew_differs_by_its_id_alone() {
        for journey in generate(1, NOW, 0).into_iter().take(4) {
            let first = &journey.webhooks[0];
            let again = first.told_anew("another");
            assert_eq!(again.event_id, "another");
            assert_eq!(again.told_anew(&first.event_id), *first);
        }
    }
}
