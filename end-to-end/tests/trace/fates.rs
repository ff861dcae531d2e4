//! Ten planted fates: ignored, parked, late, skipped for no identity, for the sandbox and for a disabled name, waiting
//! for the third retry, dead by a 400, held up by an open breaker, delivered.

use std::time::{Duration, Instant};

use emulators::{Effect, Fault};
use end_to_end::broker::Broker;
use end_to_end::journeys::{Provider, Webhook};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{Copy, Sending};
use end_to_end::{ports, sender, sign};
use serde_json::{Value, json};
use service::clock::{Clock, SystemClock};

use super::{object, told, trace};

const PATIENCE: Duration = Duration::from_secs(40);
const STARTED: &str = "subscription_started";
const DISABLED: &str = "renewal_disabled";

/// A person of the app, and what RevenueCat says about them.
struct Person<'a> {
    pipeline: &'a Pipeline,
    id: &'static str,
}

impl Person<'_> {
    async fn does(&self, event_type: &str, change: Value) {
        let now = SystemClock::new().now_millis();
        let mut event = json!({
            "type": event_type, "id": format!("{}-{event_type}", self.id), "event_timestamp_ms": now,
            "app_user_id": self.id, "original_app_user_id": self.id, "aliases": [self.id],
            "product_id": "app.pro", "period_type": "NORMAL", "purchased_at_ms": now,
            "expiration_at_ms": now + 2_592_000_000, "environment": "PRODUCTION",
            "store": "APP_STORE", "entitlement_ids": ["pro"], "currency": "EUR", "price": 9.99,
            "price_in_purchased_currency": 9.99, "transaction_id": format!("{}-1", self.id),
            "original_transaction_id": format!("{}-1", self.id),
            "subscriber_attributes": {
                "$email": {"value": format!("{}@example.com", self.id), "updated_at_ms": now},
            },
        });
        let changes = change.as_object().into_iter().flatten();
        for (name, value) in changes {
            event[name.as_str()] = value.clone();
        }
        let id = event["id"].as_str().unwrap().to_owned();
        let body = json!({"api_version": "1.0", "event": event});
        send(self.pipeline, (Provider::RevenueCat, event_type, &id), body).await;
    }

    /// The story, as soon as it is as it should be.
    fn story(&self, is_told: impl Fn(&Value) -> bool) -> Value {
        story(self.pipeline, &format!("revenuecat/{}", self.id), is_told)
    }
}

async fn send(
    pipeline: &Pipeline,
    (provider, event_type, id): (Provider, &str, &str),
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
    let manners = sender::Manners::to(pipeline.configuration.listeners.webhooks);
    assert_eq!(sender::send(vec![sending], manners, |_| ()).await.all_refused(), 0);
}

fn story(pipeline: &Pipeline, key: &str, is_told: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = asked(pipeline, &[key, "--json"]);
        let answer = object(&output);
        let story = &answer["subscribers"][0];
        if is_told(story) {
            return story.clone();
        }
        assert!(Instant::now() < deadline, "{key}: {story:#}");
    }
}

fn asked(pipeline: &Pipeline, arguments: &[&str]) -> std::process::Output {
    let setting = &pipeline.setting;
    tokio::task::block_in_place(|| trace(&setting.configuration, &setting.environment, arguments))
}

/// What became of the first event of this type at a destination.
fn fate<'a>(story: &'a Value, event_type: &str, destination: &str) -> &'a Value {
    let chapters = story["events"].as_array().into_iter().flatten();
    let mut own = chapters.filter(|chapter| chapter["event"]["type"] == event_type);
    let deliveries = own.next().and_then(|chapter| chapter["deliveries"].as_array());
    let there = |delivery: &&Value| delivery["destination"] == destination;
    deliveries.into_iter().flatten().find(there).unwrap_or(&Value::Null)
}

