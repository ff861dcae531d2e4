//! Traces: a webhook is one trace from its reception to each destination, and whoever collects traces holds nothing up.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use end_to_end::broker::Broker;
use end_to_end::journeys::{self, Journey};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{self, Shape};
use end_to_end::sign;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::Value;
use service::clock::{Clock, SystemClock};
use service::traces::TraceContext;
use tokio::net::TcpListener;
use tokio::sync::watch;

const SEED: u64 = 83;
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(1);
/// So many attempts at a message of the receiver fail: more than are made in place …
const FAILURES: usize = 4;
/// … at one of so many, or it would not be called any more.
const SELDOM: usize = 40;

/// Collects spans, and receives webhooks of our own that it refuses a few times.
#[derive(Default)]
struct Collector {
    spans: Mutex<HashMap<[u8; 8], Told>>,
    /// What each call brought, whatever was answered.
    calls: Mutex<Vec<TraceContext>>,
    /// By message: which it was, and how often it came.
    attempts: Mutex<BTreeMap<String, (usize, usize)>>,
    news: watch::Sender<usize>,
}

/// A span and who told it.
#[derive(Clone)]
struct Told {
    service: String,
    span: Span,
}

impl Told {
    fn parent(&self) -> Option<[u8; 8]> {
        self.span.parent_span_id.as_slice().try_into().ok()
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let found = self.span.attributes.iter().find(|attribute| attribute.key == name)?;
        Some(format!("{:?}", found.value))
    }
}

async fn collect(State(collector): State<Arc<Collector>>, body: Bytes) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut told = Vec::new();
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.unwrap();
        let named = resource.attributes.iter().find(|attribute| attribute.key == "service.name");
        let service = format!("{:?}", named.unwrap().value);
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let id: [u8; 8] = span.span_id.as_slice().try_into().unwrap();
            told.push((id, Told { service: service.clone(), span }));
        }
    }
    // Whoever waits for news looks at the spans meanwhile.
    collector.spans.lock().unwrap().extend(told);
    collector.news.send_modify(|news| *news += 1);
    StatusCode::OK
}

async fn receive(
    State(collector): State<Arc<Collector>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let message: Value = serde_json::from_slice(&body).unwrap();
    if message["type"] == "tributary.ping" {
        return StatusCode::NO_CONTENT;
    }
    let text = |name: &str| headers[name].to_str().unwrap();
    collector.calls.lock().unwrap().push(text("traceparent").parse().unwrap());
    let mut attempts = collector.attempts.lock().unwrap();
    let begun = attempts.len();
    let (number, attempt) = attempts.entry(text("webhook-id").to_owned()).or_insert((begun, 0));
    *attempt += 1;
    let fails = *number % SELDOM == 0 && *attempt <= FAILURES;
    if fails { StatusCode::BAD_GATEWAY } else { StatusCode::NO_CONTENT }
}

/// Listens; says where.
async fn listen() -> (Arc<Collector>, String) {
    let collector = Arc::new(Collector::default());
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new()
        .route("/v1/traces", post(collect))
        .route("/hooks", post(receive))
        .with_state(Arc::clone(&collector));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (collector, url)
}

