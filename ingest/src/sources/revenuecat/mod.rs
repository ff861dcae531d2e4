//! RevenueCat: a static `Authorization` value, a newer HMAC header, the event in `event`.
//!
//! Facts from the vendor's documentation repository (2026-02-20); the HMAC header from code bases
//! that use it (July to September 2026), read 2026-11-21.

mod authenticate;
mod locate;

pub use authenticate::authenticate;
pub use locate::locate;

use super::Adapter;

pub(super) const ADAPTER: Adapter = Adapter { authenticate, locate };
