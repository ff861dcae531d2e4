//! Dodo Payments → Customer.io, as the transformations that Dodo's documentation gives to copy.
//!
//! Those post an action of their own invention to `/api/v2/entity`, which Customer.io refuses; here the
//! invented action is the name of an event, and what it calls an identify is one. They divide every
//! amount by 100, also yen and dinars, and call the latest payment `total_spent`; here an amount has the
//! digits of its currency and the total is one. The same for `customer_since`, which they set anew with
//! every payment: it is told with the first.

use schemas::event::Payment;
use schemas::{EventType, LifecycleEvent};

use super::values::{email, major, name, of_payment, of_subscription, product, rfc3339, text};
use super::{Content, Field, Integration, Rest, Row};
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
                Field::new("payment_id", "payment", payment_id),
                Field::new("currency", "currency of the payment", currency),
            ]))
            .leaving(Content::Only(&[
                EMAIL,
                NAME,
                Field::new("total_spent", "all money moved so far, as text", total_spent),
                PAYMENT_METHOD,
                Field::new("last_payment_date", "time of the payment, RFC 3339", occurred_at)
                    .at_event(),
                Field::new("customer_since", "time of the first payment, RFC 3339", first_paid)
                    .at_event(),
            ])),
        Row::new("subscription.active", "subscription_started")
            .saying(Content::Only(&[
                EMAIL,
                SUBSCRIPTION_ID,
                Field::new("product_id", "product", product),
                Field::new("amount", "price per period in major units, as text", price),
                Field::new("frequency", "unit of the period", frequency),
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
const PAYMENT_METHOD: Field =
    Field::new("payment_method", "what was paid with; `unknown` where Dodo does not say", method);
const SUBSCRIPTION_ID: Field = Field::new("subscription_id", "subscription", subscription_id);

fn paid(event: &LifecycleEvent) -> Shown {
    major(event.money.as_ref())
}

fn currency(event: &LifecycleEvent) -> Shown {
    text(event.money.as_ref().map(|money| money.currency.as_str()))
}

fn method(event: &LifecycleEvent) -> Shown {
    let method = |payment: &'_ Payment| payment.method.clone().unwrap_or("unknown".to_owned());
    text(event.payment.as_ref().map(method).as_deref())
}

fn payment_id(event: &LifecycleEvent) -> Shown {
    text(of_payment(event, |payment| payment.id.as_deref()))
}

/// Dodo's word for the unit of a period, of which it may take several.
fn frequency(event: &LifecycleEvent) -> Shown {
    let period = of_subscription(event, |subscription| subscription.billing_period.as_deref());
    text(period.and_then(|period| match period.chars().next_back()? {
        'D' => Some("Day"),
        'W' => Some("Week"),
        'M' => Some("Month"),
        'Y' => Some("Year"),
        _ => None,
    }))
}

fn total_spent(event: &LifecycleEvent) -> Shown {
    major(event.subscriber.total_spent.as_ref())
}

fn occurred_at(event: &LifecycleEvent) -> Shown {
    rfc3339(Some(event.occurred_at))
}

/// The first payment is the one that makes up the whole of what was spent.
fn first_paid(event: &LifecycleEvent) -> Shown {
    let first = event.money.is_some() && event.money == event.subscriber.total_spent;
    rfc3339(first.then_some(event.occurred_at))
}

fn subscription_id(event: &LifecycleEvent) -> Shown {
    text(of_subscription(event, |subscription| Some(subscription.id.as_str())))
}

fn price(event: &LifecycleEvent) -> Shown {
    major(of_subscription(event, |subscription| subscription.price.as_ref()))
}

fn next_billing(event: &LifecycleEvent) -> Shown {
    rfc3339(of_subscription(event, |subscription| subscription.period_end))
}

fn runs_out(event: &LifecycleEvent) -> Shown {
    Shown::Is(Fact::Flag(event.event_type == EventType::RenewalDisabled))
}
