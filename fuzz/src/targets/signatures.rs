//! Who is believed. An input is a request in which `{mac}` stands where a right signature is to stand, so that the rest
//! of it can be changed around one: `{t}` is the time that is signed, `{old}` a signature with the secret from before,
//! `{foreign}` one with a secret that is none, `{cut}` one of the body without its last byte.
//!
//! What is believed is judged with an HMAC and a reading of the headers of their own.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use ingest::sources::{Credentials, Refusal, adapter};
use jiff::Timestamp;
use schemas::Provider;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::input::{Message, messages};
use crate::promise::{discreet, keep, ok, some};

/// When the request arrives.
const NOW: i64 = 1_790_000_000;
const TOLERANCE: i64 = 300;

/// The secrets, the present one first. Those of Dodo are base64 of the same.
const SECRETS: [&str; 2] =
    ["whsec_c2VjcmV0LWh1c2gtN2YzYS1ub3c=", "whsec_c2VjcmV0LWh1c2gtN2YzYS1vbGQ="];
const FOREIGN: &str = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA==";
const AUTHORIZATION: &str = "Bearer hush-7f3a";

/// What the source is configured with.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Configured {
    secrets: bool,
    authorization: bool,
}

pub(super) fn check(provider: Provider, input: &[u8]) {
    let messages = messages(input, 1);
    let Some(message) = messages.first() else { return };
    let configured = match (provider, message.said("credentials")) {
        (_, Some("none")) => Configured { secrets: false, authorization: false },
        (Provider::Revenuecat, Some("both")) => Configured { secrets: true, authorization: true },
        (Provider::Revenuecat, Some("authorization")) => {
            Configured { secrets: false, authorization: true }
        }
        _ => Configured { secrets: true, authorization: false },
    };
    let seconds = NOW.saturating_add(message.number("at").unwrap_or(0)).to_string();
    let headers = filled_in(provider, message, &seconds);
    judge(provider, configured, &headers, message.body);
    canonical(provider, message, &seconds);
}

/// The headers of the message with what has to be worked out in its place.
fn filled_in(provider: Provider, message: &Message<'_>, seconds: &str) -> HeaderMap {
    let body = message.body;
    let id =
        message.header_map().get("webhook-id").map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let sign =
        |secret: &str, body: &[u8]| signature(provider, secret, &id, seconds.as_bytes(), body);
    let cut = &body[..body.len().saturating_sub(1)];
    let words = [
        ("{t}", seconds.to_owned()),
        ("{now}", NOW.to_string()),
        ("{mac}", sign(SECRETS[0], body)),
        ("{old}", sign(SECRETS[1], body)),
        ("{foreign}", sign(FOREIGN, body)),
        ("{cut}", sign(SECRETS[0], cut)),
        ("{authorization}", AUTHORIZATION.to_owned()),
    ];
    let mut filled = HeaderMap::new();
    for (name, value) in &message.header_map() {
        let Ok(text) = value.to_str() else {
            filled.append(name, value.clone());
            continue;
        };
        let text =
            words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value));
        if let Ok(value) = HeaderValue::from_str(&text) {
            filled.append(name, value);
        }
    }
    filled
}

/// Asks the product, and holds what it believes against what was signed.
fn judge(provider: Provider, configured: Configured, headers: &HeaderMap, body: &[u8]) {
    let verdict = asked(provider, configured, headers, body);
    match verdict {
        Ok(()) => {
            keep(
                configured.secrets || configured.authorization,
                "nothing is believed without a secret",
            );
            if configured.authorization {
                let given: Vec<_> = headers.get_all("authorization").iter().collect();
                keep(
                    given.len() == 1 && given[0] == AUTHORIZATION,
                    "the value is the one that was agreed",
                );
            }
            if configured.secrets {
                keep(
                    is_signed(provider, headers, body),
                    "what is believed was signed, to the byte and in time",
                );
                altered(provider, configured, headers, body);
            }
        }
        Err(refusal) => discreet(&refusal),
    }
}

