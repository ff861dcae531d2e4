//! One TCP connection, byte by byte: whoever attacks does not use a client that keeps the rules.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use end_to_end::journeys::Provider;
use end_to_end::sign::{Headers, Secrets};
use service::clock::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longer than any answer or end takes that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What is answered 404 and leaves the connection open.
pub(crate) const NOWHERE: &str = "GET /nowhere HTTP/1.1\r\nhost: edge\r\n\r\n";

/// A connection.
pub(crate) struct Wire {
    answers: Answers,
    to: OwnedWriteHalf,
}

/// What comes back on it.
struct Answers {
    from: OwnedReadHalf,
    /// What was read of the next one.
    read: Vec<u8>,
}

/// What came of something that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) statuses: Vec<u16>,
    pub(crate) end: End,
}

/// What becomes of a connection after the last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    /// It was asked once more, and answered that and nothing else.
    Open,
}

impl Wire {
    pub(crate) async fn open(port: u16) -> std::io::Result<Self> {
        Ok(Self::over(TcpStream::connect(address(port)).await?))
    }

    /// One that takes in next to nothing of what is answered.
    pub(crate) async fn open_narrow(port: u16) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(2048)?;
        Ok(Self::over(socket.connect(address(port)).await?))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket");
        let (from, to) = stream.into_split();
        Self { answers: Answers { from, read: Vec::new() }, to }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.to.write_all(bytes.as_ref()).await
    }

    /// The status of the next answer; `None` when the connection ended instead.
    pub(crate) async fn status(&mut self) -> Option<u16> {
        self.answers.status().await
    }

    /// Waits until the connection ends, and passes over what is answered.
    pub(crate) async fn ended(&mut self) {
        while self.status().await.is_some() {}
    }

    /// Ends it as a sender does that is gone: with a reset.
    pub(crate) fn reset(self) -> std::io::Result<()> {
        self.to.as_ref().set_zero_linger()?;
        // Or it would say goodbye first.
        self.to.forget();
        Ok(())
    }
}

impl Answers {
    async fn status(&mut self) -> Option<u16> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.read.drain(..end + 4).collect();
                return String::from_utf8(head).ok()?.split(' ').nth(1)?.parse().ok();
            }
            let mut piece = [0; 4096];
            match self.from.read(&mut piece).await {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.read.extend_from_slice(&piece[..length]),
            }
        }
    }
}

/// What comes of these bytes on a connection of their own: `expected` answers, or fewer if it ends before, and then
/// its end, or the answer to one more request. Sends while it reads, as much may be answered in the middle of it.
pub(crate) async fn outcome(port: u16, bytes: Vec<u8>, expected: usize) -> Outcome {
    let Wire { mut answers, mut to } = Wire::open(port).await.expect("a connection");
    let (closing, closed) = tokio::sync::oneshot::channel::<()>();
    let sending = tokio::spawn(async move {
        // A connection that ends meanwhile shows in what is read.
        let whole = to.write_all(&bytes).await.is_ok();
        if whole && closed.await.is_ok() {
            to.write_all(NOWHERE.as_bytes()).await.ok();
        }
        // Kept open: an end of ours would be an end of theirs.
        to
    });
    let reading = async {
        let mut statuses = Vec::new();
        while statuses.len() < expected {
            match answers.status().await {
                Some(status) => statuses.push(status),
                None => return Outcome { statuses, end: End::Closed },
            }
        }
        closing.send(()).ok();
        match answers.status().await {
            None => Outcome { statuses, end: End::Closed },
            Some(404) => Outcome { statuses, end: End::Open },
            Some(unasked) => {
                statuses.push(unasked);
                Outcome { statuses, end: End::Open }
            }
        }
    };
    let outcome = timeout(PATIENCE, reading).await.expect("neither an answer nor an end");
    sending.abort();
    outcome
}

/// A request as a provider would send it now, with these lines in its head besides.
pub(crate) fn signed(provider: Provider, id: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let now = SystemClock::new().now().as_second();
    let headers = Secrets::default().headers(provider, id, body, now);
    let lines = format!("{lines}content-length: {}\r\n", body.len());
    [head(provider, &headers, &lines).as_bytes(), body].concat()
}

/// The head of such a request, without a length unless `lines` tells one.
pub(crate) fn head(provider: Provider, headers: &Headers, lines: &str) -> String {
    let signature: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let signature = signature.concat();
    let source = provider.source();
    format!("POST /webhooks/{source} HTTP/1.1\r\nhost: edge\r\n{signature}{lines}\r\n")
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
