//! Whether a broker serves: it must not only accept a connection but answer a metadata request with a broker in it,
//! which a KRaft node does only once it is registered and unfenced.
//!
//! The request is written by hand (Kafka protocol, `ApiVersions` key 18 is not needed for a fixed old version;
//! `Metadata` key 3 version 1, kafka.apache.org/protocol), because this crate has no Kafka client on purpose.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::BrokerError;

const POLL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(5);
const CORRELATION: i32 = 7;
/// An answer of one broker and its topics is far below; a larger length is not a Kafka broker talking.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Asks again and again until `addresses` (comma separated, the first that answers counts) serves and knows of so many
/// brokers, `limit` passes or `check` says that there is no use.
pub(super) fn wait(
    addresses: &str,
    brokers: i32,
    limit: Duration,
    mut check: impl FnMut() -> Result<(), BrokerError>,
) -> Result<(), BrokerError> {
    let deadline = Instant::now() + limit;
    loop {
        if addresses.split(',').any(|address| knows(brokers, address.trim()).unwrap_or(false)) {
            return Ok(());
        }
        check()?;
        if Instant::now() >= deadline {
            let address = addresses.to_owned();
            return Err(BrokerError::NotReady { address, within: limit, log: String::new() });
        }
        std::thread::sleep(POLL);
    }
}

fn knows(brokers: i32, address: &str) -> std::io::Result<bool> {
    let Some(address) = address.to_socket_addrs()?.next() else { return Ok(false) };
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&request())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LARGEST_ANSWER {
        return Ok(false);
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(brokers_in(&answer).is_some_and(|named| named >= brokers))
}

/// Length, key 3, version 1, correlation id, no client id, an empty array of topics.
fn request() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(3_i16.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    body.extend(CORRELATION.to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    let length = i32::try_from(body.len()).unwrap_or(i32::MAX);
    [length.to_be_bytes().to_vec(), body].concat()
}

/// The answer begins with the correlation id and the number of brokers.
fn brokers_in(answer: &[u8]) -> Option<i32> {
    let number = |at: usize| {
        let bytes: [u8; 4] = answer.get(at..at + 4)?.try_into().ok()?;
        Some(i32::from_be_bytes(bytes))
    };
    number(4).filter(|_| number(0) == Some(CORRELATION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_many_brokers_there_are() {
        let answer = |brokers: i32| [CORRELATION.to_be_bytes(), brokers.to_be_bytes()].concat();
        assert_eq!(brokers_in(&answer(1)), Some(1));
        assert_eq!(brokers_in(&answer(0)), Some(0));
        assert_eq!(brokers_in(b"HTTP/1.1"), None);
        assert_eq!(brokers_in(b""), None);
    }

    #[test]
    fn gives_up_when_the_process_has_ended() {
        let given_up = wait("127.0.0.1:1", 1, Duration::from_mins(1), || {
            Err(BrokerError::EndedAtStart { log: "out of memory".to_owned() })
        });
        assert!(matches!(given_up, Err(BrokerError::EndedAtStart { .. })));
    }

    #[test]
    fn gives_up_at_the_deadline() {
        let given_up = wait("127.0.0.1:1", 1, Duration::ZERO, || Ok(()));
        assert!(matches!(given_up, Err(BrokerError::NotReady { .. })));
    }
}
