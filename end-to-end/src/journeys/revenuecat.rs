//! What RevenueCat says about an app's user. Every second person began anonymous, so that the subscriber (the first
//! id ever seen) is not the id that destinations know.

use serde_json::{Value, json};

use super::Story;
use super::telling::{DAY_MS, Telling, Told};

pub(super) const STORIES: &[Story] = &[
    ("trial, converted, renewed, cancelled and back, expired", trial_to_expiry),
    ("billing issue in grace, recovered, refunded, refund reversed", grace_and_refund),
    ("introductory price, paused, resumed, upgraded", intro_pause_and_upgrade),
    ("one-off purchase and extended subscription", one_off_and_extension),
    ("trial not converted", trial_not_converted),
    ("expired for a billing error, recovered", billing_error),
];

const MONTH_MS: i64 = 30 * DAY_MS;
/// Product and prices in US dollars and in what the customer paid.
type Product = (&'static str, f64, f64);
const BASIC: Product = ("app.basic.monthly", 9.99, 8.99);
const PRO: Product = ("app.pro.monthly", 19.99, 17.99);

struct Person {
    telling: Telling,
    first_id: String,
    product: Product,
    period_type: &'static str,
    purchased_ms: i64,
    expires_ms: i64,
    renewals: u32,
}

impl Person {
    fn new(mut telling: Telling) -> Self {
        let first_id = if telling.one_of(&[0, 1]) == 0 {
            telling.user_id()
        } else {
            telling.own_id("$RCAnonymousID:")
        };
        let now = telling.now_ms();
        Self {
            telling,
            first_id,
            product: BASIC,
            period_type: "NORMAL",
            purchased_ms: now,
            expires_ms: now + MONTH_MS,
            renewals: 0,
        }
    }

    /// What every event about a purchase carries, with `price` times the product's.
    fn event(&mut self, event_type: &str, price: f64) -> Value {
        let (product, dollars, paid) = self.product;
        json!({
            "type": event_type, "id": self.telling.new_uuid(), "app_id": "app_example",
            "event_timestamp_ms": self.telling.now_ms(), "app_user_id": self.telling.user_id(),
            "original_app_user_id": self.first_id,
            "aliases": [self.first_id, self.telling.user_id()],
            "subscriber_attributes": {
                "$email": {"value": self.telling.email(), "updated_at_ms": self.telling.now_ms()},
            },
            "product_id": product, "period_type": self.period_type, "entitlement_ids": ["pro"],
            "purchased_at_ms": self.purchased_ms, "expiration_at_ms": self.expires_ms,
            "environment": "PRODUCTION", "store": "APP_STORE", "country_code": "DE",
            "transaction_id": format!("{}{:02}", self.telling.own_id("2000"), self.renewals),
            "original_transaction_id": self.telling.own_id("2000"), "is_family_share": false,
            "currency": "EUR", "price": dollars * price, "price_in_purchased_currency": paid * price,
            "tax_percentage": 0.19, "commission_percentage": 0.15, "offer_code": null,
            "presented_offering_id": "default", "experiments": [],
        })
    }

    fn tell(&mut self, event: &Value, expects: &'static [&'static str]) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (event_type, id) = (text("type"), text("id"));
        let body = json!({"api_version": "1.0", "event": event});
        self.telling.tell(&event_type, id, body, expects);
    }

    fn buys(&mut self, price: f64, expects: &'static [&'static str]) {
        let event = self.event("INITIAL_PURCHASE", price);
        self.tell(&event, expects);
    }

    fn renews(&mut self, expects: &'static [&'static str]) {
        let converts = self.period_type == "TRIAL";
        self.period_type = "NORMAL";
        self.renewals += 1;
        self.purchased_ms = self.expires_ms;
        self.expires_ms = self.purchased_ms + MONTH_MS;
        let mut event = self.event("RENEWAL", 1.0);
        event["is_trial_conversion"] = json!(converts);
        event["renewal_number"] = json!(self.renewals);
        self.tell(&event, expects);
    }

    fn cancels(&mut self, reason: &str, price: f64, expects: &'static [&'static str]) {
        let mut event = self.event("CANCELLATION", price);
        event["cancel_reason"] = json!(reason);
        self.tell(&event, expects);
    }

    fn expires(&mut self, reason: &str, expects: &'static [&'static str]) {
        self.expires_ms = self.telling.now_ms();
        let mut event = self.event("EXPIRATION", 0.0);
        event["expiration_reason"] = json!(reason);
        self.tell(&event, expects);
    }

    fn billing_issue(&mut self, grace_ends_ms: Option<i64>, expects: &'static [&'static str]) {
        let mut event = self.event("BILLING_ISSUE", 0.0);
        event["grace_period_expiration_at_ms"] = json!(grace_ends_ms);
        self.tell(&event, expects);
    }

    fn later(&mut self) {
        self.telling.later();
    }

    fn told(self) -> Told {
        let who = self.telling.user_id();
        self.telling.told(self.first_id, who)
    }
}

