//! Webhooks as the providers send them, with invented people: for whoever tries something before there are any of
//! their own.

use schemas::Provider;

/// A webhook.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Who sends it.
    pub provider: Provider,
    /// What it is of.
    pub name: &'static str,
    /// Its body.
    pub body: &'static str,
}

macro_rules! sample {
    ($provider:ident, $folder:literal, $name:literal) => {
        Sample {
            provider: Provider::$provider,
            name: $name,
            body: include_str!(concat!($folder, "/fixtures/", $name, ".json")),
        }
    };
}

/// All of them, by provider; those of one are a story in this order, and each gives an event.
pub const SAMPLES: [Sample; 24] = [
    sample!(Stripe, "stripe", "customer"),
    sample!(Stripe, "stripe", "checkout"),
    sample!(Stripe, "stripe", "subscription_created"),
    sample!(Stripe, "stripe", "invoice"),
    sample!(Stripe, "stripe", "charge"),
    sample!(Stripe, "stripe", "refund"),
    sample!(Stripe, "stripe", "dispute"),
    sample!(Dodo, "dodo", "payment"),
    sample!(Dodo, "dodo", "subscription"),
    sample!(Dodo, "dodo", "subscription_cancelled"),
    sample!(Dodo, "dodo", "refund"),
    sample!(Dodo, "dodo", "dispute"),
    sample!(Revenuecat, "revenuecat", "initial_purchase_trial"),
    sample!(Revenuecat, "revenuecat", "initial_purchase"),
    sample!(Revenuecat, "revenuecat", "renewal"),
    sample!(Revenuecat, "revenuecat", "cancellation"),
    sample!(Revenuecat, "revenuecat", "billing_issue"),
    sample!(Revenuecat, "revenuecat", "expiration"),
    sample!(Purchasely, "purchasely", "trial_started"),
    sample!(Purchasely, "purchasely", "subscription_started"),
    sample!(Purchasely, "purchasely", "transaction_processed"),
    sample!(Purchasely, "purchasely", "grace_period_started"),
    sample!(Native, "native", "trial_started"),
    sample!(Native, "native", "subscription_renewed"),
];
