//! `sources`: who sends webhooks, and how to tell that it is they.

use std::time::Duration;

use strum::{Display, EnumString, VariantNames};

use super::fields::Fields;
use super::kinds::{json_pointer, one_of, positive_duration, text};
use super::problems::Place;
use crate::secrets::Secrets;

/// Whose webhooks a source sends.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumString, VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum Provider {
    /// Stripe, with the `Stripe-Signature` header.
    Stripe,
    /// Dodo Payments, with Standard Webhooks headers.
    Dodo,
    /// RevenueCat, with an `Authorization` header and optionally an HMAC header.
    Revenuecat,
    /// Purchasely.
    Purchasely,
    /// A producer that writes our own event to the raw topic itself; there is no webhook path.
    Native,
}

/// Whether a purchase was made with real money.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumString, VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum Environment {
    /// It was.
    Production,
    /// A test purchase.
    Sandbox,
}

/// One configured sender. Two Stripe accounts are two sources.
#[derive(Clone, Debug)]
pub struct Source {
    /// Whose webhooks these are.
    pub provider: Provider,
    /// Signing secrets, any of which is valid. Empty for `native`, and for RevenueCat when only the
    /// `Authorization` header is checked.
    pub secrets: Secrets,
    /// Valid values of RevenueCat's `Authorization` header; empty for the others.
    pub authorization: Secrets,
    /// How far a signature's time may be from ours.
    pub tolerance: Duration,
    /// What a payload that does not say belongs to (Dodo); `None` for the other providers.
    pub environment: Option<Environment>,
    /// JSON pointers into the body, tried in order, to the id under which the application knows the
    /// person. Empty: the provider's own convention, if it has one.
    pub user_id: Vec<String>,
    /// Plans by rank, lowest first; empty when upgrades cannot be told from downgrades by name.
    pub plans: Vec<String>,
    /// Provider event types to pass on though they mean nothing to us.
    pub also: Vec<String>,
    /// Where the source stands in the configuration.
    pub place: Place,
}

impl Source {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let provider = fields.required(
            "provider",
            &one_of::<Provider>(),
            "Whose webhooks these are; `native` for a producer that writes to the raw topic itself.",
        );
        let secrets = fields.secrets(
            "secrets",
            "Signing secrets, needed by every source with a webhook; several while one is being \
             rotated. For `revenuecat` they may be left out; when set, the HMAC header is checked \
             as well.",
        );
        let authorization = fields.secrets(
            "authorization",
            "Only for `revenuecat`: the value of the `Authorization` header, word for word.",
        );
        let tolerance = fields.optional(
            "tolerance",
            &positive_duration(),
            "5m",
            "How far the time in a signature may be from ours before it is taken for a replay.",
        );
        let environment = fields.unset(
            "environment",
            &one_of::<Environment>(),
            "Only for `dodo`, whose payloads do not say: `production` unless set, `sandbox` for a \
             test account.",
        );
        let user_id = fields.list(
            "user_id",
            &json_pointer(),
            &[],
            "Where in the body the application's own id of the person stands; the first pointer \
             that finds one wins.",
        );
        let plans = fields.list(
            "plans",
            &text(),
            &[],
            "Plans by rank, lowest first, to tell upgrades from downgrades.",
        );
        let also = fields.list(
            "also",
            &text(),
            &[],
            "Event types of the provider to pass on though they have no meaning of their own here.",
        );
        if let Some(provider) = provider {
            judge(fields, provider, secrets.as_ref(), authorization.as_ref());
        }
        let provider = provider?;
        let environment = match (provider, environment?) {
            (Provider::Dodo, None) => Some(Environment::Production),
            (_, environment) => environment,
        };
        Some(Self {
            provider,
            secrets: secrets?,
            authorization: authorization?,
            tolerance: tolerance?,
            environment,
            user_id: user_id?,
            plans: plans?,
            also: also?,
            place: fields.place().clone(),
        })
    }
}

/// What the provider decides about the other options. A credential that could not be read counts as
/// configured: it has its own complaint.
fn judge(
    fields: &Fields<'_>,
    provider: Provider,
    secrets: Option<&Secrets>,
    authorization: Option<&Secrets>,
) {
    let secrets_set = secrets.is_none_or(Secrets::are_configured);
    let authorization_set = authorization.is_none_or(Secrets::are_configured);
    match provider {
        Provider::Native => {
            let message = "a `native` source has no webhook that a secret could protect";
            refuse(fields, &["secrets", "secrets_file"], message);
        }
        Provider::Revenuecat if !secrets_set && !authorization_set => {
            fields.problem_here(
                "a `revenuecat` source needs `authorization`, `secrets` or both, in place or as a \
                 file",
            );
        }
        Provider::Stripe | Provider::Dodo | Provider::Purchasely if !secrets_set => {
            let message = "a source needs at least one secret, in `secrets` or `secrets_file`";
            fields.problem_here(message);
        }
        Provider::Revenuecat | Provider::Stripe | Provider::Dodo | Provider::Purchasely => {}
    }
    if provider != Provider::Revenuecat {
        let message = "only a `revenuecat` source has this option";
        refuse(fields, &["authorization", "authorization_file"], message);
    }
    if provider != Provider::Dodo {
        let message = "only a `dodo` source has this option; the other payloads say it";
        refuse(fields, &["environment"], message);
    }
}

fn refuse(fields: &Fields<'_>, keys: &[&str], message: &str) {
    for key in keys.iter().filter(|key| fields.has(key)) {
        fields.problem(key, message);
    }
}
