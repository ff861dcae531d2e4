//! Bodies of every size, and lengths that are not theirs. All are signed rightly, so that only the size counts.

use end_to_end::journeys::Provider;
use end_to_end::sign::Secrets;
use service::clock::{Clock, SystemClock};

use crate::edge::server::{Circumstances, Edge};
use crate::edge::wire::{self, End, Outcome};

/// What the test says for `ingest.max_body`.
const LIMIT: usize = 65_536;

fn body(length: usize) -> Vec<u8> {
    vec![b' '; length]
}

/// These bytes after a head with these lines that signs `signed`.
fn with(lines: &str, signed: &[u8], after: &[u8]) -> Vec<u8> {
    let now = SystemClock::new().now().as_second();
    let headers = Secrets::default().headers(Provider::Dodo, "body", signed, now);
    [wire::head(Provider::Dodo, &headers, lines).as_bytes(), after].concat()
}

fn announced(length: usize) -> Vec<u8> {
    let body = body(length);
    with(&format!("content-length: {length}\r\n"), &body, &body)
}

/// In chunks of so many bytes, each line of a length with `extension`, and `trailers` at the end.
fn chunked(length: usize, step: usize, extension: &str, trailers: &str) -> Vec<u8> {
    let body = body(length);
    let chunk = |bytes: &[u8]| {
        [format!("{:x}{extension}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
    };
    let chunks: Vec<u8> = body.chunks(step).flat_map(chunk).collect();
    let end = format!("0{extension}\r\n{trailers}\r\n");
    with("transfer-encoding: chunked\r\n", &body, &[&chunks, end.as_bytes()].concat())
}

fn chunks(after: &str) -> Vec<u8> {
    with("transfer-encoding: chunked\r\n", b"", after.as_bytes())
}

/// What is sent, and what is answered; none is the end without an answer.
fn sizes() -> Vec<(&'static str, Vec<u8>, &'static [u16], End)> {
    let ten = body(10);
    vec![
        ("nothing", announced(0), &[200], End::Open),
        ("a byte", announced(1), &[200], End::Open),
        ("as much as goes into one segment", announced(1_400), &[200], End::Open),
        ("as much as every connection has", announced(16 * 1024), &[200], End::Open),
        ("a byte more than that", announced(16 * 1024 + 1), &[200], End::Open),
        ("nearly the limit", announced(LIMIT - 1), &[200], End::Open),
        ("the limit", announced(LIMIT), &[200], End::Open),
        ("more than the limit", announced(LIMIT + 1), &[413], End::Closed),
        ("far more", announced(20 * LIMIT), &[413], End::Closed),
        (
            "a terabyte announced",
            with("content-length: 1099511627776\r\n", b"", &ten),
            &[413],
            End::Closed,
        ),
        ("no length", with("", b"", b""), &[200], End::Open),
        ("less than announced", with("content-length: 11\r\n", &ten, &ten), &[408], End::Closed),
        (
            "more than announced",
            with("content-length: 9\r\n", &ten, &ten),
            &[401, 400],
            End::Closed,
        ),
        ("chunks", chunked(1_000, 100, "", ""), &[200], End::Closed),
        ("chunks of a byte", chunked(5_000, 1, "", ""), &[200], End::Closed),
        ("chunks up to the limit", chunked(LIMIT, 4_096, "", ""), &[200], End::Closed),
        ("chunks beyond the limit", chunked(LIMIT + 1, 4_096, "", ""), &[413], End::Closed),
        ("chunks far beyond the limit", chunked(20 * LIMIT, 9_000, "", ""), &[413], End::Closed),
        ("chunks with an extension", chunked(100, 10, ";a=b", ""), &[200], End::Closed),
        (
            "an endless extension",
            chunks(&format!("1;{}\r\n \r\n0\r\n\r\n", "x".repeat(100_000))),
            &[400],
            End::Closed,
        ),
        (
            "extensions without end",
            chunked(200, 1, &format!(";{}", "x".repeat(500)), ""),
            &[400],
            End::Closed,
        ),
        ("a trailer", chunked(100, 10, "", "x-after: all\r\n"), &[200], End::Closed),
        (
            "endless trailers",
            chunked(100, 10, "", &"x-after: all\r\n".repeat(10_000)),
            &[400],
            End::Closed,
        ),
        ("a chunk beyond numbers", chunks("ffffffffffffffffff\r\n \r\n"), &[400], End::Closed),
        ("the largest chunk there is", chunks("ffffffffffffffff\r\n \r\n"), &[408], End::Closed),
        ("a negative chunk", chunks("-1\r\n \r\n0\r\n\r\n"), &[400], End::Closed),
        ("a chunk in hexadecimal of C", chunks("0x1\r\n \r\n0\r\n\r\n"), &[400], End::Closed),
        ("a chunk longer than it says", chunks("1\r\n  \r\n0\r\n\r\n"), &[400], End::Closed),
        ("chunks without an end", chunks("1\r\n \r\n"), &[408], End::Closed),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_taken_up_to_the_limit_and_its_length_is_what_it_says() {
    let environment = [("INGEST__BODY_TIMEOUT", "1s"), ("INGEST__MAX_BODY", "64KiB")];
    let circumstances = Circumstances { environment: &environment, ..Circumstances::default() };
    let edge = Edge::start("edge-sizes", &circumstances);
    let wrong = edge
        .withstand("bodies of all sizes", async {
            let mut wrong = Vec::new();
            for (name, bytes, statuses, end) in sizes() {
                let right = Outcome { statuses: statuses.to_vec(), end };
                let outcome = wire::outcome(edge.port, bytes, statuses.len()).await;
                if outcome != right {
                    wrong.push(format!("{name}: {outcome:?} instead of {right:?}"));
                }
            }
            wrong
        })
        .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
