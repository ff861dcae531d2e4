//! Whether a broker serves: it must not only accept a connection but answer a metadata request with a broker in it,
//! which a KRaft node does only once it is registered and unfenced.
//!
//! `Metadata` is key 3, and version 1 of it says no more than is needed.

use std::time::{Duration, Instant};

use super::BrokerError;
use super::wire::{Answer, ask};

const POLL: Duration = Duration::from_millis(100);
const METADATA: i16 = 3;
const VERSION: i16 = 1;

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

/// Asks about no topic.
fn knows(brokers: i32, address: &str) -> std::io::Result<bool> {
    Ok(brokers_in(&ask(address, METADATA, VERSION, &0_i32.to_be_bytes())?)? >= brokers)
}

/// The answer begins with the number of brokers.
fn brokers_in(answer: &[u8]) -> std::io::Result<i32> {
    Answer(answer).i32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_many_brokers_there_are() {
        assert_eq!(brokers_in(&2_i32.to_be_bytes()).unwrap(), 2);
        assert!(brokers_in(b"").is_err());
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
