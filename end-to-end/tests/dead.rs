//! What was parked goes through again: once, whatever interrupts it, and after a correction.
//!
//! The first tests drive the command against topics that they filled themselves, because a kill must
//! fall into a redrive and not beside it. The last two are the operator's day: the running binaries park
//! something, the cause is mended, and the letters are redriven.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use emulators::{Effect, Fault};
use end_to_end::broker::Broker;
use end_to_end::configuration::Configuration;
use end_to_end::journeys::{self, Journey, Provider};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::{self, Binary, Process, Setting};
use end_to_end::schedule::{self, Shape};
use end_to_end::sender::Tally;
use end_to_end::workspace;
use schemas::headers::{ParkedHeaders, RawHeaders, times_redriven};
use schemas::topics::{Installation, Topic, catalogue};
use serde_json::Value;
use service::clock::{Clock, SystemClock};
use stream::{Cluster, Reader, Received, Record, Transactions, admin};

const PATIENCE: Duration = Duration::from_mins(1);
const QUIET: Duration = Duration::from_secs(3);
const PARTITIONS: i32 = 6;
const LETTERS: i32 = 60;

/// Topics of nobody else, and `transform dead` on them.
struct Own {
    cluster: Cluster,
    prefix: String,
    configuration: PathBuf,
}

impl Own {
    fn new(name: &str) -> Self {
        let broker = Broker::shared().expect("a broker to test against");
        let prefix = prefix(name);
        let folder = workspace::fresh_run_folder(name).unwrap();
        let configuration =
            Configuration::without_destinations(broker.address(), &prefix, &folder).unwrap();
        let file = folder.join("tributary.yaml");
        std::fs::write(&file, configuration.render()).unwrap();
        let cluster = cluster();
        let specs = catalogue(&Installation {
            prefix: &prefix,
            destinations: vec!["customerio", "intercom"],
            in_shadow: Vec::new(),
            partitions: PARTITIONS,
            max_body: 1024 * 1024,
        })
        .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(admin::create_missing(&cluster, &specs, 1)).unwrap();
        Self { cluster, prefix, configuration: file }
    }

    /// Parks letters as `transform` does, one of them without a key.
    fn park(&self, count: i32) {
        let mut transactions = Transactions::open(&self.cluster, &self.named("seed")).unwrap();
        transactions.begin().unwrap();
        for number in 0..count {
            let reason = if number == 0 { "missing_key" } else { "unreadable" };
            transactions.send(self.letter(number, reason)).unwrap();
        }
        transactions.commit_records().unwrap();
    }

