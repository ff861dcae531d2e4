//! Three brokers of which one at a time is lost, then too many: what is acknowledged stays, and what cannot be kept
//! safely is not acknowledged.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::time::{Duration, Instant};

use end_to_end::broker::{Broker, Tool};
use end_to_end::journeys::{self, Journey};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::Binary;
use end_to_end::schedule::{self, Shape};
use end_to_end::sender::{self, Manners, Order, Tally};
use end_to_end::workspace;
use schemas::topics::Topic;
use service::clock::{Clock, SystemClock};
use tokio::task::block_in_place;

const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);
const SERVICE_UNAVAILABLE: u16 = 503;

/// Longer than any outage here.
const NEVER: Duration = Duration::from_mins(10);

struct Cluster {
    brokers: Vec<Broker>,
    pipeline: Pipeline,
    /// All that was sent.
    journeys: Vec<Journey>,
}

impl Cluster {
    async fn start() -> Self {
        let folder = workspace::fresh_run_folder("cluster-kafka").unwrap();
        let brokers = block_in_place(|| Broker::start_cluster(3, &folder, &|_| ())).unwrap();
        let addresses: Vec<&str> = brokers.iter().map(Broker::address).collect();
        let variable = |name: &str, value: &str| (format!("TRIBUTARY__{name}"), value.to_owned());
        let plan = Plan {
            brokers: addresses.join(","),
            environment: vec![
                variable("KAFKA__REPLICATION_FACTOR", "3"),
                variable("KAFKA__SESSION_TIMEOUT", "6s"),
            ],
            ..Plan::for_test("cluster", &brokers[0]).unwrap()
        };
        let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
        Self { brokers, pipeline, journeys: Vec::new() }
    }

    /// Sends what happens to some people. A person's webhooks leave one after the other, so that no outage brings them
    /// out of order.
    fn sends(
        &mut self,
        seed: u64,
        webhooks: usize,
        over: Duration,
    ) -> tokio::task::JoinHandle<Tally> {
        let journeys = journeys::generate(seed, SystemClock::new().now_millis(), webhooks);
        // Nobody is overtaken: what an outage separates would come later than the reorder window.
        let shape = Shape { step: Duration::from_millis(400), ..Shape::disordered(seed, over) };
        let sendings = schedule::schedule(&journeys, shape);
        self.journeys.extend(journeys);
        let manners = Manners {
            order: Order::OneAfterTheOther,
            concurrency: 256,
            give_up_after: NEVER,
            ..Manners::to(self.pipeline.configuration.listeners.webhooks)
        };
        tokio::spawn(sender::send(sendings, manners, |_| ()))
    }

    fn prefix(&self) -> &str {
        &self.pipeline.configuration.topic_prefix
    }

    fn requests(&self, outcome: &str) -> f64 {
        let outcome = format!("outcome=\"{outcome}\"");
        let metrics = self.pipeline.ingest.metrics().unwrap();
        metrics.sum("tributary_ingest_requests_total", &[&outcome])
    }

    fn accepted(&self) -> f64 {
        self.requests("accepted")
    }

    fn put_off(&self) -> f64 {
        self.requests("ack_timeout") + self.requests("append_failed")
    }

    /// Of the raw topic, by one of Kafka's own tools at this broker.
    fn require_in_sync(&self, at: usize, brokers: &str) {
        let topic = Topic::Raw.name(self.prefix());
        let setting = format!("min.insync.replicas={brokers}");
        let entity = ["--entity-type", "topics", "--entity-name", topic.as_str()];
        let change = [&entity[..], &["--alter", "--add-config", &setting]].concat();
        block_in_place(|| self.brokers[at].tool(Tool::Configs, &change)).unwrap();
    }

    async fn assert_told(&self) {
        let destinations = &self.pipeline.destinations;
        let findings = destinations.settle(&self.journeys, QUIET, PATIENCE, &|_| ()).await;
        for finding in findings {
            assert!(finding.is_flawless(), "{finding}\n{}", self.pipeline.setting.folder.display());
        }
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        block_in_place(|| std::thread::sleep(POLL));
    }
}

