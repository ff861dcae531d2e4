//! From a request to an answer and a record, with a log in memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use ingest::envelope::RawRecord;
use ingest::metrics::Metrics;
use ingest::publish::{AppendError, RawLog};
use ingest::receive::{Limits, Receiver, Source};
use ingest::room::Room;
use ingest::sources::adapter;
use jiff::Timestamp;
use secrecy::SecretString;
use service::clock::ManualClock;
use service::config::Provider;
use service::metrics::{Dimensions, Registry};
use service::secrets::Secrets;
use service::traces::Tracer;

const AUTHORIZATION: &str = "Bearer tide";
const BODY: &str = r#"{"event":{"id":"E-1","type":"RENEWAL","app_user_id":"ada"}}"#;
const MAX_BODY: usize = 1000;

#[derive(Clone, Copy, Debug)]
enum Broker {
    Acknowledges,
    IsFull,
    Refuses,
    IsSilent,
}

#[derive(Clone, Debug)]
struct Memory {
    broker: Broker,
    records: Arc<Mutex<Vec<RawRecord>>>,
}

impl RawLog for Memory {
    fn append(&self, record: RawRecord) -> impl Future<Output = Result<(), AppendError>> + Send {
        let this = self.clone();
        async move {
            match this.broker {
                Broker::Acknowledges => {
                    this.records.lock().unwrap().push(record);
                    Ok(())
                }
                Broker::IsFull => Err(AppendError::QueueFull),
                Broker::Refuses => Err(AppendError::Failed("not enough replicas".into())),
                Broker::IsSilent => pending().await,
            }
        }
    }
}

struct Edge {
    receiver: Receiver<Memory>,
    registry: Registry,
}

fn edge(broker: Broker) -> Edge {
    edge_that_waits(broker, Duration::from_secs(8))
}

fn edge_that_waits(broker: Broker, ack_timeout: Duration) -> Edge {
    let mut registry =
        Registry::new(Dimensions { sources: vec!["app".to_owned()], ..Dimensions::default() })
            .unwrap();
    let source = Source {
        provider: Provider::Revenuecat,
        adapter: adapter(Provider::Revenuecat).unwrap(),
        secrets: Secrets::none(),
        authorization: Secrets::fixed(vec![SecretString::from(AUTHORIZATION)]),
        tolerance: Duration::from_mins(5),
    };
    let receiver = Receiver {
        sources: BTreeMap::from([("app".to_owned(), source)]),
        limits: Limits {
            max_body: MAX_BODY,
            body_timeout: Duration::from_secs(10),
            ack_timeout,
            connections: 1,
        },
        log: Memory { broker, records: Arc::default() },
        clock: Arc::new(ManualClock::at(Timestamp::from_second(1_790_000_000).unwrap())),
        metrics: Metrics::register(&mut registry).unwrap(),
        tracer: Tracer::off(),
    };
    Edge { receiver, registry }
}

