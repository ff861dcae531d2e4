//! What a business of two years exports of its subscribers, numbered from 0, in the shape of each provider.
//!
//! Each subscriber has one active subscription to the product `pro`, `sub-<number>`. Who that is has another name at
//! each provider: `cus_<number>` at Stripe (with the user id `u-<number>`) and Dodo, `app-<number>` at RevenueCat,
//! `p-<number>` at Purchasely.

use serde_json::json;

/// What Stripe's API lists. It says nothing of what was paid.
pub fn of_stripe(subscribers: usize) -> String {
    let listed = (0..subscribers).map(|number| {
        json!({"object": "subscription", "id": format!("sub-{number}"), "livemode": true,
            "customer": {"id": format!("cus_{number}"), "email": format!("s{number}@example.com")},
            "status": "active", "cancel_at_period_end": false, "start_date": 1_717_200_000,
            "metadata": {"user_id": format!("u-{number}")}, "items": {"data": []}})
    });
    json!({"object": "list", "data": listed.collect::<Vec<_>>()}).to_string()
}

/// What Dodo's API lists.
pub fn of_dodo(subscribers: usize) -> String {
    let listed = (0..subscribers).map(|number| {
        json!({"subscription_id": format!("sub-{number}"), "status": "active", "product_id": "pro",
            "customer": {
                "customer_id": format!("cus_{number}"), "email": format!("d{number}@example.com")},
            "recurring_pre_tax_amount": 990, "currency": "USD", "quantity": 1,
            "payment_frequency_interval": "Month", "payment_frequency_count": 1,
            "cancel_at_next_billing_date": false, "created_at": "2024-06-01T00:00:00Z",
            "next_billing_date": "2026-07-01T00:00:00Z"})
    });
    json!({"items": listed.collect::<Vec<_>>()}).to_string()
}

/// What RevenueCat exports: two transactions each.
pub fn of_revenuecat(subscribers: usize) -> String {
    let heading = "rc_original_app_user_id,original_store_transaction_id,product_identifier,\
                   start_time,effective_end_time,store,is_auto_renewable,is_sandbox,\
                   purchased_currency,price_in_purchased_currency";
    let rows = (0..2 * subscribers).map(|row| {
        let (number, month) = (row / 2, 4 + row % 2);
        format!(
            "app-{number},sub-{number},pro,2026-0{month}-15 00:00:00,2026-06-15 00:00:00,app_store,\
             true,false,USD,9.90"
        )
    });
    table(heading, rows)
}

/// A table of one's own, for Purchasely.
pub fn of_purchasely(subscribers: usize) -> String {
    let heading =
        "subscriber_id,email,subscription_id,status,product_id,total_amount,total_currency";
    let rows = (0..subscribers)
        .map(|number| format!("p-{number},p{number}@example.com,sub-{number},active,pro,5000,EUR"));
    table(heading, rows)
}

/// A heading and rows below it.
pub fn table(heading: &str, rows: impl Iterator<Item = String>) -> String {
    std::iter::once(heading.to_owned()).chain(rows).collect::<Vec<_>>().join("\n")
}
