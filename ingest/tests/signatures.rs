//! Who is believed. The vectors were computed with another language's HMAC, so that the scheme is
//! compared with the vendors' descriptions and not with itself; two of them are the vendors' own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use ingest::sources::{Credentials, Refusal, adapter};
use jiff::Timestamp;
use proptest::prelude::*;
use secrecy::SecretString;
use serde::Deserialize;
use service::config::Provider;

#[derive(Clone, Debug, Deserialize)]
struct Vector {
    provider: String,
    name: String,
    secrets: Vec<String>,
    authorization: Vec<String>,
    headers: Vec<(String, String)>,
    body: String,
    now: i64,
    accepted: bool,
}

impl Vector {
    fn judge(&self) -> Result<(), Refusal> {
        self.judge_bytes(&header_map(&self.headers), self.body.as_bytes())
    }

    fn judge_bytes(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
        let secret = |values: &[String]| -> Vec<SecretString> {
            values.iter().map(|value| SecretString::from(value.clone())).collect()
        };
        let credentials = Credentials {
            secrets: &secret(&self.secrets),
            authorization: &secret(&self.authorization),
            tolerance: Duration::from_mins(5),
        };
        let provider: Provider = self.provider.parse().unwrap();
        let now = Timestamp::from_second(self.now).unwrap();
        (adapter(provider).unwrap().authenticate)(headers, body, &credentials, now)
    }
}

fn header_map(headers: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.to_ascii_lowercase().parse().unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors/signatures.json")).unwrap()
}

fn vector(provider: &str, name: &str) -> Vector {
    let mut all = vectors().into_iter();
    all.find(|vector| vector.provider == provider && vector.name == name).unwrap()
}

#[test]
fn every_vector_is_judged_as_the_vendor_would() {
    let mut wrong = Vec::new();
    for vector in vectors() {
        let verdict = vector.judge();
        if verdict.is_ok() != vector.accepted {
            wrong.push(format!("{}/{}: {verdict:?}", vector.provider, vector.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reason_says_what_was_wrong_for_the_one_who_operates_it() {
    let reasons = [
        ("stripe", "no_header", Refusal::HeaderMissing),
        ("stripe", "header_given_twice", Refusal::HeaderMissing),
        ("stripe", "only_v0", Refusal::HeaderMalformed),
        ("stripe", "301_seconds_old", Refusal::OutsideWindow),
        ("stripe", "body_changed", Refusal::Mismatch),
        ("stripe", "no_secret_accepts_nothing", Refusal::NoSecret),
        ("dodo", "secret_is_not_base64", Refusal::NoSecret),
        ("dodo", "no_version", Refusal::HeaderMalformed),
        ("purchasely", "older_header_does_not_cover_the_body", Refusal::HeaderMissing),
        ("revenuecat", "nothing_configured_accepts_nothing", Refusal::NoSecret),
        ("revenuecat", "both_configured_signature_absent", Refusal::HeaderMissing),
    ];
    for (provider, name, refusal) in reasons {
        assert_eq!(vector(provider, name).judge(), Err(refusal), "{provider}/{name}");
    }
}

#[test]
fn every_provider_has_accepting_and_refusing_vectors() {
    for provider in ["stripe", "dodo", "revenuecat", "purchasely"] {
        let verdicts: Vec<bool> = vectors()
            .into_iter()
            .filter(|vector| vector.provider == provider)
            .map(|vector| vector.accepted)
            .collect();
        assert!(verdicts.contains(&true) && verdicts.contains(&false), "{provider}");
    }
}

/// One signed request of each scheme that covers the body.
fn signed() -> impl Strategy<Value = Vector> {
    prop::sample::select(vec![
        vector("stripe", "plain"),
        vector("dodo", "plain"),
        vector("purchasely", "plain"),
        vector("revenuecat", "signature_alone"),
    ])
}

proptest! {
    #[test]
    fn a_body_with_any_bit_flipped_is_refused(
        vector in signed(), at: prop::sample::Index, bit in 0_u8..8,
    ) {
        let mut body = vector.body.clone().into_bytes();
        let at = at.index(body.len());
        body[at] ^= 1 << bit;
        prop_assert!(vector.judge_bytes(&header_map(&vector.headers), &body).is_err());
    }

    #[test]
    fn a_header_with_any_byte_exchanged_is_refused(
        vector in signed(), header: prop::sample::Index, at: prop::sample::Index, byte in 0x21_u8..0x7f,
    ) {
        let mut changed = vector.clone();
        let header = header.index(changed.headers.len());
        let mut value = changed.headers[header].1.clone().into_bytes();
        let at = at.index(value.len());
        prop_assume!(value[at] != byte);
        value[at] = byte;
        changed.headers[header].1 = String::from_utf8(value).unwrap();
        prop_assert!(changed.judge().is_err(), "{:?}", changed.headers);
    }

    #[test]
    fn a_body_that_is_longer_or_shorter_is_refused(
        vector in signed(), cut: prop::sample::Index, more in "[ \n}a]{1,3}",
    ) {
        let headers = header_map(&vector.headers);
        let body = vector.body.as_bytes();
        prop_assert!(vector.judge_bytes(&headers, &body[..cut.index(body.len())]).is_err());
        let longer = format!("{}{more}", vector.body);
        prop_assert!(vector.judge_bytes(&headers, longer.as_bytes()).is_err());
    }

    #[test]
    fn no_header_however_odd_is_believed_or_survived_with_a_panic(
        vector in signed(),
        values in prop::collection::vec(prop::collection::vec(0x20_u8..=0xff, 0..80), 3),
        body: Vec<u8>,
    ) {
        let mut headers = HeaderMap::new();
        for ((name, _), value) in vector.headers.iter().zip(values) {
            let name: HeaderName = name.to_ascii_lowercase().parse().unwrap();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(name, value);
            }
        }
        prop_assert!(vector.judge_bytes(&headers, &body).is_err());
    }

    #[test]
    fn near_misses_of_the_form_are_refused(
        vector in signed(), value in "(t=|v1=|v1,|,|=| |1790000000|[0-9a-f]{64}){0,8}",
    ) {
        let mut changed = vector.clone();
        for (_, header) in &mut changed.headers {
            header.clone_from(&value);
        }
        prop_assert!(changed.judge().is_err());
    }
}