fn asked(
    provider: Provider,
    configured: Configured,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Refusal> {
    let secrets: Vec<SecretString> =
        if configured.secrets { SECRETS.map(SecretString::from).into() } else { Vec::new() };
    let authorization: Vec<SecretString> =
        if configured.authorization { vec![SecretString::from(AUTHORIZATION)] } else { Vec::new() };
    let credentials = Credentials {
        secrets: &secrets,
        authorization: &authorization,
        tolerance: Duration::from_secs(TOLERANCE.unsigned_abs()),
    };
    let adapter = provider.name().parse().ok().and_then(adapter);
    let adapter = some(adapter, "a provider of webhooks has an adapter");
    let now = ok(Timestamp::from_second(NOW), "there is such a second");
    (adapter.authenticate)(headers, body, &credentials, now)
}

/// No neighbour of what is believed is believed.
fn altered(provider: Provider, configured: Configured, headers: &HeaderMap, body: &[u8]) {
    let mut longer = body.to_vec();
    longer.push(b' ');
    keep(asked(provider, configured, headers, &longer).is_err(), "a longer body is not believed");
    for at in [0, body.len() / 2, body.len().saturating_sub(1)] {
        let mut flipped = body.to_vec();
        let Some(byte) = flipped.get_mut(at) else { continue };
        *byte ^= 1;
        keep(
            asked(provider, configured, headers, &flipped).is_err(),
            "another body is not believed",
        );
    }
}

/// A request that is signed as the provider does is believed exactly while it is fresh.
fn canonical(provider: Provider, message: &Message<'_>, seconds: &str) {
    let mac = signature(provider, SECRETS[1], b"msg_1", seconds.as_bytes(), message.body);
    let pairs = match provider {
        Provider::Stripe => vec![("stripe-signature", format!("t={seconds},v1={mac}"))],
        Provider::Revenuecat => {
            vec![("x-revenuecat-webhook-signature", format!("t={seconds},v1={mac}"))]
        }
        Provider::Dodo => vec![
            ("webhook-id", "msg_1".to_owned()),
            ("webhook-timestamp", seconds.to_owned()),
            ("webhook-signature", format!("v1,{mac}")),
        ],
        Provider::Purchasely | Provider::Native | Provider::Unknown => vec![
            ("x-purchasely-timestamp", seconds.to_owned()),
            ("x-purchasely-request-signature", mac),
        ],
    };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(name, ok(HeaderValue::from_str(&value), "a signature is a header's value"));
    }
    let verdict =
        asked(provider, Configured { secrets: true, authorization: false }, &headers, message.body);
    keep(
        verdict.is_ok() == is_fresh(seconds),
        "what is signed rightly is believed while it is fresh",
    );
}

/// Whether the headers carry a signature of exactly this body at a time that they tell.
fn is_signed(provider: Provider, headers: &HeaderMap, body: &[u8]) -> bool {
    let once = |name: &str| -> Option<&[u8]> {
        let mut all = headers.get_all(name).iter();
        let first = all.next()?;
        if all.next().is_some() { None } else { Some(first.as_bytes()) }
    };
    let told = match provider {
        Provider::Stripe => once("stripe-signature").and_then(timestamped),
        Provider::Revenuecat => once("x-revenuecat-webhook-signature").and_then(timestamped),
        Provider::Dodo => {
            let signatures = once("webhook-signature").map(|value| behind(value, b' ', b"v1,"));
            once("webhook-timestamp").zip(signatures)
        }
        Provider::Purchasely | Provider::Native | Provider::Unknown => {
            let signature = once("x-purchasely-request-signature").map(|value| vec![value]);
            once("x-purchasely-timestamp").zip(signature)
        }
    };
    let id = once("webhook-id").unwrap_or_default();
    told.is_some_and(|(seconds, signatures)| {
        let right = SECRETS.map(|secret| signature(provider, secret, id, seconds, body));
        let is_right = |given: &&[u8]| right.iter().any(|right| right.as_bytes() == *given);
        is_fresh(&String::from_utf8_lossy(seconds)) && signatures.iter().any(is_right)
    })
}

/// `t=<seconds>,v1=<hex>[,v1=<hex>…]`
fn timestamped(value: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let seconds = behind(value, b',', b"t=").first().copied()?;
    Some((seconds, behind(value, b',', b"v1=")))
}

/// What stands behind `label` in those parts that begin with it.
fn behind<'a>(value: &'a [u8], between: u8, label: &[u8]) -> Vec<&'a [u8]> {
    value.split(|byte| *byte == between).filter_map(|part| part.strip_prefix(label)).collect()
}

fn is_fresh(seconds: &str) -> bool {
    let told: Option<i64> = seconds.parse().ok().filter(|told| *told >= 0);
    told.is_some_and(|told| told.abs_diff(NOW) <= TOLERANCE.unsigned_abs())
}

/// What the provider writes into its header, by its documentation.
fn signature(provider: Provider, secret: &str, id: &[u8], seconds: &[u8], body: &[u8]) -> String {
    let timed = [seconds, b".", body].concat();
    match provider {
        Provider::Stripe | Provider::Revenuecat => hex::encode(hmac(secret.as_bytes(), &timed)),
        Provider::Dodo => {
            let key = STANDARD.decode(secret.trim_start_matches("whsec_"));
            STANDARD.encode(hmac(&ok(key, "a secret is base64"), &[id, b".", &timed].concat()))
        }
        Provider::Purchasely | Provider::Native | Provider::Unknown => {
            hex::encode(hmac(secret.as_bytes(), &[seconds, body].concat()))
        }
    }
}

/// RFC 2104, for keys of at most a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> {
        (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect()
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}
