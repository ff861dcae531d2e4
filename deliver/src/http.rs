//! The only module that opens outbound connections.
//!
//! Redirects are never followed: they are how an account of another region shows itself, and following
//! one would carry people's data there. One call has one time-out in all, and an answer is read to a
//! limit. Credentials are asked for at each call, so that a rotated one is used at once; they are added
//! here and exist nowhere else.

mod address;
mod signature;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{DATE, HeaderMap, LINK, RETRY_AFTER};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use service::secrets::Secrets;
use service::traces::TraceContext;

pub(crate) use self::address::Address;
pub use self::signature::is_secret as is_signing_secret;
use crate::destinations::{Answer, Method, Reply, Request, Transport};

/// More of an answer is never read: the largest, a contact, is far below.
const LONGEST_ANSWER: usize = 1 << 20;

/// A destination that asks for more is asked again then: nobody's limit renews itself so seldom, and a clock that is
/// wrong, here or there, must not stop deliveries for days.
pub const LONGEST_WAIT: Duration = Duration::from_hours(1);

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
    /// No name and no password: every message is signed (Standard Webhooks), with each of the secrets.
    Signed(Secrets),
}

/// Instead of a secret.
const TAKEN_OUT: &str = "(secret)";

impl Credentials {
    /// A refusal without the secrets of ours that it repeats: of what it says the beginning is kept in a dead letter.
    fn taken_out_of(&self, body: &[u8]) -> Vec<u8> {
        let secrets = match self {
            Self::Basic { user, password } => {
                let (user, password) = (user.first(), password.first());
                let (user, password) = (exposed(user.as_ref()), exposed(password.as_ref()));
                vec![STANDARD.encode(format!("{user}:{password}")), password.to_owned()]
            }
            Self::Bearer(token) => vec![exposed(token.first().as_ref()).to_owned()],
            Self::Signed(secrets) => {
                secrets.current().iter().map(|secret| secret.expose_secret().to_owned()).collect()
            }
        };
        without(&secrets, body)
    }
}

