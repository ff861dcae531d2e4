//! A business of two years: ten thousand subscribers of four providers, as those export them, and what some of them
//! do while it goes live.

use std::path::Path;

use end_to_end::exports::{of_dodo, of_purchasely, of_revenuecat, of_stripe, table};
use end_to_end::journeys::{Provider, Webhook};
use end_to_end::pipeline::Pipeline;
use end_to_end::processes::Binary;
use serde_json::{Value, json};

/// Of each provider.
const SUBSCRIBERS: usize = 2_500;
const AS_OF: &str = "2026-06-01T00:00:00Z";
const MONTH_MS: i64 = 2_592_000_000;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Customer {
    pub(crate) provider: Provider,
    pub(crate) number: usize,
}

impl Customer {
    /// What destinations know the person by.
    pub(crate) fn who(self) -> String {
        let Self { provider, number } = self;
        match provider {
            Provider::Stripe => format!("u-{number}"),
            Provider::Dodo => format!("d{number}@example.com"),
            Provider::RevenueCat => format!("app-{number}"),
            Provider::Purchasely => format!("p-{number}"),
        }
    }

    pub(crate) fn key(self) -> String {
        let Self { provider, number } = self;
        let id = match provider {
            Provider::Stripe | Provider::Dodo => format!("cus_{number}"),
            Provider::RevenueCat | Provider::Purchasely => self.who(),
        };
        format!("{}/{id}", provider.source())
    }

    /// What the provider says when the subscription renews.
    pub(crate) fn renewal(self, round: u32, occurred_at_ms: i64) -> Webhook {
        let Self { provider, number } = self;
        let id = format!("evt-{}-{number}-{round}", provider.source());
        let (event_type, body) = match provider {
            Provider::Stripe => ("invoice.paid", stripe(&id, number, occurred_at_ms)),
            Provider::Dodo => ("subscription.renewed", dodo(number, occurred_at_ms)),
            Provider::RevenueCat => ("RENEWAL", revenuecat(&id, number, occurred_at_ms)),
            Provider::Purchasely => {
                ("SUBSCRIPTION_RENEWED", purchasely(&id, number, occurred_at_ms))
            }
        };
        Webhook {
            provider,
            event_id: id,
            event_type: event_type.to_owned(),
            occurred_at_ms,
            body,
            expects: renewed(provider),
        }
    }
}

/// The events of a renewal. Where it says what was paid, that is an event, too.
pub(crate) fn renewed(provider: Provider) -> &'static [&'static str] {
    match provider {
        Provider::Stripe | Provider::RevenueCat => {
            &["subscription_renewed", "transaction_processed"]
        }
        Provider::Dodo | Provider::Purchasely => &["subscription_renewed"],
    }
}

fn iso(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap().to_string()
}

fn stripe(id: &str, number: usize, at_ms: i64) -> Value {
    let (now, customer) = (at_ms / 1000, format!("cus_{number}"));
    let subscription = json!({"type": "subscription_details", "quote_details": null,
        "subscription_details": {"subscription": format!("sub-{number}"), "metadata": {}}});
    let line = json!({"id": format!("il_{id}"), "object": "line_item", "amount": 2000,
        "currency": "eur", "quantity": 1, "period": {"start": now, "end": now + MONTH_MS / 1000},
        "pricing": {"type": "price_details",
            "price_details": {"price": "price_basic", "product": "pro"}}});
    let invoice = json!({"id": format!("in_{id}"), "object": "invoice", "customer": customer,
        "currency": "eur", "billing_reason": "subscription_cycle", "amount_due": 2000,
        "amount_paid": 2000, "amount_remaining": 0, "total": 2000, "subtotal": 2000,
        "created": now, "livemode": true, "metadata": {}, "status": "paid", "period_start": now,
        "period_end": now, "parent": subscription,
        "lines": {"object": "list", "has_more": false, "data": [line]}});
    json!({"id": id, "object": "event", "api_version": "2026-10-28.endive", "created": now,
        "livemode": true, "type": "invoice.paid", "data": {"object": invoice}})
}

