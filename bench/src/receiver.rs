//! The destination of the deliver stage: takes signed messages, has an effect at once and answers after a fixed time, as
//! a service far away does; and holds against its caller what came twice, too early, or beside another of the same
//! subscriber.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::sample::Flaws;

/// Between two looks at how far it has come.
const POLL: Duration = Duration::from_millis(20);

/// What there is to know of a message.
#[derive(Deserialize)]
pub(crate) struct Message {
    pub(crate) data: Data,
}

#[derive(Deserialize)]
pub(crate) struct Data {
    pub(crate) event_id: String,
    pub(crate) sequence: i64,
    pub(crate) subscriber: Subscriber,
}

#[derive(Deserialize)]
pub(crate) struct Subscriber {
    pub(crate) key: String,
}

impl Message {
    /// What a request tells. A message without an event only asks whether somebody is there; one that was mutilated
    /// tells nothing either, and would be missed.
    pub(crate) async fn of(request: Request<Incoming>) -> Option<Self> {
        let body = request.into_body().collect().await.ok()?.to_bytes();
        serde_json::from_slice(&body).ok()
    }
}

/// What has come since it was asked last, and what it remembers of all time.
#[derive(Default)]
struct Seen {
    effects: HashSet<String>,
    sequences: HashMap<String, i64>,
    under_way: HashSet<String>,
    flaws: Flaws,
    first: Option<Instant>,
    last: Option<Instant>,
    answered: usize,
}

impl Seen {
    fn begin(&mut self, data: &Data) {
        self.first.get_or_insert_with(Instant::now);
        let Data { event_id, sequence, subscriber: Subscriber { key } } = data;
        if !self.effects.insert(event_id.clone()) {
            self.flaws.doubled += 1;
        }
        let latest = self.sequences.entry(key.clone()).or_default();
        // The next before the one before it has its answer is out of order too: either may take effect first.
        if *sequence != *latest + 1 || !self.under_way.insert(key.clone()) {
            self.flaws.disordered += 1;
        }
        *latest = *sequence;
    }

    fn end(&mut self, data: &Data) {
        self.under_way.remove(&data.subscriber.key);
        self.answered += 1;
        self.last = Some(Instant::now());
    }
}

/// What came in one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    pub(crate) answered: usize,
    /// From the first message to the last answer.
    pub(crate) took: Duration,
    pub(crate) flaws: Flaws,
}

/// A destination that listens until it is dropped.
pub(crate) struct Receiver {
    seen: Arc<Mutex<Seen>>,
    port: u16,
    /// Serves it.
    _runtime: Runtime,
}

impl Receiver {
    /// One that answers after `latency`.
    pub(crate) fn start(latency: Duration) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let (runtime, port) = listen(move |request| answer(request, Arc::clone(&shared), latency))?;
        Ok(Self { seen, port, _runtime: runtime })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    /// Waits until so many were answered, and for what should not come after them; then begins anew.
    pub(crate) fn await_all(&self, events: usize, within: Duration) -> Result<Came> {
        let deadline = Instant::now() + within;
        loop {
            let answered = lock(&self.seen).answered;
            if answered >= events {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "{answered} of {events} were delivered within {within:?}"
            );
            std::thread::sleep(POLL);
        }
        let mut seen = lock(&self.seen);
        let took = match (seen.first, seen.last) {
            (Some(first), Some(last)) => last - first,
            (None, _) | (_, None) => Duration::ZERO,
        };
        let came = Came { answered: seen.answered, took, flaws: seen.flaws };
        (seen.first, seen.last, seen.answered, seen.flaws) = (None, None, 0, Flaws::default());
        Ok(came)
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers whoever connects to the port that it returns, for as long as the runtime is kept.
pub(crate) fn listen<Answer, Answering>(answer: Answer) -> Result<(Runtime, u16)>
where
    Answer: Fn(Request<Incoming>) -> Answering + Clone + Send + 'static,
    Answering: Future<Output = Response<Empty<Bytes>>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("starting the destination")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener =
        runtime.block_on(TcpListener::bind(address)).context("starting the destination")?;
    let port = listener.local_addr().context("starting the destination")?.port();
    runtime.spawn(serve(listener, answer));
    Ok((runtime, port))
}

async fn serve<Answer, Answering>(listener: TcpListener, answer: Answer)
where
    Answer: Fn(Request<Incoming>) -> Answering + Clone + Send + 'static,
    Answering: Future<Output = Response<Empty<Bytes>>> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        // Small answers that waited for more to come would be later than they should.
        drop(stream.set_nodelay(true));
        let answer = answer.clone();
        tokio::spawn(async move {
            let answers = service_fn(move |request| {
                let answering = answer(request);
                async move { Ok::<_, Infallible>(answering.await) }
            });
            let serving = hyper::server::conn::http1::Builder::new();
            // A caller that hangs up shows in what it was not answered.
            drop(serving.serve_connection(TokioIo::new(stream), answers).await);
        });
    }
}

/// An answer of which nobody reads more than the status.
pub(crate) fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Seen>>,
    latency: Duration,
) -> Response<Empty<Bytes>> {
    let due = tokio::time::Instant::now() + latency;
    if let Some(Message { data }) = Message::of(request).await {
        lock(&seen).begin(&data);
        tokio::time::sleep_until(due).await;
        lock(&seen).end(&data);
    }
    status(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(event_id: &str, sequence: i64) -> Data {
        let subscriber = Subscriber { key: "s/1".to_owned() };
        Data { event_id: event_id.to_owned(), sequence, subscriber }
    }

    fn flaws(told: &[(&str, i64)]) -> Flaws {
        let mut seen = Seen::default();
        for (id, sequence) in told {
            let data = data(id, *sequence);
            seen.begin(&data);
            seen.end(&data);
        }
        seen.flaws
    }

    #[test]
    fn what_comes_once_and_in_order_has_no_flaw() {
        assert_eq!(flaws(&[("a", 1), ("b", 2)]), Flaws::default());
    }

    #[test]
    fn what_comes_twice_or_out_of_order_or_beside_another_has() {
        assert_eq!(flaws(&[("a", 1), ("a", 1)]).doubled, 1);
        assert_eq!(flaws(&[("b", 2), ("a", 1)]).disordered, 2);
        let mut seen = Seen::default();
        seen.begin(&data("a", 1));
        seen.begin(&data("b", 2));
        assert_eq!(seen.flaws.disordered, 1);
    }
}
