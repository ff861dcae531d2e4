//! Transformation code in the running pipeline: what it computes arrives once, what it cannot deal with is parked, and
//! the lane goes on.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::path::Path;
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use end_to_end::destinations::Where;
use end_to_end::journeys::{Provider, Webhook};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::{Binary, Process};
use end_to_end::schedule::{Copy, Sending};
use serde_json::{Value, json};
use service::clock::{Clock, SystemClock};

const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(100);

/// Stands in a webhook, and then in what the handler throws.
const ADDRESS: &str = "c@example.com";

const HANDLER: &str = r#"
function handler(webhook) {
  const paid = webhook.payload.data;
  if (webhook.eventType !== "payment.succeeded") return webhook;
  if (paid.metadata.fails === "throw") throw new Error("not for " + paid.customer.email);
  if (paid.metadata.fails === "loop") for (;;);
  webhook.url = "https://track.customer.io/api/v2/entity";
  webhook.payload = {
    type: "person",
    identifiers: { id: paid.customer.customer_id },
    action: "order_paid",
    name: "Order Paid",
    attributes: { paid: (paid.total_amount / 100).toFixed(2) },
  };
  return webhook;
}
"#;

fn payment(number: u32, fails: &str, now: i64) -> Sending {
    let occurred_at_ms = now - 60_000 + i64::from(number) * 1_000;
    let at = jiff::Timestamp::from_millisecond(occurred_at_ms).unwrap().to_string();
    let body = json!({
        "business_id": "bus_1",
        "type": "payment.succeeded",
        "timestamp": at,
        "data": {
            "payload_type": "Payment",
            "payment_id": format!("pay_{number}"),
            "status": "succeeded",
            "customer": {"customer_id": "cus_coded", "email": ADDRESS, "name": "C"},
            "currency": "USD",
            "total_amount": number * 1_000,
            "created_at": at,
            "metadata": {"fails": fails},
        },
    });
    let webhook = Webhook {
        provider: Provider::Dodo,
        event_id: format!("msg_coded_{number}"),
        event_type: "payment.succeeded".to_owned(),
        occurred_at_ms,
        body,
        expects: &[],
    };
    let at = Duration::from_millis(50) * number;
    Sending { at, webhook, place: (0, 0), copy: Copy::First }
}

/// Waits until so many amounts are there.
async fn paid_times(pipeline: &Pipeline, times: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    while paid(pipeline).len() < times && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
    }
    paid(pipeline)
}

fn dead(pipeline: &Pipeline, arguments: &[&str]) -> String {
    let arguments = [arguments, &["--destination", "customerio"]].concat();
    let told = || pipeline.setting.told(Binary::Deliver, "dead", &arguments);
    tokio::task::block_in_place(told).unwrap()
}

fn logs(folder: &Path) -> String {
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// What was paid, as the person shows it.
fn paid(pipeline: &Pipeline) -> Vec<Value> {
    let people = pipeline.destinations.customerio.people();
    let person = people.into_iter().find(|person| person.id.as_deref() == Some("cus_coded"));
    let events = person.map(|person| person.events).unwrap_or_default();
    let orders = events.into_iter().filter(|event| event.name == "Order Paid");
    orders.map(|mut event| event.attributes.remove("paid").unwrap_or_default()).collect()
}

/// The processes that this one has begun and that are still there.
fn begun_by(process: &Process) -> Vec<u32> {
    let Some(pid) = process.pid() else { return Vec::new() };
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children =
        tasks.flat_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")));
    let children: Vec<String> = children.collect();
    children
        .iter()
        .flat_map(|pids| pids.split_whitespace())
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// Waits until they are gone, whoever has to clear them away.
fn end(pids: &[u32]) {
    assert!(!pids.is_empty(), "a handler has a process of its own");
    let deadline = Instant::now() + PATIENCE;
    let runs = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.is_empty() && !status.contains("(zombie)")
    };
    while pids.iter().any(runs) {
        assert!(Instant::now() < deadline, "the process of a handler outlives deliver");
        std::thread::sleep(POLL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_computes_arrives_and_what_it_cannot_deal_with_holds_up_nobody() {
    let broker = Broker::shared().expect("a broker to test against");
    let plan = Plan::for_test("transformed", broker).unwrap();
    let folder = plan.folder.clone();
    let file = folder.join("handler.js");
    std::fs::write(&file, HANDLER).unwrap();
    let option = "TRIBUTARY__DESTINATIONS__CUSTOMERIO__TRANSFORM".to_owned();
    let environment = vec![(option, file.display().to_string())];
    let mut pipeline = Pipeline::start(Plan { environment, ..plan }, &|_| ()).await.unwrap();
    let now = SystemClock::new().now_millis();
    let fails = ["no", "throw", "loop", "no", "no"];
    let sendings = (1..).zip(fails).map(|(number, fails)| payment(number, fails, now)).collect();
    assert_eq!(pipeline.send(sendings, |_| ()).await.all_refused(), 0);

    let amounts = paid_times(&pipeline, 3).await;
    assert_eq!(amounts, ["10.00", "40.00", "50.00"], "in order, each once");
    assert_eq!(pipeline.destinations.violations(Where::Customerio), []);
    let metrics = pipeline.deliver.metrics().unwrap();
    let failed = ["destination=\"customerio\"", "outcome=\"failed\""];
    assert!(metrics.sum("tributary_deliver_transformed_total", &failed) >= 4.0);
    let elsewhere = ["destination=\"intercom\""];
    assert!(metrics.sum("tributary_deliver_transformed_total", &elsewhere) < 1.0);

    // What it threw stands in the dead letters, one for each of the two events of a payment, with its line, and in no log.
    let listed = dead(&pipeline, &["list"]);
    assert!(listed.contains("4 dead letters (4 transformation_failed)"), "{listed}");
    let position = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    let shown = dead(&pipeline, &["show", position]);
    assert!(shown.contains(&format!("Error: not for {ADDRESS}")), "{shown}");
    assert!(shown.contains("handler.js:5:"), "{shown}");
    let logs = logs(&folder);
    assert!(logs.contains("transformation_failed") && !logs.contains(ADDRESS));

    // The corrected handler is given what was parked.
    std::fs::write(&file, HANDLER.replace("paid.metadata.fails ===", "null ===")).unwrap();
    tokio::task::block_in_place(|| {
        let workers = begun_by(&pipeline.deliver);
        pipeline.deliver.terminate(PATIENCE).unwrap();
        end(&workers);
        pipeline.deliver.start_again().unwrap();
        pipeline.deliver.wait_until_ready(PATIENCE).unwrap();
    });
    dead(&pipeline, &["redrive", "--every"]);
    let amounts = paid_times(&pipeline, 5).await;
    assert_eq!(amounts, ["10.00", "40.00", "50.00", "20.00", "30.00"]);
    assert_eq!(pipeline.destinations.violations(Where::Customerio), []);

    // However `deliver` ends, the process of the handler does not stay behind.
    let workers = begun_by(&pipeline.deliver);
    pipeline.deliver.kill().unwrap();
    tokio::task::block_in_place(|| end(&workers));
}
