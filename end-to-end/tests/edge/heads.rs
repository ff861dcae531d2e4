//! Heads that are too much, and requests that two servers would read differently.

use end_to_end::journeys::Provider;
use end_to_end::sign::Secrets;
use service::clock::{Clock, SystemClock};

use crate::edge::server::{Circumstances, Edge};
use crate::edge::wire::{self, End, NOWHERE, Outcome};

const CHUNKED: &str = "transfer-encoding: chunked\r\n";
const BODY: &str =
    r#"{"id":"evt_edge","type":"invoice.paid","data":{"object":{"customer":"cus_edge"}}}"#;

/// What is sent, the answers that are right, and what becomes of the connection.
struct Attack {
    name: &'static str,
    bytes: Vec<u8>,
    statuses: &'static [u16],
    end: End,
}

fn attack(
    name: &'static str,
    bytes: impl Into<Vec<u8>>,
    statuses: &'static [u16],
    end: End,
) -> Attack {
    Attack { name, bytes: bytes.into(), statuses, end }
}

/// Refused as no request at all, and nothing more is read.
fn refused(name: &'static str, bytes: impl Into<Vec<u8>>) -> Attack {
    attack(name, bytes, &[400], End::Closed)
}

fn too_large(name: &'static str, bytes: impl Into<Vec<u8>>) -> Attack {
    attack(name, bytes, &[431], End::Closed)
}

fn taken(name: &'static str, bytes: impl Into<Vec<u8>>) -> Attack {
    attack(name, bytes, &[200], End::Open)
}

fn unknown(name: &'static str, bytes: impl Into<Vec<u8>>) -> Attack {
    attack(name, bytes, &[404], End::Open)
}

/// A rightly signed request with these lines, of which one may be a length, and with these bytes after its head.
fn with(lines: &str, after: &str) -> String {
    let now = SystemClock::new().now().as_second();
    let headers = Secrets::default().headers(Provider::Stripe, "", BODY.as_bytes(), now);
    wire::head(Provider::Stripe, &headers, lines) + after
}

/// The same with its length.
fn whole(lines: &str) -> String {
    with(&format!("{lines}content-length: {}\r\n", BODY.len()), BODY)
}

fn chunked() -> String {
    format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len())
}

fn whole_as(from: &str, to: &str) -> String {
    let request = whole("");
    assert!(request.contains(from));
    request.replacen(from, to, 1)
}

fn too_much() -> Vec<Attack> {
    let path =
        |length| format!("POST /webhooks/{} HTTP/1.1\r\nhost: edge\r\n\r\n", "x".repeat(length));
    vec![
        taken("58 headers", whole(&"x-one: 1\r\n".repeat(55))),
        too_large("70 headers", whole(&"x-one: 1\r\n".repeat(70))),
        too_large("10,000 headers", whole(&"x-one: 1\r\n".repeat(10_000))),
        taken("20 KiB of one header", whole(&format!("x: {}\r\n", "x".repeat(20_000)))),
        too_large("a megabyte of one header", whole(&format!("x: {}\r\n", "x".repeat(1_000_000)))),
        too_large(
            "a header's name of a megabyte",
            whole(&format!("{}: x\r\n", "x".repeat(1_000_000))),
        ),
        unknown("a path of 10 KiB", path(10_000)),
        too_large("a path of 70 KiB", path(70_000)),
        too_large("a path of a megabyte", path(1_000_000)),
        too_large("empty lines without end", "\r\n".repeat(500_000)),
        unknown("an encoded path", whole_as("/webhooks/stripe", "/webhooks/%73tripe")),
        unknown("a path that climbs", whole_as("/webhooks/stripe", "/x/../webhooks/stripe")),
    ]
}

fn ambiguous() -> Vec<Attack> {
    let length = BODY.len();
    let own = format!("content-length: {length}\r\n");
    let inside = NOWHERE;
    let te = |value: &str| with(&format!("transfer-encoding: {value}\r\n"), &(chunked() + inside));
    let cl =
        |value: &str| with(&format!("content-length: {value}\r\n"), &(BODY.to_owned() + inside));
    let both = |lines: &str| with(lines, &(chunked() + inside));
    vec![
        refused("length and chunks", both(&format!("{own}{CHUNKED}"))),
        refused("chunks and length", both(&format!("{CHUNKED}{own}"))),
        refused("chunks, and a length of none", both(&format!("{CHUNKED}content-length: 0\r\n"))),
        attack("chunks", te("chunked"), &[200], End::Closed),
        attack("chunks, written large", te("Chunked"), &[200], End::Closed),
        refused("chunks twice in a line", te("chunked, chunked")),
        refused("chunks twice in two lines", te("chunked\r\ntransfer-encoding: chunked")),
        refused("chunks and something else", te("chunked\r\ntransfer-encoding: x")),
        refused("something else and chunks", te("x\r\ntransfer-encoding: chunked")),
        refused("compressed chunks", te("gzip, chunked")),
        refused("no chunks at all", te("identity")),
        refused("nearly chunks", te("xchunked")),
        refused("chunks after a control character", te("\u{b}chunked")),
        refused("two lengths", cl(&format!("{length}\r\ncontent-length: 9"))),
        refused("two lengths in a line", cl(&format!("{length}, {length}"))),
        refused("a negative length", cl("-1")),
        refused("a signed length", cl(&format!("+{length}"))),
        refused("a length in words", cl("many")),
        refused("a length beyond numbers", cl("99999999999999999999999")),
        refused("no value for a length", cl("")),
        refused("a folded line", whole("x: a\r\n b: c\r\n")),
        refused("a folded length", with(&own.replace(": ", ":\r\n "), BODY)),
        refused("a blank before the colon", with(&own.replace(':', " :"), BODY)),
        refused("a carriage return in a value", whole("x: a\rtransfer-encoding: chunked\r\n")),
        refused("a zero in a value", whole("x: a\0b\r\n")),
        refused("a zero in a name", whole("x\0: a\r\n")),
        taken("lines without returns", whole("").replace("\r\n", "\n")),
        refused("chunk lines without returns", with(CHUNKED, &chunked().replace("\r\n", "\n"))),
        refused("a blank before the name", whole(" x: a\r\n")),
        refused("a line without a colon", whole("x\r\n")),
    ]
}

