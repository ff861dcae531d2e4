//! What instances tell each other of a destination that asked to be left alone (`Retry-After`, an allowance that is
//! used up): a limit is the account's, and only one of them was told.
//!
//! Each such wait is a record of a topic of its own, which every instance follows, and whose end it reads before it
//! begins to call. So nobody calls inside a wait but those calls that were under way when it was told.

mod exchange;

use std::ops::ControlFlow;
use std::time::Duration;

use schemas::Timestamp;
use serde::{Deserialize, Serialize};
use stream::{ReadError, Reader, Received, Record};

use crate::http::LONGEST_WAIT;

pub use self::exchange::{Exchange, ExchangeError, Place};

/// The only partition of the topic.
pub const PARTITION: i32 = 0;

/// How much longer than told: clocks differ, and moments are told in milliseconds.
const MARGIN: Duration = Duration::from_millis(100);

/// Offsets before the end in which the latest wait is looked for: more than the instances write while one of them
/// joins.
const LATEST: i64 = 200;

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

/// How long to wait from `now` on, by one's own clock. None when it is over.
pub fn remaining(until: Timestamp, now: Timestamp) -> Option<Duration> {
    let remaining = until.since(now);
    (!remaining.is_zero()).then(|| remaining.min(LONGEST_WAIT) + MARGIN)
}

/// What the destination asked last, whoever was told, and the offset from which to go on listening.
pub fn latest(reader: &Reader, topic: &str) -> Result<(Option<Timestamp>, i64), ReadError> {
    let (low, high) = reader.low_and_high(topic, PARTITION)?;
    let mut latest = None;
    reader.read_to(topic, PARTITION, (low.max(high - LATEST), high), |received| {
        latest = latest.max(read(&received));
        ControlFlow::Continue(())
    })?;
    Ok((latest, high))
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
    fn who_hears_of_a_wait_comes_back_no_sooner_than_who_was_told() {
        let now = Timestamp::from_millis(1_000);
        let wait = |millis| remaining(Timestamp::from_millis(millis), now);
        assert_eq!(wait(3_000), Some(Duration::from_secs(2) + MARGIN));
        assert_eq!(wait(1_000), None);
        assert_eq!(wait(0), None);
        assert_eq!(wait(i64::MAX), Some(LONGEST_WAIT + MARGIN), "whatever a clock says");
    }

    #[test]
    fn what_is_no_wait_is_passed_over() {
        for value in [None, Some(b"{}".to_vec()), Some(br#"{"until":"soon"}"#.to_vec())] {
            assert_eq!(read(&received(value)), None);
        }
    }
}
