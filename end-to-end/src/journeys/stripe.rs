//! What Stripe says about a customer: snapshot events in the shape of API version 2026-10-28.endive, where a
//! subscription's period lies on its items and an invoice names its subscription under `parent`.

use serde_json::{Value, json};

use super::Story;
use super::telling::{DAY_MS, Telling, Told};

pub(super) const STORIES: &[Story] = &[
    ("trial, converted, renewed, cancelled, expired", trial_to_expiry),
    ("payment failed in grace, recovered, refunded in part", grace_and_refund),
    ("first payment needed the customer, upgraded, more seats", action_required_and_upgrade),
    ("one-off purchases", one_off),
    ("dunning to the end", dunning),
    ("trial paused for want of a card, resumed", trial_paused),
];

const MONTH: i64 = 30 * DAY_MS / 1000;
/// Price, product and amount in minor units of any currency.
type Plan = (&'static str, &'static str, i64);
const BASIC: Plan = ("price_basic_monthly", "prod_basic", 2000);
const TEAM: Plan = ("price_team_monthly", "prod_team", 5000);

/// A customer with at most one subscription.
struct Customer {
    telling: Telling,
    currency: &'static str,
    plan: Plan,
    quantity: i64,
    status: &'static str,
    scheduled_cancel: Value,
    pause_collection: Value,
    trial_end: Option<i64>,
    period_start: i64,
    started: i64,
    cancellation_reason: Option<&'static str>,
    charge: Option<String>,
}

impl Customer {
    /// Every story begins with the customer, who brings user id and e-mail.
    fn created(mut telling: Telling) -> Self {
        let currency = telling.one_of(&["usd", "eur", "jpy"]);
        let now = telling.now_seconds();
        let mut customer = Self {
            telling,
            currency,
            plan: BASIC,
            quantity: 1,
            status: "incomplete",
            scheduled_cancel: Value::Null,
            pause_collection: Value::Null,
            trial_end: None,
            period_start: now,
            started: now,
            cancellation_reason: None,
            charge: None,
        };
        let object = customer.customer("Sam Sample");
        customer.tell("customer.created", &object, None, &["customer_created"]);
        customer
    }

    fn id(&self) -> String {
        self.telling.own_id("cus_")
    }

