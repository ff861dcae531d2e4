//! What Purchasely says about an app's user: flat bodies of API version 3, and several companion events for one fact
//! of the store, told at the same moment, where the kind of event says which comes first.

use serde_json::{Value, json};

use super::Story;
use super::telling::{DAY_MS, Telling, Told};

pub(super) const STORIES: &[Story] = &[
    ("trial, converted, renewed, cancelled, expired", trial_to_expiry),
    ("grace, recovered, upgraded, refunded and revoked", grace_and_refund),
    ("introductory offer, cancelled and back, paused, resumed", intro_and_pause),
    ("consumable", consumable),
    ("billing retry, recovered, extended", billing_retry),
    ("promotional code, not converted", promo_code),
];

const MONTH_MS: i64 = 30 * DAY_MS;
const CONSUMABLE: &str = "CONSUMABLE";
const ONE: &[&str] = &["transaction_processed"];

struct Person {
    telling: Telling,
    plan: &'static str,
    price: f64,
    purchase_type: &'static str,
    offer_type: &'static str,
    previous_offer_type: &'static str,
    status: &'static str,
    purchased_ms: i64,
    first_purchased_ms: i64,
}

impl Person {
    fn new(telling: Telling) -> Self {
        let now = telling.now_ms();
        Self {
            telling,
            plan: "monthly",
            price: 9.99,
            purchase_type: "RENEWING_SUBSCRIPTION",
            offer_type: "NONE",
            previous_offer_type: "NONE",
            status: "AUTO_RENEWING",
            purchased_ms: now,
            first_purchased_ms: now,
        }
    }

    fn body(&mut self, event_name: &str) -> Value {
        let now = self.telling.now_ms();
        let renews = self.purchased_ms + MONTH_MS;
        let mut body = json!({
            "api_version": 3, "event_name": event_name, "event_id": self.telling.new_uuid(),
            "event_created_at": Telling::iso(now), "event_created_at_ms": now,
            "user_id": self.telling.user_id(), "product": "APP_PLUS", "plan": self.plan,
            "store": "GOOGLE_PLAY_STORE", "store_country": "FR", "environment": "PRODUCTION",
            "store_product_id": format!("app.plus.{}", self.plan),
            "store_transaction_id": self.telling.own_id("GPA."),
            "store_original_transaction_id": self.telling.own_id("GPA."),
            "purchasely_subscription_id": self.telling.own_id("subs_"),
            "purchased_at": Telling::iso(self.purchased_ms), "purchased_at_ms": self.purchased_ms,
            "original_purchased_at": Telling::iso(self.first_purchased_ms),
            "original_purchased_at_ms": self.first_purchased_ms,
            "next_renewal_at": Telling::iso(renews), "next_renewal_at_ms": renews,
            "effective_next_renewal_at": Telling::iso(renews), "effective_next_renewal_at_ms": renews,
            "purchase_type": self.purchase_type, "subscription_status": self.status,
            "offer_type": self.offer_type, "previous_offer_type": self.previous_offer_type,
            "plan_price_in_eur": self.price, "plan_price_in_customer_currency": self.price,
            "customer_currency": "EUR", "is_family_shared": false, "device_type": "PHONE",
            "store_app_bundle_id": "com.example.app",
        });
        if self.purchase_type == CONSUMABLE {
            body["purchasely_one_time_purchase_id"] = body["purchasely_subscription_id"].take();
            for renewal in ["next_renewal_at", "effective_next_renewal_at"] {
                body[renewal] = Value::Null;
                body[format!("{renewal}_ms")] = Value::Null;
            }
        }
        body
    }

    fn tell_body(&mut self, body: Value, expects: &'static [&'static str]) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (event_name, id) = (text("event_name"), text("event_id"));
        self.telling.tell(&event_name, id, body, expects);
    }

    fn tell(&mut self, event_name: &str, expects: &'static [&'static str]) {
        let body = self.body(event_name);
        self.tell_body(body, expects);
    }

    fn money(&mut self, because_of: &str, sign: f64, expects: &'static [&'static str]) {
        let mut body = self.body("TRANSACTION_PROCESSED");
        body["amount_in_eur"] = json!(self.price * sign);
        body["amount_in_customer_currency"] = json!(self.price * sign);
        body["source_event_name"] = json!(because_of);
        self.tell_body(body, expects);
    }

    /// The companions of a first purchase; the offer's own event, if any, follows.
    fn starts(&mut self, expects: &'static [&'static str]) {
        self.tell("ACTIVATE", &["entitlement_granted"]);
        self.tell("SUBSCRIPTION_STARTED", expects);
    }

    /// The companions of a paid period. Access was granted before, so ACTIVATE is no news.
    fn renews(&mut self, event_name: &str, expects: &'static [&'static str]) {
        self.later();
        self.purchased_ms += MONTH_MS;
        self.previous_offer_type = self.offer_type;
        self.offer_type = "NONE";
        self.tell("ACTIVATE", &[]);
        self.tell(event_name, expects);
        self.money(event_name, 1.0, ONE);
    }

    fn becomes(
        &mut self,
        status: &'static str,
        event_name: &str,
        expects: &'static [&'static str],
    ) {
        self.later();
        self.status = status;
        self.tell(event_name, expects);
    }

    /// Access ends: the termination and the switch at one moment.
    fn ends(&mut self, event_name: &str, expects: &'static [&'static str]) {
        self.becomes("DEACTIVATED", event_name, expects);
        self.tell("DEACTIVATE", &["entitlement_revoked"]);
    }

    fn later(&mut self) {
        self.telling.later();
    }

    fn told(self) -> Told {
        let id = self.telling.user_id();
        self.telling.told(id.clone(), id)
    }
}

