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

/// Asks again and again until `addresses` (comma separated, the first that answers counts) serves, `limit` passes or
/// `check` says that there is no use.
pub(super) fn wait(
    addresses: &str,
    limit: Duration,
    mut check: impl FnMut() -> Result<(), BrokerError>,
) -> Result<(), BrokerError> {
    let deadline = Instant::now() + limit;
    loop {
        if addresses.split(',').any(|address| knows_a_broker(address.trim()).unwrap_or(false)) {
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
fn knows_a_broker(address: &str) -> std::io::Result<bool> {
    names_a_broker(&ask(address, METADATA, VERSION, &0_i32.to_be_bytes())?)
}

/// The answer begins with the number of brokers.
fn names_a_broker(answer: &[u8]) -> std::io::Result<bool> {
    Ok(Answer(answer).i32()? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_knows_no_broker_yet_is_not_ready() {
        assert!(names_a_broker(&1_i32.to_be_bytes()).unwrap());
        assert!(!names_a_broker(&0_i32.to_be_bytes()).unwrap());
        assert!(names_a_broker(b"").is_err());
    }

    #[test]
    fn gives_up_when_the_process_has_ended() {
        let given_up = wait("127.0.0.1:1", Duration::from_mins(1), || {
            Err(BrokerError::EndedAtStart { log: "out of memory".to_owned() })
        });
        assert!(matches!(given_up, Err(BrokerError::EndedAtStart { .. })));
    }

    #[test]
    fn gives_up_at_the_deadline() {
        let given_up = wait("127.0.0.1:1", Duration::ZERO, || Ok(()));
        assert!(matches!(given_up, Err(BrokerError::NotReady { .. })));
    }
}
