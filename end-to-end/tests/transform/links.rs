//! Records of whom only a link says whose they are: they reach their subscriber through whichever instance owns the
//! partitions between, and are parked when nobody ever says.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use schemas::EventType;
use schemas::headers::ParkedHeaders;
use schemas::topics::Topic;
use serde_json::{Value, json};
use service::clock::{Clock, SystemClock};
use stream::{Appender, Reader, Record};
use tokio::runtime::Runtime;

use crate::transform::feed::raw;
use crate::transform::installation::Installation;
use crate::transform::ledger::Ledger;

const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
const RECOVERS_WITHIN: Duration = Duration::from_mins(1);

/// Writes records in this order.
pub(crate) fn append(installation: &Installation, records: impl IntoIterator<Item = Record>) {
    let runtime = Runtime::new().unwrap();
    let appender = Appender::open(installation.cluster(), ACKNOWLEDGED_WITHIN).unwrap();
    for record in records {
        runtime.block_on(appender.append(record)).expect("the broker takes it");
    }
}

/// A Stripe event about an object, under the key that the edge gives it.
fn stripe(topic: &str, id: &str, key: &str, event_type: &str, object: &Value) -> Record {
    let body = json!({
        "id": id,
        "object": "event",
        "type": event_type,
        "created": SystemClock::new().now_millis() / 1000,
        "livemode": true,
        "data": { "object": object },
    });
    raw(topic, ("stripe", key), (id, &format!("stripe.{event_type}")), body.to_string())
}

/// The opening of a dispute about a charge. It names no customer.
fn dispute(topic: &str, number: u32) -> Record {
    let object = json!({
        "id": format!("dp_{number}"), "object": "dispute", "charge": format!("ch_{number}"),
        "amount": 1200, "currency": "eur", "reason": "fraudulent", "status": "needs_response",
    });
    let key = format!("charge/ch_{number}");
    stripe(topic, &format!("evt_dispute_{number}"), &key, "charge.dispute.created", &object)
}

/// The charge itself, which says whose it is and means nothing else.
fn charge(topic: &str, number: u32) -> Record {
    let customer = format!("cus_{number}");
    let object = json!({
        "id": format!("ch_{number}"), "object": "charge", "customer": &customer,
        "amount": 1200, "currency": "eur", "status": "succeeded",
    });
    stripe(topic, &format!("evt_charge_{number}"), &customer, "charge.succeeded", &object)
}

/// A RevenueCat event under the key of one of its people, so long ago.
fn revenuecat(topic: &str, id: &str, (key, age): (&str, Duration), mut event: Value) -> Record {
    let event_type = event["type"].as_str().unwrap().to_owned();
    let age = i64::try_from(age.as_millis()).unwrap();
    event["id"] = json!(id);
    event["event_timestamp_ms"] = json!(SystemClock::new().now_millis() - age);
    event["environment"] = json!("PRODUCTION");
    let body = json!({ "api_version": "1.0", "event": event });
    raw(topic, ("revenuecat", key), (id, &format!("revenuecat.{event_type}")), body.to_string())
}

fn purchase(topic: &str) -> Record {
    let now = SystemClock::new().now_millis();
    let event = json!({
        "type": "INITIAL_PURCHASE",
        "app_user_id": "ada", "original_app_user_id": "ada",
        "aliases": ["ada", "$RCAnonymousID:1"],
        "product_id": "monthly", "period_type": "NORMAL", "store": "APP_STORE",
        "original_transaction_id": "transaction-1", "transaction_id": "transaction-1",
        "purchased_at_ms": now, "expiration_at_ms": now + 2_592_000_000_i64,
        "price": 9.99, "currency": "USD", "price_in_purchased_currency": 9.99,
    });
    revenuecat(topic, "purchase-1", ("ada", Duration::from_mins(2)), event)
}

