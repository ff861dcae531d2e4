//! The promises of `registry`, against a real one: only a real one has rules about what may follow what. And of
//! the whole pipeline with one.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use end_to_end::journeys::{self, Journey};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{self, Shape};
use end_to_end::{http, registry::Registry as Server, workspace};
use registry::{Registry, RegistryError, Settings, Standing};
use schemas::codec::{Codec, CodecError, Described, Framing};
use schemas::event::LifecycleEvent;
use schemas::state::PartitionRecord;
use schemas::topics::Topic;
use service::clock::{Clock, SystemClock};
use stream::{Cluster, Reader};

const PATIENCE: Duration = Duration::from_mins(1);
const QUIET: Duration = Duration::from_secs(3);

fn start(name: &str) -> Server {
    let folder = workspace::fresh_run_folder(&format!("{name}-{}", std::process::id())).unwrap();
    Server::start(&folder, &|_| ()).unwrap_or_else(|error| panic!("no registry: {error}"))
}

/// The address of the one registry that all tests share that do not stop it; each has subjects of its own.
fn shared() -> String {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| start("registry")).url()
}

fn client(url: &str, folder: Option<&Path>) -> Registry {
    let settings = Settings {
        url: url.to_owned().into(),
        folder: folder.map(Path::to_path_buf),
        patience: Duration::from_secs(30),
    };
    Registry::open(&settings).unwrap()
}

fn newest() -> &'static str {
    LifecycleEvent::VERSIONS.last().unwrap()
}

/// The schema with something changed; fails when there is nothing to change.
fn changed(from: &str, to: &str) -> String {
    let changed = newest().replacen(from, to, 1);
    assert_ne!(changed, newest());
    changed
}

