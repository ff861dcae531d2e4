//! Customer.io's page "Sync customers from Stripe to Customer.io": a customer that Stripe announces is
//! found by e-mail address, or created, and given the Stripe customer id.

use schemas::Provider;
use serde_json::{Value, json};

use crate::stage::{AtCustomerio, Setting, Webhooks};

const CREATED: i64 = 1_780_000_000;

fn envelope(event_type: &str, at: i64, object: &Value) -> Value {
    json!({
        "id": format!("evt_{event_type}_{at}"),
        "object": "event",
        "api_version": "2026-03-25.dahlia",
        "created": at,
        "livemode": true,
        "type": event_type,
        "data": {"object": object}
    })
}

fn customer(email: Option<&str>) -> Value {
    json!({
        "id": "cus_lovelace",
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": CREATED,
        "email": email,
        "livemode": true,
        "metadata": {},
        "name": "Ada Lovelace",
        "phone": null
    })
}

#[tokio::test]
async fn a_lead_known_by_address_becomes_the_customer_with_stripes_id() {
    let mut stripe = Webhooks::of(Provider::Stripe);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let created = envelope("customer.created", CREATED, &customer(Some("ada@example.com")));
    let events = stripe.events("cus_lovelace", "customer.created", &created);
    let (items, skipped) = destination.get(&events).await;
    assert!(skipped.is_empty());
    assert_eq!(
        items[0],
        json!({
            "type": "person",
            "identifiers": {"email": "ada@example.com"},
            "action": "identify",
            "timestamp": CREATED,
            "attributes": {"id": "cus_lovelace"}
        })
    );
    let person = json!({"id": "cus_lovelace"});
    assert_eq!((&items[1]["identifiers"], &items[1]["action"]), (&person, &json!("event")));
    assert_eq!(items[1]["name"], "customer.created");
    assert_eq!(
        items[1]["attributes"],
        json!({
            "id": "cus_lovelace",
            "object": "customer",
            "created": CREATED,
            "email": "ada@example.com",
            "livemode": true,
            "name": "Ada Lovelace"
        })
    );
    let found = destination.emulator.person("ada@example.com").unwrap();
    assert_eq!(found.id.as_deref(), Some("cus_lovelace"));
    assert_eq!(destination.emulator.people().len(), 1, "nobody is there twice");
}

#[tokio::test]
async fn what_stripe_tells_later_reaches_the_customer_by_that_id_under_stripes_own_name() {
    let mut stripe = Webhooks::of(Provider::Stripe);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let created = envelope("customer.created", CREATED, &customer(Some("ada@example.com")));
    destination.get(&stripe.events("cus_lovelace", "customer.created", &created)).await;
    let invoice = json!({
        "id": "in_1",
        "object": "invoice",
        "customer": "cus_lovelace",
        "customer_email": "ada@example.com",
        "customer_name": "Ada Lovelace",
        "billing_reason": "subscription_cycle",
        "amount_due": 1_500,
        "amount_paid": 0,
        "currency": "eur",
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": "sub_1", "metadata": {}}
        },
        "lines": {"data": []}
    });
    for (place, event_type) in
        ["invoice.payment_failed", "invoice.upcoming"].into_iter().enumerate()
    {
        let at = CREATED + 60 + i64::try_from(place).unwrap();
        let body = envelope(event_type, at, &invoice);
        let events = stripe.events("cus_lovelace", event_type, &body);
        let (items, _) = destination.get(&events).await;
        assert_eq!(items[0]["attributes"], json!({"email": "ada@example.com"}));
        assert_eq!(items[1]["name"], event_type);
        assert_eq!(items[1]["identifiers"], json!({"id": "cus_lovelace"}));
        assert_eq!(items[1]["attributes"]["subscription_id"], "sub_1");
    }
    assert_eq!(destination.emulator.people().len(), 1);
    let names: Vec<_> = destination.emulator.events_of("cus_lovelace").into_iter().collect();
    let names: Vec<_> = names.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["customer.created", "invoice.payment_failed", "invoice.upcoming"]);
}

#[tokio::test]
async fn a_customer_without_an_address_is_one_by_id_alone() {
    let mut stripe = Webhooks::of(Provider::Stripe);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let created = envelope("customer.created", CREATED, &customer(None));
    let (items, _) =
        destination.get(&stripe.events("cus_lovelace", "customer.created", &created)).await;
    assert_eq!(items[0]["identifiers"], json!({"id": "cus_lovelace"}));
    assert_eq!(items[0]["attributes"], json!({}));
}

/// Found by address a second time, a person who has moved would be created anew.
#[tokio::test]
async fn a_new_address_stays_with_the_same_person() {
    let mut stripe = Webhooks::of(Provider::Stripe);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let created = envelope("customer.created", CREATED, &customer(Some("ada@example.com")));
    destination.get(&stripe.events("cus_lovelace", "customer.created", &created)).await;
    let mut moved = envelope("customer.updated", CREATED + 60, &customer(Some("ada@example.org")));
    moved["data"]["previous_attributes"] = json!({"email": "ada@example.com"});
    destination.get(&stripe.events("cus_lovelace", "customer.updated", &moved)).await;
    assert_eq!(destination.emulator.people().len(), 1);
    let person = destination.emulator.person("cus_lovelace").unwrap();
    assert_eq!(person.email.as_deref(), Some("ada@example.org"));
}

/// One provider event is one event at the destination, whatever `transform` made of it.
#[tokio::test]
async fn several_lifecycle_events_of_one_webhook_are_told_once() {
    let mut stripe = Webhooks::of(Provider::Stripe);
    let destination = AtCustomerio::with(&Setting::default()).await;
    let trial = json!({
        "id": "sub_1",
        "object": "subscription",
        "customer": "cus_lovelace",
        "status": "trialing",
        "currency": "eur",
        "start_date": CREATED,
        "trial_start": CREATED,
        "trial_end": CREATED + 604_800,
        "cancel_at_period_end": false,
        "items": {"data": [{
            "id": "si_1",
            "quantity": 1,
            "current_period_start": CREATED,
            "current_period_end": CREATED + 604_800,
            "price": {
                "id": "price_1",
                "product": "prod_1",
                "unit_amount": 1_500,
                "currency": "eur",
                "recurring": {"interval": "month", "interval_count": 1}
            }
        }]}
    });
    let started = envelope("customer.subscription.created", CREATED, &trial);
    let events = stripe.events("cus_lovelace", "customer.subscription.created", &started);
    assert_eq!(events.len(), 2, "the subscription and its trial");
    let (items, skipped) = destination.get(&events).await;
    let names: Vec<_> = items.iter().filter_map(|item| item.get("name")).collect();
    assert_eq!(names, ["customer.subscription.created"]);
    assert_eq!(skipped, ["told_by_first"]);
}
