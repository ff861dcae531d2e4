//! What was dealt with: a record in the topic of the dead letters, behind those it speaks of.
//!
//! Its headers say how ([`schemas::headers::disposal`]), its value which: offsets of its own partition in
//! ascending order, as `3,5-9`.

use schemas::headers::{Disposal, disposal_headers};
use stream::Record;

/// The record belongs to nobody; it needs a key because all records have one.
pub(crate) const KEY: &[u8] = b"dealt-with";

/// A value that names no letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record that says which dead letters were dealt with cannot be read")]
pub struct LedgerError;

/// The record that says that these letters of `partition` were dealt with. Offsets ascend.
pub fn entry(topic: &str, partition: i32, disposal: Disposal, offsets: &[i64]) -> Record {
    Record {
        topic: topic.to_owned(),
        partition: Some(partition),
        key: KEY.to_vec(),
        value: Some(write(offsets).into_bytes()),
        headers: disposal_headers(disposal),
    }
}

fn write(offsets: &[i64]) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for &offset in offsets {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            Some(_) | None => runs.push((offset, offset)),
        }
    }
    let text = |(first, last): &(i64, i64)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}

/// The runs of offsets, first and last, that the value of such a record names.
pub fn read(value: &[u8]) -> Result<Vec<(i64, i64)>, LedgerError> {
    let text = std::str::from_utf8(value).map_err(|_| LedgerError)?;
    text.split(',')
        .map(|run| {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            let offset = |text: &str| text.parse::<i64>().map_err(|_| LedgerError);
            let (first, last) = (offset(first)?, offset(last)?);
            if 0 <= first && first <= last { Ok((first, last)) } else { Err(LedgerError) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_are_written_as_one_run() {
        assert_eq!(write(&[3, 5, 6, 7, 9]), "3,5-7,9");
        assert_eq!(read(b"3,5-7,9"), Ok(vec![(3, 3), (5, 7), (9, 9)]));
    }

    #[test]
    fn what_names_no_letters_is_refused() {
        for wrong in ["", ",", "3,", "a", "7-5", "-1", "1-2-3", "99999999999999999999"] {
            assert_eq!(read(wrong.as_bytes()), Err(LedgerError), "{wrong}");
        }
        assert_eq!(read(&[0xff]), Err(LedgerError));
    }

    proptest! {
        #[test]
        fn exactly_the_letters_written_are_read(
            offsets in prop::collection::btree_set(0_i64..500, 1..200),
        ) {
            let ascending: Vec<i64> = offsets.iter().copied().collect();
            let record = entry("dead", 2, Disposal::Redriven, &ascending);
            let runs = read(&record.value.unwrap()).unwrap();
            let named: BTreeSet<i64> = runs.into_iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(named, offsets);
        }
    }
}
