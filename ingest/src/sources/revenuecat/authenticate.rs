//! Whatever is configured must hold: the `Authorization` value, the signature, or both.
//!
//! With neither nothing is accepted. A well-known mistake compares an absent header with an unset
//! value and finds them equal.

use hyper::HeaderMap;
use jiff::Timestamp;

use crate::sources::signature::{any_equals, authenticate_timestamped, header};
use crate::sources::{Credentials, Refusal};

/// Whether RevenueCat sent these bytes to this source.
pub fn authenticate(
    headers: &HeaderMap,
    body: &[u8],
    credentials: &Credentials<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    if credentials.authorization.is_empty() && credentials.secrets.is_empty() {
        return Err(Refusal::NoSecret);
    }
    if !credentials.authorization.is_empty() {
        any_equals(credentials.authorization, header(headers, "authorization")?)?;
    }
    if !credentials.secrets.is_empty() {
        let value = header(headers, "x-revenuecat-webhook-signature")?;
        authenticate_timestamped(value, body, credentials, now)?;
    }
    Ok(())
}
