use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::{Environment, EventType};
use script::{Limits, Script};
use serde_json::{Value, json};

use super::*;
use crate::destinations::customerio::{CustomerIo, OnCustomerDeleted};
use crate::destinations::{Anonymous, Audience, Identity, Names, samples};
use crate::preview::rehearse;

const PAYMENT: &str = include_str!("../../../transform/src/sources/dodo/fixtures/payment.json");
const ENTITY: &str = "https://track.customer.io/api/v2/entity";

fn workspace() -> CustomerIo {
    CustomerIo {
        audience: Audience {
            identify_by: vec![Identity::UserId],
            anonymous: Anonymous::Skip,
            environments: vec![Environment::Production],
        },
        names: Names::default(),
        on_customer_deleted: OnCustomerDeleted::Keep,
    }
}

fn with(text: &str) -> Transformed<CustomerIo> {
    let script = Script::read("pay.js", text, Limits::default()).unwrap();
    let handlers = Handlers { all: Some(Handler::here(script).into()), ..Handlers::default() };
    let reach = Reach {
        url: ENTITY.to_owned(),
        path: "/api/v2/entity".to_owned(),
        own: vec!["track.customer.io".to_owned()],
        allowed: vec!["hooks.example.com".to_owned()],
    };
    Transformed::new(workspace(), handlers, reach, Counts::default())
}

fn body(statements: &str) -> String {
    format!("function handler(webhook) {{\n  {statements}\n  return webhook;\n}}")
}

fn payment() -> LifecycleEvent {
    let mut event = samples::event(EventType::TransactionProcessed);
    event.provider_event_type = "payment.succeeded".to_owned();
    event.payload = Some(PAYMENT.as_bytes().to_vec());
    event
}

/// What is sent for an event: the items of the batch, and then the requests beside it.
fn sent(code: &str, event: &LifecycleEvent) -> (Vec<Value>, Vec<Request>) {
    let told = with(code);
    let Plan::Send(delivery) = told.plan(event) else { panic!("{:?}", told.plan(event)) };
    let mut requests = rehearse(&told, delivery);
    let is_batch = requests.first().is_some_and(|first| first.path == "/api/v2/batch");
    let batch = is_batch.then(|| requests.remove(0).body.unwrap());
    let batch: Value =
        batch.map_or(json!({"batch": []}), |body| serde_json::from_slice(&body).unwrap());
    (batch["batch"].as_array().unwrap().clone(), requests)
}

fn failure(code: &str, event: &LifecycleEvent) -> Failure {
    let plan = with(code).plan(event);
    let Plan::End(Verdict::Park(failure)) = plan else { panic!("{plan:?}") };
    failure
}

#[test]
fn an_action_that_there_is_none_of_is_sent_as_an_event_with_an_id_and_a_time() {
    let code = body(
        "const paid = webhook.payload.data;
         webhook.url = 'https://track.customer.io/api/v2/entity';
         webhook.payload = { type: 'person', identifiers: { id: paid.customer.customer_id },
           action: 'payment_completed', name: 'Payment Completed',
           attributes: { amount: (paid.total_amount / 100).toFixed(2), gone: undefined } };",
    );
    let event = payment();
    let (items, further) = sent(&code, &event);
    assert_eq!(further.len(), 0);
    assert_eq!(items[0]["action"], "identify");
    let items = items[1..].to_vec();
    assert_eq!(
        items,
        [json!({
            "type": "person", "identifiers": {"id": "cus_Keel"}, "action": "event",
            "name": "Payment Completed", "attributes": {"amount": "10.71"},
            "id": items[0]["id"], "timestamp": event.occurred_at.seconds(),
        })]
    );
    assert_eq!(items[0]["id"].as_str().map(str::len), Some(26));
    assert_eq!(sent(&code, &event).0[1..], items, "a repetition is the same to the byte");
    let corrections = with(&code).consider(&event).corrections;
    assert_eq!(corrections.len(), 1);
    assert!(corrections[0].text.contains("`payment_completed`"), "{}", corrections[0].text);
}

