//! The HTTP server: HTTP/1.1 on a hyper connection loop, because what stands before a webhook must
//! be bounded in every direction: head size and time, body size and time, connections.
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
use tokio::sync::Semaphore;

use crate::answer::Answer;
use crate::head_watch::{AmbiguousLength, HeadTimeouts, HeadWatch};
use crate::publish::RawLog;
use crate::receive::Receiver;

/// Buffer for a request head, in bytes: far above what providers send (about 2 KiB), with room for
/// the headers of a few proxies. A head that does not fit is answered 431; hyper rounds the buffer up,
/// so that at most twice as much is ever held.
const MAX_HEAD: usize = 32 * 1024;

/// Most header lines of a request; more are answered 431.
const MAX_HEADERS: usize = 64;

/// Most connections at a time. Beyond it new ones wait in the listen queue; together with
/// `ingest.max_body` it bounds the memory that strangers can take.
const MAX_CONNECTIONS: usize = 1024;

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
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let permit = Arc::clone(&connections).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = connection(stream, Arc::clone(&receiver), &graceful);
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
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
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may be delayed on this connection");
    }
    let timeouts = HeadTimeouts { head: receiver.limits.body_timeout, idle: IDLE };
    let stream = HeadWatch::new(stream, timeouts);
    let ambiguous = stream.ambiguous_length();
    let service = service_fn(move |request: Request<Incoming>| {
        let receiver = Arc::clone(&receiver);
        let ambiguous = ambiguous.clone();
        async move { Ok::<_, Infallible>(answer(&receiver, &ambiguous, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE.max(timeouts.head))
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let serving = graceful.watch(serving);
    async move {
        if let Err(error) = serving.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

async fn answer<Log: RawLog>(
    receiver: &Receiver<Log>,
    ambiguous: &AmbiguousLength,
    request: Request<Incoming>,
) -> hyper::Response<http_body_util::Empty<bytes::Bytes>> {
    if ambiguous.was_seen() {
        receiver.metrics.answered(None, Answer::BadRequest, Duration::ZERO);
        return Answer::BadRequest.into_response();
    }
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = receiver.receive(request, rand::random()).await;
    if is_chunked {
        // The watch does not follow chunks; what comes after them would pass unseen.
        response
            .headers_mut()
            .insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    response
}
