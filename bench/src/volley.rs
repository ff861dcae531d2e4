//! The load on a server: requests made beforehand, over connections that stay open, the next as soon as one is answered.
//! It does as little as can be done, because it shares a core with the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use end_to_end::journeys::Provider;
use end_to_end::sign::Secrets;
use service::clock::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::payload::{SOURCE, Webhook};

/// Nobody who answers at all takes so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether a request is signed by who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    Rightly,
    ByAStranger,
}

/// A request, byte for byte.
pub(crate) fn request(webhook: &Webhook, signed: Signed) -> Vec<u8> {
    let now = SystemClock::new().now().as_second();
    let secrets = match signed {
        Signed::Rightly => Secrets::default(),
        // The static header is right, the signature over the body is not.
        Signed::ByAStranger => Secrets {
            revenuecat_authorization: Secrets::default().revenuecat_authorization,
            ..Secrets::named("stranger")
        },
    };
    let headers = secrets.headers(Provider::RevenueCat, &webhook.id, &webhook.body, now);
    let lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST /webhooks/{SOURCE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{}\r\n",
        webhook.body.len(),
        lines.concat()
    );
    [head.as_bytes(), &webhook.body].concat()
}

/// What became of the requests.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) took: Duration,
    /// The status of each request.
    pub(crate) statuses: Vec<u16>,
    /// How long each took, in milliseconds.
    pub(crate) millis: Vec<f64>,
}

/// Sends all of them over so many connections and waits for every answer.
pub(crate) fn fire(port: u16, requests: Vec<Vec<u8>>, connections: usize) -> Result<Answered> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the load")?;
    runtime.block_on(async {
        let requests = Arc::new(requests);
        let next = Arc::new(AtomicUsize::new(0));
        let mut lines = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.context("connecting")?;
            stream.set_nodelay(true).context("setting up a connection")?;
            lines.push(stream);
        }
        let began = Instant::now();
        let mut sending = tokio::task::JoinSet::new();
        for stream in lines {
            sending.spawn(line(stream, Arc::clone(&requests), Arc::clone(&next)));
        }
        let mut statuses = vec![0; requests.len()];
        let mut millis = Vec::with_capacity(requests.len());
        while let Some(answers) = sending.join_next().await {
            for (place, status, took) in answers.context("sending")?? {
                statuses[place] = status;
                millis.push(took.as_secs_f64() * 1e3);
            }
        }
        Ok(Answered { took: began.elapsed(), statuses, millis })
    })
}

async fn line(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> Result<Vec<(usize, u16, Duration)>> {
    let mut answers = Vec::new();
    let mut buffer = Vec::with_capacity(2048);
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(place) else { return Ok(answers) };
        let began = Instant::now();
        stream.write_all(request).await.context("sending a request")?;
        let answer = tokio::time::timeout(PATIENCE, answer(&mut stream, &mut buffer));
        let status = answer.await.context("waiting for an answer")??;
        answers.push((place, status, began.elapsed()));
    }
}

async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16> {
    buffer.clear();
    loop {
        let read = stream.read_buf(buffer).await.context("reading an answer")?;
        ensure!(read > 0, "the server hung up");
        if let Some((status, length)) = parse(buffer)? {
            ensure!(buffer.len() <= length, "more than one answer came");
            if buffer.len() == length {
                return Ok(status);
            }
        }
    }
}

/// The status, and how long the answer is with its body; nothing while the head is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).context("an answer is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let Some(status) = status.and_then(|status| status.parse().ok()) else {
        bail!("an answer is not HTTP");
    };
    let length = lines.filter_map(|line| line.split_once(':'));
    let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.filter_map(|(_, value)| value.trim().parse::<usize>().ok()).sum();
    Ok(Some((status, end + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let whole = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(parse(whole).unwrap(), Some((401, whole.len())));
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap(),
            Some((200, 38))
        );
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap(), None);
        assert!(parse(b"hello\r\n\r\n").is_err());
    }
}
