//! RevenueCat → Intercom and → Customer.io: the `rc_*_event` names, four of them optional at Intercom
//! and six at Customer.io; the rest of what RevenueCat tells is not sent there.
//!
//! RevenueCat's samples for Intercom differ in whether metadata have `app_id` and `environment`; both
//! always go along. Moments are seconds at Intercom and text at Customer.io. The same reason is called
//! `cancellation_reason` at Intercom and `cancel_reason` at Customer.io.
//! Facts: <https://www.revenuecat.com/docs/integrations/third-party-integrations/intercom> and
//! `/customerio` (state of 2025).

use schemas::LifecycleEvent;
use schemas::vocabulary::{PeriodType, Store};

use super::values::{
    environment, kept_attribute, of_payment, of_subscription, product, seconds, text, text_or_null,
    whole_rfc3339,
};
use super::{Content, Field, Integration, Rest, Row, When};
use crate::destinations::metadata::Fact;
use crate::destinations::telling::own_status;
use crate::destinations::{DataType, Recipient, Shown};

/// Purchases that nobody made: access granted in RevenueCat itself.
const GRANTED: &[Store] = &[Store::Promotional];
/// Nor does Amazon say when a product changes.
const NO_CHANGES: &[Store] = &[Store::Amazon, Store::Promotional];

pub(super) const TO_INTERCOM: Integration = Integration {
    rows: &[
        intercom("INITIAL_PURCHASE", "rc_trial_started_event").when(When::InTrial).except(GRANTED),
        intercom("INITIAL_PURCHASE", "rc_initial_purchase_event").except(GRANTED),
        intercom("RENEWAL", "rc_trial_converted_event").when(When::ConvertsTrial).except(GRANTED),
        intercom("RENEWAL", "rc_renewal_event").except(GRANTED),
        cancelled("rc_trial_cancelled_event").when(When::InTrial).except(GRANTED),
        cancelled("rc_cancellation_event"),
        intercom("NON_RENEWING_PURCHASE", "rc_non_subscription_purchase_event").optional(),
        intercom("EXPIRATION", "rc_expiration_event")
            .saying(Content::Only(METADATA_OF_EXPIRATION))
            .optional(),
        intercom("BILLING_ISSUE", "rc_billing_issue_event").except(GRANTED).optional(),
        intercom("PRODUCT_CHANGE", "rc_product_change_event").except(NO_CHANGES).optional(),
    ],
    rest: Rest::NotSent,
};

const fn intercom(event: &'static str, name: &'static str) -> Row {
    Row::new(event, name).saying(Content::Only(METADATA)).leaving(Content::Only(CUSTOM_ATTRIBUTES))
}

const fn cancelled(name: &'static str) -> Row {
    intercom("CANCELLATION", name).saying(Content::Only(METADATA_OF_CANCELLATION))
}

const METADATA: &[Field] =
    &[APP_ID, ENTITLEMENT, ENVIRONMENT, EXPIRES_AT, PRODUCT_IDENTIFIER, STORE];
const METADATA_OF_CANCELLATION: &[Field] = &[
    APP_ID,
    Field::new("cancellation_reason", "why, as RevenueCat says it", cancelled_why),
    ENTITLEMENT,
    ENVIRONMENT,
    EXPIRES_AT,
    PRODUCT_IDENTIFIER,
    STORE,
];
const METADATA_OF_EXPIRATION: &[Field] = &[
    APP_ID,
    ENTITLEMENT,
    ENVIRONMENT,
    Field::new("expiration_reason", "why it ended, as RevenueCat says it", expired_why),
    EXPIRES_AT,
    PRODUCT_IDENTIFIER,
    STORE,
];
const CUSTOM_ATTRIBUTES: &[Field] = &[
    EXPIRES_AT,
    Field::new("latest_entitlement", "first entitlement, or null", entitlement),
    Field::new("latest_store", "store, as RevenueCat names it", store),
    Field::new("subscription_status", "status of the event's own subscription", status),
];

const APP_ID: Field = Field::new("app_id", "app at RevenueCat", app_id);
const ENTITLEMENT: Field = Field::new("entitlement", "first entitlement", entitlement);
const ENVIRONMENT: Field = Field::new("environment", "`production` or `sandbox`", environment);
const EXPIRES_AT: Field =
    Field::new("expires_at", "end of access, Unix seconds", expires_at).typed(DataType::Moment);