impl Edge {
    async fn send(&self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        let room = Room::new(1, MAX_BODY, self.receiver.metrics.clone());
        let guest = room.enter().await;
        let (parts, body) = self.receiver.receive(request, &guest, [7; 24]).await.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    fn stored(&self) -> Vec<RawRecord> {
        self.receiver.log.records.lock().unwrap().clone()
    }

    fn metrics(&self) -> String {
        self.registry.text().unwrap()
    }
}

fn request(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    headers
        .iter()
        .fold(Request::post("/webhooks/app"), |request, (name, value)| {
            request.header(*name, *value)
        })
        .body(Full::new(body.into()))
        .unwrap()
}

fn signed(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    request(&[("authorization", AUTHORIZATION), ("content-type", "application/json")], body)
}

#[tokio::test]
async fn a_source_that_has_sent_nothing_is_silent_since_the_start_and_a_refused_request_breaks_no_silence()
 {
    let edge = edge(Broker::Acknowledges);
    let started = Timestamp::from_second(1_789_990_000).unwrap();
    edge.receiver.metrics.expect("app", started);
    let last = |at: u32| {
        let line =
            format!("tributary_ingest_last_accepted_timestamp_seconds{{source=\"app\"}} {at}\n");
        edge.metrics().contains(&line)
    };
    let nothing = "tributary_ingest_requests_total{outcome=\"accepted\",source=\"app\"} 0\n";
    assert!(last(1_789_990_000) && edge.metrics().contains(nothing), "{}", edge.metrics());
    edge.send(request(&[("authorization", "forged")], BODY)).await;
    assert!(last(1_789_990_000));
    edge.send(signed(BODY)).await;
    assert!(last(1_790_000_000));
}

#[tokio::test]
async fn a_webhook_is_answered_200_without_a_body_and_lies_in_the_log_as_it_came() {
    let edge = edge(Broker::Acknowledges);
    let response = edge.send(signed(BODY)).await;
    assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
    let [record] = edge.stored().try_into().unwrap();
    assert_eq!(record.key, b"app/ada");
    assert_eq!(record.body, BODY);
    assert_eq!(record.headers.id, "E-1");
    assert_eq!(record.headers.source, "app");
    assert_eq!(record.headers.event_type, "revenuecat.RENEWAL");
    assert_eq!(record.headers.time.unwrap().millis(), 1_790_000_000_000);
    assert_eq!(record.headers.content_type.as_deref(), Some("application/json"));
    let trace = "00-07070707070707070707070707070707-0707070707070707-01";
    assert_eq!(record.headers.traceparent.as_deref(), Some(trace));
}

/// Every request has all the faults of those below it in the list, so that the order is seen.
#[tokio::test]
async fn faults_are_answered_in_a_fixed_order() {
    let edge = edge(Broker::IsFull);
    let large = "x".repeat(MAX_BODY + 1);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let at = |path: &str, method: &str, mut request: Request<Full<Bytes>>| {
        *request.uri_mut() = path.parse().unwrap();
        *request.method_mut() = method.parse().unwrap();
        request
    };
    let right = "/webhooks/app";
    let faults = [
        (404, at("/webhooks/other", "GET", request(&[form], large.clone()))),
        (404, at("/webhooks/app/", "GET", request(&[form], large.clone()))),
        (404, at("/", "GET", request(&[form], large.clone()))),
        (405, at(right, "GET", request(&[form], large.clone()))),
        (405, at(right, "HEAD", request(&[form], large.clone()))),
        (413, at(right, "POST", request(&[form], large))),
        (415, at(right, "POST", request(&[form], BODY))),
        (401, at(right, "POST", request(&[], BODY))),
        (503, at(right, "POST", signed(BODY))),
    ];
    for (status, request) in faults {
        let response = edge.send(request).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        assert_eq!(response.headers().contains_key("allow"), status == 405);
    }
    assert!(edge.stored().is_empty());
}

#[tokio::test]
async fn forms_and_text_are_refused_and_any_other_type_or_none_is_not() {
    let edge = edge(Broker::Acknowledges);
    let cases = [
        ("application/x-www-form-urlencoded", 415),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain;charset=UTF-8", 415),
        ("text/html", 415),
        ("application/json; charset=utf-8", 200),
        ("application/cloudevents+json", 200),
        ("application/octet-stream", 200),
        ("", 200),
    ];
    for (content_type, status) in cases {
        let headers = [("authorization", AUTHORIZATION), ("content-type", content_type)];
        let response = edge.send(request(&headers, BODY)).await;
        assert_eq!(response.status().as_u16(), status, "{content_type}");
    }
    let response = edge.send(request(&[("authorization", AUTHORIZATION)], BODY)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(edge.stored().last().unwrap().headers.content_type, None);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken() {
    let edge = edge(Broker::Acknowledges);
    assert_eq!(edge.send(signed("x".repeat(MAX_BODY))).await.status(), StatusCode::OK);
    let larger = edge.send(signed("x".repeat(MAX_BODY + 1))).await;
    assert_eq!(larger.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn an_authenticated_body_is_stored_whatever_it_contains() {
    let edge = edge(Broker::Acknowledges);
    let bodies: [&[u8]; 6] = [b"", b"not json", b"\xff\xfe\0", b"[[[[[[[", b"{}", b"{\"event\":7}"];
    for body in bodies {
        assert_eq!(edge.send(signed(body)).await.status(), StatusCode::OK);
        let record = edge.stored().pop().unwrap();
        assert_eq!(record.body, body);
        assert_eq!(record.key, b"app/unknown");
        assert_eq!(record.headers.event_type, "revenuecat.unknown");
        assert_eq!(record.headers.id.len(), 64);
    }
}

#[tokio::test]
async fn what_is_not_acknowledged_is_answered_503_with_a_time_to_come_back() {
    for broker in [Broker::IsFull, Broker::Refuses] {
        let response = edge(broker).send(signed(BODY)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{broker:?}");
        let seconds = response.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
}

#[tokio::test]
async fn a_silent_broker_is_waited_for_as_long_as_configured_and_no_longer() {
    let ack_timeout = Duration::from_millis(200);
    let edge = edge_that_waits(Broker::IsSilent, ack_timeout);
    let started = Instant::now();
    let response = edge.send(signed(BODY)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    let waited = started.elapsed();
    // Before a body or anything else would have run out of time.
    assert!((ack_timeout..Duration::from_secs(8)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn a_trace_of_the_sender_is_continued() {
    let edge = edge(Broker::Acknowledges);
    let received = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let headers = [("authorization", AUTHORIZATION), ("traceparent", received)];
    edge.send(request(&headers, BODY)).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-0707070707070707-00";
    assert_eq!(edge.stored()[0].headers.traceparent.as_deref(), Some(trace));
}

#[tokio::test]
async fn metrics_name_configured_sources_outcomes_and_reasons_only() {
    let edge = edge(Broker::Acknowledges);
    edge.send(signed(BODY)).await;
    edge.send(signed("{}")).await;
    edge.send(request(&[("authorization", "Bearer ebb")], BODY)).await;
    let mut elsewhere = signed(BODY);
    *elsewhere.uri_mut() = "/webhooks/guessed".parse().unwrap();
    edge.send(elsewhere).await;
    let metrics = edge.metrics();
    for line in [
        r#"tributary_ingest_requests_total{outcome="accepted",source="app"} 2"#,
        r#"tributary_ingest_requests_total{outcome="unauthenticated",source="app"} 1"#,
        r#"tributary_ingest_requests_total{outcome="not_found",source="none"} 1"#,
        r#"tributary_ingest_signatures_refused_total{reason="mismatch",source="app"} 1"#,
        r#"tributary_ingest_without_subscriber_total{kind="unknown",source="app"} 1"#,
        "tributary_ingest_append_seconds_count 2",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    assert!(!metrics.contains("guessed"));
}

#[tokio::test]
async fn a_secret_that_is_exchanged_in_its_file_is_the_one_that_counts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authorization");
    std::fs::write(&file, "Bearer old\n").unwrap();
    let mut edge = edge(Broker::Acknowledges);
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_790_000_000).unwrap()));
    let source = edge.receiver.sources.get_mut("app").unwrap();
    source.authorization = Secrets::in_file(file.clone(), clock.clone());
    let with = |value| request(&[("authorization", value)], BODY);
    assert_eq!(edge.send(with("Bearer old")).await.status(), StatusCode::OK);
    std::fs::write(&file, "Bearer new\n").unwrap();
    clock.advance(Duration::from_secs(20));
    assert_eq!(edge.send(with("Bearer old")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(edge.send(with("Bearer new")).await.status(), StatusCode::OK);
}
