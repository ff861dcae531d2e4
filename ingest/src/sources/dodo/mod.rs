//! Dodo Payments: Standard Webhooks headers, the customer in `data`, no event id in the body.
//!
//! Facts from the npm package `dodopayments` 2.52.0 and the Standard Webhooks libraries
//! (PyPI 1.1.0, npm 1.1.1), read 2026-11-21.

mod authenticate;
mod locate;

pub use authenticate::{authenticate, is_secret};
pub use locate::locate;

use super::Adapter;

pub(super) const ADAPTER: Adapter = Adapter { authenticate, locate };

/// The id of the delivery: the only one there is, and part of what is signed.
const ID_HEADER: &str = "webhook-id";
