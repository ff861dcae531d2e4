//! Nobody answered for a while, and Stripe gave up: what `ingest missed` gets from its list of events is told like
//! everything else, once, whatever had been received before.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::process::{Command, Output};
use std::time::Duration;

use emulators::StripeEvents;
use end_to_end::broker::Broker;
use end_to_end::journeys::{self, Journey, Provider};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::processes::{self, Binary};
use end_to_end::schedule::{self, Sending, Shape};
use serde_json::Value;
use service::clock::{Clock, SystemClock};

const KEY: &str = "rk_test_a_key_that_reads_events";
const SEED: u64 = 41;
const WEBHOOKS: usize = 160;
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn what_no_webhook_brought_is_got_from_the_providers_list_and_told_once() {
    let broker = Broker::shared().expect("a broker to test against");
    let plan = Plan::for_test("missed", broker).unwrap();
    let pipeline = Pipeline::start(plan, &|_| ()).await.unwrap();
    let now = SystemClock::new().now_millis();
    let mut journeys = journeys::generate(SEED, now, WEBHOOKS);
    journeys.retain(|journey| journey.webhooks[0].provider == Provider::Stripe);
    let all = journeys.iter().flat_map(|journey| &journey.webhooks);
    let stripe =
        StripeEvents::start(KEY, all.map(|told| told.body.clone()).collect()).await.unwrap();

    // The first half of each story was received.
    let is_received = |sending: &Sending| {
        let (journey, webhook) = sending.place;
        webhook < journeys[journey].webhooks.len() / 2
    };
    let mut sendings =
        schedule::schedule(&journeys, Shape::disordered(SEED, Duration::from_secs(1)));
    sendings.retain(is_received);
    assert_eq!(pipeline.send(sendings, |_| ()).await.all_refused(), 0);

    let key = pipeline.setting.folder.join("stripe-key");
    std::fs::write(&key, KEY).unwrap();
    let from = jiff::Timestamp::from_millisecond(now).unwrap() - jiff::Span::new().hours(20 * 24);
    let missed = |source: &str, more: &[&str]| {
        Command::new(processes::path(Binary::Ingest))
            .args(["missed", "--source", source, "--from", &from.to_string()])
            .args(["--api", &stripe.base_url(), "--api-key-file"])
            .arg(&key)
            .arg("--config")
            .arg(&pipeline.setting.configuration)
            .args(more)
            .envs(pipeline.setting.environment.iter().cloned())
            .output()
            .unwrap()
    };
    let expected = webhooks(&journeys);
    let planned = said(&missed("stripe", &["--dry-run"]));
    assert_eq!(planned, format!("stripe: {expected} events; nothing was written (--dry-run)\n"));
    let told = said(&missed("stripe", &[]));
    assert!(
        told.starts_with(&format!("stripe: {expected} events, {expected} written; ")),
        "{told}"
    );
    // Whoever is not sure runs it again.
    assert_eq!(counted(&missed("stripe", &["--json"])), (expected, expected));
    let advice = said(&missed("revenuecat", &[]));
    assert!(advice.contains("`Retry` beside the webhook"), "{advice}");
    for finding in pipeline.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await {
        assert!(finding.is_flawless(), "{finding}; {}", pipeline.setting.folder.display());
    }
}

fn webhooks(journeys: &[Journey]) -> u64 {
    journeys.iter().map(|journey| u64::try_from(journey.webhooks.len()).unwrap()).sum()
}

/// What it says when all went well; never the key.
fn said(output: &Output) -> String {
    let [said, errors] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{errors}");
    assert!(!errors.contains(KEY) && !said.contains(KEY));
    said
}

/// Listed and written.
fn counted(output: &Output) -> (u64, u64) {
    let told: Value = serde_json::from_str(&said(output)).unwrap();
    (told["listed"].as_u64().unwrap(), told["written"].as_u64().unwrap())
}
