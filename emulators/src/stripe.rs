//! Stripe's list of events (`GET /v1/events`, <https://docs.stripe.com/api/events/list>), for whoever has to get what
//! no webhook brought: newest first, at most 100 a page, and nothing for who has no key or asks otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

const LARGEST_PAGE: usize = 100;
const USUAL_PAGE: usize = 10;

/// An account's events, served until this is dropped.
#[derive(Debug)]
pub struct StripeEvents {
    address: SocketAddr,
    account: Arc<Account>,
    serving: AbortHandle,
}

struct Account {
    key: String,
    inner: Mutex<Inner>,
}

/// Events speak of people, and the key is secret.
impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Account").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Inner {
    /// Oldest first.
    events: Vec<Value>,
    /// Answered to the next requests, one each.
    refusals: Vec<StatusCode>,
    requests: usize,
}

impl StripeEvents {
    /// Serves these events to who has the key.
    pub async fn start(key: &str, mut events: Vec<Value>) -> io::Result<Self> {
        events.sort_by_key(created);
        let inner = Mutex::new(Inner { events, ..Inner::default() });
        let account = Arc::new(Account { key: key.to_owned(), inner });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = Router::new().route("/v1/events", get(list)).with_state(account.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, account, serving: serving.abort_handle() })
    }

    /// Where the API is.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next requests with these, one each.
    pub fn refuse(&self, statuses: &[u16]) {
        let statuses = statuses.iter().filter_map(|status| StatusCode::from_u16(*status).ok());
        self.account.lock().refusals.extend(statuses);
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.account.lock().requests
    }
}

impl Drop for StripeEvents {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn created(event: &Value) -> i64 {
    event["created"].as_i64().unwrap_or_default()
}

async fn list(
    State(account): State<Arc<Account>>,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut inner = account.lock();
    inner.requests += 1;
    if !inner.refusals.is_empty() {
        return error(inner.refusals.remove(0), "api_error");
    }
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if authorization != Some(&format!("Bearer {}", account.key)) {
        return error(StatusCode::UNAUTHORIZED, "invalid_request_error");
    }
    match page(&inner.events, &asked) {
        Some(page) => ([(header::CONTENT_TYPE, "application/json")], page).into_response(),
        None => error(StatusCode::BAD_REQUEST, "invalid_request_error"),
    }
}

/// None where something is asked that Stripe does not know.
fn page(events: &[Value], asked: &BTreeMap<String, String>) -> Option<String> {
    let (mut limit, mut after) = (USUAL_PAGE, None);
    let mut matching: Vec<_> = events.iter().rev().collect();
    for (name, value) in asked {
        match name.as_str() {
            "limit" => {
                let allowed = 1..=LARGEST_PAGE;
                limit = value.parse().ok().filter(|limit| allowed.contains(limit))?;
            }
            "starting_after" => after = Some(value),
            "created[gte]" => keep(&mut matching, value, |created, bound| created >= bound)?,
            "created[lt]" => keep(&mut matching, value, |created, bound| created < bound)?,
            _ => return None,
        }
    }
    let begin = match after {
        None => 0,
        Some(id) => matching.iter().position(|event| event["id"] == **id)? + 1,
    };
    let rest = matching.get(begin..).unwrap_or_default();
    let page = rest.get(..limit).unwrap_or(rest);
    let list = serde_json::json!({
        "object": "list", "url": "/v1/events", "has_more": page.len() < rest.len(), "data": page,
    });
    Some(list.to_string())
}

fn keep(events: &mut Vec<&Value>, bound: &str, is_kept: impl Fn(i64, i64) -> bool) -> Option<()> {
    let bound = bound.parse().ok()?;
    events.retain(|event| is_kept(created(event), bound));
    Some(())
}

fn error(status: StatusCode, kind: &str) -> Response {
    let body = serde_json::json!({"error": {"type": kind}}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
