//! What instances tell each other of a destination that asked to be left alone (`Retry-After`, an allowance that is
//! used up): a limit is the account's, and only one of them was told.
//!
//! Each such wait is a record of a topic of its own, which every instance reads beside its partitions, and whose end it
//! reads before it begins to call. So nobody calls inside a wait but those calls that were under way when it was told.

use schemas::Timestamp;
use serde::{Deserialize, Serialize};
use stream::{Received, Record};

/// The only partition of the topic.
pub const PARTITION: i32 = 0;

const KEY: &[u8] = b"wait";

#[derive(Serialize, Deserialize)]
struct Wait {
    /// RFC 3339, by the clock of the instance that was told.
    until: String,
}

/// The record that tells the others.
pub fn record(topic: &str, until: Timestamp) -> Record {
    let wait = Wait { until: until.to_string() };
    Record {
        topic: topic.to_owned(),
        partition: Some(PARTITION),
        key: KEY.to_vec(),
        value: serde_json::to_vec(&wait).ok(),
        headers: Vec::new(),
    }
}

/// Until when. None for a record that says something else: nothing but a wait is lost with it.
pub fn read(received: &Received) -> Option<Timestamp> {
    let value = received.value.as_deref()?;
    let read = serde_json::from_slice::<Wait>(value).ok();
    let until = read.and_then(|wait| Timestamp::from_rfc3339(&wait.until));
    if until.is_none() {
        let (topic, offset) = (&received.topic, received.offset);
        tracing::warn!(%topic, offset, "a record that is no wait; it is passed over");
    }
    until
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(value: Option<Vec<u8>>) -> Received {
        Received {
            topic: "waits".into(),
            partition: PARTITION,
            offset: 7,
            timestamp: Timestamp::from_millis(0),
            key: None,
            value,
            headers: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let until = Timestamp::from_millis(1_795_000_000_123);
        assert_eq!(read(&received(record("waits", until).value)), Some(until));
    }

    #[test]
    fn what_is_no_wait_is_passed_over() {
        for value in [None, Some(b"{}".to_vec()), Some(br#"{"until":"soon"}"#.to_vec())] {
            assert_eq!(read(&received(value)), None);
        }
    }
}
