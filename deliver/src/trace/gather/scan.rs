//! Reading the records of one key out of one partition.

use std::ops::ControlFlow;

use dead_letters::letter::Letter;
use dead_letters::survey::letters_of;
use schemas::Timestamp;
use stream::{Glimpse, Reader, Received};
use transform::placement::partition_of;

use super::Question;
use crate::trace::TraceError;

/// The records of one key, as one client reads them.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    pub(super) reader: &'a Reader,
    pub(super) question: Question<'a>,
}

impl Records<'_> {
    /// All of them, in order.
    pub(super) fn all(&self, topic: &str, range: (i64, i64)) -> Result<Vec<Received>, TraceError> {
        let Question { key, partition, .. } = self.question;
        let mut found = Vec::new();
        let own = |glimpse: Glimpse<'_>| glimpse.key == Some(key.as_bytes());
        self.reader.read_some(topic, partition, range, own, |received| {
            found.push(received);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The last of them, and the last of another key.
    pub(super) fn last_and_last_of(
        &self,
        topic: &str,
        range: (i64, i64),
        other: &[u8],
    ) -> Result<(Option<Received>, Option<Received>), TraceError> {
        let Question { key, partition, .. } = self.question;
        let (mut last, mut last_of_other) = (None, None);
        let wanted = |glimpse: Glimpse<'_>| {
            glimpse.key.is_some_and(|found| found == key.as_bytes() || found == other)
        };
        self.reader.read_some(topic, partition, range, wanted, |received| {
            if received.key.as_deref() == Some(other) {
                last_of_other = Some(received);
            } else {
                last = Some(received);
            }
            ControlFlow::Continue(())
        })?;
        Ok((last, last_of_other))
    }

    /// The subscriber whom a link names under this key.
    pub(super) fn link(&self, topic: &str) -> Result<Option<String>, TraceError> {
        let range = self.reader.low_and_high(topic, self.question.partition)?;
        let last = self.all(topic, range)?.pop().and_then(|record| record.value);
        Ok(last.and_then(|subscriber| String::from_utf8(subscriber).ok()))
    }
}

/// From a moment on to the end.
pub(super) fn range(
    reader: &Reader,
    topic: &str,
    partition: i32,
    since: Timestamp,
) -> Result<(i64, i64), TraceError> {
    let (low, high) = reader.low_and_high(topic, partition)?;
    Ok((reader.offset_at(topic, partition, since)?.max(low), high))
}

/// The dead letters of a key. Their topics need not have the partitions of the others.
pub(super) fn letters(
    reader: &Reader,
    topic: &str,
    question: Question<'_>,
) -> Result<Vec<(Letter, Received)>, TraceError> {
    let partitions = reader.partitions(topic)?;
    if partitions == 0 {
        return Ok(Vec::new());
    }
    let partition = partition_of(question.key.as_bytes(), partitions);
    let range = range(reader, topic, partition, question.since)?;
    Ok(letters_of(reader, topic, (partition, range), question.key.as_bytes())?)
}
