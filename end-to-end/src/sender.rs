//! Sends scheduled webhooks as the providers do: signed when they leave, many at a time, and again when they were not
//! taken.
//!
//! Sendings start in the order and at the time of the schedule. One that meets a closed door, a 503 or a 429 is
//! repeated until it is taken, so that killing `ingest` delays webhooks and loses none; any other answer than 200 is
//! final and counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use service::clock::{Clock, SystemClock};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::journeys::{Provider, Webhook};
use crate::schedule::Sending;
use crate::sign;

/// How the sender behaves.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// Of `ingest`, on this machine.
    pub port: u16,
    /// Webhooks in flight at once.
    pub concurrency: usize,
    /// Before the same webhook is tried again.
    pub retry_after: Duration,
    /// After which it is given up.
    pub give_up_after: Duration,
}

impl Manners {
    pub fn to(port: u16) -> Self {
        Self {
            port,
            concurrency: 64,
            retry_after: Duration::from_millis(250),
            give_up_after: Duration::from_mins(2),
        }
    }
}

/// What became of the sendings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answered 200, by provider.
    pub accepted: BTreeMap<Provider, usize>,
    /// Answered finally with something else, or given up (0), by status.
    pub refused: BTreeMap<u16, usize>,
    /// Attempts that had to be repeated.
    pub repeated: usize,
    /// When the first copy of each webhook was answered 200, by the webhook's place.
    pub accepted_at: BTreeMap<(usize, usize), Instant>,
}

impl Tally {
    pub fn all_accepted(&self) -> usize {
        self.accepted.values().sum()
    }

    pub fn all_refused(&self) -> usize {
        self.refused.values().sum()
    }
}

/// Sends everything and returns when each has its final answer. `progress` hears how many have it.
pub async fn send(
    sendings: Vec<Sending>,
    manners: Manners,
    progress: impl Fn(usize) + Send + Sync + 'static,
) -> Tally {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let in_flight = Arc::new(Semaphore::new(manners.concurrency));
    let tally = Arc::new(Mutex::new(Tally::default()));
    let progress = Arc::new(progress);
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for sending in sendings {
        tokio::time::sleep_until(begun + sending.at).await;
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { break };
        let (client, tally, progress) = (client.clone(), Arc::clone(&tally), Arc::clone(&progress));
        tasks.spawn(async move {
            let outcome = deliver(&client, &sending.webhook, manners).await;
            let done = note(&tally, &sending, &outcome);
            progress(done);
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.clone()
}

/// The final status (0: none) and how many attempts came before it.
struct Outcome {
    status: u16,
    repeated: usize,
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

async fn deliver(client: &HttpClient, webhook: &Webhook, manners: Manners) -> Outcome {
    let deadline = Instant::now() + manners.give_up_after;
    let body = Bytes::from(webhook.body.to_string());
    let mut repeated = 0;
    loop {
        let status = attempt(client, webhook, &body, manners.port).await;
        let passing =
            [None, Some(StatusCode::SERVICE_UNAVAILABLE), Some(StatusCode::TOO_MANY_REQUESTS)];
        if !passing.contains(&status) || Instant::now() >= deadline {
            return Outcome { status: status.map_or(0, |status| status.as_u16()), repeated };
        }
        repeated += 1;
        tokio::time::sleep(manners.retry_after).await;
    }
}

/// `None` when there was no answer.
async fn attempt(
    client: &HttpClient,
    webhook: &Webhook,
    body: &Bytes,
    port: u16,
) -> Option<StatusCode> {
    let now = SystemClock::new().now().as_second();
    let source = webhook.provider.source();
    let mut request = Request::post(format!("http://127.0.0.1:{port}/webhooks/{source}"))
        .header("content-type", "application/json");
    for (name, value) in sign::headers(webhook.provider, &webhook.event_id, body, now) {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body.clone())).ok()?;
    // A provider's own time-out is of this order; a hung connection must not hold its place for ever.
    let answer = tokio::time::timeout(Duration::from_secs(15), client.request(request));
    Some(answer.await.ok()?.ok()?.status())
}

fn note(tally: &Mutex<Tally>, sending: &Sending, outcome: &Outcome) -> usize {
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.repeated += outcome.repeated;
    if outcome.status == StatusCode::OK.as_u16() {
        *tally.accepted.entry(sending.webhook.provider).or_default() += 1;
        tally.accepted_at.entry(sending.place).or_insert_with(Instant::now);
    } else {
        *tally.refused.entry(outcome.status).or_default() += 1;
    }
    tally.all_accepted() + tally.all_refused()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::journeys::generate;
    use crate::schedule::Copy;

    /// Answers each connection with the next of `answers` and hangs up.
    async fn server(answers: &'static [&'static str]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut request = vec![0; 65536];
                let _ = stream.read(&mut request).await.expect("a request");
                let reply =
                    format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(reply.as_bytes()).await.expect("answered");
            }
        });
        port
    }

    async fn send_first(port: u16, give_up_after: Duration) -> Tally {
        let journeys = generate(1, 1_790_000_000_000, 0);
        let webhook = journeys[0].webhooks[0].clone();
        let sending = Sending { at: Duration::ZERO, webhook, place: (0, 0), copy: Copy::First };
        let retry_after = Duration::from_millis(1);
        let manners = Manners { retry_after, give_up_after, ..Manners::to(port) };
        send(vec![sending], manners, |_| ()).await
    }

    #[tokio::test]
    async fn repeats_what_was_not_taken_for_now() {
        let port = server(&["503 Busy", "429 Slow down", "200 OK"]).await;
        let tally = send_first(port, Duration::from_mins(1)).await;
        assert_eq!((tally.all_accepted(), tally.repeated), (1, 2));
    }

    #[tokio::test]
    async fn counts_a_final_refusal_and_does_not_repeat_it() {
        let port = server(&["401 Unauthorized"]).await;
        let tally = send_first(port, Duration::from_mins(1)).await;
        assert_eq!((tally.refused.get(&401), tally.repeated), (Some(&1), 0));
    }

    #[tokio::test]
    async fn gives_up_where_nobody_listens() {
        let tally = send_first(1, Duration::ZERO).await;
        assert_eq!(tally.refused.get(&0), Some(&1));
    }
}
