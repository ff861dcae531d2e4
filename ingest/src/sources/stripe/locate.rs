//! A Stripe event names its customer in `data.object`, if at all.

use hyper::HeaderMap;
use serde::Deserialize;

use crate::sources::field::{self, Field};
use crate::sources::{Located, Subscriber};

#[derive(Deserialize, Default)]
struct Webhook<'a> {
    #[serde(borrow, default)]
    id: Field<'a>,
    #[serde(borrow, default, rename = "type")]
    event_type: Field<'a>,
    #[serde(borrow, default)]
    data: Field<'a>,
}

#[derive(Deserialize, Default)]
struct Data<'a> {
    #[serde(borrow, default)]
    object: Field<'a>,
}

#[derive(Deserialize, Default)]
struct Resource<'a> {
    #[serde(borrow, default)]
    id: Field<'a>,
    #[serde(borrow, default)]
    object: Field<'a>,
    #[serde(borrow, default)]
    customer: Field<'a>,
    #[serde(borrow, default)]
    customer_account: Field<'a>,
    #[serde(borrow, default)]
    charge: Field<'a>,
    #[serde(borrow, default)]
    payment_intent: Field<'a>,
    #[serde(borrow, default)]
    invoice: Field<'a>,
}

/// Finds the ids. A thin event has no `data.object` and so no subscriber.
pub fn locate(_headers: &HeaderMap, body: &[u8]) -> Located {
    let event: Webhook<'_> = field::body(body);
    let data: Data<'_> = field::object(event.data);
    Located {
        subscriber: subscriber(&field::object(data.object)),
        event_id: field::text(event.id),
        event_type: field::text(event.event_type),
    }
}

fn subscriber(object: &Resource<'_>) -> Subscriber {
    let kind = field::text(object.object);
    let own = |kind_wanted: &str| {
        if kind.as_deref() == Some(kind_wanted) { field::text(object.id) } else { None }
    };
    let person = own("customer")
        .or_else(|| field::reference(object.customer))
        .or_else(|| field::reference(object.customer_account));
    if let Some(id) = person {
        return Subscriber::Known(id);
    }
    // Disputes and refunds name no customer, but the charge they belong to; the nearest thing first.
    let things = [
        ("charge", object.charge),
        ("payment_intent", object.payment_intent),
        ("invoice", object.invoice),
    ];
    let itself = things.iter().find_map(|(kind, _)| own(kind).map(|id| (*kind, id)));
    let named =
        || things.iter().find_map(|(kind, field)| field::reference(*field).map(|id| (*kind, id)));
    itself.or_else(named).map_or(Subscriber::Unknown, |(kind, id)| Subscriber::Linked { kind, id })
}
