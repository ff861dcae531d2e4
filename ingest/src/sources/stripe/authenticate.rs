//! `Stripe-Signature: t=<seconds>,v1=<hex>`, keyed with the whole secret, `whsec_` included.
//!
//! Stricter than the official library in one point: it lets any time in the future pass, here the
//! tolerance holds both ways, because a signature that never grows old can be replayed for ever.

use hyper::HeaderMap;
use jiff::Timestamp;

use crate::sources::signature::{authenticate_timestamped, header};
use crate::sources::{Credentials, Refusal};

/// Whether Stripe signed these bytes for this source.
pub fn authenticate(
    headers: &HeaderMap,
    body: &[u8],
    credentials: &Credentials<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    authenticate_timestamped(header(headers, "stripe-signature")?, body, credentials, now)
}
