//! What an event tells beside its name, in order of importance.
//!
//! Customer.io gets all of it. Intercom keeps ten keys, in the order in which they are sent, so the
//! order here is a decision: what moved and what it buys first, then the state it left, then the reason,
//! last what only a developer asks for.
//!
//! | key | meaning |
//! |---|---|
//! | `amount` | money moved by the event; negative when it went back |
//! | `product_id` | product of the subscription |
//! | `status` | status of the event's own subscription |
//! | `expires_at` | when access ends unless renewed |
//! | `plan_id` | plan or price |
//! | `reason` | why: the event's own reason, else why it was cancelled or ended |
//! | `period_type` | kind of the current period |
//! | `store` | where it is sold |
//! | `offer_id` `offer_kind` | the offer the event speaks of |
//! | `previous_product_id` `previous_status` | before the event |
//! | `grace_expires_at` `trial_ends_at` `auto_resume_at` | ends of grace, trial and pause |
//! | `auto_renew` `quantity` `entitlements` | of the subscription |
//! | `subscription_status` `total_spent` | of the person |
//! | `transferred_from` `transferred_to` | the two sides of a transfer |
//! | `subscription_id` `type` `sequence` `provider` `provider_event_type` `source` `environment` | where it comes from |

use schemas::vocabulary::{PeriodType, Store};
use schemas::{LifecycleEvent, Money, Status, Timestamp};

/// One value, still typed: each destination has its own way to write it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// Text.
    Text(String),
    /// A count.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A moment.
    Moment(Timestamp),
    /// An amount with its currency.
    Money(Money),
    /// A decimal number, exact.
    Decimal(String),
    /// Several texts.
    List(Vec<String>),
}

/// The keys, in the order in which they are told.
pub(super) const KEYS: [&str; 29] = [
    "amount",
    "product_id",
    "status",
    "expires_at",
    "plan_id",
    "reason",
    "period_type",
    "store",
    "offer_id",
    "offer_kind",
    "previous_product_id",
    "previous_status",
    "grace_expires_at",
    "trial_ends_at",
    "auto_resume_at",
    "auto_renew",
    "quantity",
    "entitlements",
    "subscription_status",
    "total_spent",
    "transferred_from",
    "transferred_to",
    "subscription_id",
    "type",
    "sequence",
    "provider",
    "provider_event_type",
    "source",
    "environment",
];

/// What `event` tells, the most important first. Nothing that is unknown is in it.
pub(super) fn metadata(event: &LifecycleEvent) -> Vec<(&'static str, Fact)> {
    all(event).into_iter().filter_map(|(key, fact)| fact.map(|fact| (key, fact))).collect()
}

fn all(event: &LifecycleEvent) -> [(&'static str, Option<Fact>); KEYS.len()] {
    let subscription = event.subscription.as_ref();
    let text =
        |value: Option<&String>| value.filter(|text| !text.is_empty()).map(|text| said(text));
    let of = |pick: fn(&schemas::event::Subscription) -> Option<&String>| {
        text(subscription.and_then(pick))
    };
    let word = |value: Option<&'static str>| value.map(|word| Fact::Text(word.to_owned()));
    let when = |pick: fn(&schemas::event::Subscription) -> Option<Timestamp>| {
        subscription.and_then(pick).map(Fact::Moment)
    };
    let reason = event
        .reason
        .as_ref()
        .or(subscription.and_then(|one| one.cancel_reason.as_ref()))
        .or(subscription.and_then(|one| one.expiration_reason.as_ref()));
    let person = &event.subscriber;
    let transfer = event.transfer.as_ref();
    let listed = |ids: Option<&Vec<String>>| {
        ids.filter(|ids| !ids.is_empty()).map(|ids| Fact::Text(ids.join(",")))
    };
    [
        ("amount", event.money.clone().filter(|money| money.amount != 0).map(Fact::Money)),
        ("product_id", of(|one| one.product_id.as_ref())),
        ("status", word(subscription.and_then(|one| one.status).map(Status::name))),
        ("expires_at", when(|one| one.expires_at)),
        ("plan_id", of(|one| one.plan_id.as_ref())),
        ("reason", text(reason)),
        ("period_type", word(subscription.and_then(|one| one.period_type).map(PeriodType::name))),
        ("store", word(subscription.and_then(|one| one.store).map(Store::name))),
        ("offer_id", text(event.offer.as_ref().and_then(|offer| offer.id.as_ref()))),
        ("offer_kind", word(event.offer.as_ref().map(|offer| offer.kind.name()))),
        ("previous_product_id", of(|one| one.previous_product_id.as_ref())),
        (
            "previous_status",
            word(subscription.and_then(|one| one.previous_status).map(Status::name)),
        ),
        ("grace_expires_at", when(|one| one.grace_expires_at)),
        ("trial_ends_at", when(|one| one.trial_ends_at)),
        ("auto_resume_at", when(|one| one.auto_resume_at)),
        ("auto_renew", subscription.and_then(|one| one.auto_renew).map(Fact::Flag)),
        ("quantity", subscription.and_then(|one| one.quantity).map(Fact::Number)),
        ("entitlements", listed(subscription.map(|one| &one.entitlements))),
        ("subscription_status", word(person.status.map(Status::name))),
        ("total_spent", person.total_spent.clone().map(Fact::Money)),
        ("transferred_from", listed(transfer.map(|transfer| &transfer.from))),
        ("transferred_to", listed(transfer.map(|transfer| &transfer.to))),
        ("subscription_id", of(|one| Some(&one.id))),
        ("type", word(Some(event.event_type.name()))),
        ("sequence", Some(Fact::Number(event.sequence))),
        ("provider", word(Some(event.provider.name()))),
        ("provider_event_type", text(Some(&event.provider_event_type))),
        ("source", text(Some(&event.source))),
        ("environment", word(Some(event.environment.name()))),
    ]
}

fn said(text: &str) -> Fact {
    Fact::Text(text.to_owned())
}

#[cfg(test)]
mod tests {
    use schemas::EventType;

    use super::*;
    use crate::destinations::samples::event;

    #[test]
    fn the_page_has_the_keys_in_their_order() {
        let page = include_str!("../../../docs/naming.md");
        let (_, from) = page.split_once("With an event goes").unwrap();
        let (table, _) = from.split_once("Customer.io gets an amount").unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
        let keys = rows.flat_map(|(keys, _)| keys.split(", ")).map(|key| key.trim_matches('`'));
        assert_eq!(keys.collect::<Vec<_>>(), KEYS);
    }

    #[test]
    fn the_keys_are_those_that_are_told() {
        let told = all(&event(EventType::SubscriptionRenewed)).map(|(key, _)| key);
        assert_eq!(told, KEYS);
    }
}
