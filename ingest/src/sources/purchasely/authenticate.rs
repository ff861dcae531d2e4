//! `X-PURCHASELY-REQUEST-SIGNATURE`: hex over the timestamp and the body with nothing between.
//!
//! The older `X-PURCHASELY-SIGNATURE` is not read. It does not cover the body: whoever saw one pair
//! of headers could send anything with it until the timestamp grows old.

use hyper::HeaderMap;
use jiff::Timestamp;

use crate::sources::signature::{any_matches, header, hmac_sha256, within_window};
use crate::sources::{Credentials, Refusal};

/// Whether Purchasely signed these bytes for this source.
pub fn authenticate(
    headers: &HeaderMap,
    body: &[u8],
    credentials: &Credentials<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let signature = header(headers, "x-purchasely-request-signature")?;
    let seconds = header(headers, "x-purchasely-timestamp")?;
    within_window(seconds, now, credentials.tolerance)?;
    any_matches(credentials.secrets, &[signature], |secret| {
        hmac_sha256(secret.as_bytes(), &[seconds, body]).map(hex::encode)
    })
}
