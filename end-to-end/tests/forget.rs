//! Somebody asks to be forgotten, or is deleted at their provider: suppressed at one destination and archived at the
//! other, nothing of what still comes, waits or was parked is told, and nothing is known of them any more.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use emulators::{Effect, Fault, Person, Standing};
use end_to_end::broker::Broker;
use end_to_end::journeys::{Provider, Webhook};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::{self, Binary};
use end_to_end::schedule::{Copy, Sending};
use schemas::codec::{Codec, Framing};
use schemas::state::SubscriberState;
use serde_json::{Value, json};
use service::clock::{Clock, SystemClock};
use stream::{Cluster, Reader, Received};

const JANE: &str = "revenuecat/jane";
/// How long ids, and who was forgotten, are remembered: long enough for a webhook that follows at once.
const REMEMBERED: &str = "20s";
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_to_be_forgotten_is_gone_everywhere_and_stays_so() {
    let broker = Broker::shared().unwrap();
    let pipeline =
        Pipeline::start(Plan::for_test("forget", broker).unwrap(), &|_| ()).await.unwrap();
    let started = |pipeline: &Pipeline| {
        [
            pipeline.destinations.customerio.person("jane"),
            pipeline.destinations.intercom.person("jane"),
        ]
        .into_iter()
        .all(|person| person.is_some_and(|person| !person.events.is_empty()))
    };
    renews(&pipeline, "first").await;
    until(|| started(&pipeline), "jane is told of").await;

    let nobody = forget(&pipeline, &["revenuecat/jane", "revenuecat/jnae"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("nothing is known of revenuecat/jnae"));
    let planned = text(&forget(&pipeline, &[JANE, "--dry-run"]).stdout);
    assert!(
        planned.starts_with("revenuecat/jane: would be forgotten (subscriptions: 1, "),
        "{planned}"
    );
    let told = text(&forget(&pipeline, &[JANE]).stdout);
    assert!(told.contains("subscriptions.raw") && told.contains("  until 20"), "{told}");

    let gone = |person: Option<emulators::Person>, standing| {
        person.is_some_and(|person| person.standing == standing)
    };
    until(
        || {
            gone(pipeline.destinations.customerio.person("jane"), Standing::Suppressed)
                && gone(pipeline.destinations.intercom.person("jane"), Standing::Archived)
        },
        "jane is gone",
    )
    .await;

    let calls = calls(&pipeline);
    renews(&pipeline, "second").await;
    let story = story(&pipeline, |story| {
        let last = story["webhooks"].as_array().and_then(|webhooks| webhooks.last());
        last.is_some_and(|last| last["id"] == "second" && last["fate"] == "ignored")
    });
    let last = story["webhooks"].as_array().unwrap().last().unwrap();
    assert_eq!(last["details"]["reason"], "forgotten", "{last}");
    assert!(story["present"]["forgotten_at"].is_string(), "{story:#}");
    assert_eq!(story["present"]["identity"]["email"], Value::Null);
    assert_eq!(self::calls(&pipeline), calls, "nobody is called any more");

    assert!(text(&forget(&pipeline, &[JANE]).stdout).contains("forgotten since "));
    assert!(forget(&pipeline, &[JANE, "--readmit"]).status.success());
    renews(&pipeline, "third").await;
    let told = |story: &Value| {
        let last = story["events"].as_array().and_then(|events| events.last().cloned());
        last.is_some_and(|last| last["event"]["provider_event_id"] == "third")
    };
    self::story(&pipeline, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_what_was_parked_of_the_forgotten_shows_nothing_and_their_state_ends() {
    let broker = Broker::shared().unwrap();
    let mut plan = Plan::for_test("forgotten", broker).unwrap();
    plan.environment =
        vec![("TRIBUTARY__TRANSFORM__DEDUP_WINDOW".to_owned(), REMEMBERED.to_owned())];
    let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let shown = || people(&pipeline, "jane").map(|person| person.map_or(0, |it| it.events.len()));
    renews(&pipeline, "first").await;
    until(|| shown().iter().all(|events| *events > 0), "jane is told of").await;
    let refused = |status| Fault::always(Effect::respond(status)).person("jane").times(1);
    pipeline.destinations.customerio.inject(refused(400));
    pipeline.destinations.intercom.inject(refused(422).path("/events"));
    renews(&pipeline, "second").await;
    for destination in ["customerio", "intercom"] {
        let list = ["list", "--json", "--destination", destination];
        until(|| !dead(&pipeline, &list).is_empty(), "something is parked").await;
    }
    // More often than it is tried in place: the request goes behind what waits.
    let fails = Fault::always(Effect::respond(500)).person("jane").times(6);
    pipeline.destinations.customerio.inject(fails);
    renews(&pipeline, "third").await;
    until(|| !of_jane(&pipeline, "deliver.customerio.retry").is_empty(), "something waits").await;

    assert!(forget(&pipeline, &[JANE]).status.success());
    renews(&pipeline, "fourth").await;
    until(|| is_gone(&pipeline, "jane"), "jane is gone").await;
    let last = shown();
    let asked = pipeline.destinations.customerio.request_count();
    for destination in ["customerio", "intercom"] {
        dead(&pipeline, &["redrive", "--destination", destination, "--every"]);
    }
    // Both are asked, and neither shows anything of it: Customer.io is silent, and at Intercom it is parked again.
    let archived = ["list", "--json", "--destination", "intercom", "--reason", "person_archived"];
    until(|| !dead(&pipeline, &archived).is_empty(), "it is parked again").await;
    let is_asked = || pipeline.destinations.customerio.request_count() > asked;
    until(is_asked, "Customer.io is asked").await;
    assert!(is_gone(&pipeline, "jane"));
    assert_eq!(shown(), last);

    let state = last_state(&pipeline).unwrap();
    assert!(!state.windows(4).any(|word| word == b"jane"), "jane is still in the state");
    let state =
        Codec::<SubscriberState>::new(Framing::SingleObject).unwrap().decode(&state).unwrap();
    let forgotten =
        SubscriberState { forgotten_at: state.forgotten_at, ..SubscriberState::default() };
    assert!(state.forgotten_at.is_some() && state == forgotten, "more is known than the moment");
    // What comes of others is the clock.
    let deadline = Instant::now() + PATIENCE;
    for number in 0.. {
        renews_of(&pipeline, &format!("other-{number}"), &format!("other-{number}")).await;
        if last_state(&pipeline).is_none() {
            break;
        }
        assert!(Instant::now() < deadline, "the state has no end");
        // The pace of the others, by whose time the state ends.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(!of_jane(&pipeline, "subscriptions.state").is_empty(), "there never was a state");
    assert!(is_gone(&pipeline, "jane"));
    assert_eq!(shown(), last);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_a_provider_deletes_is_gone_where_that_was_asked_for() {
    let broker = Broker::shared().unwrap();
    let mut plan = Plan::for_test("deleted", broker).unwrap();
    let option = |destination: &str| {
        let name = format!("TRIBUTARY__DESTINATIONS__{destination}__ON_CUSTOMER_DELETED");
        (name, "suppress".to_owned())
    };
    plan.environment = vec![option("CUSTOMERIO"), option("INTERCOM")];
    let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let is_there = || people(&pipeline, "joe").into_iter().all(|person| person.is_some());
    customer(&pipeline, "customer.created").await;
    until(is_there, "joe is told of").await;
    customer(&pipeline, "customer.deleted").await;
    until(|| is_gone(&pipeline, "joe"), "joe is gone").await;
}

/// What each destination shows under an id.
fn people(pipeline: &Pipeline, id: &str) -> [Option<Person>; 2] {
    let destinations = &pipeline.destinations;
    [destinations.customerio.person(id), destinations.intercom.person(id)]
}

fn is_gone(pipeline: &Pipeline, id: &str) -> bool {
    let [customerio, intercom] = people(pipeline, id);
    customerio.is_some_and(|person| person.standing == Standing::Suppressed)
        && intercom.is_some_and(|person| person.standing == Standing::Archived)
}

fn dead(pipeline: &Pipeline, arguments: &[&str]) -> String {
    let output = command(pipeline, Binary::Deliver, "dead", arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// All records of jane in a topic, in order.
fn of_jane(pipeline: &Pipeline, topic: &str) -> Vec<Received> {
    let cluster = Cluster {
        brokers: pipeline.configuration.brokers.clone(),
        properties: BTreeMap::new(),
        session_timeout: Duration::from_secs(6),
        max_message_bytes: 2 * 1024 * 1024,
    };
    let topic = format!("{}{topic}", pipeline.configuration.topic_prefix);
    tokio::task::block_in_place(|| {
        let reader = Reader::open(&cluster, "looks").unwrap();
        let mut records = Vec::new();
        for partition in 0..reader.partitions(&topic).unwrap() {
            let range = reader.low_and_high(&topic, partition).unwrap();
            let each = |record: Received| {
                let is_hers = record.key.as_deref() == Some(JANE.as_bytes());
                records.extend(is_hers.then_some(record));
                ControlFlow::Continue(())
            };
            reader.read_to(&topic, partition, range, each).unwrap();
        }
        records
    })
}

/// The latest of her state; none after a tombstone.
fn last_state(pipeline: &Pipeline) -> Option<Vec<u8>> {
    of_jane(pipeline, "subscriptions.state").pop().and_then(|record| record.value)
}

async fn customer(pipeline: &Pipeline, event_type: &str) {
    let now = SystemClock::new().now_millis();
    let object = json!({
        "id": "cus_joe", "object": "customer", "created": now / 1000, "livemode": true,
        "email": "joe@example.com", "metadata": {"user_id": "joe"},
    });
    let body = json!({
        "id": event_type, "object": "event", "api_version": "2026-10-28.endive",
        "created": now / 1000, "livemode": true, "type": event_type, "data": {"object": object},
    });
    tell(pipeline, Provider::Stripe, (event_type, event_type), body).await;
}

fn calls(pipeline: &Pipeline) -> usize {
    let writes = |requests: Vec<emulators::RequestRecord>| {
        requests.into_iter().filter(|request| request.method != "GET").count()
    };
    writes(pipeline.destinations.customerio.requests())
        + writes(pipeline.destinations.intercom.requests())
}

async fn until(holds: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn renews(pipeline: &Pipeline, id: &str) {
    renews_of(pipeline, "jane", id).await;
}

async fn renews_of(pipeline: &Pipeline, who: &str, id: &str) {
    let now = SystemClock::new().now_millis();
    let event = json!({
        "type": "RENEWAL", "id": id, "event_timestamp_ms": now, "app_user_id": who,
        "original_app_user_id": who, "aliases": [who], "product_id": "app.pro",
        "period_type": "NORMAL", "purchased_at_ms": now, "expiration_at_ms": now + 2_592_000_000,
        "environment": "PRODUCTION", "store": "APP_STORE", "entitlement_ids": ["pro"],
        "currency": "EUR", "price": 9.99, "price_in_purchased_currency": 9.99,
        "transaction_id": id, "original_transaction_id": format!("{who}-1"),
        "subscriber_attributes": {
            "$email": {"value": format!("{who}@example.com"), "updated_at_ms": now},
        },
    });
    let body = json!({"api_version": "1.0", "event": event});
    tell(pipeline, Provider::RevenueCat, (id, "RENEWAL"), body).await;
}

async fn tell(
    pipeline: &Pipeline,
    provider: Provider,
    (id, event_type): (&str, &str),
    body: Value,
) {
    let webhook = Webhook {
        provider,
        event_id: id.to_owned(),
        event_type: event_type.to_owned(),
        occurred_at_ms: SystemClock::new().now_millis(),
        body,
        expects: &[],
    };
    let sending = Sending { at: Duration::ZERO, webhook, place: (0, 0), copy: Copy::First };
    assert_eq!(pipeline.send(vec![sending], |_| ()).await.all_refused(), 0);
}

fn forget(pipeline: &Pipeline, arguments: &[&str]) -> Output {
    command(pipeline, Binary::Transform, "forget", arguments)
}

fn story(pipeline: &Pipeline, is_told: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = command(pipeline, Binary::Deliver, "trace", &[JANE, "--json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let story = &answer["subscribers"][0];
        if is_told(story) {
            return story.clone();
        }
        assert!(Instant::now() < deadline, "{story:#}");
    }
}

fn command(pipeline: &Pipeline, binary: Binary, name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(processes::path(binary));
    command.arg(name).args(arguments).arg("--config").arg(&pipeline.setting.configuration);
    command.envs(pipeline.setting.environment.iter().cloned());
    tokio::task::block_in_place(|| command.output()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