const PRODUCT_IDENTIFIER: Field = Field::new("product_identifier", "product", product);
const STORE: Field = Field::new("store", "store, as RevenueCat names it", store);

pub(super) const TO_CUSTOMERIO: Integration = Integration {
    rows: &[
        customerio("INITIAL_PURCHASE", "rc_trial_started_event")
            .when(When::InTrial)
            .except(GRANTED),
        customerio("INITIAL_PURCHASE", "rc_initial_purchase_event").except(GRANTED),
        customerio("RENEWAL", "rc_trial_converted_event").when(When::ConvertsTrial).except(GRANTED),
        customerio("RENEWAL", "rc_renewal_event").except(GRANTED),
        customerio("CANCELLATION", "rc_trial_cancelled_event").when(When::InTrial).except(GRANTED),
        customerio("CANCELLATION", "rc_cancellation_event"),
        customerio("UNCANCELLATION", "rc_uncancellation_event").except(GRANTED).optional(),
        customerio("NON_RENEWING_PURCHASE", "rc_non_subscription_purchase_event").optional(),
        customerio("SUBSCRIPTION_PAUSED", "rc_subscription_paused_event").optional(),
        customerio("EXPIRATION", "rc_expiration_event").optional(),
        customerio("BILLING_ISSUE", "rc_billing_issue_event").except(GRANTED).optional(),
        customerio("PRODUCT_CHANGE", "rc_product_change_event").except(NO_CHANGES).optional(),
    ],
    rest: Rest::NotSent,
};

const fn customerio(event: &'static str, name: &'static str) -> Row {
    Row::new(event, name)
        .saying(Content::Only(EVENT_ATTRIBUTES))
        .leaving(Content::Only(PERSON_ATTRIBUTES))
        .to(Recipient::KeptAttribute("$customerioId"))
}

const EVENT_ATTRIBUTES: &[Field] = &[
    ALIASES,
    APP_ID,
    APP_USER_ID,
    Field::new("cancel_reason", "why it was cancelled", cancel_reason),
    Field::new("currency", "currency of the purchase", currency),
    ENTITLEMENT_IDS,
    Field::new("expiration_at", "end of access, RFC 3339", expiration_at),
    Field::new("expiration_reason", "why it ended", expiration_reason),
    Field::new("offer_code", "code of the offer, or null", offer_code),
    ORIGINAL_APP_USER_ID,
    Field::new("original_transaction_id", "subscription", original_transaction),
    Field::new("period_type", "kind of period, as RevenueCat names it", period_type),
    Field::new("product_id", "product", product),
    Field::new("purchased_at", "start of the period, RFC 3339", purchased_at),
    RC_STATUS,
    Field::new("revenue", "money moved, where it was in US dollars", revenue),
    STORE,
    Field::new("transaction_id", "transaction of the store", transaction),
];
const PERSON_ATTRIBUTES: &[Field] =
    &[ALIASES, APP_ID, APP_USER_ID, ENTITLEMENT_IDS, ORIGINAL_APP_USER_ID, RC_STATUS];
const ALIASES: Field = Field::new("aliases", "all other ids", aliases);
const APP_USER_ID: Field = Field::new("app_user_id", "the app's id of the person", app_user_id);
const ENTITLEMENT_IDS: Field = Field::new("entitlement_ids", "entitlements", entitlement_ids);
const ORIGINAL_APP_USER_ID: Field =
    Field::new("original_app_user_id", "the first id of the person", original_app_user_id);
const RC_STATUS: Field =
    Field::new("rc_subscription_status", "status of the event's own subscription", status);

fn app_id(event: &LifecycleEvent) -> Shown {
    text(kept_attribute(event, "app_id"))
}

fn status(event: &LifecycleEvent) -> Shown {
    own_status(event)
}

/// One has room where there may be several: the first.
fn entitlement(event: &LifecycleEvent) -> Shown {
    text_or_null(of_subscription(event, |subscription| {
        subscription.entitlements.first().map(String::as_str)
    }))
}

fn expires_at(event: &LifecycleEvent) -> Shown {
    seconds(of_subscription(event, |subscription| subscription.expires_at))
}

