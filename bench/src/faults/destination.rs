//! A destination that may be in trouble.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tokio::runtime::Runtime;

use super::ledger::{Call, Ledger};
use super::trouble::{Fate, Trouble};
use crate::receiver::{Message, listen, status};

/// Nobody waits so long for an answer.
const SILENCE: Duration = Duration::from_mins(1);

/// What it does, and what came to it.
struct State {
    began: Instant,
    trouble: Trouble,
    ledger: Ledger,
}

/// It listens until it is dropped.
pub(crate) struct Destination {
    state: Arc<Mutex<State>>,
    port: u16,
    /// Serves it.
    _runtime: Runtime,
}

impl Destination {
    /// One that is well and answers after `latency`.
    pub(crate) fn start(latency: Duration) -> Result<Self> {
        let (trouble, ledger) = (Trouble::default(), Ledger::default());
        let state = State { began: Instant::now(), trouble, ledger };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let (runtime, port) = listen(move |request| answer(request, Arc::clone(&shared), latency))?;
        Ok(Self { state, port, _runtime: runtime })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    /// A new run begins, in which this is wrong.
    pub(crate) fn begin(&self, trouble: Trouble) {
        *lock(&self.state) = State { began: Instant::now(), trouble, ledger: Ledger::default() };
    }

    /// Looks into what came since the run began.
    pub(crate) fn look<T>(&self, into: impl FnOnce(&Ledger) -> T) -> T {
        into(&lock(&self.state).ledger)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// What becomes of a call. Its effect, if it has one, is at once.
    fn meet(&mut self, call: Call<'_>) -> Fate {
        let before = self.ledger.come(call, Instant::now());
        let fate = self.trouble.fate(self.began.elapsed(), call.key, call.event_id, before);
        match fate {
            Fate::Taken | Fate::Unanswered => self.ledger.take(call),
            Fate::Failed | Fate::OutOfService => {}
        }
        fate
    }

    /// What becomes of somebody who only asks whether the destination is there.
    fn greet(&self) -> Fate {
        if self.trouble.is_out(self.began.elapsed()) { Fate::OutOfService } else { Fate::Taken }
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    latency: Duration,
) -> Response<Empty<Bytes>> {
    let due = tokio::time::Instant::now() + latency;
    let message_id = request.headers().get("webhook-id").and_then(|id| id.to_str().ok());
    let message_id = message_id.unwrap_or_default().to_owned();
    let fate = match Message::of(request).await {
        Some(Message { data }) => lock(&state).meet(Call {
            message_id: &message_id,
            event_id: &data.event_id,
            key: &data.subscriber.key,
            sequence: data.sequence,
        }),
        None => lock(&state).greet(),
    };
    tokio::time::sleep_until(due).await;
    match fate {
        Fate::Taken => status(StatusCode::NO_CONTENT),
        Fate::Failed => status(StatusCode::INTERNAL_SERVER_ERROR),
        Fate::OutOfService => status(StatusCode::SERVICE_UNAVAILABLE),
        Fate::Unanswered => {
            tokio::time::sleep(SILENCE).await;
            status(StatusCode::NO_CONTENT)
        }
    }
}