fn with_an_optional_field() -> String {
    let field = r#"{"name": "added", "type": ["null", "string"], "default": null}"#;
    changed(r#""fields": ["#, &format!(r#""fields": [{field},"#))
}

fn versions(url: &str, subject: &str) -> String {
    let (authority, path) = url.strip_prefix("http://127.0.0.1:").unwrap().split_once('/').unwrap();
    let path = format!("/{path}/subjects/{subject}/versions");
    http::get(authority.parse().unwrap(), &path).unwrap().1
}

#[tokio::test]
async fn a_schema_is_registered_once_and_found_by_everybody() {
    let subject = registry::subject("once.subscriptions.events");
    let url = shared();
    let writer = client(&url, None);
    assert_eq!(writer.standing(&subject, newest()).await.unwrap(), Standing::First);
    let id = writer.writer_id(&subject, newest()).await.unwrap();
    let other = client(&url, None);
    assert_eq!(other.standing(&subject, newest()).await.unwrap(), Standing::Registered(id));
    assert_eq!(other.writer_id(&subject, newest()).await.unwrap(), id);
    assert_eq!(versions(&url, &subject), "[1]");
}

#[tokio::test]
async fn a_reader_learns_from_the_registry_what_a_writer_wrote_with() {
    let url = shared();
    let schema = PartitionRecord::VERSIONS.last().unwrap();
    let id = client(&url, None).writer_id("learns-value", schema).await.unwrap();
    let written = PartitionRecord {
        incarnation: "one".to_owned(),
        next_raw_offset: 41,
        format: 1,
        partitions: 12,
    };
    let mut bytes = Vec::new();
    Codec::new(Framing::Registry(id)).unwrap().encode(&written, &mut bytes).unwrap();

    let mut reader = Codec::<PartitionRecord>::new(Framing::SingleObject).unwrap();
    let Err(CodecError::UnknownSchemaId(unknown)) = reader.decode(&bytes) else {
        panic!("the reader knows the schema already");
    };
    let schema = client(&url, None).schema(unknown).await.unwrap();
    reader.learn(unknown, &schema).unwrap();
    assert_eq!(reader.decode(&bytes).unwrap(), written);
}

#[tokio::test]
async fn a_compatible_change_is_accepted_and_the_older_release_may_come_back() {
    let url = shared();
    let subject = "compatible-value";
    let old = client(&url, None).writer_id(subject, newest()).await.unwrap();
    let changed = with_an_optional_field();
    let upgraded = client(&url, None);
    assert_eq!(upgraded.standing(subject, &changed).await.unwrap(), Standing::Compatible);
    let new = upgraded.writer_id(subject, &changed).await.unwrap();
    assert_ne!(old, new);
    assert_eq!(versions(&url, subject), "[1,2]");
    assert_eq!(client(&url, None).writer_id(subject, newest()).await.unwrap(), old);
    assert_eq!(versions(&url, subject), "[1,2]");
}

#[tokio::test]
async fn a_new_symbol_of_an_enum_is_compatible_because_enums_have_a_default() {
    let url = shared();
    let subject = "symbol-value";
    client(&url, None).writer_id(subject, newest()).await.unwrap();
    let symbol = r#""subscription_started","#;
    let grown = changed(symbol, &format!(r#"{symbol} "subscription_imagined","#));
    assert!(client(&url, None).writer_id(subject, &grown).await.is_ok());
}

#[tokio::test]
async fn an_incompatible_change_is_refused_before_anything_is_registered() {
    let url = shared();
    let subject = "incompatible-value";
    client(&url, None).writer_id(subject, newest()).await.unwrap();
    let broken = changed(r#""name": "ordinal""#, r#""name": "place""#);
    let upgraded = client(&url, None);
    for refused in [
        upgraded.standing(subject, &broken).await.unwrap_err(),
        upgraded.writer_id(subject, &broken).await.unwrap_err(),
    ] {
        assert!(matches!(refused, RegistryError::Incompatible { .. }), "{refused:?}");
        let text = refused.to_string();
        assert!(text.contains("`incompatible-value`"), "{text}");
        assert!(text.contains("place at /fields"), "the registry's own words: {text}");
    }
    assert_eq!(versions(&url, subject), "[1]");
}

#[tokio::test]
async fn what_is_no_schema_is_refused() {
    let refused = client(&shared(), None).writer_id("none-value", "{").await.unwrap_err();
    assert!(matches!(refused, RegistryError::Refused { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_id_that_was_never_given_is_unknown() {
    let refused = client(&shared(), None).schema(1_000_000).await.unwrap_err();
    assert!(matches!(refused, RegistryError::UnknownSchema { id: 1_000_000, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_registry_may_go_away_but_not_come_back_with_other_schemas_under_the_same_ids() {
    let mut server = start("registry-away");
    let url = server.url();
    let folder = tempfile::tempdir().unwrap();
    let subject = "away-value";
    let running = client(&url, Some(folder.path()));
    let id = running.writer_id(subject, newest()).await.unwrap();
    let schema = running.schema(id).await.unwrap();

    server.stop().unwrap();
    assert_eq!(running.writer_id(subject, newest()).await.unwrap(), id);
    assert_eq!(running.schema(id).await.unwrap(), schema);
    let restarted = client(&url, Some(folder.path()));
    assert_eq!(restarted.writer_id(subject, newest()).await.unwrap(), id);
    assert_eq!(restarted.schema(id).await.unwrap(), schema);
    let changed = with_an_optional_field();
    assert!(restarted.writer_id(subject, &changed).await.unwrap_err().is_away());
    let forgetful = client(&url, None);
    assert!(forgetful.writer_id(subject, newest()).await.unwrap_err().is_away());

    server.start_again().unwrap();
    client(&url, None).writer_id("other-value", r#"{"type": "string"}"#).await.unwrap();
    let contradicted = client(&url, Some(folder.path())).schema(id).await.unwrap_err();
    assert!(matches!(contradicted, RegistryError::Contradiction { .. }), "{contradicted:?}");
}

async fn pipeline(name: &str, registry: &str) -> Pipeline {
    let broker = Broker::shared().expect("a broker to test against");
    let schema_registry = Some(registry.to_owned());
    let plan = Plan { schema_registry, ..Plan::for_test(name, broker).unwrap() };
    Pipeline::start(plan, &|_| ()).await.unwrap()
}

async fn send(pipeline: &Pipeline, seed: u64) -> Vec<Journey> {
    let journeys = journeys::generate(seed, SystemClock::new().now_millis(), 80);
    let sendings = schedule::schedule(&journeys, Shape::disordered(seed, Duration::from_secs(1)));
    assert_eq!(pipeline.send(sendings, |_| ()).await.all_refused(), 0);
    journeys
}

async fn assert_all_arrives(pipeline: &Pipeline, journeys: &[Journey]) {
    for finding in pipeline.destinations.settle(journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{finding}\nlogs: {}", pipeline.setting.folder.display());
    }
    let parked = pipeline.deliver.metrics().unwrap().sum("tributary_deliver_parked_total", &[]);
    assert!(parked < 0.5, "{parked} parked");
}

/// The values of every lifecycle event there is.
fn events(pipeline: &Pipeline) -> Vec<Vec<u8>> {
    let cluster = Cluster {
        brokers: pipeline.configuration.brokers.clone(),
        properties: BTreeMap::new(),
        session_timeout: Duration::from_secs(6),
        max_message_bytes: 2 * 1024 * 1024,
    };
    let topic = Topic::Events.name(&pipeline.configuration.topic_prefix);
    let reader = Reader::open(&cluster, "looks").unwrap();
    let mut values = Vec::new();
    for partition in 0..reader.partitions(&topic).unwrap() {
        let range = reader.low_and_high(&topic, partition).unwrap();
        let each = |received: stream::Received| {
            values.push(received.value.unwrap_or_default());
            ControlFlow::Continue(())
        };
        reader.read_to(&topic, partition, range, each).unwrap();
    }
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_registry_events_carry_its_id_and_all_arrive() {
    let url = shared();
    let pipeline = pipeline("with-registry", &url).await;
    let journeys = send(&pipeline, 37).await;
    assert_all_arrives(&pipeline, &journeys).await;
    let subject = registry::subject(&Topic::Events.name(&pipeline.configuration.topic_prefix));
    assert_eq!(versions(&url, &subject), "[1]");
    let id = client(&url, None).writer_id(&subject, newest()).await.unwrap();
    let frame = [&[0x00][..], &id.to_be_bytes()].concat();
    let events = tokio::task::block_in_place(|| events(&pipeline));
    assert!(!events.is_empty());
    assert!(events.iter().all(|event| event.starts_with(&frame)), "framed with id {id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_hangs_stops_no_restart_and_parks_no_event() {
    let mut server = start("registry-hangs");
    let mut pipeline = pipeline("hanging-registry", &server.url()).await;
    server.freeze();
    pipeline.transform.kill().unwrap();
    pipeline.transform.start_again().unwrap();
    // It knows the id from its first start; `deliver` has yet to meet it.
    pipeline.transform.wait_until_ready(PATIENCE).unwrap();
    let journeys = send(&pipeline, 41).await;
    let log = pipeline.setting.folder.join("deliver.log");
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&log).unwrap().contains("wait for their schema") {
        assert!(Instant::now() < deadline, "deliver waits: {}", log.display());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(pipeline.deliver.is_ready());
    let shown = pipeline.destinations.findings(&journeys).map(|finding| finding.shown);
    assert_eq!(shown, [0, 0]);
    server.thaw();
    assert_all_arrives(&pipeline, &journeys).await;
}
