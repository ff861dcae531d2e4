//! Bodies that are signed rightly and are hardly what the provider meant. `ingest` keeps whatever is signed; what
//! `transform` cannot read it parks, says why, and goes on.

use end_to_end::journeys::{self, Provider, Webhook};
use end_to_end::processes::{Binary, Process};
use serde_json::{Number, Value};
use service::clock::{Clock, SystemClock};
use std::time::Duration;
use tokio::time::{Instant, sleep};

use crate::edge::server::{Circumstances, Edge};
use crate::edge::wire::{self, End, Outcome};

const SEED: u64 = 89;
const WITHIN: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
const DEEP: usize = 100_000;
/// What must not be told anybody.
const PERSONAL: &str = "mallory.edge@example.com";

/// The same document with each of its values changed.
fn changed(value: &Value, change: &impl Fn(&Value) -> Option<Value>) -> Value {
    if let Some(changed) = change(value) {
        return changed;
    }
    match value {
        Value::Array(all) => all.iter().map(|value| changed(value, change)).collect(),
        Value::Object(all) => {
            let each = all.iter().map(|(name, value)| (name.clone(), changed(value, change)));
            Value::Object(each.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn numbers(body: &Value, digits: &str) -> Vec<u8> {
    let number: Number = serde_json::from_str(digits).unwrap();
    let change = |value: &Value| value.is_number().then(|| Value::Number(number.clone()));
    changed(body, &change).to_string().into_bytes()
}

fn texts(body: &Value, change: impl Fn(&str) -> Value) -> Vec<u8> {
    changed(body, &|value| Some(change(value.as_str()?))).to_string().into_bytes()
}

/// Odd bodies that are made of a genuine one.
fn odd(body: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let genuine = body.to_string();
    let bytes = genuine.as_bytes();
    let rest = &genuine[1..];
    let with = |member: &str| format!("{{{member},{rest}").into_bytes();
    let nested = |open: &str, close: &str| open.repeat(DEEP) + &close.repeat(DEEP);
    let first_text = genuine.find(":\"").unwrap() + 2;
    let inside = |inserted: &[u8]| [&bytes[..first_text], inserted, &bytes[first_text..]].concat();
    let members: Vec<String> = (0..50_000).map(|place| format!("\"k{place}\":{place},")).collect();
    let members = members.concat();
    vec![
        ("nothing", Vec::new()),
        ("no JSON", format!("Dear {PERSONAL}").into_bytes()),
        ("arrays without end", "[".repeat(DEEP).into_bytes()),
        ("arrays in arrays", nested("[", "]").into_bytes()),
        ("objects in objects", (r#"{"a":"#.repeat(DEEP) + "1" + &"}".repeat(DEEP)).into_bytes()),
        ("arrays in a genuine one", with(&format!("\"x\":{}", nested("[", "]")))),
        (
            "objects in a genuine one",
            with(&format!("\"x\":{}1{}", r#"{"a":"#.repeat(DEEP), "}".repeat(DEEP))),
        ),
        ("a large number", numbers(body, "1e400")),
        ("a small number", numbers(body, "1e-400")),
        ("a long number", numbers(body, &"9".repeat(10_000))),
        ("a negative number", numbers(body, "-9223372036854775809")),
        ("bytes that are no UTF-8", inside(b"\xff\xfe\xc0\x80")),
        ("half a character", inside(br"\ud800")),
        ("zero bytes", inside(b"\0")),
        ("a zero byte after it", [bytes, b"\0"].concat()),
        ("escaped zeros", texts(body, |text| format!("{text}\0").into())),
        ("a mark before it", [b"\xef\xbb\xbf", bytes].concat()),
        ("keys twice", with(r#""id":"evt_twice","type":"x","event":{"id":"x"},"data":{}"#)),
        ("keys twice, the same", format!("{{{},{rest}", &rest[..rest.len() - 1]).into_bytes()),
        ("fifty thousand keys", format!("{{{members}{rest}").into_bytes()),
        ("one word of a megabyte", with(&format!("\"x\":\"{}\"", "x".repeat(1_000_000)))),
        ("words of thousands of letters", texts(body, |_| "x".repeat(3_000).into())),
        ("numbers for words", texts(body, |_| 7.into())),
        ("an address for every word", texts(body, |_| PERSONAL.into())),
        ("two after each other", genuine.repeat(2).into_bytes()),
    ]
}

struct Transform {
    process: Process,
}

impl Transform {
    fn start(edge: &Edge) -> Self {
        edge.setting.command(Binary::Transform, "setup", WITHIN).unwrap();
        let port = edge.configuration.listeners.transform;
        let mut process = Process::start(Binary::Transform, &edge.setting, port).unwrap();
        process.wait_until_ready(WITHIN).unwrap();
        Self { process }
    }

    fn counted(&self, name: &str) -> f64 {
        self.process.metrics().unwrap().sum(&format!("tributary_transform_{name}"), &[])
    }

    /// Records that have a fate; ticks are none of ours.
    fn settled(&self) -> f64 {
        let metrics = self.process.metrics().unwrap();
        let all = |labels: &[&str]| metrics.sum("tributary_transform_records_total", labels);
        all(&[]) - all(&["fate=\"tick\""])
    }

    /// Waits until so many records were taken in and each has its fate.
    async fn has_settled(&mut self, records: usize) {
        let deadline = Instant::now() + WITHIN;
        let records = f64::from(u32::try_from(records).unwrap());
        while self.settled() < records {
            assert_eq!(self.process.ended().unwrap(), None, "transform ended");
            assert!(Instant::now() < deadline, "{} of {records}", self.settled());
            sleep(POLL).await;
        }
    }
}

async fn accepted(edge: &Edge, webhook: &Webhook, name: &str, body: &[u8]) {
    let id = format!("{}-{name}", webhook.event_id).replace(' ', "-");
    let request = wire::signed(webhook.provider, &id, "", body);
    let outcome = wire::outcome(edge.port, request, 1).await;
    let right = Outcome { statuses: vec![200], end: End::Open };
    assert_eq!(outcome, right, "{:?}: {name}", webhook.provider);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_signed_is_kept_and_what_cannot_be_read_is_parked_and_nothing_ends() {
    let environment = [("TRANSFORM__PARK_LIMIT", "10000/min")];
    let circumstances = Circumstances { environment: &environment, ..Circumstances::default() };
    let edge = Edge::start("edge-contents", &circumstances);
    let mut transform = Transform::start(&edge);
    let journeys = journeys::generate(SEED, SystemClock::new().now_millis(), 100);
    let of = |provider| {
        journeys
            .iter()
            .flat_map(|journey| &journey.webhooks)
            .filter(move |one| one.provider == provider)
    };
    let mut sent = 0;
    for provider in Provider::ALL {
        let genuine = of(provider).next().unwrap();
        for (name, body) in odd(&genuine.body) {
            accepted(&edge, genuine, name, &body).await;
            sent += 1;
        }
    }
    transform.has_settled(sent).await;
    let metrics = transform.process.metrics().unwrap();
    // Some are sound after all, or of a type that means nothing.
    let parked = metrics.sum("tributary_transform_parked_total", &[]);
    assert!(parked > 20.0, "{parked}");

    // Replayed within the tolerance: believed once more, and known to be the same.
    let replayed = of(Provider::Stripe).next_back().unwrap();
    let request = wire::signed(Provider::Stripe, "", "", replayed.body.to_string().as_bytes());
    let (events, duplicates) =
        (transform.counted("events_total"), transform.counted("duplicates_total"));
    for _ in 0..2 {
        let outcome = wire::outcome(edge.port, request.clone(), 1).await;
        assert_eq!(outcome.statuses, [200]);
    }
    transform.has_settled(sent + 2).await;
    assert!(transform.counted("events_total") > events, "nothing goes on");
    assert!((transform.counted("duplicates_total") - duplicates - 1.0).abs() < 0.5);

    for binary in [Binary::Ingest, Binary::Transform] {
        let log = edge.setting.folder.join(format!("{}.log", binary.name()));
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.contains("mallory") && !log.contains("panicked"), "{}", binary.name());
    }
}
