//! Nothing is let out: of a run in which everything is said to be wrong that can be, all that was written is searched for
//! every secret, and what people read is searched for addresses and for what was in a body.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

mod outside;
mod planted;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emulators::{CustomerIo, CustomerIoSettings, Effect, Fault, Intercom, IntercomSettings};
use end_to_end::broker::Broker;
use end_to_end::destinations::Destinations;
use end_to_end::journeys::{self, Journey, Provider, Webhook};
use end_to_end::keyring::{self, Honesty, Keyring, Signing};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::{self, Binary};
use end_to_end::schedule::{Copy, Sending};
use end_to_end::sender::{self, Manners, Tally};
use end_to_end::{http, ports};
use outside::Outside;
use planted::{ADDRESS, Planted, Search, VALUE};
use serde_json::{Value, json};
use service::clock::{Clock, SystemClock};
use service::config::{Loader, Variables, Vocabulary};
use stream::{Cluster, Reader, Received};

const PATIENCE: Duration = Duration::from_mins(1);
/// The header of a dead letter that quotes what a destination said (docs/dead-letters.md).
const QUOTES: &str = "__connect.errors.exception.message";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_written_holds_a_secret_and_nothing_that_people_read_names_anybody() {
    let planted = Planted::new();
    let (outside, address) = Outside::listen().await;
    let mut pipeline = start(&planted, address).await;
    let refusal =
        json!({"errors": [{"message": format!("Bearer {} of a{ADDRESS}", planted.access_token)}]});
    let refuses = Effect::Respond { status: 422, body: Some(refusal), retry_after_seconds: None };
    let journeys = journeys::generate(71, SystemClock::new().now_millis(), 60);
    // For good: what is refused in a transaction that comes to nothing is asked once more.
    pipeline.destinations.intercom.inject(Fault::always(refuses).path("/events"));
    let fails = Fault::always(Effect::respond(500)).person(journeys[0].who.as_str()).times(6);
    pipeline.destinations.customerio.inject(fails);
    let genuine = send(&pipeline, &planted, Honesty::Genuine, good(&journeys)).await;
    assert_eq!(genuine.all_refused(), 0);
    send(&pipeline, &planted, Honesty::Genuine, damaged(&journeys)).await;
    let forged = send(&pipeline, &planted, Honesty::Forged, good(&journeys[..4])).await;
    assert!(forged.refused.contains_key(&401), "{:?}", forged.refused);
    let letters = until_parked(&pipeline).await;

    let mut secrets = Search::of(planted.secrets());
    let mut named = Search::of([ADDRESS.to_owned(), VALUE.to_owned()]);
    for (what, text) in said(&pipeline, &planted, address, &journeys[0]) {
        secrets.look(&what, text.as_bytes());
        // A story is about somebody, and a letter that is shown quotes who refused it.
        if !what.starts_with("deliver trace") && !what.starts_with("deliver dead show") {
            named.look(&what, text.as_bytes());
        }
    }
    for record in letters {
        for header in &record.headers {
            let place = format!("{} of {}", header.name, record.topic);
            secrets.look(&place, &header.value);
            // Raw is what the providers said, and its headers repeat a part of it.
            let is_theirs = record.topic.ends_with("subscriptions.raw");
            let quotes = header.name == QUOTES && !record.topic.ends_with("unprocessable");
            if !is_theirs && !quotes {
                named.look(&place, &header.value);
            }
        }
        secrets.look(&record.topic, record.value.as_deref().unwrap_or_default());
    }
    for process in pipeline.processes() {
        let ended = tokio::task::block_in_place(|| process.terminate(PATIENCE)).unwrap();
        assert!(ended.success(), "{ended}");
    }
    let spans = outside.spans.lock().unwrap().concat();
    assert!(!spans.is_empty(), "no span was told");
    secrets.look("spans", &spans);
    named.look("spans", &spans);
    let folder = &pipeline.setting.folder;
    let is_log = |file: &Path| file.extension().is_some_and(|extension| extension == "log");
    let is_ours = |file: &Path| !file.starts_with(folder.join("secrets"));
    secrets.look_through(folder, &is_ours);
    named.look_through(folder, &is_log);
    let logs = std::fs::read_to_string(folder.join("deliver.log")).unwrap();
    assert!(logs.contains("DEBUG") || logs.contains("TRACE"), "the logs are not of that level");
    secrets.assert_nothing();
    named.assert_nothing();
}