#[test]
fn an_identify_keeps_its_attributes_and_gets_the_second_of_its_event() {
    let code = body(
        "webhook.payload = { type: 'person', identifiers: { id: 7 }, action: 'identify',
           name: 'Customer Identified', attributes: { since: webhook.payload.timestamp } };",
    );
    let event = payment();
    let (items, _) = sent(&code, &event);
    let expected = json!({
        "type": "person", "identifiers": {"id": "7"}, "action": "identify",
        "attributes": {"since": "2026-05-01T08:00:01Z"}, "timestamp": event.distinct_second,
    });
    assert_eq!(items, [expected]);
    let what = with(&code).consider(&event).corrections;
    let what: Vec<_> = what.iter().map(|correction| correction.what).collect();
    assert_eq!(what, [Corrected::Identifier, Corrected::Field]);
}

#[test]
fn a_webhook_left_as_it_is_is_told_as_without_a_handler() {
    let event = payment();
    let Plan::Send(plain) = workspace().plan(&event) else { panic!("not sent") };
    let plain = rehearse(&workspace(), plain);
    let told = with(&body("webhook.payload.data.total_amount += 0;"));
    let Plan::Send(delivery) = told.plan(&event) else { panic!("not sent") };
    assert!(rehearse(&told, delivery) == plain);
    let other = LifecycleEvent { ordinal: 1, ..event.clone() };
    assert!(matches!(told.plan(&other), Plan::Send(_)), "each event of the webhook");
}

#[test]
fn several_calls_come_of_one_event_in_their_order_and_only_of_the_first() {
    let code = body(
        "const person = { id: 'u' };
         return [webhook,
           { ...webhook, payload: { identifiers: person, action: 'event', name: 'a' } },
           { ...webhook, payload: { identifiers: person, action: 'event', name: 'b' } },
           { ...webhook, url: 'https://hooks.example.com/in', headers: { 'X-Key': 'k' } }];",
    );
    let event = payment();
    let (items, further) = sent(&code, &event);
    let name = |item: &Value| item["name"].as_str().unwrap_or("-").to_owned();
    let names: Vec<_> = items.iter().map(name).collect();
    assert_eq!(names, ["-", "transaction_processed", "-", "a", "b"]);
    assert_ne!(items[3]["id"], items[4]["id"]);
    let [call] = &further[..] else { panic!("{further:?}") };
    let elsewhere = call.elsewhere.as_ref().unwrap();
    assert_eq!(elsewhere.origin, "https://hooks.example.com");
    assert_eq!(elsewhere.headers, [("x-key".to_owned(), "k".to_owned())]);
    let id = call.message_id.as_deref().unwrap();
    assert!(id.starts_with(&format!("{}.", event.event_id)), "{id}");
    let later = LifecycleEvent { ordinal: 1, ..event };
    assert_eq!(sent(&code, &later), (workspace_items(&later), Vec::new()));
}

#[test]
fn what_is_returned_for_a_later_event_holds_for_it_where_the_handler_tells_events_apart() {
    let code = body(
        "const { type, subscriber } = webhook.event;
         if (type !== 'transaction_processed') return webhook;
         webhook.payload = { identifiers: { id: subscriber.user_id }, action: 'event', name: 'Paid' };",
    );
    let first = LifecycleEvent {
        event_type: schemas::EventType::SubscriptionRenewed,
        event_id: "first".to_owned(),
        ..payment()
    };
    let later = LifecycleEvent { ordinal: 1, ..payment() };
    assert_eq!(sent(&code, &first).0, workspace_items(&first));
    let (items, _) = sent(&code, &later);
    assert_eq!(items.last().map(|item| item["name"].clone()), Some(json!("Paid")));
    let cancelled = body("webhook.cancel = webhook.event.type === 'transaction_processed';");
    assert!(matches!(with(&cancelled).plan(&later), Plan::Skip(Skip::Cancelled)));
    let person_alone = body(
        "const { user_id } = webhook.event.subscriber;
         webhook.payload = { identifiers: { id: user_id }, action: 'event', name: 'Paid' };",
    );
    assert!(matches!(with(&person_alone).plan(&later), Plan::Skip(Skip::ToldByFirst)));
    assert_eq!(with(&person_alone).consider(&later).outcome, Outcome::ToldByFirst);
}

