//! Signatures as the four providers make them, for a given second.
//!
//! Stripe: hex HMAC-SHA256 over `t.body`, keyed with the whole secret (docs.stripe.com/webhooks/signature). Dodo:
//! Standard Webhooks, base64 over `id.t.body`, keyed with the decoded secret (standardwebhooks.com). RevenueCat: the
//! configured `Authorization` verbatim and, opted in, hex over `t.body`. Purchasely: hex over `t` and body without
//! a separator (docs.purchasely.com, webhook security).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::journeys::Provider;

/// What demo and tests sign with; the configuration they write names the same.
pub const STRIPE_SECRET: &str = "whsec_demo_stripe_0123456789";
/// Its decoded form is `demo-dodo-secret-0123456789`.
pub const DODO_SECRET: &str = "whsec_ZGVtby1kb2RvLXNlY3JldC0wMTIzNDU2Nzg5";
pub const REVENUECAT_AUTHORIZATION: &str = "Bearer demo-revenuecat";
pub const REVENUECAT_SECRET: &str = "demo-revenuecat-signing";
pub const PURCHASELY_SECRET: &str = "demo-purchasely";

/// What authenticates a webhook.
pub type Headers = Vec<(&'static str, String)>;

/// What all four providers sign with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    pub stripe: String,
    pub dodo: String,
    pub revenuecat_authorization: String,
    pub revenuecat: String,
    pub purchasely: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Default for Secrets {
    /// Those that demo and tests use.
    fn default() -> Self {
        Self {
            stripe: STRIPE_SECRET.to_owned(),
            dodo: DODO_SECRET.to_owned(),
            revenuecat_authorization: REVENUECAT_AUTHORIZATION.to_owned(),
            revenuecat: REVENUECAT_SECRET.to_owned(),
            purchasely: PURCHASELY_SECRET.to_owned(),
        }
    }
}

impl Secrets {
    /// Others, which differ from those of another name.
    pub fn named(name: &str) -> Self {
        let Self { stripe, revenuecat_authorization, revenuecat, purchasely, .. } = Self::default();
        Self {
            stripe: format!("{stripe}-{name}"),
            dodo: format!("whsec_{}", STANDARD.encode(format!("demo-dodo-secret-{name}"))),
            revenuecat_authorization: format!("{revenuecat_authorization}-{name}"),
            revenuecat: format!("{revenuecat}-{name}"),
            purchasely: format!("{purchasely}-{name}"),
        }
    }

    /// The headers that authenticate `body` at second `now`.
    pub fn headers(&self, provider: Provider, event_id: &str, body: &[u8], now: i64) -> Headers {
        let time = now.to_string();
        match provider {
            Provider::Stripe => {
                let signature = hex::encode(mac(self.stripe.as_bytes(), &[&time, "."], body));
                vec![("stripe-signature", format!("t={time},v1={signature}"))]
            }
            Provider::Dodo => {
                let parts = [event_id, ".", &time, "."];
                let signature = STANDARD.encode(mac(&self.dodo_key(), &parts, body));
                vec![
                    ("webhook-id", event_id.to_owned()),
                    ("webhook-timestamp", time),
                    ("webhook-signature", format!("v1,{signature}")),
                ]
            }
            Provider::RevenueCat => {
                let signature = hex::encode(mac(self.revenuecat.as_bytes(), &[&time, "."], body));
                vec![
                    ("authorization", self.revenuecat_authorization.clone()),
                    ("x-revenuecat-webhook-signature", format!("t={time},v1={signature}")),
                ]
            }
            Provider::Purchasely => {
                let signature = hex::encode(mac(self.purchasely.as_bytes(), &[&time], body));
                let signature = ("x-purchasely-request-signature", signature);
                vec![signature, ("x-purchasely-timestamp", time)]
            }
        }
    }

    fn dodo_key(&self) -> Vec<u8> {
        let encoded = self.dodo.strip_prefix("whsec_").unwrap_or(&self.dodo);
        STANDARD.decode(encoded).unwrap_or_default()
    }
}

fn mac(key: &[u8], before: &[&str], body: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length; the error exists for other algorithms.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    for part in before {
        mac.update(part.as_bytes());
    }
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_example_that_purchasely_publishes() {
        // docs.purchasely.com, webhook security, read 2026-11.
        let body = br#"{"a_random_key":"a_random_value_ad"}"#;
        assert_eq!(
            hex::encode(mac(b"foobar", &["1698322022"], body)),
            "f3c2a452e9ea72f41107321aeaf7999f1054148866a710c9b23f9f501785e2a4"
        );
    }

    #[test]
    fn agrees_with_the_example_of_standard_webhooks() {
        // The test vector of the reference libraries, standard-webhooks/standard-webhooks on GitHub.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let parts = ["msg_p5jXN8AQM9LWM0D4loKWxJek", ".", "1614265330", "."];
        assert_eq!(
            STANDARD.encode(mac(&key, &parts, br#"{"test": 2432232314}"#)),
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn the_time_is_part_of_what_is_signed() {
        for provider in Provider::ALL {
            let at = |now| Secrets::default().headers(provider, "id", b"{}", now);
            assert_ne!(at(1), at(2));
        }
    }

    #[test]
    fn secrets_of_another_name_sign_otherwise() {
        for provider in Provider::ALL {
            let by = |secrets: Secrets| secrets.headers(provider, "id", b"{}", 1);
            assert_ne!(by(Secrets::default()), by(Secrets::named("a")));
            assert_ne!(by(Secrets::named("b")), by(Secrets::named("a")));
        }
    }

    #[test]
    fn the_secret_of_dodo_is_decoded() {
        assert_eq!(Secrets::default().dodo_key(), b"demo-dodo-secret-0123456789");
    }
}
