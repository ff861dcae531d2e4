//! Dodo Payments' page "Customer.io": three transformations to copy, for payments, for the life of a
//! subscription and for attributes of customers.

use deliver::destinations::Identity;
use schemas::Provider;
use serde_json::{Value, json};

use crate::stage::{AtCustomerio, Setting, Webhooks};

/// As the page identifies people: by Dodo's customer id.
fn setting() -> Setting {
    Setting { identify_by: vec![Identity::ProviderId], ..Setting::default() }
}

fn customer() -> Value {
    json!({
        "customer_id": "cus_grace",
        "email": "grace@example.com",
        "name": "Grace Hopper",
        "phone_number": null,
        "metadata": {}
    })
}

fn payment(id: &str, amount: i64, currency: &str, at: &str) -> Value {
    json!({
        "business_id": "bus_1",
        "type": "payment.succeeded",
        "timestamp": at,
        "data": {
            "payload_type": "Payment",
            "payment_id": id,
            "payment_method": "card",
            "customer": customer(),
            "subscription_id": null,
            "total_amount": amount,
            "currency": currency,
            "status": "succeeded",
            "created_at": at
        }
    })
}

fn subscription(event_type: &str, at: &str, changed: &Value) -> Value {
    let mut data = json!({
        "payload_type": "Subscription",
        "subscription_id": "sub_pro",
        "customer": customer(),
        "status": "active",
        "product_id": "pdt_pro",
        "quantity": 1,
        "recurring_pre_tax_amount": 2_900,
        "currency": "USD",
        "payment_frequency_count": 1,
        "payment_frequency_interval": "Month",
        "trial_period_days": 0,
        "created_at": "2026-05-01T09:00:00.500Z",
        "previous_billing_date": "2026-05-01T09:00:00.500Z",
        "next_billing_date": "2026-06-01T09:00:00.500Z",
        "cancel_at_next_billing_date": false,
        "cancelled_at": null
    });
    for (key, value) in changed.as_object().unwrap() {
        data[key] = value.clone();
    }
    json!({"business_id": "bus_1", "type": event_type, "timestamp": at, "data": data})
}

fn person() -> Value {
    json!({"id": "cus_grace"})
}

fn told(item: &Value) -> (&str, &Value) {
    (item["name"].as_str().unwrap(), &item["attributes"])
}

#[tokio::test]
async fn payments_subscriptions_and_customers_arrive_as_dodos_page_sends_them() {
    let mut dodo = Webhooks::of(Provider::Dodo);
    let destination = AtCustomerio::with(&setting()).await;

    let paid = payment("pay_1", 2_999, "USD", "2026-05-01T09:00:01.250Z");
    let events = dodo.events("cus_grace", "payment.succeeded", &paid);
    let (items, skipped) = destination.get(&events).await;
    assert_eq!(skipped, ["told_by_first"]);
    assert_eq!(items.len(), 2);
    assert_eq!((&items[0]["action"], &items[0]["identifiers"]), (&json!("identify"), &person()));
    assert_eq!(
        items[0]["attributes"],
        json!({
            "email": "grace@example.com",
            "name": "Grace Hopper",
            "total_spent": "29.99",
            "payment_method": "card",
            "last_payment_date": "2026-05-01T09:00:01.250Z",
            "customer_since": "2026-05-01T09:00:01.250Z"
        })
    );
    assert_eq!((&items[1]["action"], &items[1]["identifiers"]), (&json!("event"), &person()));
    assert_eq!(items[1]["name"], "payment_completed");
    assert_eq!(items[1]["timestamp"], 1_777_626_001);
    assert_eq!(
        items[1]["attributes"],
        json!({
            "email": "grace@example.com",
            "name": "Grace Hopper",
            "payment_amount": "29.99",
            "payment_method": "card",
            "payment_id": "pay_1",
            "currency": "USD"
        })
    );

    let started = subscription("subscription.active", "2026-05-01T09:00:02Z", &json!({}));
    let events = dodo.events("cus_grace", "subscription.active", &started);
    let (items, _) = destination.get(&events).await;
    assert_eq!(items[0]["attributes"], json!({"email": "grace@example.com"}));
    let expected = json!({
        "email": "grace@example.com",
        "subscription_id": "sub_pro",
        "product_id": "pdt_pro",
        "amount": "29.00",
        "frequency": "Month",
        "next_billing": "2026-06-01T09:00:00.500Z"
    });
    assert_eq!(told(&items[1]), ("subscription_started", &expected));

    let flagged = json!({"cancel_at_next_billing_date": true});
    let cancelled = subscription("subscription.cancelled", "2026-05-09T10:00:00.750Z", &flagged);
    let events = dodo.events("cus_grace", "subscription.cancelled", &cancelled);
    let (items, _) = destination.get(&events).await;
    let expected = json!({
        "email": "grace@example.com",
        "subscription_id": "sub_pro",
        "cancelled_at": "2026-05-09T10:00:00.750Z",
        "cancel_at_next_billing": true
    });
    assert_eq!(told(&items[1]), ("subscription_cancelled", &expected));
}