/// It names the sender by an id that no event was ever keyed by.
fn transfer(topic: &str) -> Record {
    let event = json!({
        "type": "TRANSFER",
        "transferred_from": ["$RCAnonymousID:1"], "transferred_to": ["bob"],
    });
    revenuecat(topic, "transfer-1", ("$RCAnonymousID:1", Duration::from_mins(1)), event)
}

/// Two disputes, one before and one after its charge, each told twice; a purchase, and its transfer by an alias that
/// only the purchase explains. Says how many events that gives.
pub(crate) fn tell_disputes_and_a_transfer(installation: &Installation) -> usize {
    let topic = &Topic::Raw.name(installation.prefix());
    append(
        installation,
        [dispute(topic, 1), dispute(topic, 1), transfer(topic), charge(topic, 1), charge(topic, 2)],
    );
    append(installation, [dispute(topic, 2), purchase(topic), dispute(topic, 2)]);
    // Two disputes, start and payment of the subscription, its departure and its arrival.
    2 + 2 + 2
}

#[test]
fn disputes_and_transfers_find_their_people_across_partitions_and_instances() {
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let installation = Installation::new("links", address, &[("KAFKA__PARTITIONS", "8")]);
    let mut instances = [installation.instance("one"), installation.instance("two")];
    let mut ledger = Ledger::open(installation.cluster(), installation.prefix());
    let told = tell_disputes_and_a_transfer(&installation);
    installation.await_events(&mut ledger, told, RECOVERS_WITHIN);
    let mut stories: BTreeMap<&str, Vec<EventType>> = BTreeMap::new();
    for event in ledger.events() {
        stories.entry(&event.subscriber.key).or_default().push(event.event_type);
    }
    let expected = BTreeMap::from([
        ("stripe/cus_1", vec![EventType::DisputeOpened]),
        ("stripe/cus_2", vec![EventType::DisputeOpened]),
        (
            "revenuecat/ada",
            vec![
                EventType::SubscriptionStarted,
                EventType::TransactionProcessed,
                EventType::SubscriptionTransferred,
            ],
        ),
        ("revenuecat/bob", vec![EventType::SubscriptionReceived]),
    ]);
    assert_eq!(stories, expected);
    let received = ledger.events().iter().find(|event| event.subscriber.id == "bob").unwrap();
    let subscription = received.subscription.as_ref().unwrap();
    assert_eq!(subscription.product_id.as_deref(), Some("monthly"), "the state moved with it");
    for instance in &mut instances {
        instance.assert_in_order("links");
    }
}

#[test]
fn a_record_that_nothing_links_is_parked_when_its_time_is_over_also_after_a_kill() {
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let environment = [("KAFKA__PARTITIONS", "2"), ("TRANSFORM__LINK_TIMEOUT", "2s")];
    let installation = Installation::new("unlinked", address, &environment);
    let mut instance = installation.instance("only");
    let topic = Topic::Raw.name(installation.prefix());
    append(&installation, [dispute(&topic, 7)]);
    instance.kill_and_start_again();
    let reader = Reader::open(installation.cluster(), "parked").unwrap();
    let parked = Topic::Unprocessable.name(installation.prefix());
    let began = Instant::now();
    let record = loop {
        let mut found = None;
        for partition in 0..reader.partitions(&parked).unwrap() {
            let range = reader.low_and_high(&parked, partition).unwrap();
            let each = |received| {
                found = Some(received);
                ControlFlow::Continue(())
            };
            reader.read_to(&parked, partition, range, each).unwrap();
        }
        if let Some(record) = found {
            break record;
        }
        assert!(began.elapsed() < RECOVERS_WITHIN, "{}", instance.log());
        std::thread::sleep(Duration::from_millis(100));
    };
    let end = ParkedHeaders::from_headers(&record.headers).unwrap();
    assert_eq!((end.reason.as_str(), end.topic.as_str()), ("subscriber_unknown", topic.as_str()));
    assert_eq!(record.key.as_deref(), Some(b"stripe/charge/ch_7".as_slice()));
    assert!(record.value.is_some_and(|body| body.starts_with(b"{")), "with its bytes");
    instance.assert_alive();
}
