//! Events for tests.

use schemas::event::{Offer, Payment, Subscriber, Subscription, Transfer};
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
        epoch: Timestamp::from_millis(1_750_000_000_000),
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
            billing_period: Some("P1M".into()),
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
        payment: Some(Payment { id: Some("pay_1".into()), method: Some("card".into()) }),
        offer: None,
        transfer: None,
        reason: None,
        payload: None,
    }
}

/// Which of a provider's events may cause each type, the first that comes to mind.
const ORIGINS: [(EventType, Provider, &str); 67] = [
    (EventType::SubscriptionStarted, Provider::Dodo, "subscription.active"),
    (EventType::SubscriptionRenewed, Provider::Revenuecat, "RENEWAL"),
    (EventType::SubscriptionReactivated, Provider::Purchasely, "SUBSCRIPTION_REACTIVATED"),
    (EventType::SubscriptionDeferred, Provider::Purchasely, "SUBSCRIPTION_DEFERRED"),
    (EventType::SubscriptionExpired, Provider::Revenuecat, "EXPIRATION"),
    (EventType::SubscriptionStartFailed, Provider::Stripe, "customer.subscription.updated"),
    (EventType::TrialStarted, Provider::Revenuecat, "INITIAL_PURCHASE"),
    (EventType::TrialConverted, Provider::Revenuecat, "RENEWAL"),
    (EventType::TrialNotConverted, Provider::Purchasely, "TRIAL_NOT_CONVERTED"),
    (EventType::IntroOfferStarted, Provider::Purchasely, "INTRO_OFFER_STARTED"),
    (EventType::IntroOfferConverted, Provider::Revenuecat, "RENEWAL"),
    (EventType::IntroOfferNotConverted, Provider::Purchasely, "INTRO_OFFER_NOT_CONVERTED"),
    (EventType::PromoCodeStarted, Provider::Purchasely, "PROMO_CODE_STARTED"),
    (EventType::PromoCodeConverted, Provider::Purchasely, "PROMO_CODE_CONVERTED"),
    (EventType::PromoCodeNotConverted, Provider::Purchasely, "PROMO_CODE_NOT_CONVERTED"),
    (EventType::PromotionalOfferStarted, Provider::Purchasely, "PROMOTIONAL_OFFER_STARTED"),
    (EventType::PromotionalOfferConverted, Provider::Purchasely, "PROMOTIONAL_OFFER_CONVERTED"),
    (
        EventType::PromotionalOfferNotConverted,
        Provider::Purchasely,
        "PROMOTIONAL_OFFER_NOT_CONVERTED",
    ),
    (EventType::TrialEnding, Provider::Stripe, "customer.subscription.trial_will_end"),
    (EventType::TrialExtended, Provider::Stripe, "customer.subscription.updated"),
    (EventType::SubscriptionUpgraded, Provider::Purchasely, "SUBSCRIPTION_UPGRADED"),
    (EventType::SubscriptionDowngraded, Provider::Dodo, "subscription.plan_changed"),
    (EventType::SubscriptionCrossgraded, Provider::Stripe, "customer.subscription.updated"),
    (EventType::PlanChangeScheduled, Provider::Revenuecat, "PRODUCT_CHANGE"),
    (EventType::QuantityChanged, Provider::Stripe, "customer.subscription.updated"),
    (EventType::RenewalDisabled, Provider::Revenuecat, "CANCELLATION"),
    (EventType::RenewalEnabled, Provider::Revenuecat, "UNCANCELLATION"),
    (EventType::RenewalUpcoming, Provider::Stripe, "invoice.upcoming"),
    (EventType::PriceConsentRequired, Provider::Revenuecat, "PRICE_INCREASE_CONSENT_REQUIRED"),
    (EventType::PriceConsentGiven, Provider::Revenuecat, "PRICE_INCREASE_CONSENT_APPROVED"),
    (EventType::PaymentFailed, Provider::Revenuecat, "BILLING_ISSUE"),
    (EventType::PaymentActionRequired, Provider::Stripe, "invoice.payment_action_required"),
    (EventType::GracePeriodStarted, Provider::Dodo, "subscription.past_due"),
    (EventType::GracePeriodEnded, Provider::Purchasely, "GRACE_PERIOD_TERMINATED"),
    (EventType::BillingRetryStarted, Provider::Purchasely, "ENTERED_BILLING_RETRY"),
    (EventType::RecoveredFromGracePeriod, Provider::Dodo, "subscription.active"),
    (EventType::RecoveredFromBillingRetry, Provider::Stripe, "customer.subscription.updated"),
    (EventType::CancelledDuringGracePeriod, Provider::Dodo, "subscription.cancelled"),
    (EventType::PauseScheduled, Provider::Revenuecat, "SUBSCRIPTION_PAUSED"),
    (EventType::PauseCancelled, Provider::Purchasely, "SUBSCRIPTION_WILL_NOT_PAUSE"),
    (EventType::SubscriptionPaused, Provider::Dodo, "subscription.paused"),
    (EventType::SubscriptionResumed, Provider::Stripe, "customer.subscription.resumed"),
    (EventType::CancelledDuringPause, Provider::Purchasely, "SUBSCRIPTION_CANCELLED_DURING_PAUSE"),
    (EventType::PaymentCollectionPaused, Provider::Stripe, "customer.subscription.updated"),
    (EventType::PaymentCollectionResumed, Provider::Stripe, "customer.subscription.updated"),
    (EventType::SubscriptionTransferred, Provider::Revenuecat, "TRANSFER"),
    (EventType::SubscriptionReceived, Provider::Purchasely, "SUBSCRIPTION_RECEIVED"),
    (EventType::PurchaseTransferred, Provider::Purchasely, "ONE_TIME_PURCHASE_TRANSFERRED"),
    (EventType::PurchaseReceived, Provider::Purchasely, "ONE_TIME_PURCHASE_RECEIVED"),
    (EventType::FamilySharingRevoked, Provider::Purchasely, "FAMILY_SHARED_REVOKED"),
    (EventType::PaymentRefunded, Provider::Stripe, "charge.refunded"),
    (EventType::SubscriptionRefunded, Provider::Purchasely, "SUBSCRIPTION_REFUNDED_REVOKED"),
    (EventType::RefundReversed, Provider::Revenuecat, "REFUND_REVERSED"),
    (EventType::DisputeOpened, Provider::Dodo, "dispute.opened"),
    (EventType::DisputeWon, Provider::Stripe, "charge.dispute.closed"),
    (EventType::DisputeLost, Provider::Dodo, "dispute.lost"),
    (EventType::PurchaseCompleted, Provider::Revenuecat, "NON_RENEWING_PURCHASE"),
    (EventType::TransactionProcessed, Provider::Dodo, "payment.succeeded"),
    (EventType::EntitlementGranted, Provider::Purchasely, "ACTIVATE"),
    (EventType::EntitlementRevoked, Provider::Purchasely, "DEACTIVATE"),
    (EventType::CustomerCreated, Provider::Stripe, "customer.created"),
    (EventType::CustomerUpdated, Provider::Stripe, "customer.updated"),
    (EventType::CustomerDeleted, Provider::Stripe, "customer.deleted"),
    (EventType::CustomerMerged, Provider::Revenuecat, "SUBSCRIBER_ALIAS"),
    (EventType::CheckoutAbandoned, Provider::Stripe, "checkout.session.expired"),
    (EventType::CheckoutRecovered, Provider::Dodo, "abandoned_checkout.recovered"),
    (EventType::ProviderEvent, Provider::Stripe, "charge.succeeded"),
];