fn dodo(number: usize, at_ms: i64) -> Value {
    json!({"business_id": "bus_example", "type": "subscription.renewed", "timestamp": iso(at_ms),
        "data": {"payload_type": "Subscription", "subscription_id": format!("sub-{number}"),
            "status": "active", "product_id": "pro", "quantity": 1, "currency": "USD",
            "customer": {"customer_id": format!("cus_{number}"),
                "email": format!("d{number}@example.com"), "name": "Sam Sample"},
            "recurring_pre_tax_amount": 990, "payment_frequency_count": 1,
            "payment_frequency_interval": "Month", "created_at": "2024-06-01T00:00:00Z",
            "previous_billing_date": iso(at_ms), "next_billing_date": iso(at_ms + MONTH_MS),
            "cancel_at_next_billing_date": false, "metadata": {}}})
}

fn revenuecat(id: &str, number: usize, at_ms: i64) -> Value {
    json!({"api_version": "1.0", "event": {"type": "RENEWAL", "id": id, "event_timestamp_ms": at_ms,
        "app_user_id": format!("app-{number}"), "original_app_user_id": format!("app-{number}"),
        "product_id": "pro", "period_type": "NORMAL", "entitlement_ids": ["pro"],
        "purchased_at_ms": at_ms, "expiration_at_ms": at_ms + MONTH_MS, "environment": "PRODUCTION",
        "store": "APP_STORE", "transaction_id": format!("t-{id}"),
        "original_transaction_id": format!("sub-{number}"), "currency": "USD",
        "price": 9.90, "price_in_purchased_currency": 9.90}})
}

fn purchasely(id: &str, number: usize, at_ms: i64) -> Value {
    let renews = at_ms + MONTH_MS;
    json!({"api_version": 3, "event_name": "SUBSCRIPTION_RENEWED", "event_id": id,
        "event_created_at": iso(at_ms), "event_created_at_ms": at_ms,
        "user_id": format!("p-{number}"), "product": "pro", "plan": "monthly",
        "store": "GOOGLE_PLAY_STORE", "environment": "PRODUCTION",
        "purchasely_subscription_id": format!("sub-{number}"),
        "purchased_at": iso(at_ms), "purchased_at_ms": at_ms,
        "next_renewal_at": iso(renews), "next_renewal_at_ms": renews,
        "effective_next_renewal_at": iso(renews), "effective_next_renewal_at_ms": renews,
        "purchase_type": "RENEWING_SUBSCRIPTION", "subscription_status": "AUTO_RENEWING",
        "offer_type": "NONE", "previous_offer_type": "NONE", "customer_currency": "EUR",
        "plan_price_in_customer_currency": 9.99, "plan_price_in_eur": 9.99})
}

/// What those have paid, which Stripe does not list.
fn paid_at_stripe() -> String {
    let rows = (0..SUBSCRIBERS).map(|number| format!("cus_{number},48000,EUR"));
    table("subscriber_id,total_amount,total_currency", rows)
}

/// Imports everybody.
pub(crate) fn import(pipeline: &Pipeline) {
    let folder = &pipeline.setting.folder;
    for (source, format, name, text) in [
        ("stripe", "stripe", "stripe.json", of_stripe(SUBSCRIBERS)),
        ("stripe", "csv", "stripe-paid.csv", paid_at_stripe()),
        ("dodo", "dodo", "dodo.json", of_dodo(SUBSCRIBERS)),
        ("revenuecat", "revenuecat", "revenuecat.csv", of_revenuecat(SUBSCRIBERS)),
        ("purchasely", "csv", "purchasely.csv", of_purchasely(SUBSCRIBERS)),
    ] {
        let file = written(folder, name, &text);
        let words = [&file, "--source", source, "--format", format, "--as-of", AS_OF, "--json"];
        let told = pipeline.setting.told(Binary::Transform, "import", &words).unwrap();
        let summary: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        assert_eq!(summary["imported"], json!(SUBSCRIBERS), "{name}: {summary}");
    }
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