fn store(event: &LifecycleEvent) -> Shown {
    text(of_subscription(event, |subscription| subscription.store).and_then(in_capitals))
}

/// Whose stores these are, hence how they are written.
fn in_capitals(store: Store) -> Option<&'static str> {
    match store {
        Store::AppStore => Some("APP_STORE"),
        Store::MacAppStore => Some("MAC_APP_STORE"),
        Store::PlayStore => Some("PLAY_STORE"),
        Store::Amazon => Some("AMAZON"),
        Store::Stripe => Some("STRIPE"),
        Store::Paddle => Some("PADDLE"),
        Store::RcBilling => Some("RC_BILLING"),
        Store::Roku => Some("ROKU"),
        Store::Promotional => Some("PROMOTIONAL"),
        Store::TestStore => Some("TEST_STORE"),
        Store::HuaweiAppGallery | Store::Dodo | Store::Unknown => None,
    }
}

fn cancelled_why(event: &LifecycleEvent) -> Shown {
    let own = event.reason.as_deref();
    text(own.or(of_subscription(event, |subscription| subscription.cancel_reason.as_deref())))
}

fn expired_why(event: &LifecycleEvent) -> Shown {
    let own = event.reason.as_deref();
    let known = of_subscription(event, |subscription| subscription.expiration_reason.as_deref());
    text(own.or(known))
}

fn cancel_reason(event: &LifecycleEvent) -> Shown {
    let is_cancellation = event.provider_event_type == "CANCELLATION";
    if is_cancellation { cancelled_why(event) } else { Shown::Unsaid }
}

fn expiration_reason(event: &LifecycleEvent) -> Shown {
    let is_expiration = event.provider_event_type == "EXPIRATION";
    if is_expiration { expired_why(event) } else { Shown::Unsaid }
}

fn aliases(event: &LifecycleEvent) -> Shown {
    Shown::Is(Fact::List(event.subscriber.aliases.clone()))
}

fn app_user_id(event: &LifecycleEvent) -> Shown {
    let person = &event.subscriber;
    text(Some(person.user_id.as_deref().unwrap_or(&person.id)))
}

fn original_app_user_id(event: &LifecycleEvent) -> Shown {
    text(Some(&event.subscriber.id))
}

fn entitlement_ids(event: &LifecycleEvent) -> Shown {
    let ids = of_subscription(event, |subscription| Some(&subscription.entitlements));
    let ids = ids.filter(|ids| !ids.is_empty());
    ids.map_or(Shown::Cleared, |ids| Shown::Is(Fact::List(ids.clone())))
}

fn original_transaction(event: &LifecycleEvent) -> Shown {
    text(of_subscription(event, |subscription| Some(subscription.id.as_str())))
}

fn transaction(event: &LifecycleEvent) -> Shown {
    text(of_payment(event, |payment| payment.id.as_deref()))
}

fn expiration_at(event: &LifecycleEvent) -> Shown {
    whole_rfc3339(of_subscription(event, |subscription| subscription.expires_at))
}

fn purchased_at(event: &LifecycleEvent) -> Shown {
    whole_rfc3339(of_subscription(event, |subscription| subscription.period_start))
}

fn offer_code(event: &LifecycleEvent) -> Shown {
    text_or_null(event.offer.as_ref().and_then(|offer| offer.id.as_deref()))
}

fn currency(event: &LifecycleEvent) -> Shown {
    text(event.money.as_ref().map(|money| money.currency.as_str()))
}

/// RevenueCat converts to US dollars; nobody else may guess its rate.
fn revenue(event: &LifecycleEvent) -> Shown {
    let dollars = event.money.as_ref().filter(|money| money.currency == "USD");
    dollars.map_or(Shown::Unsaid, |money| Shown::Is(Fact::Decimal(money.major())))
}

fn period_type(event: &LifecycleEvent) -> Shown {
    let kind = of_subscription(event, |subscription| subscription.period_type);
    text(kind.and_then(|kind| match kind {
        PeriodType::Normal => Some("NORMAL"),
        PeriodType::Trial => Some("TRIAL"),
        PeriodType::Intro => Some("INTRO"),
        PeriodType::Promotional => Some("PROMOTIONAL"),
        PeriodType::Prepaid => Some("PREPAID"),
        PeriodType::Unknown => None,
    }))
}
