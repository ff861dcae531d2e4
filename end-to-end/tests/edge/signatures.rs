//! Signatures that were right once, will be right, or are somebody else's.

use end_to_end::journeys::Provider;
use end_to_end::sign::{Headers, Secrets};
use service::clock::{Clock, SystemClock};

use crate::edge::server::{Circumstances, Edge};
use crate::edge::wire;

/// What is configured where nothing is said, in seconds: before and after.
const TOLERANCE: i64 = 300;
/// The test may take as long between signing and sending.
const SLACK: i64 = 20;

const BODY: &[u8] = br#"{"id":"evt_signed"}"#;

fn request(provider: Provider, headers: &Headers) -> Vec<u8> {
    let length = format!("content-length: {}\r\n", BODY.len());
    [wire::head(provider, headers, &length).as_bytes(), BODY].concat()
}

fn signed(provider: Provider, body: &[u8], shift: i64) -> Headers {
    let at = SystemClock::new().now().as_second() + shift;
    Secrets::default().headers(provider, "evt_signed", body, at)
}

/// What each provider's webhook is answered that is signed so far from now.
const DATED: [(i64, u16); 8] = [
    (0, 200),
    (SLACK - TOLERANCE, 200),
    (TOLERANCE - SLACK, 200),
    (-TOLERANCE - SLACK, 401),
    (TOLERANCE + SLACK, 401),
    (-86_400, 401),
    (86_400, 401),
    (-1_700_000_000, 401),
];

async fn forged(edge: &Edge, provider: Provider) {
    let by = |secrets: Secrets, body: &[u8]| {
        secrets.headers(provider, "evt_signed", body, SystemClock::new().now().as_second())
    };
    let right = || signed(provider, BODY, 0);
    let without = |place: usize| {
        let mut headers = right();
        headers.remove(place);
        headers
    };
    let mut cases = vec![
        ("nothing", Headers::new()),
        ("another secret", by(Secrets::named("of nobody"), BODY)),
        ("another body", by(Secrets::default(), b"{}")),
    ];
    for place in 0..right().len() {
        cases.push(("a header is missing", without(place)));
        let mut twice = right();
        twice.push(twice[place].clone());
        cases.push(("a header comes twice", twice));
        let mut empty = right();
        empty[place].1.clear();
        cases.push(("a header is empty", empty));
        let mut endless = right();
        endless[place].1 = "9".repeat(10_000);
        cases.push(("a header is endless", endless));
        let mut commas = right();
        commas[place].1 = "t=1,v1=,".repeat(1_000);
        cases.push(("a header has many parts", commas));
    }
    for (case, headers) in cases {
        let outcome = wire::outcome(edge.port, request(provider, &headers), 1).await;
        // An authorization alone is enough for nobody who signs as well.
        assert_eq!(outcome.statuses, [401], "{provider:?}: {case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_fresh_signature_of_a_valid_secret_is_believed() {
    let edge = Edge::start("edge-signatures", &Circumstances::default());
    edge.withstand("forged and stale signatures", async {
        for provider in Provider::ALL {
            for (shift, status) in DATED {
                let request = request(provider, &signed(provider, BODY, shift));
                let outcome = wire::outcome(edge.port, request, 1).await;
                assert_eq!(outcome.statuses, [status], "{provider:?} {shift} s from now");
            }
            forged(&edge, provider).await;
        }
    })
    .await;
    let refused = |reason: &str| edge.counted("signatures_refused_total", &[reason]);
    for reason in ["outside_window", "mismatch", "header_missing", "header_malformed"] {
        assert!(refused(&format!("reason=\"{reason}\"")) > 0.0, "nothing was {reason}");
    }
}
