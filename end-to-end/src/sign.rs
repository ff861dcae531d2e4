//! Signatures as the four providers make them, for a given second.
//!
//! Stripe: hex HMAC-SHA256 over `t.body`, keyed with the whole secret (docs.stripe.com/webhooks/signature). Dodo:
//! Standard Webhooks, base64 over `id.t.body`, keyed with the decoded secret (standardwebhooks.com). RevenueCat: the
//! configured `Authorization` verbatim and, opted in, hex over `t.body`. Purchasely: hex over `t` and body without
//! a separator (docs.purchasely.com, webhook security).

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

/// The headers that authenticate `body` at second `now`.
pub fn headers(
    provider: Provider,
    event_id: &str,
    body: &[u8],
    now: i64,
) -> Vec<(&'static str, String)> {
    let time = now.to_string();
    match provider {
        Provider::Stripe => {
            let signature = hex::encode(mac(STRIPE_SECRET.as_bytes(), &[&time, "."], body));
            vec![("stripe-signature", format!("t={time},v1={signature}"))]
        }
        Provider::Dodo => {
            let signature = STANDARD.encode(mac(&dodo_key(), &[event_id, ".", &time, "."], body));
            vec![
                ("webhook-id", event_id.to_owned()),
                ("webhook-timestamp", time),
                ("webhook-signature", format!("v1,{signature}")),
            ]
        }
        Provider::RevenueCat => {
            let signature = hex::encode(mac(REVENUECAT_SECRET.as_bytes(), &[&time, "."], body));
            vec![
                ("authorization", REVENUECAT_AUTHORIZATION.to_owned()),
                ("x-revenuecat-webhook-signature", format!("t={time},v1={signature}")),
            ]
        }
        Provider::Purchasely => {
            let signature = hex::encode(mac(PURCHASELY_SECRET.as_bytes(), &[&time], body));
            vec![("x-purchasely-request-signature", signature), ("x-purchasely-timestamp", time)]
        }
    }
}

fn dodo_key() -> Vec<u8> {
    let encoded = DODO_SECRET.strip_prefix("whsec_").unwrap_or(DODO_SECRET);
    STANDARD.decode(encoded).unwrap_or_default()
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
            let (early, late) =
                (headers(provider, "id", b"{}", 1), headers(provider, "id", b"{}", 2));
            assert_ne!(early, late);
        }
    }

    #[test]
    fn the_secret_of_dodo_is_decoded() {
        assert_eq!(dodo_key(), b"demo-dodo-secret-0123456789");
    }
}