fn without(secrets: &[String], body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).into_owned();
    let found = secrets.iter().filter(|secret| !secret.is_empty());
    found.fold(text, |text, secret| text.replace(secret.as_str(), TAKEN_OUT)).into_bytes()
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

    /// Makes one request. `wall_seconds` is the present Unix time, for an answer that does not tell it and for
    /// signatures. `trace` is told to the destination.
    pub async fn send(
        &self,
        request: &Request,
        wall_seconds: i64,
        trace: Option<TraceContext>,
    ) -> Answer {
        match self.attempt(request, wall_seconds, trace).await {
            Ok(reply) => Answer::Replied(reply),
            // The error quotes the URL, which may name a person: it goes nowhere.
            Err(error) if error.is_connect() => Answer::Failed(Transport::Unreachable),
            Err(error) if error.is_timeout() => Answer::Failed(Transport::TimedOut),
            Err(_) => Answer::Failed(Transport::Lost),
        }
    }

    /// Where the request goes.
    fn url(&self, request: &Request) -> String {
        format!("{}{}", self.origin(request), request.path)
    }

    /// The same for people: without a query.
    pub fn shown_url(&self, request: &Request) -> String {
        format!("{}{}", self.origin(request), request.shown_path())
    }

    fn origin<'a>(&'a self, request: &'a Request) -> &'a str {
        request.elsewhere.as_ref().map_or(&self.base_url, |elsewhere| &elsewhere.origin)
    }

    /// The headers that go with the request, for people: secrets and what is made of them are left out.
    pub fn shown_headers(
        &self,
        request: &Request,
        wall_seconds: i64,
    ) -> Vec<(&'static str, String)> {
        let mut shown = self.plain_headers(request, wall_seconds);
        if let Some(elsewhere) = &request.elsewhere {
            // Their names are the operator's to choose, and their values may be credentials.
            shown.push(("others", format!("{} (not shown)", elsewhere.headers.len())));
            return shown;
        }
        shown.push(match &self.credentials {
            Credentials::Basic { .. } => ("authorization", "Basic (not shown)".to_owned()),
            Credentials::Bearer(_) => ("authorization", "Bearer (not shown)".to_owned()),
            Credentials::Signed(_) => (signature::SIGNATURE, "v1,(not shown)".to_owned()),
        });
        shown
    }

    /// All headers but those that a secret is needed for.
    fn plain_headers(&self, request: &Request, wall_seconds: i64) -> Vec<(&'static str, String)> {
        let mut headers = vec![("accept", "application/json".to_owned())];
        if request.elsewhere.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
            headers.extend(request.message_id.clone().map(|id| ("idempotency-key", id)));
            return headers;
        }
        headers.extend(self.headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
        if request.body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        if let (Credentials::Signed(_), Some(id)) = (&self.credentials, &request.message_id) {
            headers.push((signature::ID, id.clone()));
            headers.push((signature::TIMESTAMP, wall_seconds.to_string()));
        }
        headers
    }

    async fn attempt(
        &self,
        request: &Request,
        wall_seconds: i64,
        trace: Option<TraceContext>,
    ) -> Result<Reply, reqwest::Error> {
        let url = self.url(request);
        let mut call = match request.method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
            Method::Put => self.client.put(url),
        };
        for (name, value) in self.plain_headers(request, wall_seconds) {
            call = call.header(name, value);
        }
        if let Some(trace) = trace {
            call = call.header("traceparent", trace.to_string());
        }
        call = match &request.elsewhere {
            None => self.authorized(call, request, wall_seconds),
            Some(elsewhere) => elsewhere
                .headers
                .iter()
                .fold(call, |call, (name, value)| call.header(name.as_str(), value.as_str())),
        };
        if let Some(body) = &request.body {
            call = call.body(body.clone());
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
        if status >= 400 {
            body = match &request.elsewhere {
                None => self.credentials.taken_out_of(&body),
                Some(elsewhere) => without(&elsewhere.secrets(), &body),
            };
        }
        Ok(reply(status, &headers, body, wall_seconds))
    }

    fn authorized(
        &self,
        call: reqwest::RequestBuilder,
        request: &Request,
        wall_seconds: i64,
    ) -> reqwest::RequestBuilder {
        match &self.credentials {
            Credentials::Basic { user, password } => {
                let password = password.first();
                let user = user.first();
                call.basic_auth(exposed(user.as_ref()), Some(exposed(password.as_ref())))
            }
            Credentials::Bearer(token) => call.bearer_auth(exposed(token.first().as_ref())),
            Credentials::Signed(secrets) => {
                let signatures = signature::signatures(&secrets.current(), request, wall_seconds);
                call.header(signature::SIGNATURE, signatures)
            }
        }
    }
}

/// What an answer says, as far as anybody here looks at it. `wall_seconds` is the present Unix time, for an answer that
/// does not tell it.
pub fn reply(status: u16, headers: &HeaderMap, body: Vec<u8>, wall_seconds: i64) -> Reply {
    let served_at = text(headers, DATE.as_str()).as_deref().and_then(unix_seconds);
    // Moments in an answer are of the clock that made it.
    let now = served_at.unwrap_or(wall_seconds);
    Reply {
        status,
        retry_after: retry_after(headers, status, now),
        used_up_for: used_up_for(headers, now),
        request_id: text(headers, "x-request-id"),
        link: text(headers, LINK.as_str()),
        served_at,
        body,
    }
}

/// Without a secret the call is made all the same and refused, which says what is wrong.
fn exposed(secret: Option<&SecretString>) -> &str {
    secret.map_or("", ExposeSecret::expose_secret)
}

/// `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3); for a 429 without it, the time until `X-RateLimit-Reset`.
fn retry_after(headers: &HeaderMap, status: u16, now: i64) -> Option<Duration> {
    let asked = text(headers, RETRY_AFTER.as_str());
    let seconds = asked.as_deref().and_then(|asked| match number(asked) {
        Some(seconds) => Some(seconds),
        None => Some(unix_seconds(asked)?.saturating_sub(now)),
    });
    if seconds.is_none() && status != 429 {
        return None;
    }
    seconds.map(bounded).or_else(|| until_reset(headers, now))
}

