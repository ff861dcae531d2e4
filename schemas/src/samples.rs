//! Values to test codecs and destinations with: every field set, and no field set.

use std::collections::BTreeMap;

use crate::event::{LifecycleEvent, Offer, Payment, Subscriber, Subscription, Transfer};
use crate::money::Money;
use crate::time::Timestamp;
use crate::vocabulary::{Environment, EventType, OfferKind, PeriodType, Provider, Status, Store};

/// A renewal with every field set.
pub fn full_event() -> LifecycleEvent {
    let moment = |offset: i64| Some(Timestamp::from_millis(1_780_000_000_000 + offset));
    LifecycleEvent {
        event_id: "0123456789abcdef0123456789abcdef".to_owned(),
        ordinal: 1,
        event_type: EventType::SubscriptionRenewed,
        occurred_at: Timestamp::from_millis(1_780_000_000_123),
        received_at: Timestamp::from_millis(1_780_000_001_000),
        sequence: 7,
        epoch: Timestamp::from_millis(1_750_000_000_000),
        late: false,
        source: "stripe-main".to_owned(),
        provider: Provider::Stripe,
        provider_event_id: "evt_7".to_owned(),
        provider_event_type: "invoice.paid".to_owned(),
        environment: Environment::Production,
        distinct_second: 1_780_000_000,
        subscriber: Subscriber {
            key: "stripe-main/cus_1".to_owned(),
            id: "cus_1".to_owned(),
            user_id: Some("u_42".to_owned()),
            anonymous: false,
            email: Some("ada@example.com".to_owned()),
            aliases: vec!["old_1".to_owned()],
            status: Some(Status::Active),
            total_spent: Some(Money::minor(4998, "usd")),
            attributes: BTreeMap::from([("name".to_owned(), "Ada".to_owned())]),
        },
        subscription: Some(Subscription {
            id: "sub_1".to_owned(),
            product_id: Some("prod_pro".to_owned()),
            plan_id: Some("price_pro_month".to_owned()),
            price: Some(Money::minor(2499, "usd")),
            billing_period: Some("P1M".to_owned()),
            quantity: Some(1),
            entitlements: vec!["pro".to_owned()],
            store: Some(Store::Stripe),
            period_type: Some(PeriodType::Normal),
            status: Some(Status::Active),
            previous_status: Some(Status::GracePeriod),
            previous_product_id: Some("prod_basic".to_owned()),
            started_at: moment(-5_000_000_000),
            period_start: moment(0),
            period_end: moment(2_592_000_000),
            expires_at: moment(2_592_000_000),
            grace_expires_at: moment(86_400_000),
            auto_resume_at: moment(172_800_000),
            trial_ends_at: moment(-1_000_000),
            auto_renew: Some(true),
            cancel_reason: Some("too_expensive".to_owned()),
            expiration_reason: Some("billing_error".to_owned()),
        }),
        money: Some(Money::minor(2499, "usd")),
        payment: Some(Payment { id: Some("in_1".to_owned()), method: Some("card".to_owned()) }),
        offer: Some(Offer { kind: OfferKind::PromoCode, id: Some("SPRING".to_owned()) }),
        transfer: Some(Transfer { from: vec!["a".to_owned()], to: vec!["b".to_owned()] }),
        reason: Some("cycle".to_owned()),
        payload: Some(b"{}".to_vec()),
    }
}

/// An event with nothing but what is mandatory.
pub fn bare_event() -> LifecycleEvent {
    let full = full_event();
    LifecycleEvent {
        subscriber: Subscriber {
            user_id: None,
            email: None,
            aliases: Vec::new(),
            status: None,
            total_spent: None,
            attributes: BTreeMap::new(),
            ..full.subscriber
        },
        subscription: None,
        money: None,
        payment: None,
        offer: None,
        transfer: None,
        reason: None,
        payload: None,
        ..full
    }
}
