//! Nobody is let in: everything that the pipeline does goes through TLS with a password, by the rights that the chart
//! gives each binary and no more. What is missing is said by name.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

mod denied;
mod installation;

use std::time::{Duration, Instant};

use emulators::{Effect, Fault};
use end_to_end::journeys::{self, Journey, Provider, Webhook};
use end_to_end::pipeline::Pipeline;
use end_to_end::processes::Binary;
use end_to_end::schedule::{self, Copy, Sending, Shape};
use installation::{Installation, PATIENCE, ground};
use serde_json::json;
use service::clock::{Clock, SystemClock};

const QUIET: Duration = Duration::from_secs(3);
const WEBHOOKS: usize = 120;
const REFUSED: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn each_binary_does_all_its_work_with_the_rights_that_the_chart_gives_it() {
    let own = Installation::new("healthy").await;
    ground().broker.allow(&own.rights).unwrap();
    tokio::task::block_in_place(|| own.set_up());
    for binary in Binary::ALL {
        tokio::task::block_in_place(|| own.told(binary, "check", ""));
    }
    let mut pipeline = own.start_all();

    let refusal = Fault::always(Effect::respond(422)).path("/events");
    own.destinations.intercom.inject(refusal.times(u64::try_from(REFUSED).unwrap()));
    let journeys = journeys::generate(61, SystemClock::new().now_millis(), WEBHOOKS);
    // More often than it is tried in place: something waits in the retry topic.
    let fails = Fault::always(Effect::respond(500)).person(journeys[0].who.as_str()).times(6);
    own.destinations.customerio.inject(fails);
    send(&pipeline, &journeys).await;
    send_unreadable(&pipeline).await;
    parked(&own, Binary::Deliver, "list --json --destination intercom", REFUSED);
    parked(&own, Binary::Transform, "list --json --reason unreadable", 1);

    for process in pipeline.processes() {
        let ended = tokio::task::block_in_place(|| process.terminate(PATIENCE));
        assert!(ended.unwrap().success());
        process.start_again().unwrap();
    }
    for process in pipeline.processes() {
        process.wait_until_ready(PATIENCE).unwrap();
    }
    // All else arrives before what was parked goes again.
    own.destinations.settle(&journeys, QUIET, QUIET, &|_| ()).await;
    let command = |binary: Binary, command: &'static str, arguments: &str| {
        tokio::task::block_in_place(|| own.told(binary, command, arguments))
    };
    command(Binary::Deliver, "dead", "redrive --destination intercom --every");
    command(Binary::Transform, "dead", "discard --reason unreadable --yes");
    let [customerio, intercom] = own.destinations.settle(&journeys, QUIET, PATIENCE, &|_| ()).await;
    assert!(customerio.is_flawless(), "{customerio}");
    // What was redriven comes after what came later.
    let wrong = (intercom.lost, intercom.doubled, intercom.strangers, intercom.violations);
    assert_eq!(wrong, (0, 0, 0, 0), "{intercom}");
    let somebody = &journeys[0].subscriber;
    command(Binary::Transform, "forget", &format!("{somebody} --dry-run"));
    assert_eq!(own.denials(), Vec::<String>::new());

    ground().broker.allow(&own.rights_of_operators()).unwrap();
    let story = command(Binary::Deliver, "trace", &format!("{somebody} --json"));
    assert!(story.contains(somebody.as_str()));
    command(Binary::Transform, "replay", "--from beginning --into replay.");
    command(Binary::Deliver, "refresh", &format!("{somebody} --dry-run"));
    assert_eq!(own.denials(), Vec::<String>::new());
    for process in pipeline.processes() {
        let ended = tokio::task::block_in_place(|| process.terminate(PATIENCE));
        assert!(ended.unwrap().success());
    }
}

async fn send(pipeline: &Pipeline, journeys: &[Journey]) {
    let shape = Shape::disordered(61, Duration::from_secs(1));
    let tally = pipeline.send(schedule::schedule(journeys, shape), |_| ()).await;
    assert_eq!(tally.all_refused(), 0);
}

/// Something that only `transform` finds out to be none.
async fn send_unreadable(pipeline: &Pipeline) {
    let event = json!({"type": "RENEWAL", "id": "unreadable", "app_user_id": "somebody",
                       "event_timestamp_ms": "soon"});
    let webhook = Webhook {
        provider: Provider::RevenueCat,
        event_id: "unreadable".to_owned(),
        event_type: "RENEWAL".to_owned(),
        occurred_at_ms: SystemClock::new().now_millis(),
        body: json!({"api_version": "1.0", "event": event}),
        expects: &[],
    };
    let sending = Sending { at: Duration::ZERO, webhook, place: (0, 0), copy: Copy::First };
    assert_eq!(pipeline.send(vec![sending], |_| ()).await.all_refused(), 0);
}

fn parked(own: &Installation, binary: Binary, list: &str, expected: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let listed = tokio::task::block_in_place(|| own.told(binary, "dead", list));
        if listed.lines().count() >= expected {
            return;
        }
        assert!(Instant::now() < deadline, "{} of {expected}: {list}", listed.lines().count());
    }
}