/// The time until `X-RateLimit-Reset`, where `X-RateLimit-Remaining` says that nothing remains.
fn used_up_for(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let remaining = number(&text(headers, "x-ratelimit-remaining")?)?;
    if remaining > 0 { None } else { until_reset(headers, now) }
}

fn until_reset(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let reset = number(&text(headers, "x-ratelimit-reset")?)?;
    Some(bounded(reset.saturating_sub(now)))
}

fn bounded(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(LONGEST_WAIT)
}

fn number(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// `Wed, 21 Oct 2026 07:28:00 GMT`.
fn unix_seconds(date: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(date).ok().map(|moment| moment.timestamp().as_second())
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::Elsewhere;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_refusal_that_repeats_our_secrets_is_kept_without_them() {
        let fixed = |secret: &str| Secrets::fixed(vec![SecretString::from(secret)]);
        let kept = |credentials: Credentials, body: &str| {
            String::from_utf8(credentials.taken_out_of(body.as_bytes())).unwrap()
        };
        let bearer = Credentials::Bearer(fixed("hush"));
        assert_eq!(kept(bearer, "no: Bearer hush, hush"), "no: Bearer (secret), (secret)");
        let basic = Credentials::Basic { user: fixed("site"), password: fixed("key") };
        assert_eq!(kept(basic, "Basic c2l0ZTprZXk= or key"), "Basic (secret) or (secret)");
        assert_eq!(kept(Credentials::Signed(Secrets::none()), "as it is"), "as it is");
    }

    #[test]
    fn a_refusal_of_another_host_that_repeats_its_credentials_is_kept_without_them() {
        let headers = [("authorization", "Bearer of-theirs"), ("x-kind", "7")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let elsewhere = Elsewhere { origin: "https://a.example".to_owned(), headers };
        let kept = without(&elsewhere.secrets(), b"of-theirs is refused, 17 times");
        assert_eq!(String::from_utf8_lossy(&kept), "(secret) is refused, 17 times");
    }

    #[test]
    fn the_time_of_an_answer_is_read() {
        assert_eq!(unix_seconds("Thu, 28 May 2026 20:26:40 GMT"), Some(1_780_000_000));
        assert_eq!(unix_seconds("yesterday"), None);
    }

    #[test]
    fn the_wait_is_what_the_answer_asks_for() {
        let asked = |pairs: &[_], status| retry_after(&headers(pairs), status, 1_000);
        assert_eq!(asked(&[("retry-after", "7")], 503), Some(Duration::from_secs(7)));
        assert_eq!(asked(&[("x-ratelimit-reset", "1009")], 429), Some(Duration::from_secs(9)));
        assert_eq!(asked(&[("x-ratelimit-reset", "1009")], 200), None);
        assert_eq!(asked(&[("retry-after", "soon")], 503), None);
        assert_eq!(asked(&[("retry-after", "soon"), ("x-ratelimit-reset", "1009")], 503), None);
        assert_eq!(asked(&[("retry-after", "86400")], 429), Some(LONGEST_WAIT));
    }

    #[test]
    fn the_wait_may_be_a_date() {
        let asked = |wall| {
            let date = [("retry-after", "Thu, 28 May 2026 20:26:40 GMT")];
            retry_after(&headers(&date), 503, wall)
        };
        assert_eq!(asked(1_779_999_988), Some(Duration::from_secs(12)));
        assert_eq!(asked(1_780_000_001), Some(Duration::ZERO));
    }

    #[test]
    fn an_allowance_that_is_used_up_says_for_how_long() {
        let left = |remaining| {
            let told = [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", "1004")];
            used_up_for(&headers(&told), 1_000)
        };
        assert_eq!(left("0"), Some(Duration::from_secs(4)));
        assert_eq!(left("1"), None);
        assert_eq!(left("many"), None);
        assert_eq!(used_up_for(&headers(&[("x-ratelimit-remaining", "0")]), 1_000), None);
    }
}