/// A destination beside the two, and where spans are told.
fn environment(url: &str) -> Vec<(String, String)> {
    [
        ("TRIBUTARY__DESTINATIONS__HOOKS__TYPE", "webhook".to_owned()),
        ("TRIBUTARY__DESTINATIONS__HOOKS__URL", format!("{url}/hooks")),
        ("TRIBUTARY__DESTINATIONS__HOOKS__SECRETS", format!("[\"{}\"]", sign::DODO_SECRET)),
        (
            "TRIBUTARY__DESTINATIONS__HOOKS__RETRY",
            "{ delays: [200ms, 400ms], horizon: 48h, quarantine: 1s }".to_owned(),
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Whether it says nothing of whose it is.
fn names_nobody(told: &Told, journeys: &[Journey]) -> bool {
    let said = format!("{:?}", told.span);
    journeys
        .iter()
        .all(|journey| !said.contains(&journey.who) && !said.contains(&journey.subscriber))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_one_trace_to_each_destination_and_through_the_retry_topic() {
    let (collector, url) = listen().await;
    let broker = Broker::shared().unwrap();
    let plan = Plan { environment: environment(&url), ..Plan::for_test("traces", broker).unwrap() };
    let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let journeys = journeys::generate(SEED, SystemClock::new().now_millis(), 30);
    let shape = Shape::disordered(SEED, Duration::from_secs(1));
    let tally = pipeline.send(schedule::schedule(&journeys, shape), |_| ()).await;
    assert_eq!(tally.all_refused(), 0);
    for finding in pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{finding}");
    }
    let mut news = collector.news.subscribe();
    let all_told = |_: &usize| {
        let attempts = collector.attempts.lock().unwrap().clone();
        let is_taken = |(number, made): &(usize, usize)| number % SELDOM != 0 || *made > FAILURES;
        let calls = collector.calls.lock().unwrap();
        let spans = collector.spans.lock().unwrap();
        let is_told = |span: &[u8; 8]| {
            spans.get(span).and_then(Told::parent).is_some_and(|parent| spans.contains_key(&parent))
        };
        attempts.values().all(is_taken) && calls.iter().all(|call| is_told(&call.span))
    };
    let in_time = tokio::time::timeout(PATIENCE, news.wait_for(all_told)).await.is_ok();
    let calls = collector.calls.lock().unwrap().clone();
    assert!(in_time && !calls.is_empty(), "{} calls", calls.len());

    let spans = collector.spans.lock().unwrap().clone();
    let mut retried = BTreeSet::new();
    for call in &calls {
        let request = &spans[&call.span];
        assert_eq!(request.span.kind, SpanKind::Client as i32);
        assert_eq!(request.span.trace_id, call.trace);
        let attempt = &spans[&request.parent().unwrap()];
        assert_eq!(attempt.span.kind, SpanKind::Consumer as i32);
        assert!(attempt.service.contains("tributary-deliver"), "{}", attempt.service);
        let received = &spans[&attempt.parent().unwrap()];
        assert_eq!(
            (received.span.kind, received.span.name.as_str()),
            (SpanKind::Server as i32, "POST /webhooks/{source}")
        );
        assert!(received.service.contains("tributary-ingest"), "{}", received.service);
        for told in [request, attempt, received] {
            assert_eq!(told.span.trace_id, call.trace);
        }
        if attempt.span.name.ends_with("deliver.hooks.retry") {
            retried.insert(call.trace);
        }
        let became = spans.values().any(|told| {
            told.service.contains("tributary-transform")
                && told.span.trace_id == call.trace
                && told.parent() == attempt.parent()
                && told.attribute("tributary.event_id") == attempt.attribute("tributary.event_id")
        });
        assert!(became, "no word of transform: {}", attempt.span.name);
    }
    assert!(!retried.is_empty(), "nothing came out of the retry topic");
    let named: Vec<_> = spans.values().filter(|told| !names_nobody(told, &journeys)).collect();
    assert!(named.is_empty(), "{} spans name somebody", named.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_holds_nothing_up() {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Connections are taken by the system and never read from.
    let broker = Broker::shared().unwrap();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let plan = Plan { environment, ..Plan::for_test("untold", broker).unwrap() };
    let mut pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let journeys = journeys::generate(SEED, SystemClock::new().now_millis(), 100);
    let shape = Shape::disordered(SEED, Duration::from_secs(1));
    let tally = pipeline.send(schedule::schedule(&journeys, shape), |_| ()).await;
    assert_eq!(tally.all_refused(), 0);
    for finding in pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{finding}");
    }
    for process in pipeline.processes() {
        let asked = Instant::now();
        assert!(process.terminate(PATIENCE).unwrap().success());
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    }
    drop(listener);
}
