//! The HTTP server: HTTP/1.1 on a hyper connection loop, because what stands before a webhook must
//! be bounded in every direction: head size and time, body size and time, time for the answer,
//! connections, memory. Where too many want to come in, [`crate::room`] says who has to go.
//!
//! On stop it no longer accepts, lets what is in flight be answered, and then returns.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use crate::answer::Answer;
use crate::head_watch::{AmbiguousLength, HeadWatch, Timeouts};
use crate::publish::RawLog;
use crate::receive::Receiver;
use crate::room::{Guest, Room};

/// Buffer for a request head, in bytes: far above what providers send (about 2 KiB), with room for
/// the headers of a few proxies. A head that does not fit is answered 431; hyper rounds the buffer up,
/// so that at most twice as much is ever held.
const MAX_HEAD: usize = 32 * 1024;

/// Most header lines of a request; more are answered 431.
const MAX_HEADERS: usize = 64;

/// Most connections at a time, where the system gives files for them. Beyond it the one that has been
/// slow for the longest time is closed for each new one.
pub const MAX_CONNECTIONS: usize = 1024;

/// Memory for all bodies beyond what each connection has of its own, in bytes: with the heads of all
/// connections it is clearly less than half of what the chart gives.
const BODY_MEMORY: usize = 64 * 1024 * 1024;

/// So many of the largest bodies have room at least, whatever `ingest.max_body` is.
const LARGEST_BODIES: usize = 4;

/// Pause after a failed accept: out of file descriptors is the usual cause, and passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A load balancer in front commonly keeps its connections for 60 s; being the first to close would
/// lose the requests that are just on their way.
const IDLE: Duration = Duration::from_secs(75);

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request in flight was answered.
    Completely,
    /// Time was up while some were still open; their senders will try again.
    InPart,
}

/// Serves until `stop` resolves, then for at most `drain` what is in flight. Gives back what `stop`
/// resolved to.
pub async fn serve<Log: RawLog, Stop>(
    listener: TcpListener,
    receiver: Arc<Receiver<Log>>,
    stop: impl Future<Output = Stop>,
    drain: Duration,
) -> (Drained, Stop) {
    let limits = receiver.limits;
    let memory = BODY_MEMORY.max(limits.max_body.saturating_mul(LARGEST_BODIES));
    let room = Room::new(limits.connections, memory, receiver.metrics.clone());
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let guest = room.enter().await;
                    tokio::spawn(connection(stream, Arc::clone(&receiver), guest, &graceful));
                }
                Err(error) => {
                    report_accept_error(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    let stopped = tokio::select! {
        stopped = stop => stopped,
        never = accepting => match never {},
    };
    drop(listener);
    let drained = match tokio::time::timeout(drain, graceful.shutdown()).await {
        Ok(()) => Drained::Completely,
        Err(_) => Drained::InPart,
    };
    (drained, stopped)
}

fn report_accept_error(error: &io::Error) {
    // A peer that is gone before it is accepted is its own affair.
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tracing::warn!(%error, "a connection could not be accepted");
    }
}

fn connection<Log: RawLog>(
    stream: TcpStream,
    receiver: Arc<Receiver<Log>>,
    guest: Guest,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may be delayed on this connection");
    }
    let patience = receiver.limits.body_timeout;
    let timeouts = Timeouts { head: patience, idle: IDLE, answer: patience };
    let stream = HeadWatch::new(stream, timeouts);
    let ambiguous = stream.ambiguous_length();
    let asking = guest.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (receiver, guest) = (Arc::clone(&receiver), asking.clone());
        let ambiguous = ambiguous.clone();
        async move { Ok::<_, Infallible>(answer(&receiver, &guest, &ambiguous, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE.max(timeouts.head))
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let serving = graceful.watch(serving);
    async move {
        tokio::select! {
            ended = serving => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
            }
            () = guest.asked_to_leave() => tracing::debug!("a connection was closed for another"),
        }
    }
}

async fn answer<Log: RawLog>(
    receiver: &Receiver<Log>,
    guest: &Guest,
    ambiguous: &AmbiguousLength,
    request: Request<Incoming>,
) -> hyper::Response<http_body_util::Empty<bytes::Bytes>> {
    let coding = Coding::of(request.headers());
    if ambiguous.was_seen() || coding == Coding::Unusual {
        receiver.metrics.answered(None, Answer::BadRequest, Duration::ZERO);
        return Answer::BadRequest.into_response();
    }
    let mut response = receiver.receive(request, guest, rand::random()).await;
    if coding == Coding::Chunked {
        // The watch does not follow chunks; what comes after them would pass unseen.
        response
            .headers_mut()
            .insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    response
}

/// How a body is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// As it is.
    None,
    Chunked,
    /// Chunked twice, or something else as well: hyper reads it as chunked, a proxy before it perhaps otherwise.
    Unusual,
}

impl Coding {
    fn of(headers: &header::HeaderMap) -> Self {
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        match (codings.next(), codings.next()) {
            (None, _) => Self::None,
            (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
                Self::Chunked
            }
            (Some(_), _) => Self::Unusual,
        }
    }
}