/// Everything was taken in the end, and nobody heard anything else than "later" before.
fn assert_taken(tally: &Tally) {
    assert_eq!(tally.all_refused(), 0, "{:?}", tally.refused);
    let others = tally.repeated.keys().any(|status| *status != SERVICE_UNAVAILABLE);
    assert!(!others, "attempts that had to be repeated, by status: {:?}", tally.repeated);
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_are_lost_and_what_was_acknowledged_is_told_once_and_in_order() {
    let mut cluster = Cluster::start().await;
    assert_kept_safely(&cluster);
    one_after_the_other_is_killed(&mut cluster).await;
    too_few_in_sync_is_a_503(&mut cluster).await;
    two_of_three_away_is_a_503(&mut cluster).await;
    cluster.assert_told().await;
    for process in cluster.pipeline.processes() {
        assert_eq!(process.ended().unwrap(), None, "{}", process.binary().name());
    }
}

/// What `setup` made of the topics: nothing for `check` to warn of.
fn assert_kept_safely(cluster: &Cluster) {
    for binary in Binary::ALL {
        let told = cluster.pipeline.setting.told(binary, "check", &[]).unwrap();
        assert!(!told.to_lowercase().contains("warn"), "{}: {told}", binary.name());
    }
    let topics = ["--describe", "--topic", &format!("{}.*", cluster.prefix())];
    let described = block_in_place(|| cluster.brokers[0].tool(Tool::Topics, &topics)).unwrap();
    let heads: Vec<&str> =
        described.lines().filter(|line| line.contains("ReplicationFactor")).collect();
    assert!(heads.len() >= 8, "{described}");
    for head in heads {
        assert!(head.contains("ReplicationFactor: 3"), "{head}");
        assert!(head.contains("min.insync.replicas=2"), "{head}");
        assert!(!head.contains("unclean.leader.election.enable=true"), "{head}");
    }
    let all = ["--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"];
    let broker = block_in_place(|| cluster.brokers[0].tool(Tool::Configs, &all)).unwrap();
    assert!(broker.contains("unclean.leader.election.enable=false"));
}

async fn one_after_the_other_is_killed(cluster: &mut Cluster) {
    let mut sendings = Vec::new();
    for (seed, victim) in (50..).zip(0..cluster.brokers.len()) {
        // For each anew: a broker may take its time to come back, and what is sent must not be over by then.
        sendings.push(cluster.sends(seed, 800, Duration::from_secs(20)));
        let before = cluster.accepted();
        until("webhooks are taken with all brokers", || cluster.accepted() > before + 30.0);
        block_in_place(|| cluster.brokers[victim].kill()).unwrap();
        let without = cluster.accepted();
        until("webhooks are taken without one broker", || cluster.accepted() > without + 60.0);
        block_in_place(|| cluster.brokers[victim].start_again()).unwrap();
    }
    for sending in sendings {
        assert_taken(&sending.await.unwrap());
    }
    cluster.assert_told().await;
}

/// Two brokers have everything and three would have to: nothing may be acknowledged, and nothing is doubled by trying.
async fn too_few_in_sync_is_a_503(cluster: &mut Cluster) {
    block_in_place(|| cluster.brokers[2].kill()).unwrap();
    cluster.require_in_sync(0, "3");
    let (put_off, accepted) = (cluster.put_off(), cluster.accepted());
    let sending = cluster.sends(6, 100, Duration::from_secs(1));
    until("webhooks are put off", || cluster.put_off() > put_off + 20.0);
    assert!((cluster.accepted() - accepted).abs() < f64::EPSILON, "some were acknowledged");
    block_in_place(|| cluster.brokers[2].start_again()).unwrap();
    assert_taken(&sending.await.unwrap());
    cluster.require_in_sync(0, "2");
    cluster.assert_told().await;
}

/// One node of three cannot elect anybody.
async fn two_of_three_away_is_a_503(cluster: &mut Cluster) {
    for victim in [0, 1] {
        block_in_place(|| cluster.brokers[victim].kill()).unwrap();
    }
    let (put_off, accepted) = (cluster.put_off(), cluster.accepted());
    let sending = cluster.sends(7, 100, Duration::from_secs(1));
    until("webhooks are put off", || cluster.put_off() > put_off + 20.0);
    assert!((cluster.accepted() - accepted).abs() < f64::EPSILON, "some were acknowledged");
    for victim in [0, 1] {
        block_in_place(|| cluster.brokers[victim].start_again()).unwrap();
    }
    assert_taken(&sending.await.unwrap());
}