/// The page's own action is refused by Customer.io, its hundredths are wrong for yen and dinars, and its
/// `total_spent` is the latest payment.
#[tokio::test]
async fn amounts_have_the_digits_of_their_currency_and_the_total_is_a_total() {
    let mut dodo = Webhooks::of(Provider::Dodo);
    let destination = AtCustomerio::with(&setting()).await;
    let mut shown = Vec::new();
    for (place, (amount, currency)) in
        [(1_200, "JPY"), (4_500, "KWD"), (500, "USD"), (700, "USD")].into_iter().enumerate()
    {
        let at = format!("2026-05-0{}T09:00:00Z", place + 1);
        let paid = payment(&format!("pay_{place}"), amount, currency, &at);
        let events = dodo.events("cus_grace", "payment.succeeded", &paid);
        let (items, _) = destination.get(&events).await;
        let (total, amount) = (&items[0]["attributes"]["total_spent"], &items[1]["attributes"]);
        shown.push((total.clone(), amount["payment_amount"].clone(), amount["currency"].clone()));
    }
    let expected = [
        ("1200", "1200", "JPY"),
        ("4.500", "4.500", "KWD"),
        ("5.00", "5.00", "USD"),
        ("12.00", "7.00", "USD"),
    ];
    let expected =
        expected.map(|(total, amount, currency)| (json!(total), json!(amount), json!(currency)));
    assert_eq!(shown, expected);
}

/// The page sets `customer_since` anew with every payment, which contradicts its name.
#[tokio::test]
async fn a_customer_is_one_since_the_first_payment() {
    let mut dodo = Webhooks::of(Provider::Dodo);
    let destination = AtCustomerio::with(&setting()).await;
    for (id, at) in [("pay_1", "2026-05-01T09:00:00Z"), ("pay_2", "2026-06-01T09:00:00Z")] {
        let paid = payment(id, 900, "USD", at);
        destination.get(&dodo.events("cus_grace", "payment.succeeded", &paid)).await;
    }
    let person = destination.emulator.person("cus_grace").unwrap();
    assert_eq!(person.attributes["customer_since"], "2026-05-01T09:00:00.000Z");
    assert_eq!(person.attributes["last_payment_date"], "2026-06-01T09:00:00.000Z");
    assert_eq!(person.attributes["total_spent"], "18.00");
}

/// As the page's `p.payment_method || "unknown"`.
#[tokio::test]
async fn a_payment_by_a_method_that_dodo_does_not_say_is_of_an_unknown_one() {
    let mut dodo = Webhooks::of(Provider::Dodo);
    let destination = AtCustomerio::with(&setting()).await;
    let mut paid = payment("pay_1", 2_999, "USD", "2026-05-01T09:00:00Z");
    paid["data"]["payment_method"] = Value::Null;
    let (items, _) = destination.get(&dodo.events("cus_grace", "payment.succeeded", &paid)).await;
    let methods = items.iter().map(|item| item["attributes"]["payment_method"].clone());
    assert_eq!(methods.collect::<Vec<_>>(), ["unknown", "unknown"]);
}

#[tokio::test]
async fn every_activation_is_a_start_and_an_end_at_once_is_no_later_one() {
    let mut dodo = Webhooks::of(Provider::Dodo);
    let destination = AtCustomerio::with(&setting()).await;
    let day = |day: u32| format!("2026-05-{day:02}T09:00:00Z");
    let mut names = Vec::new();
    for (event_type, at, changed) in [
        ("subscription.active", day(1), json!({})),
        ("subscription.on_hold", day(2), json!({"status": "on_hold"})),
        ("subscription.active", day(3), json!({})),
        ("subscription.cancelled", day(4), json!({"status": "cancelled", "cancelled_at": day(4)})),
    ] {
        let body = subscription(event_type, &at, &changed);
        let (items, skipped) = destination.get(&dodo.events("cus_grace", event_type, &body)).await;
        let later = items.get(1).map(|item| item["attributes"]["cancel_at_next_billing"].clone());
        names.push((items.get(1).map(|item| item["name"].clone()), later, skipped));
    }
    assert_eq!(names[0].0, Some(json!("subscription_started")));
    assert_eq!(names[1], (None, None, vec!["not_in_integration"]), "the page has no such name");
    assert_eq!(names[2].0, Some(json!("subscription_started")));
    assert_eq!(
        (&names[3].0, &names[3].1),
        (&Some(json!("subscription_cancelled")), &Some(json!(false)))
    );
}
