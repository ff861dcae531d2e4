//! Stripe → Customer.io, as Customer.io's tutorial sets it up: a new customer is found by e-mail address,
//! or created, and given the Stripe customer id; everything else Stripe tells reaches the person by that
//! id, under Stripe's own name for it.
//!
//! The id alone is left on the person (and the address, which is what finds people). What the tutorial
//! calls trigger data is here what the event says.

use schemas::{Environment, LifecycleEvent};

use super::values::{email, kept_attribute, name, text};
use super::{Content, Field, Integration, Rest, Row};
use crate::destinations::metadata::Fact;
use crate::destinations::{Recipient, Shown};

pub(super) const TO_CUSTOMERIO: Integration = Integration {
    rows: &[
        Row::new("customer.created", "customer.created")
            .saying(Content::Only(&[ID, OBJECT, CREATED, EMAIL, LIVEMODE, NAME, PHONE]))
            .leaving(Content::Only(&[]))
            .to(Recipient::ProvidersIdFoundByEmail),
        Row::new("customer.updated", "customer.updated")
            .saying(Content::Only(CUSTOMER))
            .leaving(Content::Only(&[EMAIL]))
            .to(Recipient::ProvidersId),
        Row::new("customer.deleted", "customer.deleted")
            .saying(Content::Only(CUSTOMER))
            .leaving(Content::Only(&[EMAIL]))
            .to(Recipient::ProvidersId),
    ],
    rest: Rest::OwnName {
        facts: Content::Ours,
        attributes: Content::Only(&[EMAIL]),
        recipient: Recipient::ProvidersId,
    },
};

const ID: Field = Field::new("id", "customer", id);
const OBJECT: Field = Field::new("object", "`customer`", object);
const CREATED: Field = Field::new("created", "when it was created, Unix seconds", created);
const EMAIL: Field = Field::new("email", "e-mail address", email);
const LIVEMODE: Field = Field::new("livemode", "`false` in a sandbox", livemode);
const NAME: Field = Field::new("name", "name", name);
const PHONE: Field = Field::new("phone", "telephone number", phone);
const CUSTOMER: &[Field] = &[ID, OBJECT, EMAIL, LIVEMODE, NAME, PHONE];

fn id(event: &LifecycleEvent) -> Shown {
    text(Some(&event.subscriber.id))
}

fn object(_event: &LifecycleEvent) -> Shown {
    text(Some("customer"))
}

/// A customer is announced in the second it is created.
fn created(event: &LifecycleEvent) -> Shown {
    Shown::Is(Fact::Number(event.occurred_at.seconds()))
}

fn livemode(event: &LifecycleEvent) -> Shown {
    match event.environment {
        Environment::Production => Shown::Is(Fact::Flag(true)),
        Environment::Sandbox => Shown::Is(Fact::Flag(false)),
        Environment::Unknown => Shown::Unsaid,
    }
}

fn phone(event: &LifecycleEvent) -> Shown {
    text(kept_attribute(event, "phone"))
}
