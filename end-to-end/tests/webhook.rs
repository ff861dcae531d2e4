//! A third destination beside the two: signed webhooks, towards a receiver that believes nothing it cannot check.
//!
//! The receiver checks each signature with what signs the webhooks of a sender that follows the same specification,
//! written before and for something else; it remembers ids, answers 500 now and then, and sometimes takes a message
//! and never answers.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use end_to_end::broker::Broker;
use end_to_end::journeys::{self, Journey, Provider};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{self, Shape};
use end_to_end::sign;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use service::clock::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::watch;

const SEED: u64 = 61;
const WEBHOOKS: usize = 160;
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(2);
/// What the specification advises.
const TOLERANCE_SECONDS: u64 = 300;

/// What a receiver knows and what it holds against the sender.
struct Receiver {
    state: Mutex<Known>,
    /// How many messages had an effect.
    told: watch::Sender<usize>,
}

struct Known {
    random: StdRng,
    /// Each effect once, by id, with the bytes that had it.
    effects: BTreeMap<String, Bytes>,
    /// By subscriber, in the order of their effects.
    stories: BTreeMap<String, Vec<(i64, String)>>,
    /// Subscribers of whom a message is under way.
    under_way: BTreeSet<String>,
    complaints: Vec<&'static str>,
    failed: usize,
    unanswered: usize,
    repeated: usize,
}

/// What is done with a message.
enum Course {
    Answer(StatusCode),
    Silence,
}

/// A message under way; its subscriber's next may come when it is dropped.
struct UnderWay {
    receiver: Arc<Receiver>,
    subscriber: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.receiver.state.lock().unwrap().under_way.remove(&self.subscriber);
    }
}

impl Known {
    fn new() -> Self {
        Self {
            random: StdRng::seed_from_u64(SEED),
            effects: BTreeMap::new(),
            stories: BTreeMap::new(),
            under_way: BTreeSet::new(),
            complaints: Vec::new(),
            failed: 0,
            unanswered: 0,
            repeated: 0,
        }
    }

    fn take(&mut self, id: &str, subscriber: &str, message: &Value, body: &Bytes) -> Course {
        if message["data"]["event_id"] != *id {
            self.complaints.push("the id is not the event's");
        }
        let chance = self.random.random_range(0..100);
        if chance < 5 {
            self.failed += 1;
            return Course::Answer(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if let Some(before) = self.effects.insert(id.to_owned(), body.clone()) {
            self.repeated += 1;
            if before != *body {
                self.complaints.push("a repetition says something else");
            }
        } else {
            let sequence = message["data"]["sequence"].as_i64().unwrap();
            let name = message["type"].as_str().unwrap().to_owned();
            let story = self.stories.entry(subscriber.to_owned()).or_default();
            if story.last().is_some_and(|(last, _)| *last >= sequence) {
                self.complaints.push("an earlier event after a later one");
            }
            story.push((sequence, name));
        }
        if chance < 9 {
            self.unanswered += 1;
            return Course::Silence;
        }
        Course::Answer(StatusCode::NO_CONTENT)
    }
}

/// Whether the sender of Dodo's webhooks, which follow the specification too, would have signed so.
fn is_signed(headers: &HeaderMap, body: &Bytes) -> bool {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let told = (text("webhook-id"), text("webhook-timestamp"), text("webhook-signature"));
    let (Some(id), Some(timestamp), Some(signature)) = told else { return false };
    let Ok(timestamp) = timestamp.parse::<i64>() else { return false };
    let now = SystemClock::new().now().as_second();
    let expected = sign::Secrets::default().headers(Provider::Dodo, id, body, timestamp);
    now.abs_diff(timestamp) <= TOLERANCE_SECONDS
        && expected.iter().any(|(name, value)| *name == "webhook-signature" && value == signature)
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    if !is_signed(&headers, &body) {
        receiver.state.lock().unwrap().complaints.push("not signed, or not now");
        return StatusCode::UNAUTHORIZED;
    }
    let message: Value = serde_json::from_slice(&body).unwrap();
    if message["type"] == "tributary.ping" {
        return StatusCode::NO_CONTENT;
    }
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let subscriber = message["data"]["subscriber"]["key"].as_str().unwrap().to_owned();
    let (course, told) = {
        let mut known = receiver.state.lock().unwrap();
        if !known.under_way.insert(subscriber.clone()) {
            known.complaints.push("two messages of one subscriber at once");
        }
        (known.take(&id, &subscriber, &message, &body), known.effects.len())
    };
    let _under_way = UnderWay { receiver: Arc::clone(&receiver), subscriber };
    receiver.told.send_replace(told);
    match course {
        Course::Answer(status) => status,
        Course::Silence => std::future::pending().await,
    }
}

/// Listens; says where.
async fn listen() -> (Arc<Receiver>, String) {
    let receiver =
        Arc::new(Receiver { state: Mutex::new(Known::new()), told: watch::Sender::new(0) });
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let url = format!("http://{}/hooks?from=tributary", listener.local_addr().unwrap());
    let routes = Router::new().route("/hooks", post(receive)).with_state(Arc::clone(&receiver));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (receiver, url)
}

/// The destination as an operator would add it to a file that is there.
fn destination(url: &str) -> Vec<(String, String)> {
    let options = [
        ("TYPE", "webhook".to_owned()),
        ("URL", url.to_owned()),
        ("SECRETS", format!("[\"{}\"]", sign::DODO_SECRET)),
        ("TIMEOUT", "1s".to_owned()),
        ("RETRY", "{ delays: [500ms, 1s], horizon: 48h, quarantine: 1s }".to_owned()),
    ];
    options.map(|(name, value)| (format!("TRIBUTARY__DESTINATIONS__HOOKS__{name}"), value)).to_vec()
}

/// What a receiver must be told of this person: everything but what means nothing to us.
fn expected(journey: &Journey) -> Vec<&'static str> {
    let events = journey.webhooks.iter().flat_map(|webhook| webhook.expects.iter().copied());
    events.filter(|event| *event != "provider_event").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_signed_webhooks_is_told_every_story_once_and_in_order() {
    let (receiver, url) = listen().await;
    let broker = Broker::shared().expect("a broker to test against");
    let plan =
        Plan { environment: destination(&url), ..Plan::for_test("webhook", broker).unwrap() };
    let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let journeys = journeys::generate(SEED, SystemClock::new().now_millis(), WEBHOOKS);
    let shape = Shape::disordered(SEED, Duration::from_secs(4));
    let tally = pipeline.send(schedule::schedule(&journeys, shape), |_| ()).await;
    assert_eq!(tally.all_refused(), 0);

    let all: usize = journeys.iter().map(|journey| expected(journey).len()).sum();
    let mut told = receiver.told.subscribe();
    // What is waited for is lent, and while it is held nobody can count on: a repetition would stand still for ever.
    let in_time = tokio::time::timeout(PATIENCE, told.wait_for(|told| *told >= all)).await.is_ok();
    for finding in pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{finding}");
    }

    let known = receiver.state.lock().unwrap();
    assert_eq!(known.complaints, [""; 0]);
    for journey in &journeys {
        let story = known.stories.get(&journey.subscriber);
        let names: Vec<_> = story.into_iter().flatten().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, expected(journey), "{}", journey.subscriber);
    }
    assert_eq!((in_time, known.effects.len()), (true, all));
    // Or nothing of this was put to the test.
    assert!(known.failed > 0 && known.unanswered > 0 && known.repeated > 0);
}
