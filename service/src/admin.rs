//! The port for those who run the service: is it alive, is it ready, what does it count.
//!
//! `/livez` answers 200 as long as the process can answer at all, and looks at nothing else: a
//! restart does not mend a broker. `/readyz` answers 200 once every registered condition holds, else
//! 503 with one reason a line. Binaries add routes of their own with [`axum::Router::merge`].

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Registry;

/// What must hold before work is sent here. Cheap to clone; clones are the same readiness.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<Named>>>);

#[derive(Debug)]
struct Named {
    name: &'static str,
    /// Why it does not hold; none when it does.
    reason: Option<String>,
}

/// One condition, in the hands of the component that knows whether it holds.
#[derive(Debug)]
pub struct Condition {
    readiness: Readiness,
    index: usize,
}

impl Readiness {
    /// No conditions yet, and so ready: register them before the admin server begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition that does not hold yet. `reason` is shown to whoever asks.
    pub fn register(&self, name: &'static str, reason: impl Into<String>) -> Condition {
        let mut conditions = self.lock();
        conditions.push(Named { name, reason: Some(reason.into()) });
        Condition { readiness: self.clone(), index: conditions.len() - 1 }
    }

    /// Why work should not be sent here, one sentence for each condition; empty when ready.
    pub fn reasons(&self) -> Vec<String> {
        let unmet = |condition: &Named| {
            condition.reason.as_ref().map(|reason| format!("{}: {reason}", condition.name))
        };
        self.lock().iter().filter_map(unmet).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Named>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    /// The condition holds.
    pub fn holds(&self) {
        self.set(None);
    }

    /// The condition does not hold, or no longer.
    pub fn fails(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        if let Some(condition) = self.readiness.lock().get_mut(self.index) {
            condition.reason = reason;
        }
    }
}

/// The routes every binary has.
pub fn routes(readiness: Readiness, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let reasons = readiness.reasons();
    if reasons.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    match registry.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The admin server, bound to its port.
#[derive(Debug)]
pub struct Admin(TcpListener);

impl Admin {
    /// Takes the port, so that a port in use is found before anything else begins.
    pub async fn bind(address: &str) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Where it answers; the port is the real one when 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until the token is cancelled. Cancel it last: what waits for the service to end asks
    /// here until the end.
    pub async fn serve(self, routes: Router, until: CancellationToken) -> io::Result<()> {
        tokio::select! {
            served = async { axum::serve(self.0, routes).await } => served,
            () = until.cancelled() => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::post;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tower::ServiceExt;

    use super::*;
    use crate::metrics::Dimensions;

    fn router(readiness: &Readiness) -> Router {
        routes(readiness.clone(), Arc::new(Registry::new(Dimensions::default()).expect("fresh")))
    }

    async fn ask(router: Router, method: &str, path: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty());
        let response = router.oneshot(request.expect("valid")).await.expect("infallible");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("in memory").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn ready_only_while_every_condition_holds() {
        let readiness = Readiness::new();
        let joined = readiness.register("kafka", "not joined");
        let room = readiness.register("queue", "not started");
        let (status, body) = ask(router(&readiness), "GET", "/readyz").await;
        assert_eq!((status, body.as_str()), (503, "kafka: not joined\nqueue: not started\n"));
        joined.holds();
        room.holds();
        assert_eq!(ask(router(&readiness), "GET", "/readyz").await.0, 200);
        room.fails("full");
        let (status, body) = ask(router(&readiness), "GET", "/readyz").await;
        assert_eq!((status, body.as_str()), (503, "queue: full\n"));
    }

    #[tokio::test]
    async fn alive_whatever_the_conditions_are() {
        let readiness = Readiness::new();
        let _unmet = readiness.register("kafka", "not joined");
        assert_eq!(ask(router(&readiness), "GET", "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_served_and_routes_can_be_added() {
        let routes = router(&Readiness::new())
            .merge(Router::new().route("/resume", post(|| async { "resumed" })));
        let (status, body) = ask(routes.clone(), "GET", "/metrics").await;
        assert!(status == 200 && body.contains("# TYPE process_cpu_seconds_total"), "{body}");
        assert_eq!(ask(routes.clone(), "POST", "/resume").await, (200, "resumed".to_owned()));
        assert_eq!(ask(routes, "GET", "/resume").await.0, 405);
    }

    #[tokio::test]
    async fn answers_on_its_port_until_it_is_told_to_end() {
        let admin = Admin::bind("127.0.0.1:0").await.expect("a free port");
        let address = admin.address().expect("bound");
        let until = CancellationToken::new();
        let serving = tokio::spawn(admin.serve(router(&Readiness::new()), until.clone()));
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("listening");
        let request = b"GET /livez HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.expect("sent");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("answered");
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        until.cancel();
        serving.await.expect("no panic").expect("no error");
    }
}
