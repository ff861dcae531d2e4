//! A business of two years goes live: its subscribers are imported, Tributary runs in shadow beside the integration
//! that is there, and takes over from it at a moment, while webhooks come steadily, some late and some twice. At the
//! end every message is at both destinations once: by the one or by the other.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

mod business;
mod native;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use deliver::shadow::Planned;
use end_to_end::broker::Broker;
use end_to_end::destinations::Destinations;
use end_to_end::journeys::{Journey, Provider};
use end_to_end::judge::Finding;
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::ports;
use end_to_end::processes::{self, Binary, Process};
use end_to_end::schedule::{Copy, Sending};
use schemas::codec::{Codec, Framing};
use schemas::topics::Topic;
use schemas::{EventType, LifecycleEvent, Status};
use service::clock::{Clock, SystemClock};
use stream::{Cluster, Reader, Received};

use business::Customer;
use native::Native;

const DESTINATIONS: [&str; 2] = ["customerio", "intercom"];
/// Customers of each provider with a webhook in the first round; twice as many have one in the second.
const CUSTOMERS: usize = 50;
/// Between two webhooks of a round.
const PACE: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(25)];
/// After the second round began, the other integration is switched off.
const SWITCHED_OFF_AFTER_MS: i64 = 3_000;
/// By so much some webhooks come late.
const LATE_MS: i64 = 2_000;
const QUIET: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// What `deliver` is told in addition to its file.
fn environment(mode: &str, start: Option<&str>) -> Vec<(String, String)> {
    let variable = |destination: &str, name: &str, value: &str| {
        let destination = destination.to_uppercase();
        (format!("TRIBUTARY__DESTINATIONS__{destination}__{name}"), value.to_owned())
    };
    let modes = DESTINATIONS.iter().map(|name| variable(name, "MODE", mode));
    let starts = start
        .iter()
        .flat_map(|start| DESTINATIONS.iter().map(move |name| variable(name, "START", start)));
    modes.chain(starts).collect()
}

