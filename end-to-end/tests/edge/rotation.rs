//! Secrets that are replaced while webhooks come.

use std::sync::Arc;
use std::time::Duration;

use end_to_end::journeys::Provider;
use end_to_end::keyring::{self, Keyring};
use end_to_end::sign::Secrets;
use end_to_end::workspace;
use service::clock::{Clock, SystemClock};
use tokio::time::{Instant, sleep};

use crate::edge::honest::Honest;
use crate::edge::server::{Circumstances, Edge};
use crate::edge::wire;

/// What is documented: a change of the file counts within it.
const SEEN_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);
/// As long as webhooks come that are signed with either.
const BOTH: Duration = Duration::from_secs(1);

async fn status(edge: &Edge, provider: Provider, secrets: &Secrets) -> Vec<u16> {
    let body = b"{}";
    let now = SystemClock::new().now().as_second();
    let headers = secrets.headers(provider, "probe", body, now);
    let request = wire::head(provider, &headers, "content-length: 2\r\n") + "{}";
    wire::outcome(edge.port, request.into_bytes(), 1).await.statuses
}

/// Waits until a webhook of each provider that is signed with these is answered so.
async fn until(edge: &Edge, secrets: &Secrets, answered: u16) {
    let began = Instant::now();
    for provider in Provider::ALL {
        while status(edge, provider, secrets).await != [answered] {
            assert!(began.elapsed() < SEEN_WITHIN, "{provider:?} is not answered {answered}");
            sleep(POLL).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_replaced_under_load_and_no_honest_webhook_is_refused() {
    let files = workspace::fresh_run_folder("edge-rotation-secrets").unwrap();
    let (old, new) = (Secrets::default(), Secrets::named("new"));
    keyring::write(&files, &[&old]).unwrap();
    let circumstances = Circumstances { secrets: Some(&files), ..Circumstances::default() };
    let edge = Edge::start("edge-rotation", &circumstances);
    let keyring = Arc::<Keyring>::default();
    let senders = Honest::start_signing(edge.port, &keyring);
    assert_eq!(status(&edge, Provider::Stripe, &new).await, [401]);

    keyring::write(&files, &[&new, &old]).unwrap();
    until(&edge, &new, 200).await;
    keyring.sign_with(&[&new, &old]);
    sleep(BOTH).await;
    let with_new = Arc::<Keyring>::default();
    with_new.sign_with(&[&new]);
    let successors = Honest::start_signing(edge.port, &with_new);
    // What was signed with the old one is answered before it goes.
    senders.stop().await.assert_taken();

    keyring::write(&files, &[&new]).unwrap();
    until(&edge, &old, 401).await;
    for provider in Provider::ALL {
        assert_eq!(status(&edge, provider, &old).await, [401], "{provider:?}");
        assert_eq!(status(&edge, provider, &new).await, [200], "{provider:?}");
    }
    successors.stop().await.assert_taken();
}