/// A third destination where nobody answers, and changes at the other two.
fn environment() -> Vec<(String, String)> {
    let nobody = ports::free().unwrap();
    let options = [
        ("HOOKS__TYPE", "webhook".to_owned()),
        ("HOOKS__URL", format!("http://127.0.0.1:{nobody}/hooks")),
        ("HOOKS__SECRETS", format!("[\"{}\"]", sign::DODO_SECRET)),
        ("INTERCOM__IDENTIFY_BY", "[email]".to_owned()),
        ("CUSTOMERIO__EVENTS__RENEWAL_DISABLED__ENABLED", "false".to_owned()),
        ("CUSTOMERIO__RETRY__IN_PLACE", "[]".to_owned()),
    ];
    let variable = |name| format!("TRIBUTARY__DESTINATIONS__{name}");
    options.map(|(name, value)| (variable(name), value)).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_tells_the_truth_about_ten_fates() {
    let broker = Broker::shared().expect("a broker to test against");
    let plan = Plan {
        environment: environment(),
        retry_delays: "[300ms, 400ms, 1h]".to_owned(),
        ..Plan::for_test("trace", broker).unwrap()
    };
    let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let customerio = &pipeline.destinations.customerio;
    customerio.inject(Fault::always(Effect::respond(500)).person("waits"));
    customerio.inject(Fault::always(Effect::respond(400)).person("refused"));
    plant(&pipeline).await;
    what_transform_decided(&pipeline).await;
    what_was_skipped(&pipeline);
    what_is_owed(&pipeline);
    a_person_is_found_and_not_named(&pipeline);
    what_belongs_to_others_is_followed(&pipeline).await;
}

async fn plant(pipeline: &Pipeline) {
    let person = |id| Person { pipeline, id };
    for _ in 0..2 {
        person("late").does("INITIAL_PURCHASE", json!({})).await;
    }
    let nameless = json!({"subscriber_attributes": {}});
    person("ignored").does("TEST", json!({})).await;
    person("parked").does("RENEWAL", json!({"event_timestamp_ms": "soon"})).await;
    person("nameless").does("INITIAL_PURCHASE", nameless).await;
    person("tester").does("INITIAL_PURCHASE", json!({"environment": "SANDBOX"})).await;
    person("silent").does("INITIAL_PURCHASE", json!({})).await;
    person("silent").does("CANCELLATION", json!({"cancel_reason": "UNSUBSCRIBE"})).await;
    person("refused").does("INITIAL_PURCHASE", json!({})).await;
    person("waits").does("INITIAL_PURCHASE", json!({})).await;
}

/// Ignored, parked, repeated, late.
async fn what_transform_decided(pipeline: &Pipeline) {
    let person = |id| Person { pipeline, id };
    let story = person("ignored").story(|story| story["webhooks"][0]["fate"] == "ignored");
    assert_eq!(story["webhooks"][0]["details"]["reason"], "test_event", "{story:#}");
    assert_eq!(story["webhooks"][0]["type"], "revenuecat.TEST");

    let story = person("parked").story(|story| story["webhooks"][0]["fate"] == "parked");
    assert_eq!(story["webhooks"][0]["details"]["reason"], "unreadable", "{story:#}");
    assert_eq!(story["events"], json!([]));

    // What came first is told; what happened before it comes now.
    let late = person("late");
    let story = late.story(|story| fate(story, STARTED, "intercom")["fate"] == "delivered");
    assert_eq!(story["webhooks"][0]["fate"], "events", "{story:#}");
    assert_eq!(story["webhooks"][1]["fate"], "repeated", "{story:#}");
    let before = SystemClock::new().now_millis() - 600_000;
    late.does(
        "CANCELLATION",
        json!({"event_timestamp_ms": before, "cancel_reason": "UNSUBSCRIBE"}),
    )
    .await;
    let story = late.story(|story| story["webhooks"][2]["fate"] == "events");
    assert_eq!(story["webhooks"][2]["details"]["late"], true, "{story:#}");
}

/// For no identity, as a purchase of the sandbox, and because the name is switched off.
fn what_was_skipped(pipeline: &Pipeline) {
    let person = |id| Person { pipeline, id };
    let story =
        person("nameless").story(|story| fate(story, STARTED, "intercom")["fate"] == "skipped");
    assert_eq!(fate(&story, STARTED, "intercom")["details"]["reason"], "no_identity");
    let story =
        person("nameless").story(|story| fate(story, STARTED, "customerio")["fate"] == "delivered");
    assert_eq!(story["present"]["identity"]["user_id"], "nameless");

    let story =
        person("tester").story(|story| fate(story, STARTED, "intercom")["fate"] == "skipped");
    assert_eq!(fate(&story, STARTED, "intercom")["details"]["reason"], "environment");

    let story =
        person("silent").story(|story| fate(story, DISABLED, "customerio")["fate"] == "skipped");
    assert_eq!(fate(&story, DISABLED, "customerio")["details"]["reason"], "disabled");
    person("silent").story(|story| fate(story, DISABLED, "intercom")["fate"] == "delivered");
}

/// Waiting for its third retry with its follower, dead, and held up by an open breaker.
fn what_is_owed(pipeline: &Pipeline) {
    let person = |id| Person { pipeline, id };
    let story = person("waits").story(|story| {
        let fate = fate(story, STARTED, "customerio");
        fate["fate"] == "waiting" && fate["details"]["retry"] == 3
    });
    let details = &fate(&story, STARTED, "customerio")["details"];
    assert_eq!(details["failures"], 3, "{details}");
    let due = details["due"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let minutes = (due - SystemClock::new().now()).total(jiff::Unit::Minute).unwrap();
    assert!((55.0..=66.0).contains(&minutes), "due in {minutes} minutes");
    let behind = fate(&story, "transaction_processed", "customerio");
    assert_eq!((&behind["fate"], &behind["details"]["behind"]), (&json!("following"), &json!(1)));

    let story =
        person("refused").story(|story| fate(story, STARTED, "customerio")["fate"] == "dead");
    let details = &fate(&story, STARTED, "customerio")["details"];
    assert_eq!((&details["reason"], &details["http_status"]), (&json!("refused"), &json!(400)));

    let story = person("silent").story(|story| {
        let hooks = story["destinations"].as_array().into_iter().flatten();
        hooks.into_iter().any(|at| at["destination"] == "hooks" && at["breaker"] == "open")
    });
    let queued = |event| fate(&story, event, "hooks");
    assert_eq!(queued(STARTED)["fate"], "queued", "{story:#}");
    assert_eq!(queued(STARTED)["details"]["behind"], Value::Null);
    assert_eq!(queued(DISABLED)["details"]["behind"], 1);
}

/// By the address, which nothing repeats for people; and what is nobody's, or no question, says so.
fn a_person_is_found_and_not_named(pipeline: &Pipeline) {
    let by_address = asked(pipeline, &["Silent@example.com"]);
    let page = told(&by_address);
    assert!(by_address.status.success(), "{page}");
    for expected in [
        "revenuecat/silent (partition",
        "revenuecat.CANCELLATION",
        "skipped, disabled: it is switched off, or not asked for",
        "the destination is out of service (its breaker is open)",
        "queued behind event 1",
        "delivered",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(!page.contains("@example.com"), "{page}");
    let data = object(&asked(pipeline, &["silent", "--json", "--body"]));
    assert_eq!(data["subscribers"][0]["present"]["identity"]["email"], "silent@example.com");
    assert!(data["subscribers"][0]["webhooks"][0]["body"].as_str().unwrap().contains("app.pro"));
    for (wrong, code) in [
        (&["revenuecat/nobody"][..], 1),
        (&["nobody@example.com"], 1),
        (&["revenuecat/silent", "--since", "yesterday"], 64),
        (&["revenuecat/silent", "--body"], 64),
    ] {
        let output = asked(pipeline, wrong);
        assert_eq!(output.status.code(), Some(code), "{wrong:?}: {}", told(&output));
    }
}

/// A transfer is told on both sides, and a dispute waits under the key of its charge.
async fn what_belongs_to_others_is_followed(pipeline: &Pipeline) {
    let transfer = json!({
        "app_user_id": null, "original_app_user_id": null, "aliases": null,
        "transferred_from": ["late"], "transferred_to": ["heir"],
    });
    Person { pipeline, id: "late" }.does("TRANSFER", transfer).await;
    let dispute = json!({"id": "evt_d1", "object": "event", "type": "charge.dispute.created",
        "created": SystemClock::new().now().as_second(), "livemode": true, "data": {"object": {
            "id": "du_1", "object": "dispute", "amount": 1_499, "currency": "usd",
            "charge": "ch_1", "payment_intent": "pi_1", "reason": "fraudulent",
            "status": "needs_response", "created": 1_779_999_000, "livemode": true,
            "balance_transactions": []}}});
    send(pipeline, (Provider::Stripe, "charge.dispute.created", "evt_d1"), dispute).await;

    let heir = Person { pipeline, id: "heir" };
    // Nobody was known by this id: it was looked up, and went on to itself.
    let told = heir.story(|story| story["webhooks"][1]["fate"] == "events");
    assert!(told["webhooks"][0]["copy_of"].is_string(), "{told:#}");
    assert_eq!(told["webhooks"][0]["details"]["to"], "revenuecat/heir");
    assert_eq!(told["events"][0]["event"]["type"], "subscription_received");
    let told =
        Person { pipeline, id: "late" }.story(|story| story["webhooks"][3]["fate"] == "events");
    let last = told["events"].as_array().unwrap().last().unwrap();
    assert_eq!(last["event"]["type"], "subscription_transferred", "{told:#}");
    story(pipeline, "stripe/charge/ch_1", |story| story["webhooks"][0]["fate"] == "waits_for_link");
}
