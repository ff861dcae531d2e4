//! Sends scheduled webhooks as the providers do: signed when they leave, many at a time, and again when they were not
//! taken.
//!
//! Sendings start in the order and at the time of the schedule. One that meets a closed door, a 503 or a 429 is
//! repeated until it is taken, so that killing `ingest` delays webhooks and loses none; any other answer than 200 is
//! final and counted. While one is repeated others overtake it, unless [`Order`] forbids it.

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
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::journeys::{Provider, Webhook};
use crate::keyring::Signing;
use crate::schedule::Sending;

/// How the sender behaves.
#[derive(Debug, Clone)]
pub struct Manners {
    /// Of `ingest`, on this machine.
    pub port: u16,
    pub signing: Signing,
    pub order: Order,
    /// Webhooks in flight at once.
    pub concurrency: usize,
    /// Before the same webhook is tried again.
    pub retry_after: Duration,
    /// After which it is given up.
    pub give_up_after: Duration,
    /// Instead: from when on nothing is repeated any more, whenever it was sent first.
    pub give_up_at: Option<Instant>,
}

/// Which webhooks may overtake which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Each leaves at its time, and any while it is repeated.
    AsScheduled,
    /// Nobody's next leaves before the one before it has its final answer. Then an outage, however long, brings
    /// nothing into `transform` later than the reorder window.
    OneAfterTheOther,
}

