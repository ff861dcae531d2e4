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
    /// From the moment asked about to the end, or from further back where something is still undone.
    pub(super) fn range(
        &self,
        topic: &str,
        undone: Option<i64>,
    ) -> Result<(i64, i64), TraceError> {
        let Question { partition, since, .. } = self.question;
        let (from, until) = range(self.reader, topic, partition, since)?;
        let (low, _) = self.reader.low_and_high(topic, partition)?;
        Ok((undone.map_or(from, |undone| from.min(undone.max(low))), until))
    }

    /// All of them, in order.
    pub(super) fn all(
        &self,
        topic: &str,
        range: (i64, i64),
    ) -> Result<Vec<Received>, TraceError> {
        let mut found = Vec::new();
        self.each(topic, range, |received| found.push(received))?;
        Ok(found)
    }

    /// The last of them.
    pub(super) fn last(
        &self,
        topic: &str,
        range: (i64, i64),
    ) -> Result<Option<Received>, TraceError> {
        let mut last = None;
        self.each(topic, range, |received| last = Some(received))?;
        Ok(last)
    }

    /// The subscriber whom a link names under this key.
    pub(super) fn link(&self, topic: &str) -> Result<Option<String>, TraceError> {
        let range = self.reader.low_and_high(topic, self.question.partition)?;
        let last = self.last(topic, range)?.and_then(|record| record.value);
        Ok(last.and_then(|subscriber| String::from_utf8(subscriber).ok()))
    }

    fn each(
        &self,
        topic: &str,
        range: (i64, i64),
        mut take: impl FnMut(Received),
    ) -> Result<(), TraceError> {
        let Question { key, partition, .. } = self.question;
        let own = |glimpse: Glimpse<'_>| glimpse.key == Some(key.as_bytes());
        self.reader.read_some(topic, partition, range, own, |received| {
            take(received);
            ControlFlow::Continue(())
        })?;
        Ok(())
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