/// All three, telling as much as they can, with every secret in the environment or in a file.
async fn start(planted: &Planted, address: std::net::SocketAddr) -> Pipeline {
    let local = || std::net::SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let customerio =
        CustomerIoSettings { api_key: planted.api_key.into(), ..CustomerIoSettings::default() };
    let intercom = IntercomSettings {
        access_token: planted.access_token.into(),
        ..IntercomSettings::default()
    };
    let destinations = Destinations {
        customerio: CustomerIo::start(local(), customerio).await.unwrap(),
        intercom: Intercom::start(local(), intercom).await.unwrap(),
    };
    let broker = Broker::shared().unwrap();
    let mut plan = Plan::for_test("unseen", broker).unwrap();
    let secrets = plan.folder.join("secrets");
    keyring::write(&secrets, &[&planted.sources]).unwrap();
    plan.secrets = Some(secrets);
    let retry = "{ delays: [300ms], horizon: 48h, quarantine: 1s }";
    let ours = ["ingest", "transform", "deliver", "stream", "service", "registry", "schemas"];
    let levels: Vec<_> = ours.iter().map(|name| format!("{name}=trace")).collect();
    plan.environment = [
        ("RUST_LOG", format!("debug,{}", levels.join(","))),
        ("TRIBUTARY__DESTINATIONS__CUSTOMERIO__API_KEY", planted.api_key.to_owned()),
        ("TRIBUTARY__DESTINATIONS__INTERCOM__ACCESS_TOKEN", planted.access_token.to_owned()),
        ("TRIBUTARY__DESTINATIONS__HOOKS__TYPE", "webhook".to_owned()),
        (
            "TRIBUTARY__DESTINATIONS__HOOKS__URL",
            format!("http://{address}/hooks?key=planted-secret"),
        ),
        ("TRIBUTARY__DESTINATIONS__HOOKS__SECRETS", format!("[\"{}\"]", planted.hooks)),
        ("TRIBUTARY__DESTINATIONS__HOOKS__RETRY", retry.to_owned()),
        ("TRIBUTARY__DESTINATIONS__HOOKS__PARK_LIMIT", "10000/min".to_owned()),
        ("TRIBUTARY__DESTINATIONS__INTERCOM__PARK_LIMIT", "10000/min".to_owned()),
        ("TRIBUTARY__TRANSFORM__PARK_LIMIT", "10000/min".to_owned()),
        ("TRIBUTARY__KAFKA__PROPERTIES__SASL_PASSWORD", planted.kafka.to_owned()),
        ("TRIBUTARY__KAFKA__PROPERTIES__SSL_KEY_PASSWORD", planted.private_key.to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={}", planted.collector)),
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    Pipeline::start_before(destinations, plan, &|_| ()).unwrap()
}

async fn send(
    pipeline: &Pipeline,
    planted: &Planted,
    honesty: Honesty,
    webhooks: Vec<Webhook>,
) -> Tally {
    let keyring = Keyring::default();
    keyring.sign_with(&[&planted.sources]);
    let mut manners = Manners::to(pipeline.configuration.listeners.webhooks);
    manners.signing = Signing { keyring: Arc::new(keyring), honesty };
    let sending = |(number, webhook)| Sending {
        at: Duration::ZERO,
        webhook,
        place: (number, 0),
        copy: Copy::First,
    };
    sender::send(webhooks.into_iter().enumerate().map(sending).collect(), manners, |_| ()).await
}

fn good(journeys: &[Journey]) -> Vec<Webhook> {
    journeys.iter().flat_map(|journey| journey.webhooks.clone()).collect()
}

/// Of each provider's first webhooks as many as they have values: in each another value is not what it should be.
fn damaged(journeys: &[Journey]) -> Vec<Webhook> {
    let mut damaged = Vec::new();
    for provider in Provider::ALL {
        let first = journeys.iter().find(|journey| journey.provider == provider).unwrap();
        let webhook = first.webhooks.first().unwrap();
        let mut places = Vec::new();
        leaves(&webhook.body, "", &mut places);
        for (number, place) in places.iter().enumerate() {
            let mut told = webhook.told_anew(&format!("damaged-{number}"));
            let value = told.body.pointer_mut(place).unwrap();
            // Whose it is stays, or it would be somebody of that name.
            if value
                .as_str()
                .is_none_or(|value| !first.subscriber.ends_with(value) && value != first.who)
            {
                *value = json!(format!("{VALUE}{ADDRESS}"));
                damaged.push(told);
            }
        }
    }
    damaged
}

fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(array) => {
            for (number, value) in array.iter().enumerate() {
                leaves(value, &format!("{at}/{number}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.push(at.to_owned());
        }
    }
}

/// Waits until each of the four places where something can be parked holds something; all records of all topics.
async fn until_parked(pipeline: &Pipeline) -> Vec<Received> {
    let prefix = &pipeline.configuration.topic_prefix;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let records = tokio::task::block_in_place(|| records(prefix));
        let holds = |topic: &str| records.iter().any(|record| record.topic.ends_with(topic));
        let wanted = ["subscriptions.unprocessable", "deliver.hooks.dead", "deliver.intercom.dead"];
        let retried = ["deliver.hooks.retry"];
        let missing: Vec<_> =
            wanted.into_iter().chain(retried).filter(|topic| !holds(topic)).collect();
        if missing.is_empty() {
            return records;
        }
        assert!(Instant::now() < deadline, "nothing in {missing:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn records(prefix: &str) -> Vec<Received> {
    let cluster = Cluster {
        brokers: Broker::shared().unwrap().address().to_owned(),
        properties: BTreeMap::new(),
        session_timeout: Duration::from_secs(6),
        max_message_bytes: 2 * 1024 * 1024,
    };
    let reader = Reader::open(&cluster, "looks").unwrap();
    let of = |of: &str| ["retry", "dead"].map(|kind| format!("{prefix}deliver.{of}.{kind}"));
    let mut topics: Vec<_> = ["customerio", "intercom", "hooks"].into_iter().flat_map(of).collect();
    let ours = ["raw", "events", "state", "links", "unprocessable"];
    topics.extend(ours.map(|name| format!("{prefix}subscriptions.{name}")));
    let mut all = Vec::new();
    for topic in topics {
        for partition in 0..reader.partitions(&topic).unwrap() {
            let range = reader.low_and_high(&topic, partition).unwrap();
            let each = |received| {
                all.push(received);
                ControlFlow::Continue(())
            };
            reader.read_to(&topic, partition, range, each).unwrap();
        }
    }
    all
}

/// What people read: pages of the admin ports, what commands print, and configurations in an error or a log.
fn said(
    pipeline: &Pipeline,
    planted: &Planted,
    address: std::net::SocketAddr,
    somebody: &Journey,
) -> Vec<(String, String)> {
    let mut said = Vec::new();
    let listeners = pipeline.configuration.listeners;
    for port in [listeners.ingest, listeners.transform, listeners.deliver] {
        for page in ["/metrics", "/readyz"] {
            said.push((format!("{port}{page}"), http::get(port, page).unwrap().1));
        }
    }
    let user = format!("planted-user:{}", planted.registry);
    let registry = |path: &str| {
        let url = format!("http://{user}@{address}/{path}");
        vec![("TRIBUTARY__SCHEMA_REGISTRY__URL", url)]
    };
    let wrong = |option| vec![(option, "planted-secret-wrong".to_owned())];
    let away = vec![("TRIBUTARY__SCHEMA_REGISTRY__URL", format!("http://{user}@127.0.0.1:9"))];
    let show = format!("dead show {} --destination hooks", first_letter(pipeline));
    let trace = format!("trace {}", somebody.subscriber);
    for (binary, arguments, more) in [
        (Binary::Ingest, "check", vec![]),
        (Binary::Transform, "check", vec![]),
        (Binary::Transform, "check", registry("registry")),
        (Binary::Transform, "check", registry("broken")),
        (Binary::Transform, "check", away),
        (Binary::Deliver, "check", vec![]),
        (Binary::Deliver, "check", wrong("TRIBUTARY__DESTINATIONS__INTERCOM__ACCESS_TOKEN")),
        (Binary::Deliver, "check", wrong("TRIBUTARY__DESTINATIONS__HOOKS__SECRETS")),
        (Binary::Ingest, "check", wrong("TRIBUTARY__SOURCES__DODO__SECRETS")),
        (Binary::Transform, "dead list", vec![]),
        (Binary::Deliver, "dead list", vec![]),
        (Binary::Deliver, show.as_str(), vec![]),
        (Binary::Deliver, trace.as_str(), vec![]),
    ] {
        let mut command = Command::new(processes::path(binary));
        command.args(arguments.split_whitespace()).arg("--config");
        command.arg(&pipeline.setting.configuration);
        command.envs(pipeline.setting.environment.iter().cloned()).envs(more);
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.is_empty(), "{binary:?} {arguments} says nothing");
        said.push((format!("{} {arguments}", binary.name()), text));
    }
    let file = std::fs::read_to_string(&pipeline.setting.configuration).unwrap();
    let loader = Loader {
        binary: service::Binary::Deliver,
        variables: &Variables::default(),
        vocabulary: Vocabulary::default(),
        clock: Arc::new(SystemClock::new()),
    };
    let whole = file.replace("emulator-key", planted.api_key);
    let whole = whole.replace("emulator-token", planted.access_token);
    let whole = whole.replace("kafka:\n", &format!("schema_registry:\n  url: http://{user}@localhost\nkafka:\n  properties: {{sasl.password: {}}}\n", planted.kafka));
    let config = loader.read("tributary.yaml", &whole).unwrap();
    said.push(("Debug of the configuration".to_owned(), format!("{config:?} {config:#?}")));
    said
}

/// Where a dead letter of the receiver that repeats everything lies.
fn first_letter(pipeline: &Pipeline) -> String {
    let arguments = ["list", "--json", "--destination", "hooks"];
    let listed =
        tokio::task::block_in_place(|| pipeline.setting.told(Binary::Deliver, "dead", &arguments));
    let listed = listed.unwrap();
    let first: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    first["position"].as_str().unwrap().to_owned()
}
