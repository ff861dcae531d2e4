//! Reads a topic of dead letters: which there are, and which somebody dealt with.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use schemas::headers::disposal;
use stream::{Glimpse, Reader, Received};

use crate::Stage;
use crate::error::DeadError;
use crate::ledger;
use crate::letter::{Dealt, Letter, Position};

/// One topic of dead letters, being read.
pub struct Survey<'a> {
    /// Reads it.
    pub reader: &'a Reader,
    /// Whose letters they are.
    pub stage: &'a dyn Stage,
}

impl std::fmt::Debug for Survey<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Survey").field("topic", &self.topic()).finish_non_exhaustive()
    }
}

impl Survey<'_> {
    /// All letters that `admits` lets in, in the order of their positions, also those that were dealt
    /// with. Waits for open transactions: what is seen is decided.
    pub fn letters(&self, admits: impl Fn(&Letter) -> bool) -> Result<Vec<Letter>, DeadError> {
        let partitions = self.reader.partitions(self.topic())?;
        if partitions == 0 {
            return Err(DeadError::NoTopic(self.topic().to_owned()));
        }
        let mut all = Vec::new();
        for partition in 0..partitions {
            all.append(&mut self.partition(partition, &admits)?);
        }
        Ok(all)
    }

    fn partition(
        &self,
        partition: i32,
        admits: &impl Fn(&Letter) -> bool,
    ) -> Result<Vec<Letter>, DeadError> {
        let range = self.reader.low_and_high(self.topic(), partition)?;
        let mut found = BTreeMap::new();
        let mut failed = None;
        self.reader.read_to(self.topic(), partition, range, |received| {
            match take(self.topic(), &received, &mut found, admits) {
                Ok(()) => {
                    if let Some(letter) = found.get_mut(&received.offset) {
                        letter.happened_at = self.stage.happened_at(&received);
                    }
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(found.into_values().collect()), Err)
    }

    /// One dead letter, and its record with the body.
    pub fn letter(&self, position: Position) -> Result<(Letter, Received), DeadError> {
        let topic = self.topic();
        let absent = || DeadError::Absent { topic: topic.to_owned(), position };
        let Position { partition, offset } = position;
        if partition >= self.reader.partitions(topic)? {
            return Err(absent());
        }
        let here = |letter: &Letter| letter.position == position;
        let letter = self.partition(partition, &here)?.pop().ok_or_else(absent)?;
        let mut found = None;
        self.reader.read_to(topic, partition, (offset, offset + 1), |received| {
            found = Some(received);
            ControlFlow::Break(())
        })?;
        let found = found.filter(|received: &Received| received.offset == offset);
        Ok((letter, found.ok_or_else(absent)?))
    }

    fn topic(&self) -> &str {
        self.stage.topic()
    }
}

/// The letters under one key among `range` of one partition, in the order of their positions, also those
/// that were dealt with. What other keys have there is passed over without being read.
pub fn letters_of(
    reader: &Reader,
    topic: &str,
    (partition, range): (i32, (i64, i64)),
    key: &[u8],
) -> Result<Vec<(Letter, Received)>, DeadError> {
    let mut found = BTreeMap::new();
    let mut records = BTreeMap::new();
    let mut failed = None;
    let wanted = |glimpse: Glimpse<'_>| {
        glimpse.key.is_some_and(|found| found == key || found == ledger::KEY)
    };
    let its_own = |letter: &Letter| letter.key == key;
    reader.read_some(topic, partition, range, wanted, |received| {
        match take(topic, &received, &mut found, &its_own) {
            Ok(()) => {
                records.insert(received.offset, received);
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let paired = found.into_iter().filter_map(|(at, letter)| Some((letter, records.remove(&at)?)));
    Ok(paired.collect())
}

/// A record is a dead letter, or says of those before it what was done with them.
fn take(
    topic: &str,
    received: &Received,
    found: &mut BTreeMap<i64, Letter>,
    admits: &impl Fn(&Letter) -> bool,
) -> Result<(), DeadError> {
    let position = Position { partition: received.partition, offset: received.offset };
    let said =
        disposal(&received.headers).map_err(|cause| DeadError::disposal(topic, position, cause))?;
    let Some(disposal) = said else {
        let letter = Letter::of(received);
        if admits(&letter) {
            found.insert(received.offset, letter);
        }
        return Ok(());
    };
    let runs = ledger::read(received.value.as_deref().unwrap_or_default())
        .map_err(|cause| DeadError::ledger(topic, position, cause))?;
    for (first, last) in runs {
        for letter in found.range_mut(first..=last).map(|(_, letter)| letter) {
            letter.dealt.get_or_insert(Dealt { disposal, at: received.timestamp });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use schemas::Timestamp;
    use schemas::headers::{Disposal, Header};

    use super::*;
    use crate::ledger::entry;
    use crate::letter::samples::end;

    fn record(offset: i64, value: Option<Vec<u8>>, headers: Vec<Header>) -> Received {
        let timestamp = Timestamp::from_millis(offset);
        let topic = Arc::from("dead");
        Received { topic, partition: 0, offset, timestamp, key: None, value, headers }
    }

    fn dead(offset: i64) -> Received {
        record(offset, Some(b"{}".to_vec()), end("refused").onto(&[]))
    }

    fn dealt(offset: i64, disposal: Disposal, offsets: &[i64]) -> Received {
        let entry = entry("dead", 0, disposal, offsets);
        record(offset, entry.value, entry.headers)
    }

    fn read(records: &[Received]) -> Result<Vec<Letter>, DeadError> {
        let mut found = BTreeMap::new();
        for received in records {
            take("dead", received, &mut found, &|_: &Letter| true)?;
        }
        Ok(found.into_values().collect())
    }

    #[test]
    fn letters_are_dealt_with_as_the_records_behind_them_say() {
        let records = [
            dead(0),
            dead(1),
            dealt(2, Disposal::Redriven, &[1]),
            dead(4),
            dealt(5, Disposal::Discarded, &[0]),
            // Said again: what was said first counts.
            dealt(6, Disposal::Discarded, &[1]),
        ];
        let dealt: Vec<_> = read(&records)
            .unwrap()
            .into_iter()
            .map(|letter| (letter.position.offset, letter.dealt.map(|dealt| dealt.disposal)))
            .collect();
        let (redriven, discarded) = (Some(Disposal::Redriven), Some(Disposal::Discarded));
        assert_eq!(dealt, [(0, discarded), (1, redriven), (4, None)]);
    }

    #[test]
    fn nothing_goes_on_when_it_cannot_be_told_what_was_dealt_with() {
        let headers = dealt(1, Disposal::Redriven, &[0]).headers;
        let damaged = record(1, Some(b"?".to_vec()), headers);
        assert!(matches!(read(&[dead(0), damaged]), Err(DeadError::Ledger { .. })));
        let later = record(1, None, vec![Header::text("tributary-dealt-with", "archived")]);
        assert!(matches!(read(&[dead(0), later]), Err(DeadError::Ledger { .. })));
    }
}
