//! Limits of the server, over a real socket.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ingest::envelope::RawRecord;
use ingest::metrics::Metrics;
use ingest::publish::{AppendError, RawLog};
use ingest::receive::{Limits, Receiver, Source};
use ingest::server::{Drained, serve};
use ingest::sources::adapter;
use secrecy::SecretString;
use service::clock::SystemClock;
use service::config::Provider;
use service::metrics::{Dimensions, Registry};
use service::secrets::Secrets;
use service::traces::Tracer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// Acknowledges when the test hands out a permit.
#[derive(Clone, Debug)]
struct Gate {
    arrived: Arc<Semaphore>,
    permits: Arc<Semaphore>,
}

impl RawLog for Gate {
    fn append(&self, _: RawRecord) -> impl Future<Output = Result<(), AppendError>> + Send {
        let this = self.clone();
        async move {
            this.arrived.add_permits(1);
            this.permits.acquire().await.unwrap().forget();
            Ok(())
        }
    }
}

struct Server {
    address: SocketAddr,
    gate: Gate,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<(Drained, ())>,
}

async fn start(permits: usize) -> Server {
    start_within(permits, Duration::from_millis(300)).await
}

async fn start_within(permits: usize, body_timeout: Duration) -> Server {
    let source = Source {
        provider: Provider::Revenuecat,
        adapter: adapter(Provider::Revenuecat).unwrap(),
        secrets: Secrets::none(),
        authorization: Secrets::fixed(vec![SecretString::from("tide")]),
        tolerance: Duration::from_mins(5),
    };
    let gate =
        Gate { arrived: Arc::new(Semaphore::new(0)), permits: Arc::new(Semaphore::new(permits)) };
    let receiver = Receiver {
        sources: BTreeMap::from([("app".to_owned(), source)]),
        limits: Limits {
            max_body: MAX_BODY,
            body_timeout,
            ack_timeout: Duration::from_secs(5),
            connections: CONNECTIONS,
        },
        log: gate.clone(),
        clock: Arc::new(SystemClock::new()),
        metrics: Metrics::register(&mut Registry::new(Dimensions::default()).unwrap()).unwrap(),
        tracer: Tracer::off(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async move { drop(stopped.await) };
    let ended =
        tokio::spawn(serve(listener, Arc::new(receiver), until, Duration::from_millis(500)));
    Server { address, gate, stop, ended }
}

const MAX_BODY: usize = 64 * 1024;
const CONNECTIONS: usize = 8;
const POST: &str = "POST /webhooks/app HTTP/1.1\r\nhost: localhost\r\nauthorization: tide\r\n";

impl Server {
    async fn open(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    /// What the server says until it closes the connection, which it must do within seconds.
    async fn exchange(&self, bytes: &str) -> String {
        until_closed(self.open(bytes).await).await
    }
}

async fn until_closed(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut said)).await;
    read.expect("the connection is still open").expect("the connection was reset");
    String::from_utf8(said).unwrap()
}

async fn head(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(said).unwrap()
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or("nothing")
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let server = start(2).await;
    let mut stream = server.open(&format!("{POST}content-length: 2\r\n\r\n{{}}")).await;
    assert_eq!(status(&head(&mut stream).await), "200");
    stream.write_all(format!("{POST}content-length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
    assert_eq!(status(&head(&mut stream).await), "200");
}

#[tokio::test]
async fn a_slow_body_is_answered_408_and_the_connection_closed() {
    let server = start(1).await;
    let said = server.exchange(&format!("{POST}content-length: 10\r\n\r\n{{}}")).await;
    assert_eq!(status(&said), "408");
}

#[tokio::test]
async fn a_slow_head_ends_with_the_connection() {
    let server = start(1).await;
    assert_eq!(server.exchange(POST).await, "");
    assert_eq!(server.exchange("").await, "");
}

#[tokio::test]
async fn whoever_asks_on_and_never_reads_an_answer_is_cut_off() {
    let server = start(1).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let many = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1000);
    let asking = async { while stream.write_all(many.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), asking).await.expect("it is still open");
}

#[tokio::test]
async fn a_newcomer_gets_the_place_of_whoever_was_silent_the_longest() {
    // No time-out makes room as soon as is waited for it.
    let server = start_within(2, Duration::from_mins(1)).await;
    let webhook = format!("{POST}content-length: 2\r\n\r\n{{}}");
    let mut known = server.open(&webhook).await;
    assert_eq!(status(&head(&mut known).await), "200");
    let mut silent = Vec::new();
    for _ in 1..CONNECTIONS {
        silent.push(server.open("").await);
    }
    let mut newcomer = server.open("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(status(&head(&mut newcomer).await), "404");
    assert_eq!(until_closed(silent.remove(0)).await, "");
    known.write_all(webhook.as_bytes()).await.unwrap();
    assert_eq!(status(&head(&mut known).await), "200");
}

#[tokio::test]
async fn only_one_coding_is_taken_and_that_is_chunked() {
    let server = start(0).await;
    for coding in ["gzip, chunked", "chunked, chunked", "chunked\r\ntransfer-encoding: chunked"] {
        let request = format!("{POST}transfer-encoding: {coding}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n");
        assert_eq!(status(&server.exchange(&request).await), "400", "{coding}");
    }
}

#[tokio::test]
async fn an_announced_length_above_the_limit_is_answered_before_the_body_comes() {
    let server = start(1).await;
    let said = server.exchange(&format!("{POST}content-length: 2000000\r\n\r\n{{}}")).await;
    assert_eq!(status(&said), "413");
}

#[tokio::test]
async fn a_sender_that_sends_all_of_a_body_too_large_still_sees_the_answer() {
    let server = start(1).await;
    // More than the sockets buffer, so that it cannot be sent unless somebody reads.
    let body = "x".repeat(7_500_000);
    let whole = format!("{POST}content-length: {}\r\n\r\n{body}", body.len());
    assert_eq!(status(&server.exchange(&whole).await), "413");
    let chunked =
        format!("{POST}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(status(&server.exchange(&chunked).await), "413");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_taken_up_to_the_limit() {
    let server = start(1).await;
    for (length, expected) in [(MAX_BODY, "200"), (MAX_BODY + 1, "413")] {
        let body = "x".repeat(length);
        let chunked =
            format!("{POST}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
        assert_eq!(status(&server.exchange(&chunked).await), expected);
    }
}

#[tokio::test]
async fn a_chunked_body_is_taken_and_ends_its_connection() {
    let server = start(1).await;
    let said = server
        .exchange(&format!("{POST}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"))
        .await;
    assert_eq!(status(&said), "200");
}

#[tokio::test]
async fn two_kinds_of_length_are_refused_in_either_order() {
    let server = start(9).await;
    let body = "2\r\n{}\r\n0\r\n\r\n";
    let both = format!("{POST}content-length: 12\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    let turned = format!("{POST}transfer-encoding: chunked\r\ncontent-length: 12\r\n\r\n{body}");
    let two_lengths = format!("{POST}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}");
    for request in [both, turned, two_lengths] {
        assert_eq!(status(&server.exchange(&request).await), "400", "{request}");
    }
    assert_eq!(server.gate.arrived.available_permits(), 0);
}

#[tokio::test]
async fn a_head_too_large_is_answered_431() {
    let server = start(1).await;
    let long = format!("{POST}x-padding: {}\r\n\r\n", "x".repeat(70_000));
    assert_eq!(status(&server.exchange(&long).await), "431");
    let many = "x-one-of-many: 1\r\n".repeat(70);
    assert_eq!(status(&server.exchange(&format!("{POST}{many}\r\n")).await), "431");
}

#[tokio::test]
async fn what_is_in_flight_at_the_stop_is_answered_and_nothing_new_is_taken() {
    let server = start(0).await;
    let stream = server.open(&format!("{POST}content-length: 2\r\n\r\n{{}}")).await;
    server.gate.arrived.acquire().await.unwrap().forget();
    server.stop.send(()).unwrap();
    let refused = async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), refused).await.expect("it still accepts");
    server.gate.permits.add_permits(1);
    assert_eq!(status(&until_closed(stream).await), "200");
    assert_eq!(server.ended.await.unwrap().0, Drained::Completely);
}

#[tokio::test]
async fn a_drain_ends_when_its_time_is_up() {
    let server = start(0).await;
    let _stream = server.open(&format!("{POST}content-length: 2\r\n\r\n{{}}")).await;
    server.gate.arrived.acquire().await.unwrap().forget();
    server.stop.send(()).unwrap();
    assert_eq!(server.ended.await.unwrap().0, Drained::InPart);
}
