//! Who is talked to, and repeats what it hears: a destination, a schema registry, and a collector of spans.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, post};
use tokio::net::TcpListener;

/// At least as many attempts as are made before a message goes to the retry topic.
const IN_PLACE: usize = 8;

/// What it was told of spans, as it came.
#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) spans: Mutex<Vec<Bytes>>,
    /// How often each message came.
    attempts: Mutex<HashMap<String, usize>>,
}

impl Outside {
    /// Listens; says where.
    pub(crate) async fn listen() -> (Arc<Self>, SocketAddr) {
        let outside = Arc::new(Self::default());
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new()
            .route("/v1/traces", post(collect))
            .route("/hooks", post(refuse))
            .route("/registry/{*path}", any(deny))
            .route("/broken/{*path}", any(fail))
            .with_state(Arc::clone(&outside));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (outside, address)
    }
}

async fn collect(State(outside): State<Arc<Outside>>, body: Bytes) -> StatusCode {
    outside.spans.lock().unwrap().push(body);
    StatusCode::OK
}

/// Takes a quarter of the messages, another quarter only after more attempts than are made in place, and refuses the
/// others. Which are which follows from their ids, or an attempt more would change it.
async fn refuse(
    State(outside): State<Arc<Outside>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let id = headers.get("webhook-id").map_or("", |id| id.to_str().unwrap()).to_owned();
    let quarter = id.bytes().map(usize::from).sum::<usize>() % 4;
    let mut attempts = outside.attempts.lock().unwrap();
    let attempts = attempts.entry(id).or_default();
    *attempts += 1;
    let is_ping = body.windows(14).any(|window| window == b"tributary.ping");
    let status = match quarter {
        _ if is_ping => StatusCode::NO_CONTENT,
        0 => StatusCode::NO_CONTENT,
        1 if *attempts > IN_PLACE => StatusCode::NO_CONTENT,
        1 => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, repeated(&headers, &body))
}

async fn deny(headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    (StatusCode::UNAUTHORIZED, repeated(&headers, &body))
}

/// As a registry that says what went wrong.
async fn fail(headers: HeaderMap) -> (StatusCode, String) {
    let mut headers = headers;
    let known = headers.remove("authorization").is_some();
    let message = format!("no ({known}): {headers:?}");
    let answer = serde_json::json!({"error_code": 42201, "message": message});
    (StatusCode::UNPROCESSABLE_ENTITY, answer.to_string())
}

fn repeated(headers: &HeaderMap, body: &Bytes) -> String {
    let names = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    format!("you said {}\n{}", names.collect::<String>(), String::from_utf8_lossy(body))
}
