//! What Dodo Payments says about a customer. The event's id is no part of the body, the person is known by e-mail
//! alone, and money is in minor units of currencies with 0, 2 or 3 digits.

use serde_json::{Value, json};

use super::Story;
use super::telling::{DAY_MS, Telling, Told};

pub(super) const STORIES: &[Story] = &[
    ("trial, converted, renewed, cancelled, expired", trial_to_expiry),
    ("payment failed in grace, recovered, refunded, upgraded", grace_and_upgrade),
    ("on hold, recovered, paused, resumed, disputed", hold_pause_and_dispute),
    ("one-off purchase, refunded", one_off),
    ("grace ran out", grace_to_expiry),
];

const MONTH_MS: i64 = 30 * DAY_MS;
/// Product and price in minor units.
type Product = (&'static str, i64);
const BASIC: Product = ("pdt_basic", 900);
const PRO: Product = ("pdt_pro", 2900);
const PAID: &[&str] = &["transaction_processed"];

struct Customer {
    telling: Telling,
    currency: &'static str,
    product: Product,
    status: &'static str,
    trial_days: i64,
    cancels: Cancels,
    paused: Option<i64>,
    period_start_ms: i64,
    started_ms: i64,
    payment: String,
}

/// What happens at the next billing date.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cancels {
    Renews,
    AtNextBillingDate,
}

impl Customer {
    fn new(mut telling: Telling) -> Self {
        let currency = telling.one_of(&["USD", "JPY", "KWD"]);
        let now = telling.now_ms();
        Self {
            telling,
            currency,
            product: BASIC,
            status: "active",
            trial_days: 0,
            cancels: Cancels::Renews,
            paused: None,
            period_start_ms: now,
            started_ms: now,
            payment: String::new(),
        }
    }

    fn tell(&mut self, event_type: &str, data: &Value, expects: &'static [&'static str]) {
        let id = self.telling.new_id("msg_");
        let body = json!({
            "business_id": "bus_example", "type": event_type,
            "timestamp": Telling::iso(self.telling.now_ms()), "data": data,
        });
        self.telling.tell(event_type, id, body, expects);
    }

    fn customer(&self) -> Value {
        json!({
            "customer_id": self.telling.own_id("cus_"), "email": self.telling.email(),
            "name": "Sam Sample", "phone_number": null, "metadata": {},
        })
    }

    fn subscription(&mut self, event: &str, expects: &'static [&'static str]) {
        let (product, price) = self.product;
        let data = json!({
            "payload_type": "Subscription", "subscription_id": self.telling.own_id("sub_"),
            "customer": self.customer(), "status": self.status, "product_id": product,
            "recurring_pre_tax_amount": price, "currency": self.currency, "quantity": 1, "addons": [],
            "tax_inclusive": false, "trial_period_days": self.trial_days, "trial_amount": null,
            "payment_frequency_count": 1, "payment_frequency_interval": "Month",
            "subscription_period_count": 1, "subscription_period_interval": "Year",
            "cancel_at_next_billing_date": self.cancels == Cancels::AtNextBillingDate,
            "cancelled_at": null, "cancellation_feedback": null, "cancellation_comment": null,
            "created_at": Telling::iso(self.started_ms),
            "previous_billing_date": Telling::iso(self.period_start_ms),
            "next_billing_date": Telling::iso(self.period_start_ms + MONTH_MS),
            "expires_at": null, "paused_at": self.paused.map(Telling::iso),
            "scheduled_change": null, "discounts": null, "metadata": {}, "on_demand": false,
        });
        self.tell(&format!("subscription.{event}"), &data, expects);
    }

    fn payment(
        &mut self,
        outcome: &str,
        for_subscription: Option<&str>,
        expects: &'static [&'static str],
    ) {
        self.payment = self.telling.new_id("pay_");
        let data = json!({
            "payload_type": "Payment", "payment_id": self.payment, "customer": self.customer(),
            "status": outcome, "total_amount": self.product.1, "currency": self.currency,
            "settlement_amount": self.product.1, "settlement_currency": self.currency, "tax": null,
            "subscription_id": for_subscription, "created_at": Telling::iso(self.telling.now_ms()),
            "payment_method": "card", "refunds": [], "disputes": [], "metadata": {},
            "error_code": null, "error_message": null,
        });
        self.tell(&format!("payment.{outcome}"), &data, expects);
    }

    fn pays(&mut self) {
        let subscription = self.telling.own_id("sub_");
        self.payment("succeeded", Some(&subscription), PAID);
    }

    fn payment_fails(&mut self) {
        let subscription = self.telling.own_id("sub_");
        self.payment("failed", Some(&subscription), &["payment_failed"]);
    }

    /// The period's change and its payment come together.
    fn renews(&mut self, expects: &'static [&'static str]) {
        self.period_start_ms += MONTH_MS;
        self.subscription("renewed", expects);
        self.pays();
    }

    fn becomes(&mut self, status: &'static str, event: &str, expects: &'static [&'static str]) {
        self.status = status;
        self.subscription(event, expects);
    }

    fn refunded(&mut self, amount: i64) {
        let data = json!({
            "payload_type": "Refund", "refund_id": self.telling.new_id("ref_"),
            "payment_id": self.payment, "customer": self.customer(), "amount": amount,
            "currency": self.currency, "is_partial": amount < self.product.1, "status": "succeeded",
            "reason": "asked for", "business_id": "bus_example",
            "created_at": Telling::iso(self.telling.now_ms()),
        });
        self.tell("refund.succeeded", &data, &["payment_refunded", "transaction_processed"]);
    }

    fn dispute(&mut self, outcome: &str, expects: &'static [&'static str]) {
        let data = json!({
            "payload_type": "Dispute", "dispute_id": self.telling.own_id("dp_"),
            "payment_id": self.payment, "customer": self.customer(),
            "amount": self.product.1.to_string(), "currency": self.currency,
            "dispute_stage": "dispute", "dispute_status": format!("dispute_{outcome}"),
            "business_id": "bus_example", "created_at": Telling::iso(self.telling.now_ms()),
            "remarks": null,
        });
        self.tell(&format!("dispute.{outcome}"), &data, expects);
    }

    fn later(&mut self) {
        self.telling.later();
    }

    fn told(self) -> Told {
        let (id, who) = (self.telling.own_id("cus_"), self.telling.email());
        self.telling.told(id, who)
    }
}

