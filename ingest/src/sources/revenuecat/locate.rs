//! RevenueCat names the customer by the first id it ever had, or, in a transfer, two customers.

use hyper::HeaderMap;
use serde::Deserialize;

use crate::sources::field::{self, Field};
use crate::sources::{Located, Subscriber};

/// Prefix of the ids that the vendor's SDK makes up before somebody logs in.
const ANONYMOUS: &str = "$RCAnonymousID:";

#[derive(Deserialize, Default)]
struct Body<'a> {
    #[serde(borrow, default)]
    event: Field<'a>,
}

#[derive(Deserialize, Default)]
struct Happening<'a> {
    #[serde(borrow, default)]
    id: Field<'a>,
    #[serde(borrow, default, rename = "type")]
    event_type: Field<'a>,
    #[serde(borrow, default)]
    original_app_user_id: Field<'a>,
    #[serde(borrow, default)]
    app_user_id: Field<'a>,
    #[serde(borrow, default)]
    transferred_from: Field<'a>,
}

/// Finds the ids. A transfer belongs to the one who gives: to them the order of events matters.
pub fn locate(_headers: &HeaderMap, body: &[u8]) -> Located {
    let body: Body<'_> = field::body(body);
    let event: Happening<'_> = field::object(body.event);
    let event_type = field::text(event.event_type);
    let id = if event_type.as_deref() == Some("TRANSFER") {
        sender(field::texts(event.transferred_from))
    } else {
        field::text(event.original_app_user_id).or_else(|| field::text(event.app_user_id))
    };
    Located {
        subscriber: Subscriber::known_or_unknown(id),
        event_id: field::text(event.id),
        event_type,
    }
}

/// The first id that somebody chose, else the first.
fn sender(from: Vec<String>) -> Option<String> {
    let chosen = from.iter().position(|id| !id.starts_with(ANONYMOUS)).unwrap_or(0);
    from.into_iter().nth(chosen)
}