fn deliver(pipeline: &Pipeline, words: &[&str], environment: Vec<(String, String)>) -> Output {
    let mut command = Command::new(processes::path(Binary::Deliver));
    command.args(words).arg("--config").arg(&pipeline.setting.configuration).envs(environment);
    command.stdin(Stdio::null()).output().unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn customers(most: usize) -> impl Iterator<Item = Customer> {
    (0..most).flat_map(|number| Provider::ALL.map(|provider| Customer { provider, number }))
}

/// One renewal of each customer, evenly. Every fifth after the switch happened before it; every seventh comes twice.
fn round(number: u32, most: usize, switched_off_ms: i64, pace: Duration) -> Vec<Sending> {
    let now = SystemClock::new().now_millis();
    let mut sendings = Vec::new();
    for (place, customer) in customers(most).enumerate() {
        let at = pace * u32::try_from(place).unwrap();
        let comes = now + i64::try_from(at.as_millis()).unwrap();
        let is_late = comes > switched_off_ms && place % 5 == 0;
        let occurred = if is_late { switched_off_ms - LATE_MS } else { comes };
        // Whole seconds, because that is all that Stripe tells.
        let webhook = customer.renewal(number, occurred / 1000 * 1000);
        let sending = Sending { at, webhook, place: (place, 0), copy: Copy::First };
        if place % 7 == 0 {
            let at = at + Duration::from_millis(400);
            sendings.push(Sending { at, copy: Copy::Duplicate, ..sending.clone() });
        }
        sendings.push(sending);
    }
    sendings.sort_by_key(|sending| sending.at);
    sendings
}

/// What everybody must be shown, if the other integration tells what happened before it was switched off and Tributary
/// the rest.
fn journeys(rounds: [&[Sending]; 2], switched_off_ms: i64) -> Vec<Journey> {
    let mut journeys: Vec<Journey> = customers(2 * CUSTOMERS)
        .map(|customer| Journey {
            provider: customer.provider,
            story: "renews",
            subscriber: customer.key(),
            who: customer.who(),
            webhooks: Vec::new(),
        })
        .collect();
    let firsts = rounds.into_iter().flatten().filter(|sending| sending.copy == Copy::First);
    for Sending { webhook, place, .. } in firsts {
        let mut webhook = webhook.clone();
        if webhook.occurred_at_ms < switched_off_ms {
            webhook.expects = native::TOLD;
        }
        journeys[place.0].webhooks.push(webhook);
    }
    journeys.retain(|journey| !journey.webhooks.is_empty());
    journeys
}

/// Reads what is in topics.
struct Archive {
    reader: Reader,
    prefix: String,
}

impl Archive {
    fn of(pipeline: &Pipeline) -> Self {
        let configuration = &pipeline.configuration;
        let cluster = Cluster {
            brokers: configuration.brokers.clone(),
            properties: BTreeMap::new(),
            session_timeout: Duration::from_secs(6),
            max_message_bytes: 2 * 1024 * 1024,
        };
        let reader = Reader::open(&cluster, "nobody").unwrap();
        Self { reader, prefix: configuration.topic_prefix.clone() }
    }

    fn all(&self, topic: &Topic) -> Vec<Received> {
        let topic = topic.name(&self.prefix);
        let mut found = Vec::new();
        for partition in 0..self.reader.partitions(&topic).unwrap() {
            let range = self.reader.low_and_high(&topic, partition).unwrap();
            let read = self.reader.read_to(&topic, partition, range, |received| {
                found.push(received);
                ControlFlow::Continue(())
            });
            read.unwrap();
        }
        found
    }

    /// What a destination would have been sent, by key and sequence: nothing twice.
    fn notes(&self, destination: &str) -> BTreeMap<(String, i64), Planned> {
        let mut notes = BTreeMap::new();
        for record in self.all(&Topic::Shadow(destination.to_owned())) {
            let key = String::from_utf8(record.key.unwrap()).unwrap();
            let note = Planned::read(&record.value.unwrap()).unwrap();
            let before = notes.insert((key, note.sequence), note);
            assert!(before.is_none(), "{destination}: {before:?} is noted twice");
        }
        notes
    }

    /// Waits until the notes are as they should be.
    fn await_notes(&self, is_there: impl Fn(&BTreeMap<(String, i64), Planned>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        for destination in DESTINATIONS {
            loop {
                let notes = self.notes(destination);
                if is_there(&notes) {
                    break;
                }
                assert!(Instant::now() < deadline, "{destination}: {} notes", notes.len());
                std::thread::sleep(POLL);
            }
        }
    }

    fn events(&self) -> Vec<LifecycleEvent> {
        let codec: Codec<LifecycleEvent> = Codec::new(Framing::SingleObject).unwrap();
        let records = self.all(&Topic::Events);
        records.into_iter().map(|record| codec.decode(&record.value.unwrap()).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_business_of_two_years_goes_live_and_every_message_is_sent_once() {
    let broker = Broker::shared().expect("a broker to test against");
    let plan = Plan {
        environment: environment("shadow", None),
        ..Plan::for_test("going-live", broker).unwrap()
    };
    let began = Instant::now();
    let mut pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    println!("{:.1?}: in shadow", began.elapsed());
    tokio::task::block_in_place(|| business::import(&pipeline));
    println!("{:.1?}: imported", began.elapsed());

    let (first, native) = in_shadow(&pipeline).await;
    println!("{:.1?}: compared", began.elapsed());
    tokio::task::block_in_place(|| a_switch_that_does_not_say_from_when_is_refused(&pipeline));
    println!("{:.1?}: refused", began.elapsed());

    let switched_off = (SystemClock::new().now_millis() + SWITCHED_OFF_AFTER_MS) / 1000 * 1000;
    let second = round(2, 2 * CUSTOMERS, switched_off, PACE[1]);
    let sending = tokio::spawn(pipeline.send(second.clone(), |_| ()));
    let native = tokio::spawn(native.follow(second.clone(), switched_off));
    tokio::task::block_in_place(|| switch_over(&mut pipeline, switched_off));
    println!("{:.1?}: live", began.elapsed());
    assert_eq!(sending.await.unwrap().all_refused(), 0);
    native.await.unwrap();

    let journeys = journeys([&first, &second], switched_off);
    let findings = pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await;
    assert_flawless(&pipeline, &findings);
    println!("{:.1?}: settled, {} shown", began.elapsed(), findings[0].shown);
    tokio::task::block_in_place(|| {
        what_happened_before_is_skipped(&pipeline, [&first, &second], switched_off);
        nobody_was_news(&Archive::of(&pipeline).events());
    });
}

fn assert_flawless(pipeline: &Pipeline, findings: &[Finding; 2]) {
    let Destinations { customerio, intercom } = &pipeline.destinations;
    for (finding, violations) in
        findings.iter().zip([customerio.violations(), intercom.violations()])
    {
        let (first, folder) = (violations.first(), pipeline.setting.folder.display());
        assert!(finding.is_flawless(), "{finding}\n{first:?}\n{folder}");
    }
}

/// The first round: the other integration tells it, and Tributary notes what it would have sent and calls nobody.
async fn in_shadow(pipeline: &Pipeline) -> (Vec<Sending>, Native) {
    let called = || {
        let Pipeline { destinations, .. } = pipeline;
        [destinations.customerio.requests().len(), destinations.intercom.requests().len()]
    };
    let before = called();
    let sendings = round(1, CUSTOMERS, i64::MAX, PACE[0]);
    let native = Native::beside(&pipeline.destinations);
    let sending = tokio::spawn(pipeline.send(sendings.clone(), |_| ()));
    let native = native.follow(sendings.clone(), i64::MAX).await;
    assert_eq!(sending.await.unwrap().all_refused(), 0);

    let expected: BTreeSet<_> = customers(CUSTOMERS)
        .flat_map(|customer| {
            let events = (1_i64..).zip(business::renewed(customer.provider));
            events.map(move |(sequence, event)| (customer.key(), sequence, (*event).to_owned()))
        })
        .collect();
    tokio::task::block_in_place(|| {
        let archive = Archive::of(pipeline);
        archive.await_notes(|notes| notes.len() >= expected.len());
        for (destination, path) in DESTINATIONS.iter().zip(["/api/v2/batch", "/events"]) {
            let notes = archive.notes(destination);
            assert!(
                notes.values().all(|note| note.requests.iter().any(|asked| asked.path == path))
            );
            let found = notes.into_iter().map(|((key, number), note)| (key, number, note.event));
            assert_eq!(found.collect::<BTreeSet<_>>(), expected, "{destination}");
        }
        shows_what_would_have_been_sent(pipeline);
    });
    let journeys = journeys([&sendings, &[]], i64::MAX);
    assert_flawless(pipeline, &pipeline.destinations.findings(&journeys));
    let calls = called().map(Some);
    let own = [0, 1].map(|destination| before[destination].checked_add(native.calls[destination]));
    assert_eq!(calls, own, "in shadow nobody is called");
    (sendings, native)
}

/// The command shows one subscriber's notes, and those of nobody else.
fn shows_what_would_have_been_sent(pipeline: &Pipeline) {
    let words = ["preview", "--from-topic", "--destination", "intercom"];
    let one = deliver(
        pipeline,
        &[&words[..], &["--subscriber", "revenuecat/app-7"]].concat(),
        environment("shadow", None),
    );
    let page = told(&one);
    assert!(one.status.success(), "{page}");
    assert_eq!(page.matches("event subscription_renewed, sequence 1").count(), 1, "{page}");
    assert_eq!(page.matches("key revenuecat/app-7\n").count(), 2, "{page}");
    assert!(page.contains("/events\n") && page.contains("Bearer (not shown)"), "{page}");
    assert!(page.contains("2 notes, all that are kept") && !page.contains("app-8"), "{page}");
    let some = told(&deliver(
        pipeline,
        &[&words[..], &["--limit", "3"]].concat(),
        environment("shadow", None),
    ));
    assert_eq!(some.matches("\nevent ").count(), 3, "{some}");
    assert!(some.contains("3 notes, the newest, back to "), "{some}");
}

fn a_switch_that_does_not_say_from_when_is_refused(pipeline: &Pipeline) {
    let admin = format!("127.0.0.1:{}", ports::free().unwrap());
    let live = || {
        let mut environment = environment("live", None);
        environment.push(("TRIBUTARY__DELIVER__ADMIN".to_owned(), admin.clone()));
        environment
    };
    for words in ["check", "run"] {
        let refused = deliver(pipeline, &[words], live());
        let said = told(&refused);
        assert_eq!(refused.status.code(), Some(78), "{words}: {said}");
        assert!(said.contains("`start` does not say from when"), "{words}: {said}");
    }
    let begins = deliver(pipeline, &["check"], environment("live", Some(&later())));
    let said = told(&begins);
    assert!(begins.status.success(), "{said}");
    assert_eq!(said.matches("new: 0 events of the topic are before it").count(), 2, "{said}");
}

/// A moment in two hours: nothing that there is lies before a destination that begins then.
fn later() -> String {
    let moment = SystemClock::new().now_millis() + 7_200_000;
    jiff::Timestamp::from_millisecond(moment).unwrap().to_string()
}

/// Ends the shadow when it has seen what happened after the other integration was switched off, which that did not
/// tell and the shadow did not send.
fn switch_over(pipeline: &mut Pipeline, switched_off_ms: i64) {
    let moment = jiff::Timestamp::from_millisecond(switched_off_ms).unwrap();
    let archive = Archive::of(pipeline);
    archive.await_notes(|notes| {
        notes.values().any(|note| note.occurred_at.parse::<jiff::Timestamp>().unwrap() >= moment)
    });
    let ended = pipeline.deliver.terminate(Duration::from_secs(20)).unwrap();
    assert!(ended.success(), "{ended}");
    let mut setting = pipeline.setting.clone();
    setting.environment = environment("live", Some(&moment.to_string()));
    let port = pipeline.configuration.listeners.deliver;
    pipeline.deliver = Process::start(Binary::Deliver, &setting, port).unwrap();
    pipeline.deliver.wait_until_ready(PATIENCE).unwrap();
}

/// The first event of each is a renewal of what was active, and the sum of two years grows by it.
fn nobody_was_news(events: &[LifecycleEvent]) {
    let firsts = events.iter().filter(|event| event.sequence == 1);
    let mut seen = 0;
    for event in firsts {
        let subscription = event.subscription.as_ref().unwrap();
        let shown = (event.event_type, subscription.previous_status, subscription.status);
        let active = Some(Status::Active);
        assert_eq!(shown, (EventType::SubscriptionRenewed, active, active), "{}", event.source);
        let spent = event.subscriber.total_spent.as_ref().map(|money| money.amount);
        let expected = match event.source.as_str() {
            "stripe" => Some(50_000),
            "revenuecat" => Some(2_970),
            "purchasely" => Some(5_000),
            _ => None,
        };
        assert_eq!((spent, event.late), (expected, false), "{}", event.source);
        seen += 1;
    }
    assert_eq!(seen, 2 * CUSTOMERS * Provider::ALL.len());
}

/// The live group passes every event of the other integration's time, those that came late among them.
fn what_happened_before_is_skipped(
    pipeline: &Pipeline,
    rounds: [&[Sending]; 2],
    switched_off: i64,
) {
    let webhooks = rounds.into_iter().flatten().filter(|sending| sending.copy == Copy::First);
    let before = webhooks.filter(|sending| sending.webhook.occurred_at_ms < switched_off);
    let events: usize = before.map(|sending| sending.webhook.expects.len()).sum();
    let expected = (DESTINATIONS.len() * events).to_string();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = pipeline.deliver.metrics().unwrap();
        let skipped = metrics.sum("tributary_deliver_skipped_total", &["reason=\"before_start\""]);
        if format!("{skipped:.0}") == expected {
            break;
        }
        assert!(Instant::now() < deadline, "{skipped} of {expected}");
        std::thread::sleep(POLL);
    }
    let moment = jiff::Timestamp::from_millisecond(switched_off).unwrap().to_string();
    let story = deliver(pipeline, &["trace", "dodo/cus_0"], environment("live", Some(&moment)));
    assert!(told(&story).contains("not sent: it happened before `start`"), "{}", told(&story));
}