/// One event of every type, as its provider may have caused it.
pub(crate) fn of_every_type() -> Vec<LifecycleEvent> {
    let caused = |(event_type, provider, native): &(EventType, Provider, &str)| {
        let mut event = event(*event_type);
        event.provider = *provider;
        event.source = provider.name().to_owned();
        event.provider_event_type = (*native).to_owned();
        if let Some(subscription) = &mut event.subscription {
            subscription.store = Some(match provider {
                Provider::Stripe | Provider::Native | Provider::Unknown => Store::Stripe,
                Provider::Dodo => Store::Dodo,
                Provider::Revenuecat => Store::PlayStore,
                Provider::Purchasely => Store::AppStore,
            });
            of_subscription(*event_type, subscription);
        }
        of_person(&mut event);
        event
    };
    ORIGINS.iter().map(caused).collect()
}

/// What else the subscription shows after an event of this type.
#[expect(clippy::wildcard_enum_match_arm, reason = "most types have nothing of their own")]
fn of_subscription(event_type: EventType, subscription: &mut Subscription) {
    let (status, period_type) = match event_type {
        EventType::TrialStarted => (Status::Trial, PeriodType::Trial),
        EventType::RenewalDisabled => (Status::Cancelled, PeriodType::Normal),
        EventType::GracePeriodStarted => (Status::GracePeriod, PeriodType::Normal),
        EventType::SubscriptionExpired => (Status::Expired, PeriodType::Normal),
        _ => (Status::Active, PeriodType::Normal),
    };
    subscription.status = Some(status);
    subscription.period_type = Some(period_type);
    match event_type {
        EventType::TrialStarted => subscription.trial_ends_at = at(NOON + 604_800),
        EventType::RenewalDisabled => {
            subscription.cancel_reason = Some("UNSUBSCRIBE".into());
            subscription.auto_renew = Some(false);
        }
        EventType::GracePeriodStarted => subscription.grace_expires_at = at(NOON + 259_200),
        EventType::SubscriptionExpired => {
            subscription.expiration_reason = Some("BILLING_ERROR".into());
        }
        EventType::SubscriptionUpgraded => {
            subscription.previous_product_id = Some("prod_basic".into());
        }
        _ => {}
    }
}

/// What else an event of this type says.
#[expect(clippy::wildcard_enum_match_arm, reason = "most types have nothing of their own")]
fn of_person(event: &mut LifecycleEvent) {
    match event.event_type {
        EventType::TrialStarted => {
            event.offer = Some(Offer { kind: OfferKind::FreeTrial, id: None });
        }
        EventType::TransactionProcessed => event.money = Some(Money::minor(1_499, "USD")),
        EventType::PaymentRefunded => {
            event.money = Some(Money::minor(-1_499, "USD"));
            event.reason = Some("requested_by_customer".into());
        }
        EventType::SubscriptionRenewed => event.money = Some(Money::minor(4_500, "KWD")),
        EventType::PurchaseCompleted => {
            event.money = Some(Money::minor(1_200, "JPY"));
            event.subscription = None;
        }
        EventType::SubscriptionExpired => event.subscriber.status = Some(Status::Expired),
        EventType::SubscriptionReceived => {
            let (from, to) = (vec!["u_7".into()], vec!["u_42".into(), "u_43".into()]);
            event.transfer = Some(Transfer { from, to });
        }
        EventType::CustomerMerged => {
            event.subscriber.id = "$RCAnonymousID:1".into();
            event.subscriber.aliases = vec!["u_42".into(), "u_7".into()];
            event.subscription = None;
        }
        EventType::CustomerCreated | EventType::CustomerUpdated | EventType::CheckoutAbandoned => {
            event.subscription = None;
        }
        EventType::CustomerDeleted => {
            event.subscription = None;
            event.subscriber.user_id = None;
        }
        _ => {}
    }
}
