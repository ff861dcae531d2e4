//! One connection: requests one way, answers the other, each on a thread of its own.

use std::collections::HashMap;
use std::io::{Result, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::{Effect, Shared, end, frame};

/// What was passed on is given this long to be answered before the broker's side is closed: closing earlier could take
/// it back.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// Requests whose answer has not come yet, with what is to happen then.
#[derive(Default)]
struct Unanswered {
    by_correlation: Mutex<HashMap<i32, Option<Effect>>>,
    changed: Condvar,
}

impl Unanswered {
    fn expect(&self, correlation: i32, effect: Option<Effect>) {
        let mut waiting = self.by_correlation.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(correlation, effect);
    }

    fn answered(&self, correlation: i32) -> Option<Effect> {
        let mut waiting = self.by_correlation.lock().unwrap_or_else(PoisonError::into_inner);
        let effect = waiting.remove(&correlation).flatten();
        self.changed.notify_all();
        effect
    }

    fn wait_until_none(&self, limit: Duration) {
        let waiting = self.by_correlation.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(waiting, limit, |left| !left.is_empty());
        drop(waited);
    }

    /// No answer will come any more.
    fn give_up(&self) {
        self.by_correlation.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.changed.notify_all();
    }
}

/// One client's connection with the broker's side of it.
struct Connection {
    shared: Arc<Shared>,
    number: u64,
    client_id: OnceLock<String>,
    unanswered: Unanswered,
}

/// Serves a client until either side closes or a fault cuts it.
///
/// # Errors
/// When a side is gone; it says no more than that.
pub(super) fn serve(shared: &Arc<Shared>, client: &TcpStream) -> Result<()> {
    let broker = TcpStream::connect(shared.broker)?;
    // Small messages must not wait for each other: a delay is a fault and counted.
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let connection = Arc::new(Connection {
        shared: Arc::clone(shared),
        number: shared.enter(client.try_clone()?),
        client_id: OnceLock::new(),
        unanswered: Unanswered::default(),
    });
    let answering = std::thread::spawn({
        let connection = Arc::clone(&connection);
        let (broker, client) = (broker.try_clone()?, client.try_clone()?);
        move || {
            let ended = connection.answers(broker, &client);
            end(&client);
            ended
        }
    });
    let ended = connection.requests(client, &broker);
    end(client);
    connection.unanswered.wait_until_none(LAST_ANSWERS);
    end(&broker);
    drop(answering.join());
    shared.leave(connection.number);
    ended
}

impl Connection {
    fn requests(&self, mut client: &TcpStream, mut broker: &TcpStream) -> Result<()> {
        loop {
            let frame = frame::read(&mut client)?;
            let request = frame::request(&frame)?;
            let client_id = self.client_id.get_or_init(|| {
                self.shared.name(self.number, &request.client_id);
                request.client_id
            });
            let effect = request.api.and_then(|api| self.shared.meet(client_id, api));
            match effect {
                Some(Effect::LoseRequest) => return Ok(()),
                Some(Effect::DelayRequest(delay)) => std::thread::sleep(delay),
                Some(Effect::LoseAnswer | Effect::DelayAnswer(_) | Effect::CutAll) | None => {}
            }
            self.unanswered.expect(request.correlation, effect);
            broker.write_all(&frame)?;
        }
    }

    /// Reads on when the client has gone: somebody may be waiting for the last answer.
    fn answers(&self, mut broker: TcpStream, mut client: &TcpStream) -> Result<()> {
        loop {
            let frame = match frame::read(&mut broker) {
                Ok(frame) => frame,
                Err(error) => {
                    self.unanswered.give_up();
                    return Err(error);
                }
            };
            match self.unanswered.answered(frame::correlation(&frame)?) {
                Some(Effect::LoseAnswer) => end(client),
                Some(Effect::CutAll) => {
                    let own = self.client_id.get().map(String::as_str);
                    self.shared.cut(|client_id| client_id == own);
                }
                Some(Effect::DelayAnswer(delay)) => std::thread::sleep(delay),
                Some(Effect::LoseRequest | Effect::DelayRequest(_)) | None => {}
            }
            drop(client.write_all(&frame));
        }
    }
}
