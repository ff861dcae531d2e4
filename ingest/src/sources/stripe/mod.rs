//! Stripe: `Stripe-Signature`, snapshot events with the object in `data.object`.
//!
//! Facts from the official Python library 16.1.0 (`_webhook.py`, `_event.py`), read 2026-11-21.

mod authenticate;
mod locate;

pub use authenticate::authenticate;
pub use locate::locate;

use super::Adapter;

pub(crate) const ADAPTER: Adapter = Adapter { authenticate, locate };
