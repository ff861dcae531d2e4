//! Dodo Payments → Customer.io, as the transformations that Dodo's documentation gives to copy.
//!
//! Those post an action of their own invention to `/api/v2/entity`, which Customer.io refuses; here the
//! invented action is the name of an event, and what it calls an identify is one. They divide every
//! amount by 100, also yen and dinars, and call the latest payment `total_spent`; here an amount has the
//! digits of its currency and the total is one. The same for `customer_since`, which they set anew with
//! every payment: it is told with the first.

use schemas::EventType;

use super::values::{body_text, email, major, name, of_subscription, product, rfc3339, text};
use super::{Content, Field, Integration, Occasion, Rest, Row};
use crate::destinations::Shown;
use crate::destinations::metadata::Fact;

pub(super) const TO_CUSTOMERIO: Integration = Integration {
    rows: &[
        Row::new("payment.succeeded", "payment_completed")
            .saying(Content::Only(&[
                EMAIL,
                NAME,
                Field::new("payment_amount", "amount in major units, as text", paid),
                PAYMENT_METHOD,
                Field::new("payment_id", "payment ¹", payment_id),
                Field::new("currency", "currency of the payment", currency),
            ]))
            .leaving(Content::Only(&[
                EMAIL,
                NAME,
                Field::new("total_spent", "all money moved so far, as text", total_spent),
                PAYMENT_METHOD,
                Field::new("last_payment_date", "time of the payment, RFC 3339", occurred_at),
                Field::new("customer_since", "time of the first payment, RFC 3339", first_paid),
            ])),
        Row::new("subscription.active", "subscription_started")
            .saying(Content::Only(&[
                EMAIL,
                SUBSCRIPTION_ID,
                Field::new("product_id", "product", product),
                Field::new("amount", "price per period in major units, as text", price),
                Field::new("frequency", "unit of the period ¹", frequency),
                Field::new("next_billing", "end of the period, RFC 3339", next_billing),
            ]))
            .leaving(Content::Only(&[EMAIL])),
        Row::new("subscription.cancelled", "subscription_cancelled")
            .saying(Content::Only(&[
                EMAIL,
                SUBSCRIPTION_ID,
                Field::new("cancelled_at", "time of the cancellation, RFC 3339", occurred_at),
                Field::new("cancel_at_next_billing", "whether the period runs out first", runs_out),
            ]))
            .leaving(Content::Only(&[EMAIL])),
    ],
    rest: Rest::NotSent,
};

const EMAIL: Field = Field::new("email", "e-mail address", email);
const NAME: Field = Field::new("name", "name", name);
const PAYMENT_METHOD: Field = Field::new("payment_method", "kind of payment method ¹", method);
const SUBSCRIPTION_ID: Field = Field::new("subscription_id", "subscription", subscription_id);

fn paid(occasion: &Occasion<'_>) -> Shown {
    major(occasion.event.money.as_ref())
}

fn currency(occasion: &Occasion<'_>) -> Shown {
    text(occasion.event.money.as_ref().map(|money| money.currency.as_str()))
}

fn method(occasion: &Occasion<'_>) -> Shown {
    body_text(occasion, "/data/payment_method")
}

fn payment_id(occasion: &Occasion<'_>) -> Shown {
    body_text(occasion, "/data/payment_id")
}

fn frequency(occasion: &Occasion<'_>) -> Shown {
    body_text(occasion, "/data/payment_frequency_interval")
}

fn total_spent(occasion: &Occasion<'_>) -> Shown {
    major(occasion.event.subscriber.total_spent.as_ref())
}

fn occurred_at(occasion: &Occasion<'_>) -> Shown {
    rfc3339(Some(occasion.event.occurred_at))
}

/// The first payment is the one that makes up the whole of what was spent.
fn first_paid(occasion: &Occasion<'_>) -> Shown {
    let event = occasion.event;
    let first = event.money.is_some() && event.money == event.subscriber.total_spent;
    rfc3339(first.then_some(event.occurred_at))
}

fn subscription_id(occasion: &Occasion<'_>) -> Shown {
    text(of_subscription(occasion, |subscription| Some(subscription.id.as_str())))
}

fn price(occasion: &Occasion<'_>) -> Shown {
    major(of_subscription(occasion, |subscription| subscription.price.as_ref()))
}

fn next_billing(occasion: &Occasion<'_>) -> Shown {
    rfc3339(of_subscription(occasion, |subscription| subscription.period_end))
}

fn runs_out(occasion: &Occasion<'_>) -> Shown {
    Shown::Is(Fact::Flag(occasion.event.event_type == EventType::RenewalDisabled))
}