fn trial_to_expiry(telling: Telling) -> Told {
    let mut customer = Customer::new(telling);
    customer.trial_days = 14;
    customer.subscription("active", &["subscription_started", "trial_started"]);
    customer.later();
    customer.renews(&["trial_converted"]);
    customer.later();
    customer.renews(&["subscription_renewed"]);
    customer.later();
    customer.cancels = Cancels::AtNextBillingDate;
    customer.subscription("cancelled", &["renewal_disabled"]);
    customer.later();
    customer.becomes("expired", "expired", &["subscription_expired"]);
    customer.told()
}

fn grace_and_upgrade(telling: Telling) -> Told {
    let mut customer = Customer::new(telling);
    customer.subscription("active", &["subscription_started"]);
    customer.pays();
    customer.later();
    customer.payment_fails();
    customer.later();
    customer.becomes("past_due", "past_due", &["grace_period_started"]);
    customer.later();
    customer.becomes("active", "active", &["recovered_from_grace_period"]);
    customer.later();
    customer.renews(&["subscription_renewed"]);
    customer.later();
    customer.refunded(100);
    customer.later();
    customer.product = PRO;
    customer.subscription("plan_changed", &["subscription_upgraded"]);
    customer.later();
    customer.product = BASIC;
    customer.subscription("plan_changed", &["subscription_downgraded"]);
    customer.told()
}

fn hold_pause_and_dispute(telling: Telling) -> Told {
    let mut customer = Customer::new(telling);
    customer.subscription("active", &["subscription_started"]);
    customer.pays();
    customer.later();
    customer.becomes("on_hold", "on_hold", &["billing_retry_started"]);
    customer.later();
    customer.becomes("active", "active", &["recovered_from_billing_retry"]);
    customer.later();
    customer.paused = Some(customer.telling.now_ms());
    customer.becomes("paused", "paused", &["subscription_paused"]);
    customer.later();
    customer.paused = None;
    customer.becomes("active", "unpaused", &["subscription_resumed"]);
    customer.later();
    customer.cancels = Cancels::AtNextBillingDate;
    customer.subscription("updated", &["renewal_disabled"]);
    customer.later();
    customer.cancels = Cancels::Renews;
    customer.subscription("updated", &["renewal_enabled"]);
    customer.later();
    customer.dispute("opened", &["dispute_opened"]);
    customer.later();
    let verdict = customer.telling.one_of(&["won", "lost"]);
    customer.dispute(
        verdict,
        match verdict {
            "won" => &["dispute_won"],
            _ => &["dispute_lost", "transaction_processed"],
        },
    );
    customer.told()
}

fn one_off(telling: Telling) -> Told {
    let mut customer = Customer::new(telling);
    customer.payment("succeeded", None, &["purchase_completed", "transaction_processed"]);
    customer.later();
    customer.refunded(BASIC.1);
    customer.told()
}

fn grace_to_expiry(telling: Telling) -> Told {
    let mut customer = Customer::new(telling);
    customer.subscription("active", &["subscription_started"]);
    customer.pays();
    customer.later();
    customer.becomes("past_due", "past_due", &["grace_period_started"]);
    customer.later();
    customer.becomes("on_hold", "on_hold", &["grace_period_ended", "billing_retry_started"]);
    customer.later();
    customer.becomes("expired", "expired", &["subscription_expired"]);
    customer.told()
}
