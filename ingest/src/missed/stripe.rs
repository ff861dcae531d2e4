//! Stripe's list of events: `GET /v1/events`, newest first, of the last 30 days, at most 100 a page
//! (<https://docs.stripe.com/api/events/list>). Each is what a webhook would have carried, in the version of the API
//! that the account had when it happened.

use std::time::Duration;

use bytes::Bytes;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::recovery::{Archive, ArchiveError, Page, Span};

/// Where it is.
pub(super) const API: &str = "https://api.stripe.com";

const PAGE: usize = 100;

/// One request, in all.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Waits between attempts: two minutes in all, longer than a limit of requests lasts.
const WAITS: [Duration; 7] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(20),
    Duration::from_secs(30),
    Duration::from_mins(1),
];

/// The list of one account.
pub struct EventList {
    client: reqwest::Client,
    api: String,
    key: SecretString,
}

impl std::fmt::Debug for EventList {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventList").field("api", &self.api).finish_non_exhaustive()
    }
}

/// A page as Stripe writes it, each event byte for byte.
#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

impl EventList {
    /// Asks nothing yet.
    pub fn open(api: &str, key: SecretString) -> Result<Self, ArchiveError> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(unavailable)?;
        Ok(Self { client, api: api.trim_end_matches('/').to_owned(), key })
    }

    async fn ask(&self, url: &str) -> Result<Bytes, Attempt> {
        let request = self.client.get(url).bearer_auth(self.key.expose_secret());
        let answer = request.send().await.map_err(Attempt::again)?;
        let status = answer.status();
        if status.is_success() {
            return answer.bytes().await.map_err(Attempt::again);
        }
        if status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 429) {
            return Err(Attempt::again(format!("HTTP {}", status.as_u16())));
        }
        Err(Attempt::InVain(ArchiveError::Refused(status.as_u16())))
    }
}

/// How an attempt failed.
enum Attempt {
    /// Another may succeed.
    Again(Box<dyn std::error::Error + Send + Sync>),
    /// None will.
    InVain(ArchiveError),
}

impl Attempt {
    fn again(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Again(cause.into())
    }
}

fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ArchiveError {
    ArchiveError::Unavailable(cause.into())
}

impl Archive for EventList {
    async fn page(&self, span: Span, next: Option<&str>) -> Result<Page, ArchiveError> {
        let Span { from, until } = span;
        let after = next.map(|id| format!("&starting_after={id}")).unwrap_or_default();
        let url = format!(
            "{}/v1/events?limit={PAGE}&created%5Bgte%5D={from}&created%5Blt%5D={until}{after}",
            self.api
        );
        let mut waits = WAITS.iter();
        loop {
            match (self.ask(&url).await, waits.next()) {
                (Ok(body), _) => return read(&body),
                (Err(Attempt::InVain(error)), _) => return Err(error),
                (Err(Attempt::Again(_)), Some(wait)) => tokio::time::sleep(*wait).await,
                (Err(Attempt::Again(cause)), None) => return Err(ArchiveError::Unavailable(cause)),
            }
        }
    }
}

/// A page, and the id of its last event where there are more.
pub fn read(body: &[u8]) -> Result<Page, ArchiveError> {
    let told: List<'_> = serde_json::from_slice(body).map_err(|_| ArchiveError::Malformed)?;
    let next = match told.data.last() {
        Some(last) if told.has_more => {
            let named: Named =
                serde_json::from_str(last.get()).map_err(|_| ArchiveError::Malformed)?;
            // It goes into the next request as it stands.
            let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if !named.id.bytes().all(is_id) {
                return Err(ArchiveError::Malformed);
            }
            Some(named.id)
        }
        Some(_) | None => None,
    };
    let events = told.data.iter().map(|event| Bytes::copy_from_slice(event.get().as_bytes()));
    Ok(Page { events: events.collect(), next })
}