fn other_protocols() -> Vec<Attack> {
    let body = BODY.len();
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let hello = [&tls[..], &[0; 512]].concat();
    vec![
        attack("HTTP/1.0", whole_as("HTTP/1.1", "HTTP/1.0"), &[200], End::Closed),
        refused(
            "chunks in HTTP/1.0",
            with(CHUNKED, &chunked()).replacen("HTTP/1.1", "HTTP/1.0", 1),
        ),
        refused("HTTP/0.9", "GET /webhooks/stripe\r\n\r\n"),
        refused("HTTP/1.2", whole_as("HTTP/1.1", "HTTP/1.2")),
        attack(
            "HTTP/2 by assertion",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            &[],
            End::Closed,
        ),
        taken(
            "HTTP/2 by upgrade",
            whole(
                "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
            ),
        ),
        refused("TLS", hello),
        refused(
            "a proxy's line before",
            format!("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n{}", whole("")),
        ),
        taken(
            "an absolute target",
            whole_as("/webhooks/stripe", "http://elsewhere/webhooks/stripe"),
        ),
        unknown("the way to somebody else", "CONNECT elsewhere:443 HTTP/1.1\r\nhost: edge\r\n\r\n"),
        attack("a method of its own", whole_as("POST", "P0ST"), &[405], End::Open),
        refused("a method that is none", whole_as("POST", "PO(ST")),
        attack("TRACE", "TRACE /webhooks/stripe HTTP/1.1\r\nhost: edge\r\n\r\n", &[405], End::Open),
        refused("a blank in the target", whole_as("/webhooks/stripe", "/webhooks/stripe x")),
        attack(
            "a leave to go on",
            format!(
                "{}{BODY}",
                with(&format!("expect: 100-continue\r\ncontent-length: {body}\r\n"), "")
            ),
            &[100, 200],
            End::Open,
        ),
    ]
}

/// Requests behind and inside of each other.
fn hidden() -> Vec<Attack> {
    vec![
        attack("many at once", whole("").repeat(20), &[200; 20], End::Open),
        attack(
            "a bad one in between",
            [whole(""), NOWHERE.to_owned(), whole("")].concat(),
            &[200, 404, 200],
            End::Open,
        ),
        unknown("a bad one whose body is a good one", {
            let hidden = whole("");
            format!(
                "POST /elsewhere HTTP/1.1\r\nhost: edge\r\ncontent-length: {}\r\n\r\n{hidden}",
                hidden.len()
            )
        }),
        attack(
            "a bad one whose body never comes",
            "POST /elsewhere HTTP/1.1\r\nhost: edge\r\ncontent-length: 100000\r\n\r\n",
            &[404],
            End::Closed,
        ),
        attack(
            "too much, and in it a good one",
            {
                let hidden = whole("").repeat(5_000);
                format!(
                    "POST /webhooks/stripe HTTP/1.1\r\nhost: edge\r\ncontent-length: {}\r\n\r\n{hidden}",
                    hidden.len()
                )
            },
            &[413],
            End::Closed,
        ),
        refused(
            "a chunk that is none, and then a good one",
            with(CHUNKED, &format!("zz\r\n{}", whole(""))),
        ),
    ]
}

fn all() -> impl Iterator<Item = Attack> {
    too_much().into_iter().chain(ambiguous()).chain(other_protocols()).chain(hidden())
}

/// What came of each where it was not what is right.
async fn wrong(port: u16) -> Vec<String> {
    let mut wrong = Vec::new();
    for Attack { name, bytes, statuses, end } in all() {
        let right = Outcome { statuses: statuses.to_vec(), end };
        let outcome = wire::outcome(port, bytes, statuses.len()).await;
        if outcome != right {
            wrong.push(format!("{name}: {outcome:?} instead of {right:?}"));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_answered_as_it_must_be_and_none_is_read_as_two() {
    let edge = Edge::start("edge-heads", &Circumstances::default());
    let stored = || edge.counted("requests_total", &["outcome=\"accepted\""]);
    let unanswered = wrong(edge.port).await;
    assert!(unanswered.is_empty(), "{unanswered:#?}");
    let statuses = all().flat_map(|attack| attack.statuses);
    let right = statuses.filter(|status| **status == 200).count();
    assert_eq!(format!("{:.0}", stored()), right.to_string(), "what nobody was answered is stored");
    let beside = edge.withstand("odd heads", wrong(edge.port)).await;
    assert!(beside.is_empty(), "{beside:#?}");
}
