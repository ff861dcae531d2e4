//! `deliver refresh`: people show at both destinations what is known of them now, under the names of now, no event is
//! told of it, and what is newer stays.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use emulators::{Effect, Fault, Person};
use end_to_end::broker::Broker;
use end_to_end::journeys::{Provider, Webhook};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::{self, Binary, Process};
use end_to_end::schedule::{Copy, Sending};
use serde_json::{Value, json};
use service::clock::{Clock, SystemClock};

const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(100);
const IMPORTED: usize = 100;
/// Long enough for an event to be told meanwhile.
const WAIT: &str = "[6s]";
const TOLD: &str = "revenuecat/told";

fn environment() -> Vec<(String, String)> {
    let options = ["CUSTOMERIO", "INTERCOM"].map(|name| format!("{name}__RETRY__IN_PLACE"));
    options.map(|name| (format!("TRIBUTARY__DESTINATIONS__{name}"), "[]".to_owned())).to_vec()
}

/// The status is called otherwise from now on.
fn renamed() -> Vec<(String, String)> {
    let names = ["CUSTOMERIO", "INTERCOM"].map(|destination| {
        format!("TRIBUTARY__DESTINATIONS__{destination}__ATTRIBUTES__SUBSCRIPTION_STATUS__NAME")
    });
    names.map(|name| (name, "plan_status".to_owned())).to_vec()
}

/// A running pipeline, and commands on it.
struct Stage {
    pipeline: Pipeline,
}

impl Stage {
    async fn start() -> Self {
        let broker = Broker::shared().expect("a broker to test against");
        let plan = Plan {
            environment: environment(),
            retry_delays: WAIT.to_owned(),
            ..Plan::for_test("refresh", broker).unwrap()
        };
        Self { pipeline: Pipeline::start(plan, &|_| ()).await.unwrap() }
    }

    fn run(&self, binary: Binary, arguments: &str) -> Output {
        let setting = &self.pipeline.setting;
        let mut command = Command::new(processes::path(binary));
        command.args(arguments.split_whitespace()).arg("--config").arg(&setting.configuration);
        command.envs(setting.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        tokio::task::block_in_place(|| command.output().unwrap())
    }

    fn succeeds(&self, binary: Binary, arguments: &str) -> String {
        let output = self.run(binary, arguments);
        assert!(output.status.success(), "{arguments}: {}", told(&output));
        told(&output)
    }

    /// Existing subscribers, of whom nobody has been told.
    fn import(&self) {
        let rows = (0..IMPORTED)
            .map(|number| format!("cus_{number},s{number}@example.com,sub-{number},active,pro\n"));
        let heading = "subscriber_id,email,subscription_id,status,product_id\n";
        let text: String = std::iter::once(heading.to_owned()).chain(rows).collect();
        let file = self.pipeline.setting.folder.join("existing.csv");
        std::fs::write(&file, text).unwrap();
        let file = file.display();
        let as_of = "--as-of 2026-06-01T00:00:00Z";
        self.succeeds(Binary::Transform, &format!("import {file} --source stripe {as_of}"));
    }

    /// What RevenueCat says of the one who is told.
    async fn happens(&self, event_type: &str) {
        let now = SystemClock::new().now_millis();
        let id = format!("told-{event_type}");
        let event = json!({
            "type": event_type, "id": id, "event_timestamp_ms": now, "app_user_id": "told",
            "original_app_user_id": "told", "aliases": ["told"], "product_id": "app.pro",
            "period_type": "NORMAL", "purchased_at_ms": now, "expiration_at_ms": now + 2_592_000_000,
            "environment": "PRODUCTION", "store": "APP_STORE", "entitlement_ids": ["pro"],
            "original_transaction_id": "told-1", "cancel_reason": "UNSUBSCRIBE",
        });
        let webhook = Webhook {
            provider: Provider::RevenueCat,
            event_id: id,
            event_type: event_type.to_owned(),
            occurred_at_ms: now,
            body: json!({"api_version": "1.0", "event": event}),
            expects: &[],
        };
        let sending = Sending { at: Duration::ZERO, webhook, place: (0, 0), copy: Copy::First };
        assert_eq!(self.pipeline.send(vec![sending], |_| ()).await.all_refused(), 0);
    }

    /// Both destinations' people of this id or address.
    fn shown(&self, who: &str) -> [Option<Person>; 2] {
        let destinations = &self.pipeline.destinations;
        let is_meant = |person: &Person| {
            person.id.as_deref() == Some(who) || person.email.as_deref() == Some(who)
        };
        [destinations.customerio.people(), destinations.intercom.people()]
            .map(|people| people.into_iter().find(is_meant))
    }

    fn waits_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "not in time: {what}");
            tokio::task::block_in_place(|| std::thread::sleep(POLL));
        }
    }

    /// What `trace` says of the latest refresh at each destination.
    fn fates(&self) -> Vec<Value> {
        let output = self.run(Binary::Deliver, &format!("trace {TOLD} --json"));
        let story: Value = serde_json::from_slice(&output.stdout).unwrap();
        let destinations = story["subscribers"][0]["destinations"].as_array().unwrap().clone();
        destinations.iter().map(|at| at["refresh"].clone()).collect()
    }

    fn refreshed(&self, labels: &[&str]) -> f64 {
        let metrics = self.pipeline.deliver.metrics().unwrap();
        metrics.sum("tributary_deliver_refreshed_total", labels)
    }
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// An attribute, wherever the destination keeps it.
fn attribute<'a>(person: &'a Person, name: &str) -> &'a Value {
    let own = person.attributes.get(name);
    let custom = person.attributes.get("custom_attributes").and_then(|custom| custom.get(name));
    own.or(custom).unwrap_or(&Value::Null)
}