#[test]
fn fields_that_events_of_a_webhook_share_are_fields_of_an_event() {
    let event = serde_json::to_value(payment()).unwrap();
    for name in SHARED {
        assert!(event.get(name).is_some(), "{name}");
    }
}

#[test]
fn a_call_keeps_its_id_when_a_mended_handler_makes_others() {
    let code = |before: &str| {
        body(&format!(
            "const person = {{ id: 'u' }};
             return [{before}
               {{ ...webhook, payload: {{ identifiers: person, action: 'event', name: 'b' }} }},
               {{ ...webhook, url: 'https://hooks.example.com/in', payload: 2 }}];"
        ))
    };
    let before = "{ ...webhook, payload: { identifiers: person, action: 'event', name: 'a' } },
        { ...webhook, url: 'https://hooks.example.com/in', payload: 1 },";
    let event = payment();
    let ((all, calls), (rest, call)) = (sent(&code(before), &event), sent(&code(""), &event));
    assert_eq!(all.last(), rest.last());
    assert_ne!(all[1]["id"], rest[1]["id"]);
    assert_eq!(calls.last().map(|one| &one.message_id), call.last().map(|one| &one.message_id));
    assert_ne!(calls[0].message_id, calls[1].message_id);
}

fn workspace_items(event: &LifecycleEvent) -> Vec<Value> {
    let Plan::Send(operations) = workspace().plan(event) else { panic!("not sent") };
    operations.items().iter().map(|item| serde_json::from_str(item).unwrap()).collect()
}

#[test]
fn what_is_not_told_says_why() {
    let skipped = |code: &str, event: &LifecycleEvent| {
        let plan = with(code).plan(event);
        let Plan::Skip(skip) = plan else { panic!("{plan:?}") };
        skip
    };
    let event = payment();
    assert_eq!(skipped(&body("webhook.cancel = true;"), &event), Skip::Cancelled);
    let call = body("webhook.payload = { identifiers: { id: 'u' }, action: 'event', name: 'a' };");
    let later = LifecycleEvent { ordinal: 1, ..event.clone() };
    assert_eq!(skipped(&call, &later), Skip::ToldByFirst);
    let sandbox = LifecycleEvent { environment: Environment::Sandbox, ..event.clone() };
    assert_eq!(skipped(&body("throw 1;"), &sandbox), Skip::Environment);
    let refreshed = with(&call).refresh(&event);
    assert!(matches!(refreshed, Plan::Skip(Skip::Unsupported)), "{refreshed:?}");
}

