//! Values that more than one integration shows, each in the form its table asks for.

use schemas::event::{Payment, Subscription};
use schemas::{Environment, LifecycleEvent, Money, Timestamp};

use crate::destinations::Shown;
use crate::destinations::metadata::Fact;

/// Text; nothing is said where there is none.
pub(super) fn text(value: Option<&str>) -> Shown {
    let value = value.filter(|text| !text.is_empty());
    value.map_or(Shown::Unsaid, |text| Shown::Is(Fact::Text(text.to_owned())))
}

/// The same, but where there is none, that is said.
pub(super) fn text_or_null(value: Option<&str>) -> Shown {
    value.map_or(Shown::Cleared, |text| Shown::Is(Fact::Text(text.to_owned())))
}

/// An amount as decimal text in major units: `9.99`, `1200`, `4.500`.
pub(super) fn major(money: Option<&Money>) -> Shown {
    money.map_or(Shown::Unsaid, |money| Shown::Is(Fact::Text(money.major())))
}

/// RFC 3339 in UTC with milliseconds.
pub(super) fn rfc3339(moment: Option<Timestamp>) -> Shown {
    moment.map_or(Shown::Unsaid, |moment| Shown::Is(Fact::Text(moment.to_string())))
}

/// RFC 3339 in UTC with whole seconds; where there is no moment, that is said.
pub(super) fn whole_rfc3339(moment: Option<Timestamp>) -> Shown {
    let whole = moment.and_then(|moment| Timestamp::from_seconds(moment.seconds()));
    whole.map_or(Shown::Cleared, |moment| {
        Shown::Is(Fact::Text(moment.to_string().replace(".000Z", "Z")))
    })
}

/// Unix seconds as a plain number; where there is no moment, that is said.
pub(super) fn seconds(moment: Option<Timestamp>) -> Shown {
    moment.map_or(Shown::Cleared, |moment| Shown::Is(Fact::Number(moment.seconds())))
}

/// Something of the subscription, if the event speaks of one.
pub(super) fn of_subscription<'a, T>(
    event: &'a LifecycleEvent,
    pick: impl FnOnce(&'a Subscription) -> Option<T>,
) -> Option<T> {
    event.subscription.as_ref().and_then(pick)
}

/// Something of the payment, if the event speaks of one.
pub(super) fn of_payment<'a, T>(
    event: &'a LifecycleEvent,
    pick: impl FnOnce(&'a Payment) -> Option<T>,
) -> Option<T> {
    event.payment.as_ref().and_then(pick)
}

/// An attribute that the provider keeps about the person.
pub(super) fn kept_attribute<'a>(event: &'a LifecycleEvent, name: &str) -> Option<&'a str> {
    event.subscriber.attributes.get(name).map(String::as_str)
}

/// The e-mail address.
pub(super) fn email(event: &LifecycleEvent) -> Shown {
    text(event.subscriber.email.as_deref())
}

/// The person's name.
pub(super) fn name(event: &LifecycleEvent) -> Shown {
    text(kept_attribute(event, "name"))
}

/// The product.
pub(super) fn product(event: &LifecycleEvent) -> Shown {
    text(of_subscription(event, |subscription| subscription.product_id.as_deref()))
}

/// `production` or `sandbox`.
pub(super) fn environment(event: &LifecycleEvent) -> Shown {
    match event.environment {
        Environment::Production | Environment::Sandbox => text(Some(event.environment.name())),
        Environment::Unknown => Shown::Unsaid,
    }
}
