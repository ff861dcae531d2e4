//! Purchasely: a hex signature over timestamp and body, a flat body.
//!
//! Facts from the vendor's documentation repository (security and attribute pages), read 2026-11-21.

mod authenticate;
mod locate;

pub use authenticate::authenticate;
pub use locate::locate;

use super::Adapter;

pub(super) const ADAPTER: Adapter = Adapter { authenticate, locate };