    fn letter(&self, number: i32, reason: &str) -> Record {
        let raw = RawHeaders {
            id: format!("evt_{number}"),
            source: "stripe".to_owned(),
            event_type: "stripe.invoice.paid".to_owned(),
            time: None,
            content_type: None,
            traceparent: None,
            rekeyed: None,
        };
        let end = ParkedHeaders {
            reason: reason.to_owned(),
            topic: Topic::Raw.name(&self.prefix),
            partition: number % PARTITIONS,
            offset: 0,
            group: self.named("transform"),
            stage: "read".to_owned(),
            class: "transform.read".to_owned(),
            message: "/data/object: is no object".to_owned(),
            attempts: None,
            first_failure: None,
            last_failure: None,
            http_status: None,
            request_id: None,
        };
        Record {
            topic: Topic::Unprocessable.name(&self.prefix),
            partition: Some(number % 2),
            key: format!("stripe/cus_{number}").into_bytes(),
            value: Some(b"{\"secret\":\"of ada@example.com\"}".to_vec()),
            headers: end.onto(&raw.to_headers()),
        }
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn dead(&self, arguments: &str) -> Output {
        command(Binary::Transform, &self.configuration, arguments).output().unwrap()
    }

    fn start(&self, arguments: &str) -> Child {
        command(Binary::Transform, &self.configuration, arguments).spawn().unwrap()
    }

    /// What lies in raw: how often each event came back, by its id.
    fn came_back(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in records(&self.cluster, &Topic::Raw.name(&self.prefix)) {
            assert_eq!(times_redriven(&record.headers), Ok(1));
            let headers = RawHeaders::from_headers(&record.headers).unwrap();
            assert_eq!(record.key.unwrap(), headers.id.replace("evt", "stripe/cus").into_bytes());
            *counts.entry(headers.id).or_default() += 1;
        }
        counts
    }

    fn wait_until_more_than(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.came_back().len() <= count {
            assert!(Instant::now() < deadline, "nothing is redriven any more");
        }
    }

    fn assert_each_came_back_once(&self) {
        let expected: BTreeMap<_, _> =
            (1..LETTERS).map(|number| (format!("evt_{number}"), 1)).collect();
        assert_eq!(self.came_back(), expected);
    }
}

fn prefix(name: &str) -> String {
    format!("{name}-{:x}.", SystemClock::new().now_millis())
}

fn cluster() -> Cluster {
    Cluster {
        brokers: Broker::shared().expect("a broker to test against").address().to_owned(),
        properties: BTreeMap::new(),
        session_timeout: Duration::from_secs(6),
        max_message_bytes: 2 * 1024 * 1024,
    }
}

fn command(binary: Binary, configuration: &Path, arguments: &str) -> Command {
    let mut command = Command::new(processes::path(binary));
    command.arg("dead").args(arguments.split_whitespace()).arg("--config").arg(configuration);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn records(cluster: &Cluster, topic: &str) -> Vec<Received> {
    let reader = Reader::open(cluster, "looks").unwrap();
    let mut all = Vec::new();
    for partition in 0..reader.partitions(topic).unwrap() {
        let range = reader.low_and_high(topic, partition).unwrap();
        let each = |received| {
            all.push(received);
            ControlFlow::Continue(())
        };
        reader.read_to(topic, partition, range, each).unwrap();
    }
    all
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn objects(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn letters_are_listed_shown_and_discarded_and_nothing_names_anybody_unasked() {
    let own = Own::new("dead-surface");
    own.park(LETTERS);
    let list = own.dead("list --limit 4");
    let text = told(&list);
    assert!(list.status.success(), "{text}");
    assert!(text.contains("4 dead letters (3 unreadable, 1 missing_key)"), "{text}");
    assert!(!text.contains("cus_") && !text.contains("ada@"), "{text}");
    let listed = objects(&own.dead("list --json --reason unreadable"));
    assert_eq!(listed.len(), 59);
    assert!(listed[0]["subscriber"].as_str().unwrap().starts_with("stripe/cus_"));

    let position = listed[0]["position"].as_str().unwrap();
    let shown = told(&own.dead(&format!("show {position}")));
    assert!(shown.contains("is no object") && !shown.contains("ada@"), "{shown}");
    let shown = told(&own.dead(&format!("show {position} --body")));
    assert!(shown.contains("ada@example.com"), "{shown}");

    for (wrong, code) in [
        ("redrive", 64),
        ("list --since yesterday", 64),
        ("list --reason unredable", 64),
        ("discard --every", 64),
        ("show 0/9999", 1),
        ("redrive 0/9999", 1),
    ] {
        let output = own.dead(wrong);
        assert_eq!(output.status.code(), Some(code), "{wrong}: {}", told(&output));
    }

    let dry = own.dead("discard --reason missing_key --dry-run");
    assert!(told(&dry).contains("would be discarded: 1 dead letter"), "{}", told(&dry));
    assert!(own.dead("discard --reason missing_key --yes").status.success());
    assert_eq!(objects(&own.dead("list --json")).len(), 59);
    let all = objects(&own.dead("list --json --all --reason missing_key"));
    assert_eq!(all[0]["dealt_with"], "discarded");
    assert_eq!(own.came_back(), BTreeMap::new());
}

#[test]
fn what_is_redriven_comes_back_once_however_often_it_is_killed() {
    let own = Own::new("dead-killed");
    own.park(LETTERS);
    let dry = own.dead("redrive --reason unreadable --dry-run");
    assert!(dry.status.success() && told(&dry).contains("would be redriven: 59"), "{}", told(&dry));
    for _ in 0..4 {
        let before = own.came_back().len();
        let mut redriving = own.start("redrive --every --rate 6/s");
        own.wait_until_more_than(before + 4);
        redriving.kill().unwrap();
        redriving.wait().unwrap();
    }
    assert!(own.came_back().len() < 59, "the kills came too late");
    let last = own.dead("redrive --every --rate 1000/s --json");
    assert_eq!(last.status.code(), Some(1), "one has no key: {}", told(&last));
    let summary = &objects(&last)[0];
    assert_eq!(summary["staying"].as_array().unwrap().len(), 1, "{summary}");
    assert!(told(&last).contains("nobody knows whose it is"), "{}", told(&last));
    own.assert_each_came_back_once();
    assert!(own.dead("redrive --reason unreadable").status.success());
    own.assert_each_came_back_once();
}

#[test]
fn of_two_operators_one_goes_on_and_the_other_is_told() {
    let own = Own::new("dead-two");
    own.park(LETTERS);
    let first = own.start("redrive --reason unreadable --rate 2/s");
    own.wait_until_more_than(2);
    let second = own.dead("redrive --reason unreadable --rate 1000/s");
    assert!(second.status.success(), "{}", told(&second));
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(1), "{}", told(&first));
    assert!(told(&first).contains("goes on in place of this one"), "{}", told(&first));
    own.assert_each_came_back_once();
}

async fn pipeline(name: &str) -> Pipeline {
    let broker = Broker::shared().expect("a broker to test against");
    let plan = Plan::for_test(name, broker).unwrap();
    Pipeline::start(plan, &|_| ()).await.unwrap()
}

async fn send(pipeline: &Pipeline, seed: u64, webhooks: usize) -> (Vec<Journey>, Tally) {
    let journeys = journeys::generate(seed, SystemClock::new().now_millis(), webhooks);
    let sendings = schedule::schedule(&journeys, Shape::disordered(seed, Duration::from_secs(2)));
    let tally = pipeline.send(sendings, |_| ()).await;
    assert_eq!(tally.all_refused(), 0);
    (journeys, tally)
}

/// Waits until so many letters are listed, and says how many are at most.
fn parked(pipeline: &Pipeline, binary: Binary, arguments: &str, expected: usize) -> usize {
    let listed = || {
        let mut command = command(binary, &pipeline.setting.configuration, arguments);
        objects(&command.output().unwrap()).len()
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = tokio::task::block_in_place(listed);
        if now >= expected || Instant::now() >= deadline {
            return now;
        }
    }
}

fn redrive(pipeline: &Pipeline, binary: Binary, arguments: &str) {
    let mut command = command(binary, &pipeline.setting.configuration, arguments);
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    assert!(output.status.success(), "{}", told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_correction_what_transform_parked_becomes_stories_in_order() {
    let mut pipeline = pipeline("dead-transform").await;
    pipeline.transform.terminate(PATIENCE).unwrap();
    // A source was forgotten: its records are parked, and only they.
    let whole = std::fs::read_to_string(&pipeline.setting.configuration).unwrap();
    let (before, rest) = whole.split_once("  stripe:\n").unwrap();
    let (_, after) = rest.split_once("  dodo:\n").unwrap();
    let file = pipeline.setting.folder.join("forgetful.yaml");
    std::fs::write(&file, format!("{before}  dodo:\n{after}")).unwrap();
    let setting = Setting { configuration: file, ..pipeline.setting.clone() };
    let port = pipeline.configuration.listeners.transform;
    let mut forgetful = Process::start(Binary::Transform, &setting, port).unwrap();
    forgetful.wait_until_ready(PATIENCE).unwrap();
    let (journeys, tally) = send(&pipeline, 51, 160).await;
    // Also what a provider sent twice: only who knows the source could tell.
    let letters = tally.accepted[&Provider::Stripe];
    let list = "list --json --reason unknown_source --source stripe";
    assert_eq!(parked(&pipeline, Binary::Transform, list, letters), letters);
    forgetful.terminate(PATIENCE).unwrap();

    pipeline.transform.start_again().unwrap();
    pipeline.transform.wait_until_ready(PATIENCE).unwrap();
    redrive(&pipeline, Binary::Transform, "redrive --source stripe --rate 1000/s");
    for finding in pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{letters} letters: {finding}");
    }
    redrive(&pipeline, Binary::Transform, "redrive --every");
    for finding in pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{letters} letters: {finding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_destination_refused_is_told_once_after_a_redrive_and_moves_no_attribute_back() {
    const REFUSED: usize = 12;
    let pipeline = pipeline("dead-deliver").await;
    let refusal = Fault::always(Effect::respond(422)).path("/events");
    pipeline.destinations.intercom.inject(refusal.times(u64::try_from(REFUSED).unwrap()));
    let (journeys, _) = send(&pipeline, 53, 160).await;
    let list = "list --json --destination intercom";
    assert_eq!(parked(&pipeline, Binary::Deliver, list, REFUSED), REFUSED);
    // All else has arrived before what was parked goes again.
    let [customerio, told] = pipeline.destinations.settle(&journeys, QUIET, QUIET, &|_| ()).await;
    assert!(customerio.is_flawless(), "{customerio}");
    assert_eq!(told.lost, REFUSED, "{told}");
    let shown = || -> BTreeMap<_, _> {
        let people = pipeline.destinations.intercom.people();
        people.into_iter().map(|person| (person.vendor_id, person.attributes)).collect()
    };
    let attributes = shown();

    redrive(&pipeline, Binary::Deliver, "redrive --destination intercom --reason refused");
    redrive(&pipeline, Binary::Deliver, "redrive --destination intercom --every");
    let [_, told] = pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await;
    assert_eq!((told.lost, told.doubled, told.strangers, told.violations), (0, 0, 0, 0), "{told}");
    assert_eq!(shown(), attributes);
}
