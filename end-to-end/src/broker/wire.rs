//! One request to a broker and its answer, written by hand (kafka.apache.org/protocol), because this crate has no Kafka
//! client on purpose. Only versions whose messages have no tagged fields are spoken.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const CORRELATION: i32 = 7;
/// What is asked for here is far below; a larger length is not a Kafka broker talking.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// What the broker at `address` answers to the request of this kind and version, without the header.
pub(super) fn ask(address: &str, kind: i16, version: i16, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let nowhere = || Error::new(ErrorKind::AddrNotAvailable, "the broker's address has no port");
    let address = address.to_socket_addrs()?.next().ok_or_else(nowhere)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&request(kind, version, body))?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LARGEST_ANSWER {
        return Err(foreign());
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    let rest = answer.strip_prefix(&CORRELATION.to_be_bytes()).ok_or_else(foreign)?;
    Ok(rest.to_vec())
}

/// Length, kind, version, correlation id, no client id, and what is asked.
fn request(kind: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend(kind.to_be_bytes());
    message.extend(version.to_be_bytes());
    message.extend(CORRELATION.to_be_bytes());
    message.extend((-1_i16).to_be_bytes());
    message.extend(body);
    let length = i32::try_from(message.len()).unwrap_or(i32::MAX);
    [length.to_be_bytes().to_vec(), message].concat()
}

fn foreign() -> Error {
    Error::new(ErrorKind::InvalidData, "the answer is not that of a Kafka broker")
}

/// Reads an answer from its beginning.
pub(super) struct Answer<'a>(pub(super) &'a [u8]);

impl Answer<'_> {
    pub(super) fn i16(&mut self) -> std::io::Result<i16> {
        self.take().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> std::io::Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub(super) fn i8(&mut self) -> std::io::Result<i8> {
        self.take().map(i8::from_be_bytes)
    }

    /// Empty also where there is none.
    pub(super) fn text(&mut self) -> std::io::Result<String> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(foreign)?;
        self.0 = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn take<const LENGTH: usize>(&mut self) -> std::io::Result<[u8; LENGTH]> {
        let (taken, rest) = self.0.split_at_checked(LENGTH).ok_or_else(foreign)?;
        self.0 = rest;
        taken.try_into().map_err(|_| foreign())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_too_short_is_an_error_and_no_panic() {
        let mut answer = Answer(&[0, 2, b'o', b'k', 0]);
        assert_eq!(answer.text().unwrap(), "ok");
        assert!(answer.i16().is_err());
        assert!(Answer(&[0, 9, b'o']).text().is_err());
    }
}