#[test]
fn a_handler_that_fails_parks_its_event_with_message_and_line() {
    let event = payment();
    for (code, message) in [
        ("webhook.payload.nothing.there;", "pay.js:2:"),
        ("for (;;);", "it takes longer than"),
        ("const all = []; for (;;) all.push(new ArrayBuffer(1 << 20));", "MiB of memory"),
        ("return handler(webhook);", "calls itself too deeply"),
        ("return;", "the handler returned nothing"),
        ("return 'nonsense';", "it returned text, and no webhook"),
        (
            "webhook.url = 'https://evil.example.com/';",
            "evil.example.com, which is not the destination",
        ),
        ("webhook.url = 'http://hooks.example.com/';", "without TLS"),
        (
            "webhook.url = 'https://track.customer.io/api/v1/exports';",
            "only POST to /api/v2/entity",
        ),
        ("webhook.payload = { action: 'identify' };", "exactly one of id, email, phone and cio_id"),
        ("webhook.payload = { identifiers: { id: 'u' } };", "has no `action`"),
        ("webhook.payload = 1;", "an operation is no object"),
    ] {
        let failure = failure(&body(code), &event);
        assert_eq!(failure.reason, Reason::TransformationFailed, "{code}");
        assert!(failure.message.contains(message), "{code}: {}", failure.message);
        assert!(!format!("{failure:?}").contains(message), "{code}");
    }
    let large = "webhook.payload = { identifiers: { id: 'u' }, action: 'event', name: 'a', attributes: {} };
        for (let i = 0; i < 99; i++) webhook.payload.attributes['a' + i] = 'x'.repeat(900);";
    assert_eq!(failure(&body(large), &event).reason, Reason::TooLarge);
    let many =
        "const one = { identifiers: { id: 'u' }, action: 'event', name: 'a', attributes: {} };
        for (let i = 0; i < 25; i++) one.attributes['a' + i] = 'x'.repeat(900);
        webhook.url = 'https://track.customer.io/api/v2/batch';
        webhook.payload = { batch: new Array(30).fill(one) };";
    let failed = failure(&body(many), &event);
    assert_eq!(failed.reason, Reason::TooLarge);
    assert!(failed.message.contains("the operations have"), "{}", failed.message);
    let bare = LifecycleEvent { payload: None, ..event };
    assert_eq!(failure(&body(""), &bare).reason, Reason::PayloadMissing);
}

#[test]
fn who_asked_to_be_forgotten_is_forgotten_whatever_a_handler_says() {
    let mut event = samples::event(EventType::CustomerDeleted);
    event.provider_event_type = schemas::event::FORGOTTEN.to_owned();
    let (items, _) = sent(&body("webhook.cancel = true;"), &event);
    assert_eq!(items.last().map(|item| item["action"].clone()), Some(json!("suppress")));
}

#[test]
fn a_replay_gives_the_same_bytes() {
    let code = body(
        "webhook.payload = { identifiers: { id: 'u' }, action: 'event', name: 'a',
           attributes: { now: Date.now(), random: Math.random() } };",
    );
    let event = payment();
    let (items, _) = sent(&code, &event);
    assert_eq!(sent(&code, &event).0, items);
    assert_eq!(items[1]["attributes"]["now"], json!(event.received_at.millis()));
    let other = LifecycleEvent { event_id: "00000001".to_owned(), ..event };
    assert_ne!(sent(&code, &other).0[1]["attributes"]["random"], items[1]["attributes"]["random"]);
}

#[test]
fn the_handler_of_a_source_is_asked_instead_of_that_for_all() {
    let handler = |name: &str| {
        let code = format!("function handler(webhook) {{ throw new Error('{name}'); }}");
        Arc::new(Handler::here(Script::read("a.js", &code, Limits::default()).unwrap()))
    };
    let by_source = BTreeMap::from([("shop".to_owned(), handler("of shop"))]);
    let asked = |handlers: Handlers, source: &str| {
        let told = Transformed { handlers, ..with("function handler() {}") };
        let event = LifecycleEvent { source: source.to_owned(), ..payment() };
        match told.plan(&event) {
            Plan::End(Verdict::Park(failure)) => failure.message,
            Plan::Send(_) => "as mapped".to_owned(),
            other @ (Plan::Skip(_) | Plan::End(_)) => panic!("{other:?}"),
        }
    };
    let both = Handlers { all: Some(handler("of all")), by_source: by_source.clone() };
    assert!(asked(both.clone(), "shop").contains("of shop"));
    assert!(asked(both, "elsewhere").contains("of all"));
    assert_eq!(asked(Handlers { all: None, by_source }, "elsewhere"), "as mapped");
}
