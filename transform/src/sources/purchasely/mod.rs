//! Purchasely: a flat body, `"api_version": 3`, one event a webhook.
//!
//! Our vocabulary is its catalogue, so that most rows are the identity; one fact of a store still comes
//! as several events (the entitlement, the subscription, its offer, the money), each with an id of its
//! own. It delivers a person's events in order and does not repeat what was acknowledged, so that its
//! rows are always news.
//! Facts: <https://docs.purchasely.com/docs/server-events-attributes> and the lifecycle events of the
//! same documentation (state of July 2026).

mod decide;
mod meaning;
mod rank;
mod read;
#[cfg(test)]
mod tests;

use schemas::Provider;
use schemas::state::{Facts, Identity, SubscriptionState};

use super::{Decision, Known, Mapper, RawView, Reading, SourceSettings, Treatment};

/// The mapping of Purchasely's events.
#[derive(Clone, Copy, Debug)]
pub struct Purchasely;

/// Names of the facts that `read` leaves in `Facts::details` for `decide`.
mod detail {
    /// A purchase that does not renew: no subscription to keep.
    pub(super) const ONE_TIME: &str = "one_time";
    /// The event that moved the money.
    pub(super) const SOURCE_EVENT: &str = "source_event_name";
}

impl Mapper for Purchasely {
    fn provider(&self) -> Provider {
        Provider::Purchasely
    }

    fn treatments(&self) -> &'static [(&'static str, Treatment)] {
        meaning::TREATMENTS
    }

    fn read(&self, raw: &RawView<'_>, settings: &SourceSettings) -> Reading {
        read::read(raw, settings)
    }

    fn decide(&self, facts: &Facts, known: &Known<'_>) -> Decision {
        decide::decide(facts, known)
    }

    fn imported_person(&self, person: &mut Identity) {
        if person.user_id.is_none() && !person.anonymous {
            person.user_id = Some(person.id.clone());
        }
    }

    fn imported(&self, state: &mut SubscriptionState) {
        decide::imported(state);
    }
}
