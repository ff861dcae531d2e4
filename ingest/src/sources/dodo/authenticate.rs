//! Standard Webhooks: `v1,<base64>` over `id.timestamp.body`, keyed with the decoded secret.
//!
//! The aliases `svix-*` are not read: the specification knows only `webhook-*`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use jiff::Timestamp;

use super::ID_HEADER;
use crate::sources::signature::{any_matches, header, hmac_sha256, within_window};
use crate::sources::{Credentials, Refusal};

/// Whether Dodo signed these bytes for this source.
pub fn authenticate(
    headers: &HeaderMap,
    body: &[u8],
    credentials: &Credentials<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let id = header(headers, ID_HEADER)?;
    let seconds = header(headers, "webhook-timestamp")?;
    let signatures = header(headers, "webhook-signature")?;
    within_window(seconds, now, credentials.tolerance)?;
    let candidates: Vec<&[u8]> = signatures
        .split(|byte| *byte == b' ')
        .filter_map(|signature| signature.strip_prefix(b"v1,"))
        .collect();
    if candidates.is_empty() {
        return Err(Refusal::HeaderMalformed);
    }
    any_matches(credentials.secrets, &candidates, |secret| {
        let key = key(secret).ok_or(Refusal::NoSecret)?;
        hmac_sha256(&key, &[id, b".", seconds, b".", body]).map(|digest| STANDARD.encode(digest))
    })
}

/// Whether a configured secret can be one: base64, after an optional `whsec_`.
pub fn is_secret(secret: &str) -> bool {
    key(secret).is_some_and(|key| !key.is_empty())
}

fn key(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()
}