impl Manners {
    pub fn to(port: u16) -> Self {
        Self {
            port,
            signing: Signing::default(),
            order: Order::AsScheduled,
            concurrency: 64,
            retry_after: Duration::from_millis(250),
            give_up_after: Duration::from_mins(2),
            give_up_at: None,
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
    /// Attempts that had to be repeated, by status; 0 where there was no answer.
    pub repeated: BTreeMap<u16, usize>,
    /// When the first attempt was made with each webhook that was answered 200, by the webhook's place.
    pub sent_at: BTreeMap<(usize, usize), Instant>,
    /// When the first copy of each webhook was answered 200, by the webhook's place.
    pub accepted_at: BTreeMap<(usize, usize), Instant>,
}

impl Tally {
    pub fn all_accepted(&self) -> usize {
        self.accepted.values().sum()
    }

    pub fn all_repeated(&self) -> usize {
        self.repeated.values().sum()
    }

    pub fn all_refused(&self) -> usize {
        self.refused.values().sum()
    }

    /// Adds what became of other sendings, of other places.
    pub fn absorb(&mut self, other: Self) {
        let Self { accepted, refused, repeated, sent_at, accepted_at } = other;
        for (provider, count) in accepted {
            *self.accepted.entry(provider).or_default() += count;
        }
        for (status, count) in refused {
            *self.refused.entry(status).or_default() += count;
        }
        for (status, count) in repeated {
            *self.repeated.entry(status).or_default() += count;
        }
        self.sent_at.extend(sent_at);
        self.accepted_at.extend(accepted_at);
    }

    /// How many have their final answer.
    pub fn answered(&self) -> usize {
        self.all_accepted() + self.all_refused()
    }
}

/// Sends everything and returns when each has its final answer. `progress` hears of each.
pub async fn send(
    sendings: Vec<Sending>,
    manners: Manners,
    progress: impl Fn(&Tally) + Send + Sync + 'static,
) -> Tally {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let in_flight = Arc::new(Semaphore::new(manners.concurrency));
    let tally = Arc::new(Mutex::new(Tally::default()));
    let progress = Arc::new(progress);
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    let mut queues = Queues::default();
    for sending in sendings {
        tokio::time::sleep_until(begun + sending.at).await;
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { break };
        let (client, tally, progress) = (client.clone(), Arc::clone(&tally), Arc::clone(&progress));
        let manners = manners.clone();
        let turn = queues.join(sending.place.0, manners.order);
        tasks.spawn(async move {
            let turn = turn.come().await;
            let outcome = deliver(&client, &sending.webhook, &manners).await;
            note(&tally, &sending, &outcome, &*progress);
            drop((turn, permit));
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.clone()
}

/// The last of each journey that waits.
#[derive(Default)]
struct Queues(BTreeMap<usize, oneshot::Receiver<()>>);

impl Queues {
    fn join(&mut self, journey: usize, order: Order) -> Turn {
        match order {
            Order::AsScheduled => Turn { before: None, _own: None },
            Order::OneAfterTheOther => {
                let (own, next) = oneshot::channel();
                Turn { before: self.0.insert(journey, next), _own: Some(own) }
            }
        }
    }
}

/// A place in a queue; the next comes when it is dropped.
struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _own: Option<oneshot::Sender<()>>,
}

impl Turn {
    async fn come(mut self) -> Self {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: it ends when whoever was before is gone.
            drop(before.await);
        }
        self
    }
}

/// The final status (0: none), how many attempts came before it, and when the first was made.
struct Outcome {
    status: u16,
    repeated: BTreeMap<u16, usize>,
    begun: Instant,
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

async fn deliver(client: &HttpClient, webhook: &Webhook, manners: &Manners) -> Outcome {
    let begun = Instant::now();
    let deadline = manners.give_up_at.unwrap_or(begun + manners.give_up_after);
    let body = Bytes::from(webhook.body.to_string());
    let mut repeated = BTreeMap::new();
    loop {
        let status = attempt(client, webhook, &body, manners).await;
        let passing =
            [None, Some(StatusCode::SERVICE_UNAVAILABLE), Some(StatusCode::TOO_MANY_REQUESTS)];
        let number = status.map_or(0, |status| status.as_u16());
        if !passing.contains(&status) || Instant::now() >= deadline {
            return Outcome { status: number, repeated, begun };
        }
        *repeated.entry(number).or_default() += 1;
        tokio::time::sleep(manners.retry_after).await;
    }
}

/// `None` when there was no answer.
async fn attempt(
    client: &HttpClient,
    webhook: &Webhook,
    body: &Bytes,
    manners: &Manners,
) -> Option<StatusCode> {
    let now = SystemClock::new().now().as_second();
    let (source, port) = (webhook.provider.source(), manners.port);
    let mut request = Request::post(format!("http://127.0.0.1:{port}/webhooks/{source}"))
        .header("content-type", "application/json");
    for (name, value) in manners.signing.headers(webhook, body, now) {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body.clone())).ok()?;
    // A provider's own time-out is of this order; a hung connection must not hold its place for ever.
    let answer = tokio::time::timeout(Duration::from_secs(15), client.request(request));
    Some(answer.await.ok()?.ok()?.status())
}

fn note(
    tally: &Mutex<Tally>,
    sending: &Sending,
    outcome: &Outcome,
    progress: &(impl Fn(&Tally) + ?Sized),
) {
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    for (status, count) in &outcome.repeated {
        *tally.repeated.entry(*status).or_default() += count;
    }
    if outcome.status == StatusCode::OK.as_u16() {
        *tally.accepted.entry(sending.webhook.provider).or_default() += 1;
        tally.accepted_at.entry(sending.place).or_insert_with(Instant::now);
        tally.sent_at.entry(sending.place).or_insert(outcome.begun);
    } else {
        *tally.refused.entry(outcome.status).or_default() += 1;
    }
    progress(&tally);
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

    /// Says for a story of which the first webhook is refused for now, in which order its places were taken.
    async fn order_of_a_story(order: Order) -> Vec<usize> {
        let journeys = generate(1, 1_790_000_000_000, 0);
        let sending = |index: usize| {
            let webhook = journeys[0].webhooks[index].clone();
            Sending { at: Duration::ZERO, webhook, place: (0, index), copy: Copy::First }
        };
        let port = server(&["503 Busy", "200 OK", "200 OK"]).await;
        let retry_after = Duration::from_millis(300);
        let manners = Manners { order, retry_after, ..Manners::to(port) };
        let tally = send(vec![sending(0), sending(1)], manners, |_| ()).await;
        let mut taken: Vec<_> = tally.accepted_at.into_iter().collect();
        taken.sort_by_key(|(_, at)| *at);
        taken.into_iter().map(|((_, index), _)| index).collect()
    }

    #[tokio::test]
    async fn nobody_is_overtaken_where_one_goes_after_the_other() {
        assert_eq!(order_of_a_story(Order::OneAfterTheOther).await, [0, 1]);
    }

    #[tokio::test]
    async fn repeats_what_was_not_taken_for_now() {
        let port = server(&["503 Busy", "429 Slow down", "200 OK"]).await;
        let tally = send_first(port, Duration::from_mins(1)).await;
        assert_eq!((tally.all_accepted(), tally.all_repeated()), (1, 2));
    }

    #[tokio::test]
    async fn counts_a_final_refusal_and_does_not_repeat_it() {
        let port = server(&["401 Unauthorized"]).await;
        let tally = send_first(port, Duration::from_mins(1)).await;
        assert_eq!((tally.refused.get(&401), tally.all_repeated()), (Some(&1), 0));
    }

    #[tokio::test]
    async fn gives_up_where_nobody_listens() {
        let tally = send_first(1, Duration::ZERO).await;
        assert_eq!(tally.refused.get(&0), Some(&1));
    }
}
