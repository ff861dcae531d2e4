//! What the signature schemes have in common: reading headers, the replay window, HMAC-SHA256 and a
//! comparison that takes as long for a near miss as for a wild guess.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::{Credentials, Refusal};

/// The one value of a header. Twice is refused: which of two values is meant is the sender's secret,
/// and a proxy in front may have believed the other.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h [u8], Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Ok(value.as_bytes()),
        _ => Err(Refusal::HeaderMissing),
    }
}

/// Refuses a time (decimal unix seconds, nothing else) that lies further than `tolerance` from
/// `now`, before or after. Exactly `tolerance` is still inside.
pub(super) fn within_window(
    seconds: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), Refusal> {
    if seconds.is_empty() || !seconds.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::HeaderMalformed);
    }
    let signed_at: i64 = std::str::from_utf8(seconds)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or(Refusal::HeaderMalformed)?;
    let distance = (i128::from(signed_at) * 1000 - i128::from(now.as_millisecond())).unsigned_abs();
    if distance <= tolerance.as_millis() { Ok(()) } else { Err(Refusal::OutsideWindow) }
}

/// HMAC-SHA256 over the parts, one after the other.
pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], Refusal> {
    // An empty key would let anybody sign.
    if key.is_empty() {
        return Err(Refusal::NoSecret);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Refusal::NoSecret)?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().into())
}

/// Whether one of `candidates` is what one of `secrets` signs the message to, where `sign` is the
/// scheme: from a secret to the text that stands in the header. Every pair is compared, so that the
/// time says neither which secret nor how far it fitted.
pub(super) fn any_matches(
    secrets: &[SecretString],
    candidates: &[&[u8]],
    sign: impl Fn(&str) -> Result<String, Refusal>,
) -> Result<(), Refusal> {
    let mut usable = 0_usize;
    let mut found = Choice::from(0);
    for secret in secrets {
        let Ok(expected) = sign(secret.expose_secret()) else { continue };
        usable += 1;
        for candidate in candidates {
            found |= expected.as_bytes().ct_eq(candidate);
        }
    }
    match (usable, bool::from(found)) {
        (0, _) => Err(Refusal::NoSecret),
        (_, true) => Ok(()),
        (_, false) => Err(Refusal::Mismatch),
    }
}

/// Whether `given` is one of `accepted`, verbatim. Digests are compared, so that not even the length
/// of the value shows.
pub(super) fn any_equals(accepted: &[SecretString], given: &[u8]) -> Result<(), Refusal> {
    let given = Sha256::digest(given);
    let mut found = Choice::from(0);
    for value in accepted.iter().filter(|value| !value.expose_secret().is_empty()) {
        found |= Sha256::digest(value.expose_secret()).ct_eq(&given);
    }
    if bool::from(found) { Ok(()) } else { Err(Refusal::Mismatch) }
}

/// The scheme of Stripe and RevenueCat: `t=<seconds>,v1=<hex>[,v1=<hex>…]` over `t.body`, the secret
/// as it is written. The first `t` counts, every `v1` is tried, other versions are ignored (they are
/// weaker), and a space after a comma is not part of the form.
pub(super) fn authenticate_timestamped(
    value: &[u8],
    body: &[u8],
    credentials: &Credentials<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let elements = || value.split(|byte| *byte == b',');
    let seconds = elements()
        .find_map(|element| element.strip_prefix(b"t="))
        .ok_or(Refusal::HeaderMalformed)?;
    let candidates: Vec<&[u8]> =
        elements().filter_map(|element| element.strip_prefix(b"v1=")).collect();
    if candidates.is_empty() {
        return Err(Refusal::HeaderMalformed);
    }
    within_window(seconds, now, credentials.tolerance)?;
    any_matches(credentials.secrets, &candidates, |secret| {
        hmac_sha256(secret.as_bytes(), &[seconds, b".", body]).map(hex::encode)
    })
}
