//! RevenueCat: one event a webhook, `{"api_version": "1.0", "event": {…}}`.
//!
//! Fields and types may be added without a new version, names of paywall events are the user's own, and
//! several events of one store fact are sent together and arrive in any order. A subscription is its
//! original transaction, because a store keeps that through renewals and resubscriptions.
//! Facts: <https://www.revenuecat.com/docs/integrations/webhooks>, its event types, fields and flows
//! (state of February 2026).

mod decide;
mod period;
mod purchase;
mod rank;
mod read;
mod refund;
#[cfg(test)]
mod tests;
mod transfer;

use schemas::Provider;
use schemas::state::{Facts, Identity, SubscriptionState};

use super::{Decision, Known, Links, Mapper, RawView, Reading, SourceSettings, Treatment};

/// The mapping of RevenueCat's events.
#[derive(Clone, Copy, Debug)]
pub struct RevenueCat;

/// Names of the facts that `read` leaves in `Facts::details` for `decide`.
mod detail {
    /// This renewal is the first paid one after a trial.
    pub(super) const TRIAL_CONVERSION: &str = "trial_conversion";
    /// The product a PRODUCT_CHANGE leads to.
    pub(super) const NEW_PRODUCT: &str = "new_product_id";
    /// The store's id of this very transaction.
    pub(super) const TRANSACTION: &str = "transaction_id";
    /// A purchase that never renews and never ends: no subscription to keep.
    pub(super) const ONE_TIME: &str = "one_time";
}

const TREATMENTS: &[(&str, Treatment)] = &[
    ("INITIAL_PURCHASE", Treatment::Mapped),
    ("RENEWAL", Treatment::Mapped),
    ("CANCELLATION", Treatment::Mapped),
    ("UNCANCELLATION", Treatment::Mapped),
    ("NON_RENEWING_PURCHASE", Treatment::Mapped),
    ("SUBSCRIPTION_PAUSED", Treatment::Mapped),
    ("EXPIRATION", Treatment::Mapped),
    ("BILLING_ISSUE", Treatment::Mapped),
    ("PRODUCT_CHANGE", Treatment::Mapped),
    ("TRANSFER", Treatment::Mapped),
    ("SUBSCRIPTION_EXTENDED", Treatment::Mapped),
    ("TEMPORARY_ENTITLEMENT_GRANT", Treatment::Mapped),
    ("REFUND_REVERSED", Treatment::Mapped),
    ("SUBSCRIBER_ALIAS", Treatment::Mapped),
    ("PRICE_INCREASE_CONSENT_REQUIRED", Treatment::Mapped),
    ("PRICE_INCREASE_CONSENT_APPROVED", Treatment::Mapped),
    ("TEST", Treatment::Ignored("test_event")),
    ("INVOICE_ISSUANCE", Treatment::Ignored("invoice_bookkeeping")),
    ("VIRTUAL_CURRENCY_TRANSACTION", Treatment::Ignored("virtual_currency")),
    ("EXPERIMENT_ENROLLMENT", Treatment::Ignored("experiment_enrollment")),
    ("PURCHASE_REDEEMED", Treatment::Ignored("told_by_purchase")),
    ("PAYWALL_IMPRESSION", Treatment::Ignored("paywall_interaction")),
    ("PAYWALL_CLOSE", Treatment::Ignored("paywall_interaction")),
    ("PAYWALL_CANCEL", Treatment::Ignored("paywall_interaction")),
    ("PAYWALL_EXIT_OFFER", Treatment::Ignored("paywall_interaction")),
    ("PAYWALL_COMPONENT_INTERACTED", Treatment::Ignored("paywall_interaction")),
];

impl Mapper for RevenueCat {
    fn provider(&self) -> Provider {
        Provider::Revenuecat
    }

    fn treatments(&self) -> &'static [(&'static str, Treatment)] {
        TREATMENTS
    }

    fn read(&self, raw: &RawView<'_>, settings: &SourceSettings) -> Reading {
        read::read(raw, settings)
    }

    fn decide(&self, facts: &Facts, known: &Known<'_>) -> Decision {
        decide::decide(facts, known)
    }

    fn imported_person(&self, person: &mut Identity) {
        read::imported(person);
    }

    fn imported(&self, state: &mut SubscriptionState) {
        decide::imported(state);
    }

    fn links(&self, _: &RawView<'_>, reading: &Reading) -> Links {
        match reading {
            Reading::Facts(facts) if self.receiver(facts).is_none() => {
                Links { things: Vec::new(), aliases: facts.person.aliases.clone() }
            }
            Reading::Facts(_) | Reading::Ignored(_) | Reading::Parked(_) | Reading::KeyMismatch => {
                Links::default()
            }
        }
    }

    fn receiver<'a>(&self, facts: &'a Facts) -> Option<&'a str> {
        transfer::receiver(facts)
    }
}