fn trial_to_expiry(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.period_type = "TRIAL";
    person.buys(0.0, &["subscription_started", "trial_started"]);
    person.later();
    person.renews(&["trial_converted", "transaction_processed"]);
    person.later();
    person.renews(&["subscription_renewed", "transaction_processed"]);
    person.later();
    person.cancels("UNSUBSCRIBE", 0.0, &["renewal_disabled"]);
    person.later();
    let event = person.event("UNCANCELLATION", 0.0);
    person.tell(&event, &["renewal_enabled"]);
    person.later();
    person.cancels("UNSUBSCRIBE", 0.0, &["renewal_disabled"]);
    person.later();
    person.expires("UNSUBSCRIBE", &["subscription_expired"]);
    person.told()
}

fn grace_and_refund(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.buys(1.0, &["subscription_started", "transaction_processed"]);
    person.later();
    let grace_ends = person.telling.now_ms() + 6 * DAY_MS;
    person.billing_issue(Some(grace_ends), &["payment_failed", "grace_period_started"]);
    person.later();
    person.renews(&[
        "subscription_renewed",
        "recovered_from_grace_period",
        "transaction_processed",
    ]);
    person.later();
    person.cancels("CUSTOMER_SUPPORT", -1.0, &["payment_refunded", "transaction_processed"]);
    person.later();
    let event = person.event("REFUND_REVERSED", 1.0);
    person.tell(&event, &["refund_reversed", "transaction_processed"]);
    person.told()
}

fn intro_pause_and_upgrade(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.period_type = "INTRO";
    person.buys(0.5, &["subscription_started", "intro_offer_started", "transaction_processed"]);
    person.later();
    person.renews(&["intro_offer_converted", "transaction_processed"]);
    person.later();
    let mut event = person.event("SUBSCRIPTION_PAUSED", 0.0);
    event["auto_resume_at_ms"] = json!(person.expires_ms + MONTH_MS);
    person.tell(&event, &["pause_scheduled"]);
    person.later();
    person.expires("SUBSCRIPTION_PAUSED", &["subscription_paused"]);
    person.later();
    person.renews(&["subscription_renewed", "subscription_resumed", "transaction_processed"]);
    person.later();
    let mut event = person.event("PRODUCT_CHANGE", 0.0);
    event["new_product_id"] = json!(PRO.0);
    person.tell(&event, &["plan_change_scheduled"]);
    person.later();
    person.product = PRO;
    person.renews(&["subscription_renewed", "subscription_upgraded", "transaction_processed"]);
    person.told()
}

fn one_off_and_extension(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    let mut event = person.event("NON_RENEWING_PURCHASE", 1.0);
    event["product_id"] = json!("app.coins");
    event["expiration_at_ms"] = Value::Null;
    event["entitlement_ids"] = Value::Null;
    event["original_transaction_id"] = json!(person.telling.own_id("3000"));
    event["transaction_id"] = event["original_transaction_id"].clone();
    person.tell(&event, &["purchase_completed", "transaction_processed"]);
    person.later();
    person.purchased_ms = person.telling.now_ms();
    person.expires_ms = person.purchased_ms + MONTH_MS;
    person.buys(1.0, &["subscription_started", "transaction_processed"]);
    person.later();
    person.expires_ms += MONTH_MS;
    let event = person.event("SUBSCRIPTION_EXTENDED", 0.0);
    person.tell(&event, &["subscription_deferred"]);
    person.later();
    let mut event = person.event("TEST", 0.0);
    event["product_id"] = json!("test_product");
    person.tell(&event, &[]);
    person.told()
}

fn trial_not_converted(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.period_type = "TRIAL";
    person.buys(0.0, &["subscription_started", "trial_started"]);
    person.later();
    person.cancels("UNSUBSCRIBE", 0.0, &["renewal_disabled"]);
    person.later();
    person.expires("UNSUBSCRIBE", &["trial_not_converted", "subscription_expired"]);
    person.told()
}

fn billing_error(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.buys(1.0, &["subscription_started", "transaction_processed"]);
    // The store's one message becomes three events, told together; their kind says which comes first.
    person.later();
    person.billing_issue(None, &["payment_failed"]);
    person.cancels("BILLING_ERROR", 0.0, &["provider_event"]);
    person.expires("BILLING_ERROR", &["subscription_expired"]);
    person.later();
    person.renews(&[
        "subscription_renewed",
        "recovered_from_billing_retry",
        "transaction_processed",
    ]);
    person.told()
}