fn show(people: &[Option<Person>; 2], name: &str, value: &Value) -> bool {
    people.iter().flatten().filter(|person| attribute(person, name) == value).count() == 2
}

fn events(people: &[Option<Person>; 2]) -> Vec<usize> {
    people.iter().flatten().map(|person| person.events.len()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_show_what_is_known_now_and_nothing_is_told() {
    let mut stage = Stage::start().await;
    stage.import();
    stage.happens("INITIAL_PURCHASE").await;
    stage.waits_until("the purchase", |stage| {
        show(&stage.shown("told"), "subscription_status", &json!("active"))
    });
    let before = events(&stage.shown("told"));

    stage.pipeline.setting.environment.extend(renamed());
    stage.succeeds(Binary::Deliver, "setup");
    stage.pipeline.deliver.terminate(PATIENCE).unwrap();
    let port = stage.pipeline.configuration.listeners.deliver;
    stage.pipeline.deliver =
        Process::start(Binary::Deliver, &stage.pipeline.setting, port).unwrap();
    stage.pipeline.deliver.wait_until_ready(PATIENCE).unwrap();

    one_is_refreshed(&stage, &before);
    those_who_were_imported_are_refreshed(&stage);
    what_is_newer_stays(&stage).await;
    wrong_questions_are_answered(&stage);
}

fn one_is_refreshed(stage: &Stage, before: &[usize]) {
    stage.succeeds(Binary::Deliver, &format!("refresh {TOLD}"));
    stage.waits_until("the new name", |stage| {
        show(&stage.shown("told"), "plan_status", &json!("active"))
    });
    assert_eq!(events(&stage.shown("told")), before);
    stage.waits_until("that it is done", |stage| {
        stage.fates().iter().all(|refresh| refresh["fate"] == "done")
    });
}

fn those_who_were_imported_are_refreshed(stage: &Stage) {
    let all = format!("subscribers: {IMPORTED} would be refreshed");
    stage.waits_until("the import", |stage| {
        stage.succeeds(Binary::Deliver, "refresh --source stripe --dry-run").contains(&all)
    });
    assert!(stage.shown("s1@example.com").iter().all(Option::is_none), "nobody was told");
    let begun = Instant::now();
    stage.succeeds(Binary::Deliver, "refresh --source stripe --rate 100/s");
    assert!(begun.elapsed() >= Duration::from_millis(850), "faster than the rate");
    stage.waits_until("everybody", |stage| {
        (0..IMPORTED).all(|number| {
            let people = stage.shown(&format!("s{number}@example.com"));
            show(&people, "plan_status", &json!("active")) && events(&people) == [0, 0]
        })
    });
}

/// A refresh fails and waits; meanwhile something happens, and that is what is shown in the end.
async fn what_is_newer_stays(stage: &Stage) {
    let destinations = &stage.pipeline.destinations;
    let before = events(&stage.shown("told"));
    destinations.customerio.inject(Fault::always(Effect::respond(500)).times(1));
    destinations.intercom.inject(Fault::always(Effect::respond(500)).path("/contacts").times(1));
    stage.succeeds(Binary::Deliver, &format!("refresh {TOLD}"));
    stage.waits_until("both failures", |stage| {
        stage.fates().iter().all(|refresh| refresh["failures"] == 1)
    });
    stage.happens("CANCELLATION").await;
    stage.waits_until("the cancellation", |stage| {
        show(&stage.shown("told"), "auto_renew", &json!(false))
    });
    let told = events(&stage.shown("told"));
    assert!(stage.fates().iter().all(|refresh| refresh["fate"] == "waiting"), "it came too late");
    stage.waits_until("the end of the wait", |stage| {
        stage.fates().iter().all(|refresh| refresh["fate"] == "done")
    });
    let people = stage.shown("told");
    assert!(
        show(&people, "auto_renew", &json!(false))
            && show(&people, "plan_status", &json!("cancelled"))
    );
    assert!(told > before && events(&people) == told, "no event was told by a refresh");
    let ignored = people[0].as_ref().map(|person| person.ignored_updates);
    assert_eq!(ignored, Some(1), "Customer.io itself leaves out what is older");
    let outdated = stage.refreshed(&["destination=\"intercom\"", "outcome=\"outdated\""]);
    assert!((outdated - 1.0).abs() < f64::EPSILON, "{outdated}");
}

fn wrong_questions_are_answered(stage: &Stage) {
    for (wrong, code, word) in [
        ("refresh revenuecat/nobody", 1, "nothing is known of revenuecat/nobody"),
        ("refresh other/1", 64, "there is no source other"),
        ("refresh --all --destination other", 64, "there is no destination other"),
        ("refresh", 64, "SUBSCRIBER"),
    ] {
        let output = stage.run(Binary::Deliver, wrong);
        assert_eq!(output.status.code(), Some(code), "{wrong}: {}", told(&output));
        assert!(told(&output).contains(word), "{wrong}: {}", told(&output));
    }
}
