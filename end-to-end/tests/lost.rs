//! What `docs/operations.md` says to do when a broker or a topic is lost, done. Of a topic: half of everybody's story
//! has been told, the topic goes, the page is followed, the other half is told, and both destinations show each event
//! once and in order.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use end_to_end::broker::{Broker, Tool};
use end_to_end::configuration::Configuration;
use end_to_end::journeys::{self, Journey, Webhook};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::{self, Binary, Process};
use end_to_end::schedule::{self, Sending, Shape};
use end_to_end::workspace;
use schemas::Timestamp;
use schemas::topics::Topic;
use service::clock::{Clock, SystemClock};

const WEBHOOKS: usize = 120;
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_mins(1);
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// An installation that has told the first half of every story.
struct Incident {
    broker: &'static Broker,
    pipeline: Pipeline,
    journeys: Vec<Journey>,
    /// What happened at this moment or later is the other half.
    half_ms: i64,
}

impl Incident {
    async fn after_half(name: &str) -> Self {
        let broker = Broker::shared().expect("a broker to test against");
        let environment = vec![
            ("TRIBUTARY__KAFKA__SESSION_TIMEOUT".to_owned(), "6s".to_owned()),
            // What is refused is sent again, and comes by so much later than what was not.
            ("TRIBUTARY__TRANSFORM__REORDER_WINDOW".to_owned(), "5s".to_owned()),
        ];
        let plan = Plan { environment, ..Plan::for_test(name, broker).unwrap() };
        let journeys = journeys::generate(3, SystemClock::new().now_millis(), WEBHOOKS);
        let mut moments: Vec<i64> = journeys
            .iter()
            .flat_map(|journey| &journey.webhooks)
            .map(|webhook| webhook.occurred_at_ms)
            .collect();
        moments.sort_unstable();
        let half_ms = moments[moments.len() / 2] / 1000 * 1000;
        let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
        let incident = Self { broker, pipeline, journeys, half_ms };
        let (_, sendings) = incident.part(|webhook| webhook.occurred_at_ms < half_ms);
        assert_eq!(incident.pipeline.send(sendings, |_| ()).await.all_refused(), 0);
        incident.assert_shown(&incident.first_half()).await;
        incident
    }

    fn part(&self, is_meant: impl Fn(&Webhook) -> bool) -> (Vec<Journey>, Vec<Sending>) {
        let mut journeys = self.journeys.clone();
        for journey in &mut journeys {
            journey.webhooks.retain(|webhook| is_meant(webhook));
        }
        journeys.retain(|journey| !journey.webhooks.is_empty());
        let shape = Shape::disordered(3, Duration::from_secs(2));
        let sendings = schedule::schedule(&journeys, shape);
        (journeys, sendings)
    }

    fn first_half(&self) -> Vec<Journey> {
        self.part(|webhook| webhook.occurred_at_ms < self.half_ms).0
    }

    fn other_half(&self) -> Vec<Sending> {
        self.part(|webhook| webhook.occurred_at_ms >= self.half_ms).1
    }

    async fn assert_shown(&self, journeys: &[Journey]) {
        let findings = self.pipeline.destinations.settle(journeys, QUIET, PATIENCE, &|_| ()).await;
        let folder = self.pipeline.setting.folder.display();
        for finding in findings {
            assert!(finding.is_flawless(), "{finding}\n{:?}\nlogs: {folder}", finding.examples);
        }
    }

    fn prefix(&self) -> &str {
        &self.pipeline.configuration.topic_prefix
    }

    fn kafka(&self, tool: Tool, arguments: &[&str]) -> String {
        tokio::task::block_in_place(|| self.broker.tool(tool, arguments).unwrap())
    }

    fn loses(&self, topic: &Topic) {
        let name = topic.name(self.prefix());
        self.kafka(Tool::Topics, &["--delete", "--topic", name.as_str()]);
    }

    fn set_up(&self) {
        tokio::task::block_in_place(|| {
            for binary in Binary::ALL {
                self.pipeline.setting.command(binary, "setup", READY_WITHIN).unwrap();
            }
        });
    }

    fn run(&self, binary: Binary, words: &[&str]) -> Output {
        let setting = &self.pipeline.setting;
        let mut command = Command::new(processes::path(binary));
        command.args(words).arg("--config").arg(&setting.configuration);
        command.envs(setting.environment.iter().cloned()).stdin(Stdio::null());
        tokio::task::block_in_place(|| command.output().unwrap())
    }

    fn end(process: &mut Process) {
        let status = tokio::task::block_in_place(|| process.terminate(ENDS_WITHIN).unwrap());
        assert!(status.success(), "{}: {status}", process.binary().name());
    }

    /// Starts it as it is configured now.
    fn start(&mut self, binary: Binary) {
        let listeners = self.pipeline.configuration.listeners;
        let (process, admin_port) = match binary {
            Binary::Ingest => (&mut self.pipeline.ingest, listeners.ingest),
            Binary::Transform => (&mut self.pipeline.transform, listeners.transform),
            Binary::Deliver => (&mut self.pipeline.deliver, listeners.deliver),
        };
        *process = Process::start(binary, &self.pipeline.setting, admin_port).unwrap();
        tokio::task::block_in_place(|| process.wait_until_ready(READY_WITHIN).unwrap());
    }

