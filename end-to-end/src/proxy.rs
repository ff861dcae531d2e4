//! A proxy between a Kafka client and the broker that makes outcomes ambiguous on purpose.
//!
//! A client that is cut off does not know whether its request took effect, and one that has given up a request may
//! see it take effect later. Both happen rarely and never when one looks; here they happen to chosen requests. The
//! proxy knows the framing of requests and nothing of what they say: whose it is (client id), which call it makes
//! ([`Api`]), and which answer belongs to it (correlation id). What is to happen is a list of [`Fault`]s per client
//! id, so that several clients share one proxy and are disturbed independently; a client without faults is passed
//! through.
//!
//! Two promises: every fault ends by itself as it was asked to, and is counted each time that it happens; and to be cut off is the client's trouble alone. What was under way to the broker arrives there, however
//! long the client has gone, as a request does that waits in a socket's buffer.

mod connection;
mod fault;
mod frame;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::fault::Plan;

pub use self::fault::{Done, Effect, Extent, Fault};
pub use self::frame::Api;

/// How long the listener may need to notice that it is to end.
const GREETING: Duration = Duration::from_secs(1);

/// A running proxy; dropping it cuts every connection.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on a port of this machine and passes on to `broker`, which has to advertise that port to whoever came
    /// through it, or clients would go around.
    ///
    /// # Errors
    /// When nobody can listen on the port.
    pub fn start(port: u16, broker: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::new(broker));
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if serving.ending.load(Ordering::Acquire) {
                    return;
                }
                // A client that is gone before it is served is no different from one that was cut.
                if let Ok(client) = client {
                    let serving = Arc::clone(&serving);
                    std::thread::spawn(move || drop(connection::serve(&serving, &client)));
                }
            }
        });
        Ok(Self { port, shared })
    }

    /// `host:port`, as clients want it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What is to happen to this client from now on, in place of what was left of an earlier plan.
    pub fn disturb(&self, client: &str, faults: Vec<Fault>) {
        self.shared.plans().entry(client.to_owned()).or_default().replace(faults);
    }

    /// The faults that were asked for and are not over.
    pub fn left(&self, client: &str) -> Vec<Fault> {
        let now = self.shared.began.elapsed();
        self.shared.plans().get(client).map(|plan| plan.left(now)).unwrap_or_default()
    }

    /// What has happened to this client, since the proxy began.
    pub fn done(&self, client: &str) -> Done {
        self.shared.plans().get(client).map(Plan::done).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        // The listener looks up only when somebody comes.
        drop(TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, self.port).into(), GREETING));
        self.shared.cut(|_| true);
    }
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    broker: SocketAddr,
    began: Instant,
    ending: AtomicBool,
    plans: Mutex<BTreeMap<String, Plan>>,
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Open>>,
}

/// The client's end of a connection, to cut it from elsewhere.
#[derive(Debug)]
struct Open {
    /// Known with the first request.
    client_id: Option<String>,
    client: TcpStream,
}

impl Shared {
    fn new(broker: SocketAddr) -> Self {
        Self {
            broker,
            began: Instant::now(),
            ending: AtomicBool::new(false),
            plans: Mutex::default(),
            next: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    fn plans(&self) -> MutexGuard<'_, BTreeMap<String, Plan>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to happen to this client's request; counted as done.
    fn meet(&self, client_id: &str, api: Api) -> Option<Effect> {
        let now = self.began.elapsed();
        self.plans().get_mut(client_id)?.meet(api, now)
    }

    fn enter(&self, client: TcpStream) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open().insert(number, Open { client_id: None, client });
        number
    }

    fn name(&self, number: u64, client_id: &str) {
        if let Some(open) = self.open().get_mut(&number) {
            open.client_id = Some(client_id.to_owned());
        }
    }

    fn leave(&self, number: u64) {
        if let Some(open) = self.open().remove(&number) {
            end(&open.client);
        }
    }

    /// Cuts every connection whose client id is meant.
    fn cut(&self, meant: impl Fn(Option<&str>) -> bool) {
        let open = self.open();
        let meant = open.values().filter(|open| meant(open.client_id.as_deref()));
        meant.for_each(|open| end(&open.client));
    }
}

fn end(stream: &TcpStream) {
    // One that the other side has ended already needs no second end.
    drop(stream.shutdown(Shutdown::Both));
}

#[cfg(test)]
mod tests;
