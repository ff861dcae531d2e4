//! The driver: connections, time and the order of things around the vendors' pure rules.
//!
//! Each connection is served by hand rather than by `axum::serve`, because a fault may have to
//! reset it in the middle of a request.

mod shared;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use crate::control;
use crate::exchange::{Received, Reply, Vendor};
use crate::faults::Action;

pub(crate) use shared::Shared;
use shared::{Admitted, Flight};

/// The largest body read; far above what either vendor takes, so that the vendor's rule answers.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// Between attempts to listen again on an address that somebody else took meanwhile.
const REOPEN_PAUSE: Duration = Duration::from_millis(50);

/// Whether the emulator listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Open,
    Closed,
}

/// A served emulator; dropping it stops serving.
#[derive(Debug)]
pub(crate) struct Server<V: Vendor> {
    shared: Arc<Shared<V>>,
    address: SocketAddr,
    wanted: watch::Sender<Port>,
    actual: watch::Receiver<Port>,
    _stop_on_drop: DropGuard,
    stopping: CancellationToken,
}

impl<V: Vendor> Server<V> {
    pub(crate) fn shared(&self) -> &Shared<V> {
        &self.shared
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens or closes the port; returns when it is so, or when the emulator has stopped.
    pub(crate) async fn turn_port(&self, port: Port) {
        self.wanted.send_replace(port);
        let mut actual = self.actual.clone();
        if actual.wait_for(|now| *now == port).await.is_err() {
            self.stopping.cancel();
        }
    }

    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }
}

/// Takes over the listener and serves the vendor from then on.
pub(crate) fn start<V: Vendor>(listener: TcpListener, vendor: V) -> io::Result<Server<V>> {
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::new(vendor));
    let stopping = CancellationToken::new();
    let (wanted, wanted_port) = watch::channel(Port::Open);
    let (actual_port, actual) = watch::channel(Port::Open);
    let acceptor = Acceptor {
        address,
        router: control::routes().fallback(answer::<V>).with_state(Arc::clone(&shared)),
        wanted: wanted_port,
        actual: actual_port,
        stopping: stopping.clone(),
    };
    tokio::spawn(acceptor.run(listener));
    Ok(Server {
        shared,
        address,
        wanted,
        actual,
        _stop_on_drop: stopping.clone().drop_guard(),
        stopping,
    })
}

struct Acceptor {
    address: SocketAddr,
    router: Router,
    wanted: watch::Receiver<Port>,
    actual: watch::Sender<Port>,
    stopping: CancellationToken,
}

impl Acceptor {
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let port = *self.wanted.borrow_and_update();
                    match port {
                        Port::Open if listener.is_none() => listener = Some(self.reopen().await),
                        Port::Open => {}
                        Port::Closed => {
                            listener = None;
                            connections.shutdown().await;
                        }
                    }
                    self.actual.send_replace(port);
                }
                stream = accepted(listener.as_ref()) => {
                    connections.spawn(serve_connection(stream, self.router.clone()));
                }
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }

    async fn reopen(&self) -> TcpListener {
        loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(REOPEN_PAUSE).await,
            }
        }
    }
}

/// The next connection; never, while the port is closed.
async fn accepted(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(REOPEN_PAUSE).await,
        }
    }
}

/// Ends a connection by a reset, from inside one of its requests.
#[derive(Debug, Clone)]
struct Hangup(CancellationToken);

async fn serve_connection(stream: TcpStream, router: Router) {
    // Without it a small answer may wait for the client's delayed acknowledgement; if it cannot be
    // set, answers are slower and nothing else.
    drop(stream.set_nodelay(true));
    let hangup = Hangup(CancellationToken::new());
    let inside = hangup.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(inside.clone());
        let router = router.clone();
        async move {
            Ok::<_, Infallible>(
                router.oneshot(request).await.unwrap_or_else(|never| match never {}),
            )
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // An error here is the client's way of leaving; the requests' record shows what it missed.
        _ = std::pin::Pin::new(&mut connection) => {}
        () = hangup.0.cancelled() => {
            let stream = connection.into_parts().io.into_inner();
            // With zero linger, closing sends a reset instead of an orderly end.
            drop(stream.set_zero_linger());
        }
    }
}

/// Answers one request of the vendor's API.
async fn answer<V: Vendor>(State(shared): State<Arc<Shared<V>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let hangup = parts.extensions.get::<Hangup>().cloned();
    let received = Received {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    let Admitted { flight, action } = shared.admit(&received);
    match action {
        Action::Answer { status, body, retry_after_seconds } => {
            let reply = shared.failure(&flight, status, body, retry_after_seconds);
            respond(&flight, reply)
        }
        Action::Apply { effect_after, reply_after } => {
            let reply = apply_after(&flight, received, effect_after).await;
            if !reply_after.is_zero() {
                tokio::time::sleep(reply_after).await;
            }
            respond(&flight, reply)
        }
        Action::ApplyThenHang => {
            flight.apply(&received);
            std::future::pending().await
        }
        Action::ApplyThenReset => {
            flight.apply(&received);
            reset(hangup).await
        }
        Action::Hang => std::future::pending().await,
        Action::Reset => reset(hangup).await,
    }
}

/// Applies a request, also when the client leaves while it waits to take effect.
async fn apply_after<V: Vendor>(
    flight: &Arc<Flight<V>>,
    received: Received,
    delay: Duration,
) -> Reply {
    if delay.is_zero() {
        return flight.apply(&received);
    }
    let flight = Arc::clone(flight);
    let landing = tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        flight.apply(&received)
    });
    // It fails only when the runtime shuts down, and then nobody reads the answer.
    landing.await.unwrap_or_else(|_| Reply::empty(500))
}

async fn reset(hangup: Option<Hangup>) -> Response {
    if let Some(hangup) = hangup {
        hangup.0.cancel();
    }
    std::future::pending().await
}

fn respond<V: Vendor>(flight: &Flight<V>, reply: Reply) -> Response {
    flight.answered(reply.status);
    into_response(reply)
}

/// A reply on the wire.
pub(crate) fn into_response(reply: Reply) -> Response {
    let mut response = match reply.body {
        Some(body) => axum::Json(body).into_response(),
        None => ().into_response(),
    };
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
