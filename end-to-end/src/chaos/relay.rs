//! Stands between `deliver` and Customer.io and makes of a sound `deliver` one that has a bug.
//!
//! Nothing in a binary can be told to do wrong: what would be a bug of it is done to its calls on their way. The
//! destination then sees what it would see if the binary did so, and the judge must notice.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long a call is held back that is to land late: longer than a person's next events take.
const HELD_FOR: Duration = Duration::from_secs(4);
/// So many calls after a restart.
const HELD: usize = 5;

/// What it makes of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meddling {
    /// An event that is sent again gets another id.
    NewIdOnRetry,
    /// The first calls after a restart are called done and made later.
    LateAfterRestart,
}

/// A running relay; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    meddler: Arc<Meddler>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Meddler {
    meddling: Meddling,
    towards: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    seen: Mutex<BTreeSet<String>>,
    to_hold: AtomicUsize,
}

impl Relay {
    /// Listens on a free port and passes on to `towards`.
    ///
    /// # Errors
    /// When there is no port.
    pub(super) async fn start(meddling: Meddling, towards: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::ports::free()?)).await?;
        let address = listener.local_addr()?;
        let meddler = Arc::new(Meddler {
            meddling,
            towards,
            client: Client::builder(TokioExecutor::new()).build_http(),
            seen: Mutex::default(),
            to_hold: AtomicUsize::new(0),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&meddler)));
        Ok(Self { address, meddler, serving })
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `deliver` begins again.
    pub(super) fn restarted(&self) {
        if self.meddler.meddling == Meddling::LateAfterRestart {
            self.meddler.to_hold.store(HELD, Ordering::Release);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, meddler: Arc<Meddler>) {
    while let Ok((connection, _)) = listener.accept().await {
        let meddler = Arc::clone(&meddler);
        let service = service_fn(move |request| {
            let meddler = Arc::clone(&meddler);
            async move { meddler.relay(request).await }
        });
        // A connection that breaks is the caller's to notice.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Meddler {
    async fn relay(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
        let (mut parts, body) = request.into_parts();
        let body = self.meddled(body.collect().await?.to_bytes());
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("http://{}{path}", self.towards).parse()?;
        parts.headers.remove(HOST);
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let tells = events(&body) > 0;
        let request = Request::from_parts(parts, Full::new(body));
        let left = |held: usize| held.checked_sub(1);
        if tells && self.to_hold.fetch_update(Ordering::AcqRel, Ordering::Acquire, left).is_ok() {
            let client = self.client.clone();
            tokio::spawn(async move {
                tokio::time::sleep(HELD_FOR).await;
                drop(client.request(request).await);
            });
            return Ok(Response::new(Full::new(Bytes::from_static(b"{}"))));
        }
        let (parts, body) = self.client.request(request).await?.into_parts();
        Ok(Response::from_parts(parts, Full::new(body.collect().await?.to_bytes())))
    }

    fn meddled(&self, body: Bytes) -> Bytes {
        match self.meddling {
            Meddling::LateAfterRestart => body,
            Meddling::NewIdOnRetry => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                with_new_ids(&body, &mut seen).map_or(body, Bytes::from)
            }
        }
    }
}

/// The calls of a body, single or in a batch.
fn calls(body: &mut Value) -> Vec<&mut Value> {
    if body.get("batch").is_some() {
        let batch = body.get_mut("batch").and_then(Value::as_array_mut);
        return batch.into_iter().flatten().collect();
    }
    vec![body]
}

fn events(body: &[u8]) -> usize {
    let Ok(mut body) = serde_json::from_slice(body) else { return 0 };
    calls(&mut body).iter().filter(|call| call["action"] == "event").count()
}

/// The body in which events that were seen before have another id; None when there are none.
fn with_new_ids(body: &[u8], seen: &mut BTreeSet<String>) -> Option<Vec<u8>> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    let mut is_changed = false;
    for call in calls(&mut body) {
        let Some(id) = call.get("id").and_then(Value::as_str).map(str::to_owned) else { continue };
        if call["action"] == "event" && !seen.insert(id.clone()) {
            call["id"] = Value::from(another(&id));
            is_changed = true;
        }
    }
    is_changed.then(|| body.to_string().into_bytes())
}

/// A ULID that differs in its last letter.
fn another(id: &str) -> String {
    let (rest, last) = id.split_at(id.len().saturating_sub(1));
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_keeps_its_id_the_first_time_and_never_again() {
        let body = json!({"batch": [
            {"action": "identify", "identifiers": {"id": "ann"}},
            {"action": "event", "name": "a", "id": "01J0000000000000000000000A"},
        ]});
        let (text, mut seen) = (body.to_string(), BTreeSet::new());
        assert_eq!(with_new_ids(text.as_bytes(), &mut seen), None);
        let again = with_new_ids(text.as_bytes(), &mut seen).expect("changed");
        let again: Value = serde_json::from_slice(&again).expect("JSON");
        assert_eq!(again["batch"][0], body["batch"][0]);
        assert_eq!(again["batch"][1]["id"], "01J00000000000000000000000");
        assert_eq!(events(text.as_bytes()), 1);
    }
}