    /// `transform` does not go on as if nothing had happened.
    fn assert_refused(&self, why: &str) {
        let refused = self.run(Binary::Transform, &["run"]);
        let said = told(&refused);
        assert_eq!(refused.status.code(), Some(78), "{said}");
        assert!(said.contains(why) && said.contains("docs/operations.md"), "{said}");
    }

    /// Under another prefix, with what is known of everybody.
    fn goes_on_beside(&mut self) {
        let old = self.prefix().to_owned();
        let state_dir = self.pipeline.setting.folder.join("state-beside");
        self.configure(|configuration| {
            configuration.topic_prefix = format!("beside-{old}");
            configuration.state_dir = state_dir;
        });
        self.set_up();
        let adopted = self.run(Binary::Transform, &["adopt", "--from", &old]);
        assert!(adopted.status.success(), "{}", told(&adopted));
        for binary in Binary::ALL {
            self.start(binary);
        }
    }

    /// What `transform` has committed is not known any more. Kafka allows it when the workers are missed: they do not
    /// leave the group when they end.
    fn forget_offsets(&self) {
        let (group, raw) = (format!("{}transform", self.prefix()), Topic::Raw.name(self.prefix()));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let arguments = ["--delete-offsets", "--group", &group, "--topic", raw.as_str()];
            let said = self.kafka(Tool::ConsumerGroups, &arguments);
            if !said.contains("Error") {
                return;
            }
            assert!(Instant::now() < deadline, "{said}");
            tokio::task::block_in_place(|| std::thread::sleep(POLL));
        }
    }

    /// Nothing is told any more of what happened in the first half.
    fn cut_at_half(&mut self) {
        let start = Timestamp::from_millis(self.half_ms).to_string();
        let options = ["CUSTOMERIO", "INTERCOM"]
            .map(|name| (format!("TRIBUTARY__DESTINATIONS__{name}__START"), start.clone()));
        self.pipeline.setting.environment.extend(options);
    }

    /// Calls that tell something of a person. Where an account lies is asked at each start.
    fn called(&self) -> [usize; 2] {
        let destinations = &self.pipeline.destinations;
        let telling = |requests: Vec<emulators::RequestRecord>| {
            let paths = ["/api/v2/", "/contacts", "/events"];
            requests.iter().filter(|it| paths.iter().any(|path| it.path.starts_with(path))).count()
        };
        [telling(destinations.customerio.requests()), telling(destinations.intercom.requests())]
    }

    /// The configuration from now on.
    fn configure(&mut self, change: impl FnOnce(&mut Configuration)) {
        change(&mut self.pipeline.configuration);
        std::fs::write(&self.pipeline.setting.configuration, self.pipeline.configuration.render())
            .unwrap();
    }
}

