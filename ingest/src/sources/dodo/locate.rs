//! Dodo names the customer in `data.customer`, or only by id where there is no money in it.

use hyper::HeaderMap;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::ID_HEADER;
use crate::sources::field::{self, Field, LONGEST};
use crate::sources::{Located, Subscriber};

#[derive(Deserialize, Default)]
struct Webhook<'a> {
    #[serde(borrow, default, rename = "type")]
    event_type: Field<'a>,
    #[serde(borrow, default)]
    data: Field<'a>,
}

#[derive(Deserialize, Default)]
struct Data<'a> {
    #[serde(borrow, default)]
    customer: Field<'a>,
    #[serde(borrow, default)]
    customer_id: Field<'a>,
}

#[derive(Deserialize, Default)]
struct Customer<'a> {
    #[serde(borrow, default)]
    customer_id: Field<'a>,
}

/// Finds the ids. The event's is the header's: the body is rendered anew for every attempt, so no
/// hash of it stays the same.
pub fn locate(headers: &HeaderMap, body: &[u8]) -> Located {
    let event: Webhook<'_> = field::body(body);
    let data: Data<'_> = field::object(event.data);
    let customer: Customer<'_> = field::object(data.customer);
    Located {
        subscriber: Subscriber::known_or_unknown(
            field::text(customer.customer_id).or_else(|| field::text(data.customer_id)),
        ),
        event_id: headers.get(ID_HEADER).map(|value| event_id(value.as_bytes())),
        event_type: field::text(event.event_type),
    }
}

/// The header's value, or its hash where it is too long or not text.
fn event_id(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(id) if id.len() <= LONGEST => id.to_owned(),
        Ok(_) | Err(_) => hex::encode(Sha256::digest(value)),
    }
}