    fn tell(
        &mut self,
        event_type: &str,
        object: &Value,
        previous: Option<Value>,
        expects: &'static [&'static str],
    ) {
        let id = self.telling.new_id("evt_");
        let mut data = json!({"object": object});
        if let Some(previous) = previous {
            data["previous_attributes"] = previous;
        }
        let body = json!({
            "id": id, "object": "event", "api_version": "2026-10-28.endive",
            "created": self.telling.now_seconds(), "livemode": true, "pending_webhooks": 1,
            "request": {"id": null, "idempotency_key": null}, "type": event_type, "data": data,
        });
        self.telling.tell(event_type, id, body, expects);
    }

    fn customer(&self, name: &str) -> Value {
        json!({
            "id": self.id(), "object": "customer", "created": self.started, "currency": null,
            "delinquent": false, "email": self.telling.email(), "livemode": true, "name": name,
            "metadata": {"user_id": self.telling.user_id()}, "phone": null,
        })
    }

    fn items(&self) -> Value {
        let (price, product, amount) = self.plan;
        json!({"object": "list", "has_more": false, "data": [{
            "id": self.telling.own_id("si_"), "object": "subscription_item", "quantity": self.quantity,
            "subscription": self.telling.own_id("sub_"), "metadata": {},
            "current_period_start": self.period_start, "current_period_end": self.period_start + MONTH,
            "price": {
                "id": price, "object": "price", "product": product, "currency": self.currency,
                "unit_amount": amount, "unit_amount_decimal": amount.to_string(), "type": "recurring",
                "billing_scheme": "per_unit",
                "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
            },
        }]})
    }

    fn subscription(&self) -> Value {
        let ended = (self.status == "canceled").then(|| self.telling.now_seconds());
        json!({
            "id": self.telling.own_id("sub_"), "object": "subscription", "customer": self.id(),
            "status": self.status, "currency": self.currency, "items": self.items(),
            "cancel_at": self.scheduled_cancel, "cancel_at_period_end": false, "canceled_at": null,
            "cancellation_details": {
                "comment": null, "feedback": null, "reason": self.cancellation_reason,
            },
            "billing_mode": {"type": "flexible"}, "collection_method": "charge_automatically",
            "created": self.started, "start_date": self.started, "ended_at": ended, "livemode": true,
            "metadata": {"user_id": self.telling.user_id()}, "pause_collection": self.pause_collection,
            "trial_start": self.trial_end.map(|_| self.started), "trial_end": self.trial_end,
            "discounts": [], "schedule": null,
        })
    }

    /// The subscription begins in the second of the customer.
    fn subscribes(&mut self, status: &'static str, expects: &'static [&'static str]) {
        self.status = status;
        if status == "trialing" {
            self.trial_end = Some(self.started + MONTH);
        }
        let object = self.subscription();
        self.tell("customer.subscription.created", &object, None, expects);
    }

    fn updated(&mut self, previous: Value, expects: &'static [&'static str]) {
        let object = self.subscription();
        self.tell("customer.subscription.updated", &object, Some(previous), expects);
    }

    fn becomes(&mut self, status: &'static str, expects: &'static [&'static str]) {
        let previous = json!({"status": self.status});
        self.status = status;
        self.updated(previous, expects);
    }

    fn schedules_cancel(&mut self) {
        self.scheduled_cancel = json!(self.period_start + MONTH);
        self.cancellation_reason = Some("cancellation_requested");
        self.updated(json!({"cancel_at": null}), &["renewal_disabled"]);
    }

    fn deleted(&mut self, reason: &'static str, expects: &'static [&'static str]) {
        self.status = "canceled";
        self.cancellation_reason = Some(reason);
        let object = self.subscription();
        self.tell("customer.subscription.deleted", &object, None, expects);
    }

    fn invoice(&mut self, billing_reason: &str, amount: i64, paid: i64) -> Value {
        let subscription = match billing_reason {
            "manual" => Value::Null,
            _ => json!({
                "type": "subscription_details", "quote_details": null,
                "subscription_details": {
                    "subscription": self.telling.own_id("sub_"),
                    "metadata": {"user_id": self.telling.user_id()},
                },
            }),
        };
        let (price, product, _) = self.plan;
        let id = self.telling.new_id("in_");
        json!({
            "id": id, "object": "invoice", "customer": self.id(), "currency": self.currency,
            "customer_email": self.telling.email(), "billing_reason": billing_reason,
            "amount_due": amount, "amount_paid": paid, "amount_remaining": amount - paid,
            "total": amount, "subtotal": amount, "attempt_count": 1, "attempted": true,
            "created": self.telling.now_seconds(), "livemode": true, "metadata": {},
            "next_payment_attempt": null, "parent": subscription,
            "status": if paid == amount { "paid" } else { "open" },
            "period_start": self.period_start, "period_end": self.period_start,
            "lines": {"object": "list", "has_more": false, "data": [{
                "id": self.telling.new_id("il_"), "object": "line_item", "amount": amount,
                "currency": self.currency, "quantity": self.quantity,
                "period": {"start": self.period_start, "end": self.period_start + MONTH},
                "pricing": {"type": "price_details", "price_details": {"price": price, "product": product}},
            }]},
        })
    }

    fn amount(&self) -> i64 {
        self.plan.2 * self.quantity
    }

    fn pays(&mut self, billing_reason: &str, amount: i64, expects: &'static [&'static str]) {
        let object = self.invoice(billing_reason, amount, amount);
        self.charge = Some(self.telling.new_id("ch_"));
        self.tell("invoice.paid", &object, None, expects);
    }

    /// A new period: the subscription's update and its paid invoice come in one second.
    fn renews(&mut self, expects: &'static [&'static str]) {
        let before = self.items();
        self.period_start += MONTH;
        self.updated(json!({"items": before}), &[]);
        self.pays("subscription_cycle", self.amount(), expects);
    }

    fn payment_fails(&mut self) {
        let mut object = self.invoice("subscription_cycle", self.amount(), 0);
        object["next_payment_attempt"] = json!(self.telling.now_seconds() + 3 * DAY_MS / 1000);
        self.tell("invoice.payment_failed", &object, None, &["payment_failed"]);
    }

    fn refunded(&mut self, amount: i64) {
        let charge = self.charge.clone().unwrap_or_default();
        let object = json!({
            "id": charge, "object": "charge", "customer": self.id(), "currency": self.currency,
            "amount": self.amount(), "amount_captured": self.amount(), "amount_refunded": amount,
            "refunded": amount == self.amount(), "captured": true, "paid": true, "livemode": true,
            "status": "succeeded", "created": self.telling.now_seconds(), "metadata": {},
            "payment_intent": self.telling.new_id("pi_"),
            "billing_details": {"email": self.telling.email(), "name": null, "phone": null},
        });
        let previous = json!({"amount_refunded": 0});
        let expects = &["payment_refunded", "transaction_processed"];
        self.tell("charge.refunded", &object, Some(previous), expects);
    }

    fn told(self) -> Told {
        let (id, who) = (self.id(), self.telling.user_id());
        self.telling.told(id, who)
    }

    fn later(&mut self) {
        self.telling.later();
    }
}

fn trial_to_expiry(telling: Telling) -> Told {
    let mut customer = Customer::created(telling);
    customer.subscribes("trialing", &["subscription_started", "trial_started"]);
    customer.pays("subscription_create", 0, &[]);
    customer.later();
    let object = customer.subscription();
    customer.tell("customer.subscription.trial_will_end", &object, None, &["trial_ending"]);
    customer.later();
    customer.becomes("active", &[]);
    customer.period_start += MONTH;
    let amount = customer.amount();
    customer.pays("subscription_cycle", amount, &["trial_converted", "transaction_processed"]);
    customer.later();
    let mut object = customer.invoice("upcoming", amount, 0);
    // It is a preview: only this kind of invoice has no id yet.
    object.as_object_mut().map(|fields| fields.remove("id"));
    customer.tell("invoice.upcoming", &object, None, &["renewal_upcoming"]);
    customer.later();
    customer.renews(&["subscription_renewed", "transaction_processed"]);
    customer.later();
    customer.schedules_cancel();
    customer.later();
    customer.deleted("cancellation_requested", &["subscription_expired"]);
    customer.told()
}