fn until(pipeline: &Pipeline, what: &str, is_so: impl Fn(&Pipeline) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so(pipeline) {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::task::block_in_place(|| std::thread::sleep(POLL));
    }
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn count(process: &Process, name: &str, labels: &[&str]) -> usize {
    let sum = process.metrics().unwrap().sum(name, labels);
    format!("{sum:.0}").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_only_broker_is_away_webhooks_are_refused_and_afterwards_all_goes_on_by_itself() {
    let folder = workspace::fresh_run_folder("lost-broker-kafka").unwrap();
    let mut broker = tokio::task::block_in_place(|| Broker::start_apart(&folder, &|_| ()).unwrap());
    // Longer than it is away, and than a refused sender then waits before it comes again.
    let reorder_window = Duration::from_secs(45);
    let plan = Plan { reorder_window, ..Plan::for_test("lost-broker", &broker).unwrap() };
    let mut pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let journeys = journeys::generate(4, SystemClock::new().now_millis(), WEBHOOKS);
    let shape = Shape::disordered(4, Duration::from_secs(4));
    let sending = tokio::spawn(pipeline.send(schedule::schedule(&journeys, shape), |_| ()));
    let answered = |pipeline: &Pipeline, outcome: &str| {
        let outcome = format!("outcome=\"{outcome}\"");
        count(&pipeline.ingest, "tributary_ingest_requests_total", &[&outcome])
    };
    until(&pipeline, "some are taken", |pipeline| answered(pipeline, "accepted") > 20);
    tokio::task::block_in_place(|| broker.kill().unwrap());
    until(&pipeline, "some are refused", |pipeline| {
        answered(pipeline, "ack_timeout") + answered(pipeline, "append_failed") > 20
    });
    tokio::task::block_in_place(|| broker.start_again().unwrap());
    assert_eq!(sending.await.unwrap().all_refused(), 0);
    let findings = pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await;
    for finding in findings {
        assert!(finding.is_flawless(), "{finding}\n{}", pipeline.setting.folder.display());
    }
    for process in pipeline.processes() {
        assert_eq!(process.ended().unwrap(), None, "{}", process.binary().name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_raw_topic_is_lost_subscribers_go_on_in_an_installation_beside_it() {
    let mut incident = Incident::after_half("lost-raw").await;
    incident.loses(&Topic::Raw);
    let sending = tokio::spawn(incident.pipeline.send(incident.other_half(), |_| ()));
    until(&incident.pipeline, "webhooks are refused", |pipeline| {
        count(&pipeline.ingest, "tributary_ingest_requests_total", &["outcome=\"append_failed\""])
            > 0
    });
    for process in incident.pipeline.processes() {
        Incident::end(process);
    }
    incident.goes_on_beside();
    let tally = sending.await.unwrap();
    assert_eq!(tally.all_refused(), 0);
    assert!(tally.all_repeated() > 0, "nobody was refused");
    incident.assert_shown(&incident.journeys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_offsets_are_lost_subscribers_go_on_beside_and_nobody_is_told_twice() {
    let mut incident = Incident::after_half("lost-offsets").await;
    for process in incident.pipeline.processes() {
        Incident::end(process);
    }
    incident.forget_offsets();
    incident.cut_at_half();
    incident.goes_on_beside();
    assert_eq!(incident.pipeline.send(incident.other_half(), |_| ()).await.all_refused(), 0);
    incident.assert_shown(&incident.journeys).await;
    let duplicates =
        count(&incident.pipeline.transform, "tributary_transform_duplicates_total", &[]);
    assert!(duplicates > 0, "all of raw was copied, and known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_is_made_again_from_raw_and_nobody_is_told_twice() {
    let mut incident = Incident::after_half("lost-state").await;
    Incident::end(&mut incident.pipeline.transform);
    incident.loses(&Topic::State);
    incident.set_up();
    incident.assert_refused("the state is gone");
    Incident::end(&mut incident.pipeline.deliver);
    incident.forget_offsets();
    incident.cut_at_half();
    let called = incident.called();
    incident.start(Binary::Transform);
    incident.start(Binary::Deliver);
    let events = expected(&incident.first_half());
    until(&incident.pipeline, "what had been told is skipped", |pipeline| {
        let skipped = ["reason=\"before_start\"", "destination=\"customerio\""];
        count(&pipeline.deliver, "tributary_deliver_skipped_total", &skipped) >= events
    });
    assert_eq!(incident.called(), called, "somebody was told again");
    assert_eq!(incident.pipeline.send(incident.other_half(), |_| ()).await.all_refused(), 0);
    incident.assert_shown(&incident.journeys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_lost_before_they_were_told_are_made_again_and_told() {
    let mut incident = Incident::after_half("lost-events").await;
    Incident::end(&mut incident.pipeline.deliver);
    let other = incident.other_half();
    let mut moments: Vec<_> = other.iter().map(|it| it.webhook.occurred_at_ms).collect();
    moments.sort_unstable();
    let (half_ms, rest_ms) = (incident.half_ms, moments[moments.len() / 2]);
    let (_, lost) = incident.part(|it| (half_ms..rest_ms).contains(&it.occurred_at_ms));
    assert_eq!(incident.pipeline.send(lost, |_| ()).await.all_refused(), 0);
    let (so_far, _) = incident.part(|it| it.occurred_at_ms < rest_ms);
    until(&incident.pipeline, "all of them became events", |pipeline| {
        count(&pipeline.transform, "tributary_transform_events_total", &[]) == expected(&so_far)
    });
    incident.loses(&Topic::Events);
    incident.set_up();

    let live = incident.prefix().to_owned();
    let again = format!("again-{live}");
    let replay = ["replay", "--from", "beginning", "--into", &again];
    let replayed = incident.run(Binary::Transform, &replay);
    assert!(replayed.status.success(), "{}", told(&replayed));
    incident.configure(|configuration| configuration.topic_prefix = again);
    incident.set_up();
    incident.cut_at_half();
    incident.start(Binary::Deliver);
    incident.assert_shown(&so_far).await;
    Incident::end(&mut incident.pipeline.deliver);

    incident.configure(|configuration| configuration.topic_prefix = live);
    incident.start(Binary::Deliver);
    let (_, rest) = incident.part(|it| it.occurred_at_ms >= rest_ms);
    assert_eq!(incident.pipeline.send(rest, |_| ()).await.all_refused(), 0);
    incident.assert_shown(&incident.journeys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_hold_nothing_undone_are_made_anew_while_all_goes_on() {
    let mut incident = Incident::after_half("lost-others").await;
    incident.loses(&Topic::Links);
    incident.loses(&Topic::Unprocessable);
    for destination in ["customerio", "intercom"].map(str::to_owned) {
        incident.loses(&Topic::Dead(destination.clone()));
        incident.loses(&Topic::Waits(destination));
    }
    incident.set_up();
    assert_eq!(incident.pipeline.send(incident.other_half(), |_| ()).await.all_refused(), 0);
    incident.assert_shown(&incident.journeys).await;
    for process in incident.pipeline.processes() {
        assert_eq!(process.ended().unwrap(), None, "{}", process.binary().name());
    }
}

/// Events that these journeys become.
fn expected(journeys: &[Journey]) -> usize {
    journeys.iter().flat_map(|journey| &journey.webhooks).map(|it| it.expects.len()).sum()
}
