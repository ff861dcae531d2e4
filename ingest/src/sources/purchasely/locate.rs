//! Purchasely names a user who logged in, or the device's anonymous id.

use hyper::HeaderMap;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::sources::field::{self, Field};
use crate::sources::{Located, Subscriber};

#[derive(Deserialize, Default)]
struct Webhook<'a> {
    #[serde(borrow, default)]
    event_id: Field<'a>,
    #[serde(borrow, default)]
    event_name: Field<'a>,
    #[serde(borrow, default)]
    event_created_at_ms: Field<'a>,
    #[serde(borrow, default)]
    user_id: Field<'a>,
    #[serde(borrow, default)]
    anonymous_user_id: Field<'a>,
    #[serde(borrow, default)]
    purchasely_subscription_id: Field<'a>,
    #[serde(borrow, default)]
    store_transaction_id: Field<'a>,
}

/// Finds the ids.
pub fn locate(_headers: &HeaderMap, body: &[u8]) -> Located {
    let event: Webhook<'_> = field::body(body);
    let user = field::text(event.user_id).or_else(|| field::text(event.anonymous_user_id));
    Located {
        event_id: field::text(event.event_id).or_else(|| derived_id(&event, user.as_deref())),
        event_type: field::text(event.event_name),
        subscriber: Subscriber::known_or_unknown(user),
    }
}

/// Older configurations send no `event_id`. Name, subscription or transaction, time of creation and
/// user are the same on every attempt and tell companions of one purchase apart.
fn derived_id(event: &Webhook<'_>, user: Option<&str>) -> Option<String> {
    let name = field::text(event.event_name)?;
    let created = field::text(event.event_created_at_ms)?;
    let about = field::text(event.purchasely_subscription_id)
        .or_else(|| field::text(event.store_transaction_id));
    let mut hash = Sha256::new();
    for part in [name.as_str(), about.as_deref().unwrap_or(""), &created, user.unwrap_or("")] {
        hash.update(part.as_bytes());
        // No id contains it, so that no two lists of parts run together into the same bytes.
        hash.update([0]);
    }
    Some(hex::encode(hash.finalize()))
}