fn trial_to_expiry(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.offer_type = "FREE_TRIAL";
    person.starts(&["subscription_started"]);
    person.tell("TRIAL_STARTED", &["trial_started"]);
    person.renews("TRIAL_CONVERTED", &["trial_converted"]);
    person.renews("SUBSCRIPTION_RENEWED", &["subscription_renewed"]);
    person.becomes("AUTO_RENEWING_CANCELED", "RENEWAL_DISABLED", &["renewal_disabled"]);
    person.ends("SUBSCRIPTION_TERMINATED", &["subscription_expired"]);
    person.told()
}

fn grace_and_refund(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.starts(&["subscription_started"]);
    person.money("SUBSCRIPTION_STARTED", 1.0, ONE);
    person.becomes("IN_GRACE_PERIOD", "GRACE_PERIOD_STARTED", &["grace_period_started"]);
    person.status = "AUTO_RENEWING";
    person.renews("SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD", &["recovered_from_grace_period"]);
    person.later();
    person.plan = "yearly";
    person.price = 59.99;
    person.tell("SUBSCRIPTION_UPGRADED", &["subscription_upgraded"]);
    person.becomes("REVOKED", "SUBSCRIPTION_REFUNDED_REVOKED", &["subscription_refunded"]);
    person.later();
    let returned = &["payment_refunded", "transaction_processed"];
    person.money("SUBSCRIPTION_REFUNDED_REVOKED", -1.0, returned);
    person.later();
    person.tell("DEACTIVATE", &["entitlement_revoked"]);
    person.told()
}

fn intro_and_pause(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.offer_type = "INTRO_OFFER";
    person.starts(&["subscription_started"]);
    person.tell("INTRO_OFFER_STARTED", &["intro_offer_started"]);
    person.money("INTRO_OFFER_STARTED", 0.5, ONE);
    person.renews("INTRO_OFFER_CONVERTED", &["intro_offer_converted"]);
    person.becomes("AUTO_RENEWING_CANCELED", "RENEWAL_DISABLED", &["renewal_disabled"]);
    person.becomes("AUTO_RENEWING", "RENEWAL_ENABLED", &["renewal_enabled"]);
    person.becomes("AUTO_RENEWING", "SUBSCRIPTION_WILL_PAUSE", &["pause_scheduled"]);
    person.becomes("PAUSED", "SUBSCRIPTION_PAUSED", &["subscription_paused"]);
    person.becomes("AUTO_RENEWING", "SUBSCRIPTION_UNPAUSED", &["subscription_resumed"]);
    person.told()
}

fn consumable(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.purchase_type = CONSUMABLE;
    person.starts(&["purchase_completed"]);
    person.money("SUBSCRIPTION_STARTED", 1.0, ONE);
    person.told()
}

fn billing_retry(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.starts(&["subscription_started"]);
    person.money("SUBSCRIPTION_STARTED", 1.0, ONE);
    person.becomes("ON_HOLD", "ENTERED_BILLING_RETRY", &["billing_retry_started"]);
    person.status = "AUTO_RENEWING";
    let recovered = &["recovered_from_billing_retry"];
    person.renews("SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY", recovered);
    person.becomes("AUTO_RENEWING", "SUBSCRIPTION_DEFERRED", &["subscription_deferred"]);
    person.told()
}

fn promo_code(telling: Telling) -> Told {
    let mut person = Person::new(telling);
    person.offer_type = "PROMO_CODE";
    person.starts(&["subscription_started"]);
    person.tell("PROMO_CODE_STARTED", &["promo_code_started"]);
    person.becomes("AUTO_RENEWING_CANCELED", "RENEWAL_DISABLED", &["renewal_disabled"]);
    person.becomes("DEACTIVATED", "PROMO_CODE_NOT_CONVERTED", &["promo_code_not_converted"]);
    person.ends("SUBSCRIPTION_TERMINATED", &["subscription_expired"]);
    person.told()
}
