//! What the HTTP library does not tell: how long a head takes, whether it announces its length twice,
//! and whether anybody takes in the answers.
//!
//! A request with both `Content-Length` and `Transfer-Encoding` is the classic way to make a proxy
//! and a server disagree about where it ends. RFC 9112 (6.1) lets a server refuse it; hyper serves
//! it and hides one of the headers. So the bytes are looked at as they pass. And one time-out for
//! heads cannot be right: a head that has begun must end soon, a connection between two requests may
//! wait as long as the proxies in front keep theirs, because closing it under a request that is on
//! its way costs that request. Answers are short, so that an honest sender's system always has room
//! for one; who sends requests and never reads would otherwise stay for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// As much of a header line as is looked at: the longer of the two names with any length.
const LINE_LIMIT: usize = 64;

/// How long the parts of a connection's life may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From a head's first byte (for the first head, from the connection) to its end.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For the peer to make room for an answer.
    pub answer: Duration,
}

/// Whether a head with two kinds of length has passed. Once set it stays: what follows on that
/// connection cannot be trusted.
#[derive(Clone, Debug, Default)]
pub struct AmbiguousLength(Arc<AtomicBool>);

impl AmbiguousLength {
    /// Whether it was seen.
    pub fn was_seen(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A connection whose heads are watched.
#[derive(Debug)]
pub struct HeadWatch<Stream> {
    stream: Stream,
    scanner: Scanner,
    timeouts: Timeouts,
    deadline: Pin<Box<Sleep>>,
    /// Runs while an answer waits for room.
    answering: Option<Pin<Box<Sleep>>>,
    ambiguous: AmbiguousLength,
}

impl<Stream> HeadWatch<Stream> {
    /// Watches a connection that was just accepted.
    pub fn new(stream: Stream, timeouts: Timeouts) -> Self {
        Self {
            stream,
            scanner: Scanner::default(),
            timeouts,
            deadline: Box::pin(sleep(timeouts.head)),
            answering: None,
            ambiguous: AmbiguousLength::default(),
        }
    }

    /// A handle for whoever answers the requests.
    pub fn ambiguous_length(&self) -> AmbiguousLength {
        self.ambiguous.clone()
    }

    /// What became of writing, which ends with an error when it has waited for too long.
    fn wrote<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.answering = None;
            return written;
        }
        let limit = self.timeouts.answer;
        let answering = self.answering.get_or_insert_with(|| Box::pin(sleep(limit)));
        answering.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn saw(&mut self, bytes: &[u8]) {
        let before = self.scanner.stage;
        let seen = self.scanner.scan(bytes);
        if seen.ambiguous {
            self.ambiguous.0.store(true, Ordering::Release);
        }
        let limit = match self.scanner.stage {
            Stage::Head if before == Stage::Head && !seen.head_ended => return,
            Stage::Head => self.timeouts.head,
            Stage::Idle | Stage::Body(_) | Stage::Last => self.timeouts.idle,
        };
        self.deadline.as_mut().reset(Instant::now() + limit);
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for HeadWatch<Stream> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                self.saw(&buffer.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for HeadWatch<Stream> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.wrote(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.wrote(context, shut)
    }
}

/// Where in the stream of requests the next byte lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Before the first byte of a request.
    Idle,
    /// In a head. A new connection counts as one, so that it cannot sit there.
    #[default]
    Head,
    /// So many bytes of a body are still to come.
    Body(u64),
    /// In a chunked body. It is the last request of a connection: hyper is told to close after it.
    Last,
}

/// Follows heads and bodies without buffering them. It need not judge what is malformed: hyper
/// refuses that, and closes.
#[derive(Debug, Default)]
struct Scanner {
    stage: Stage,
    line: Vec<u8>,
    request_line_seen: bool,
    length: Option<u64>,
    is_encoded: bool,
}

/// What one look at some bytes showed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    head_ended: bool,
    ambiguous: bool,
}

impl Scanner {
    fn scan(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.stage {
                Stage::Last => return seen,
                Stage::Body(left) => {
                    let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[skipped..];
                    let left = left - skipped as u64;
                    self.stage = if left == 0 { Stage::Idle } else { Stage::Body(left) };
                }
                Stage::Idle | Stage::Head => {
                    bytes = rest;
                    self.stage = Stage::Head;
                    if byte != b'\n' {
                        if self.line.len() < LINE_LIMIT {
                            self.line.push(byte);
                        }
                    } else if self.line_ended() {
                        seen.head_ended = true;
                        seen.ambiguous |= self.head_ended();
                    }
                }
            }
        }
        seen
    }

    /// Takes a finished line; whether it was the empty one that ends a head.
    fn line_ended(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return self.request_line_seen;
        }
        if !self.request_line_seen {
            self.request_line_seen = true;
            return false;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default().trim_ascii_end();
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_encoded = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
            self.length = Some(digits.trim().parse().unwrap_or(0));
        }
        false
    }

    /// Goes on to what follows the head; whether it announced two kinds of length.
    fn head_ended(&mut self) -> bool {
        let length = self.length.take();
        let is_encoded = std::mem::take(&mut self.is_encoded);
        self.request_line_seen = false;
        self.stage = match length {
            _ if is_encoded => Stage::Last,
            Some(length) if length > 0 => Stage::Body(length),
            Some(_) | None => Stage::Idle,
        };
        is_encoded && length.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: &str = "POST / HTTP/1.1\r\nContent-LENGTH: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    const BOTH_TURNED: &str =
        "POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\nContent-Length:5\r\n\r\n";

    fn ambiguous(stream: &str, step: usize) -> bool {
        let mut scanner = Scanner::default();
        let mut ambiguous = false;
        for piece in stream.as_bytes().chunks(step) {
            ambiguous |= scanner.scan(piece).ambiguous;
        }
        ambiguous
    }

    #[test]
    fn two_kinds_of_length_are_seen_in_either_order_however_the_bytes_arrive() {
        for step in [1, 2, 7, 1000] {
            assert!(ambiguous(BOTH, step));
            assert!(ambiguous(BOTH_TURNED, step));
        }
    }

    #[test]
    fn they_are_seen_in_a_later_request_and_not_in_a_body() {
        let with_body = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", BOTH.len());
        assert!(!ambiguous(&format!("{with_body}{BOTH}"), 3));
        assert!(ambiguous(&format!("{with_body}{BOTH}{BOTH}"), 3));
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(!ambiguous(&format!("{chunked}{BOTH}"), 3));
    }

    #[test]
    fn one_kind_of_length_is_not_ambiguous() {
        for headers in
            ["", "Content-Length: 0\r\n", "X-Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"]
        {
            assert!(!ambiguous(&format!("\r\nPOST / HTTP/1.1\r\n{headers}\r\n"), 1));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_pieces_make_no_difference(
            bytes in "(POST|content-length: 3|transfer-encoding: x|[\r\n:a]){0,30}", step in 1_usize..9,
        ) {
            prop_assert_eq!(ambiguous(&bytes, step), ambiguous(&bytes, 1000));
        }
    }
}