fn grace_and_refund(telling: Telling) -> Told {
    let mut customer = Customer::created(telling);
    customer.subscribes("active", &["subscription_started"]);
    let amount = customer.amount();
    customer.pays("subscription_create", amount, &["transaction_processed"]);
    customer.later();
    customer.payment_fails();
    customer.later();
    customer.becomes("past_due", &["grace_period_started"]);
    customer.later();
    customer.becomes("active", &["recovered_from_grace_period"]);
    customer.later();
    customer.renews(&["subscription_renewed", "transaction_processed"]);
    customer.later();
    customer.refunded(500);
    customer.later();
    customer.schedules_cancel();
    customer.later();
    let before = json!({"cancel_at": customer.scheduled_cancel});
    customer.scheduled_cancel = Value::Null;
    customer.cancellation_reason = None;
    customer.updated(before, &["renewal_enabled"]);
    customer.told()
}

fn action_required_and_upgrade(telling: Telling) -> Told {
    let mut customer = Customer::created(telling);
    customer.subscribes("incomplete", &[]);
    customer.later();
    let amount = customer.amount();
    let object = customer.invoice("subscription_create", amount, 0);
    customer.tell("invoice.payment_action_required", &object, None, &["payment_action_required"]);
    customer.later();
    customer.becomes("active", &["subscription_started"]);
    customer.pays("subscription_create", amount, &["transaction_processed"]);
    customer.later();
    let before = json!({"items": customer.items()});
    customer.plan = TEAM;
    customer.updated(before, &["subscription_upgraded"]);
    customer.pays("subscription_update", 3000, &["transaction_processed"]);
    customer.later();
    let before = json!({"items": customer.items()});
    customer.quantity = 3;
    customer.updated(before, &["quantity_changed"]);
    customer.later();
    customer.pause_collection = json!({"behavior": "void", "resumes_at": null});
    customer.updated(json!({"pause_collection": null}), &["payment_collection_paused"]);
    customer.later();
    let before = json!({"pause_collection": customer.pause_collection});
    customer.pause_collection = Value::Null;
    customer.updated(before, &["payment_collection_resumed"]);
    customer.told()
}

fn one_off(telling: Telling) -> Told {
    let mut customer = Customer::created(telling);
    customer.later();
    let session = json!({
        "id": customer.telling.new_id("cs_"), "object": "checkout.session", "mode": "payment",
        "status": "complete", "payment_status": "paid", "customer": customer.id(), "invoice": null,
        "subscription": null, "currency": customer.currency, "amount_total": 1500,
        "amount_subtotal": 1500, "created": customer.telling.now_seconds(), "livemode": true,
        "client_reference_id": null, "metadata": {"user_id": customer.telling.user_id()},
        "customer_details": {"email": customer.telling.email(), "name": null, "phone": null},
        "payment_intent": customer.telling.new_id("pi_"),
    });
    let bought = &["purchase_completed", "transaction_processed"];
    customer.tell("checkout.session.completed", &session, None, bought);
    customer.later();
    customer.pays("manual", 4500, bought);
    customer.later();
    let changed = customer.customer("Sam Renamed");
    let previous = json!({"name": "Sam Sample"});
    customer.tell("customer.updated", &changed, Some(previous), &["customer_updated"]);
    customer.told()
}

fn dunning(telling: Telling) -> Told {
    let mut customer = Customer::created(telling);
    customer.subscribes("active", &["subscription_started"]);
    let amount = customer.amount();
    customer.pays("subscription_create", amount, &["transaction_processed"]);
    let object = customer.invoice("subscription_create", amount, amount);
    customer.tell("invoice.payment_succeeded", &object, None, &[]);
    customer.later();
    customer.payment_fails();
    customer.later();
    customer.becomes("past_due", &["grace_period_started"]);
    customer.later();
    customer.payment_fails();
    customer.later();
    customer.becomes("unpaid", &["grace_period_ended", "billing_retry_started"]);
    customer.later();
    customer.deleted("payment_failed", &["subscription_expired"]);
    customer.told()
}

fn trial_paused(telling: Telling) -> Told {
    let mut customer = Customer::created(telling);
    customer.subscribes("trialing", &["subscription_started", "trial_started"]);
    customer.later();
    let before = json!({"trial_end": customer.trial_end});
    customer.trial_end = customer.trial_end.map(|end| end + MONTH);
    customer.updated(before, &["trial_extended"]);
    customer.later();
    customer.status = "paused";
    let object = customer.subscription();
    customer.tell("customer.subscription.paused", &object, None, &["subscription_paused"]);
    customer.later();
    customer.status = "active";
    let object = customer.subscription();
    customer.tell("customer.subscription.resumed", &object, None, &["subscription_resumed"]);
    customer.told()
}
