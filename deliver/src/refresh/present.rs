//! What is known now: the latest state of each subscriber of a partition.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use schemas::Timestamp;
use service::clock::Clock;
use stream::{ReadError, Reader};

use super::choice::Choice;

/// The states of those who are meant, in one partition. They are held as they were read: a partition's at a time.
pub(super) struct Present {
    pub(super) partition: i32,
    /// Everything that was known at this moment is in them.
    pub(super) known_at: Timestamp,
    /// By subscriber.
    pub(super) states: BTreeMap<String, Vec<u8>>,
}

impl Present {
    /// Reads the partition to its end. Of a key the newest record counts; one without a value says that it is
    /// nobody's any more.
    pub(super) fn read(
        reader: &Reader,
        topic: &str,
        (partition, count): (i32, i32),
        (choice, clock): (&Choice, &dyn Clock),
    ) -> Result<Self, ReadError> {
        let known_at = Timestamp::from_millis(clock.now_millis());
        let range = reader.low_and_high(topic, partition)?;
        let subscriber = |key: Option<&[u8]>| {
            let key = std::str::from_utf8(key?).ok()?;
            choice.admits(key, (partition, count)).then(|| key.to_owned())
        };
        let mut states = BTreeMap::new();
        let wanted = |glimpse: stream::Glimpse<'_>| subscriber(glimpse.key).is_some();
        reader.read_some(topic, partition, range, wanted, |record| {
            match (subscriber(record.key.as_deref()), record.value) {
                (Some(key), Some(value)) => drop(states.insert(key, value)),
                (Some(key), None) => drop(states.remove(&key)),
                (None, _) => {}
            }
            ControlFlow::Continue(())
        })?;
        Ok(Self { partition, known_at, states })
    }
}
