//! Events for tests.

use schemas::event::{Offer, Subscriber, Subscription, Transfer};
use schemas::vocabulary::{OfferKind, PeriodType, Store};
use schemas::{Environment, EventType, LifecycleEvent, Money, Provider, Status, Timestamp};

/// 2026-05-28T20:26:40Z.
pub(crate) const NOON: i64 = 1_780_000_000;

fn at(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_seconds(seconds)
}

/// An event of a monthly subscription, as `transform` would emit it.
pub(crate) fn event(event_type: EventType) -> LifecycleEvent {
    LifecycleEvent {
        event_id: format!("0f3a-{}", event_type.name()),
        ordinal: 0,
        event_type,
        occurred_at: at(NOON).unwrap().plus_millis(123),
        received_at: at(NOON + 2).unwrap(),
        sequence: 7,
        late: false,
        source: "stripe-main".into(),
        provider: Provider::Stripe,
        provider_event_id: "evt_1".into(),
        provider_event_type: "customer.subscription.updated".into(),
        environment: Environment::Production,
        distinct_second: NOON + 1,
        subscriber: Subscriber {
            key: "stripe-main/cus_9".into(),
            id: "cus_9".into(),
            user_id: Some("u_42".into()),
            anonymous: false,
            email: Some("ada@example.com".into()),
            aliases: Vec::new(),
            status: Some(Status::Active),
            total_spent: Some(Money::minor(2_998, "USD")),
            attributes: [("name".to_owned(), "Ada Lovelace".to_owned())].into(),
        },
        subscription: Some(Subscription {
            id: "sub_1".into(),
            product_id: Some("prod_pro".into()),
            plan_id: Some("price_pro_monthly".into()),
            price: Some(Money::minor(1_499, "USD")),
            quantity: Some(1),
            entitlements: vec!["pro".into(), "export".into()],
            store: Some(Store::Stripe),
            period_type: Some(PeriodType::Normal),
            status: Some(Status::Active),
            previous_status: Some(Status::Trial),
            started_at: at(NOON - 2_592_000),
            period_start: at(NOON),
            period_end: at(NOON + 2_592_000),
            expires_at: at(NOON + 2_592_000),
            auto_renew: Some(true),
            ..Subscription::default()
        }),
        money: None,
        offer: None,
        transfer: None,
        reason: None,
        payload: None,
    }
}

/// A dozen events that differ in what they carry.
pub(crate) fn dozen() -> Vec<LifecycleEvent> {
    let mut trial = event(EventType::TrialStarted);
    trial.offer = Some(Offer { kind: OfferKind::FreeTrial, id: None });
    if let Some(subscription) = &mut trial.subscription {
        subscription.trial_ends_at = at(NOON + 604_800);
        subscription.status = Some(Status::Trial);
        subscription.period_type = Some(PeriodType::Trial);
    }
    let mut paid = event(EventType::TransactionProcessed);
    paid.money = Some(Money::minor(1_499, "USD"));
    let mut refunded = event(EventType::PaymentRefunded);
    refunded.money = Some(Money::minor(-1_499, "USD"));
    refunded.reason = Some("requested_by_customer".into());
    let mut yen = event(EventType::PurchaseCompleted);
    yen.money = Some(Money::minor(1_200, "JPY"));
    yen.subscription = None;
    let mut cancelled = event(EventType::RenewalDisabled);
    if let Some(subscription) = &mut cancelled.subscription {
        subscription.status = Some(Status::Cancelled);
        subscription.cancel_reason = Some("too_expensive".into());
        subscription.auto_renew = Some(false);
    }
    let mut grace = event(EventType::GracePeriodStarted);
    if let Some(subscription) = &mut grace.subscription {
        subscription.grace_expires_at = at(NOON + 259_200);
        subscription.status = Some(Status::GracePeriod);
    }
    let mut expired = event(EventType::SubscriptionExpired);
    expired.subscriber.status = Some(Status::Expired);
    if let Some(subscription) = &mut expired.subscription {
        subscription.status = Some(Status::Expired);
        subscription.expiration_reason = Some("billing_error".into());
    }
    let mut upgraded = event(EventType::SubscriptionUpgraded);
    if let Some(subscription) = &mut upgraded.subscription {
        subscription.previous_product_id = Some("prod_basic".into());
    }
    let mut received = event(EventType::SubscriptionReceived);
    received.transfer =
        Some(Transfer { from: vec!["u_7".into()], to: vec!["u_42".into(), "u_43".into()] });
    let mut merged = event(EventType::CustomerMerged);
    merged.transfer = Some(Transfer {
        from: vec!["$RCAnonymousID:1".into(), "u_7".into()],
        to: vec!["u_42".into()],
    });
    merged.subscription = None;
    let mut deleted = event(EventType::CustomerDeleted);
    deleted.subscription = None;
    deleted.subscriber.user_id = None;
    let mut dinar = event(EventType::SubscriptionRenewed);
    dinar.money = Some(Money::minor(4_500, "KWD"));
    vec![
        trial, paid, refunded, yen, cancelled, grace, expired, upgraded, received, merged, deleted,
        dinar,
    ]
}
