//! The only module that opens outbound connections.
//!
//! Redirects are never followed: they are how an account of another region shows itself, and following
//! one would carry people's data there. One call has one time-out in all, and an answer is read to a
//! limit. Credentials are asked for at each call, so that a rotated one is used at once; they are added
//! here and exist nowhere else.

use std::fmt;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LINK, RETRY_AFTER};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use service::secrets::Secrets;

use crate::destinations::{Answer, Method, Reply, Request, Transport};

/// More of an answer is never read: the largest, a contact, is far below.
const LONGEST_ANSWER: usize = 1 << 20;

/// How a destination knows us.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// HTTP Basic.
    Basic {
        /// The user.
        user: Secrets,
        /// The password.
        password: Secrets,
    },
    /// A bearer token.
    Bearer(Secrets),
}

/// Calls one destination.
pub struct Http {
    client: reqwest::Client,
    base_url: String,
    credentials: Credentials,
    headers: Vec<(&'static str, &'static str)>,
}

impl fmt::Debug for Http {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Http").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// Why no calls can be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up")]
pub struct HttpError(#[source] reqwest::Error);

impl Http {
    /// Calls `base_url`; one call takes at most `timeout` in all. `headers` go with every call.
    pub fn new(
        base_url: &str,
        credentials: Credentials,
        timeout: Duration,
        headers: Vec<(&'static str, &'static str)>,
    ) -> Result<Self, HttpError> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(HttpError)?;
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { client, base_url, credentials, headers })
    }

    /// Makes one request. `wall_seconds` is the present Unix time, to read a rate limit's reset.
    pub async fn send(&self, request: &Request, wall_seconds: i64) -> Answer {
        match self.attempt(request, wall_seconds).await {
            Ok(reply) => Answer::Replied(reply),
            // The error quotes the URL, which may name a person: it goes nowhere.
            Err(error) if error.is_connect() => Answer::Failed(Transport::Unreachable),
            Err(error) if error.is_timeout() => Answer::Failed(Transport::TimedOut),
            Err(_) => Answer::Failed(Transport::Lost),
        }
    }

    async fn attempt(&self, request: &Request, wall_seconds: i64) -> Result<Reply, reqwest::Error> {
        let url = format!("{}{}", self.base_url, request.path);
        let mut call = match request.method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
            Method::Put => self.client.put(url),
        };
        call = self.authorized(call).header(ACCEPT, "application/json");
        for (name, value) in &self.headers {
            call = call.header(*name, *value);
        }
        if let Some(body) = &request.body {
            call = call.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let mut response = call.send().await?;
        let headers = response.headers().clone();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            let room = LONGEST_ANSWER - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == LONGEST_ANSWER {
                break;
            }
        }
        let status = response.status().as_u16();
        Ok(Reply {
            status,
            retry_after: retry_after(&headers, status, wall_seconds),
            request_id: text(&headers, "x-request-id"),
            link: text(&headers, LINK.as_str()),
            body,
        })
    }

    fn authorized(&self, call: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.credentials {
            Credentials::Basic { user, password } => {
                let password = password.first();
                let user = user.first();
                call.basic_auth(exposed(user.as_ref()), Some(exposed(password.as_ref())))
            }
            Credentials::Bearer(token) => call.bearer_auth(exposed(token.first().as_ref())),
        }
    }
}

/// Without a secret the call is made all the same and refused, which says what is wrong.
fn exposed(secret: Option<&SecretString>) -> &str {
    secret.map_or("", ExposeSecret::expose_secret)
}

/// `Retry-After` in seconds; for a 429 without it, the time until `X-RateLimit-Reset`.
fn retry_after(headers: &HeaderMap, status: u16, wall_seconds: i64) -> Option<Duration> {
    let number = |name: &str| text(headers, name)?.trim().parse::<u64>().ok();
    if let Some(seconds) = number(RETRY_AFTER.as_str()) {
        return Some(Duration::from_secs(seconds));
    }
    if status != 429 {
        return None;
    }
    let reset = number("x-ratelimit-reset")?;
    let now = u64::try_from(wall_seconds).ok()?;
    Some(Duration::from_secs(reset.saturating_sub(now)))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_wait_is_what_the_answer_asks_for() {
        let asked = |pairs: &[_], status| retry_after(&headers(pairs), status, 1_000);
        assert_eq!(asked(&[("retry-after", "7")], 503), Some(Duration::from_secs(7)));
        assert_eq!(asked(&[("x-ratelimit-reset", "1009")], 429), Some(Duration::from_secs(9)));
        assert_eq!(asked(&[("x-ratelimit-reset", "1009")], 200), None);
        assert_eq!(asked(&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], 503), None);
    }
}
