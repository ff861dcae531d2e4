//! The providers, as the edge and the mapping know them, and one webhook of each.

use anyhow::{Context, Result, bail};
use end_to_end::journeys;
use end_to_end::sign::Secrets;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use ingest::sources::{Adapter, Located, Subscriber, adapter};
use schemas::Provider;
use secrecy::SecretString;
use serde_json::Value;
use service::config;
use transform::sources::{Source, SourceSettings, mapper_of};

const STRIPE: &str = include_str!("../../../transform/src/sources/stripe/fixtures/invoice.json");
const DODO: &str = include_str!("../../../transform/src/sources/dodo/fixtures/subscription.json");
pub(crate) const REVENUECAT: &str =
    include_str!("../../../transform/src/sources/revenuecat/fixtures/renewal.json");
const PURCHASELY: &str =
    include_str!("../../../transform/src/sources/purchasely/fixtures/subscription_started.json");

/// When everything is signed and received: after whatever the bodies tell.
pub(crate) const NOW: i64 = 1_795_000_000;
/// A provider, as each of the crates calls it.
pub(crate) struct Sender {
    pub(crate) provider: Provider,
    edge: config::Provider,
    signs: journeys::Provider,
    pub(crate) body: &'static str,
}

pub(crate) const SENDERS: [Sender; 4] = [
    Sender {
        provider: Provider::Stripe,
        edge: config::Provider::Stripe,
        signs: journeys::Provider::Stripe,
        body: STRIPE,
    },
    Sender {
        provider: Provider::Dodo,
        edge: config::Provider::Dodo,
        signs: journeys::Provider::Dodo,
        body: DODO,
    },
    Sender {
        provider: Provider::Revenuecat,
        edge: config::Provider::Revenuecat,
        signs: journeys::Provider::RevenueCat,
        body: REVENUECAT,
    },
    Sender {
        provider: Provider::Purchasely,
        edge: config::Provider::Purchasely,
        signs: journeys::Provider::Purchasely,
        body: PURCHASELY,
    },
];

/// What `ingest` finds in a body.
pub(crate) struct Found {
    pub(crate) subscriber: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
}

impl Sender {
    pub(crate) fn adapter(&self) -> Result<&'static Adapter> {
        adapter(self.edge).context("a provider without an adapter")
    }

    pub(crate) fn source(&self) -> Result<Source> {
        Ok(Source {
            name: self.provider.name().to_owned(),
            provider: self.provider,
            mapper: mapper_of(self.provider).context("a provider without a mapping")?,
            settings: SourceSettings::default(),
        })
    }

    pub(crate) fn headers(&self, body: &[u8]) -> Result<HeaderMap> {
        let signed = Secrets::default().headers(self.signs, "evt_1", body, NOW);
        let mut headers = HeaderMap::new();
        for (name, value) in signed {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value)?);
        }
        Ok(headers)
    }

    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        let Secrets { stripe, dodo, revenuecat, purchasely, .. } = Secrets::default();
        let secret = match self.signs {
            journeys::Provider::Stripe => stripe,
            journeys::Provider::Dodo => dodo,
            journeys::Provider::RevenueCat => revenuecat,
            journeys::Provider::Purchasely => purchasely,
        };
        vec![secret.into()]
    }

    pub(crate) fn authorization(&self) -> Vec<SecretString> {
        match self.signs {
            journeys::Provider::RevenueCat => {
                vec![Secrets::default().revenuecat_authorization.into()]
            }
            journeys::Provider::Stripe
            | journeys::Provider::Dodo
            | journeys::Provider::Purchasely => Vec::new(),
        }
    }

    pub(crate) fn locate(&self, body: &[u8]) -> Result<Found> {
        let located = (self.adapter()?.locate)(&self.headers(body)?, body);
        let Located { subscriber: Subscriber::Known(subscriber), event_id, event_type } = located
        else {
            bail!("a body of {} names nobody", self.provider.name())
        };
        let event_id = event_id.context("a body without the id of its event")?;
        let event_type = event_type.context("a body without the type of its event")?;
        Ok(Found { subscriber, event_id, event_type })
    }
}

/// As a provider sends it: without the room that people want.
pub(crate) fn compact(text: &str) -> Result<Vec<u8>> {
    let value: Value = serde_json::from_str(text).context("reading a fixture")?;
    Ok(value.to_string().into_bytes())
}
