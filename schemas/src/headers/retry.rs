//! Headers of events that wait: what was tried, and when it is tried again.

use std::time::Duration;

use super::{ATTEMPTS, DUE, FIRST_FAILURE, Header, HeaderError, OUTAGES, moment, parse, without};
use crate::time::Timestamp;

const OUTCOME: &str = "tributary-outcome";

/// The only value of [`OUTCOME`].
const UNKNOWN: &str = "unknown";

/// What the retry topic adds to an event: its history of failures and when it is due again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryHeaders {
    /// Attempts made so far; 0 for an event that only follows its lane.
    pub attempts: u32,
    /// When the first attempt failed; none for a follower.
    pub first_failure: Option<Timestamp>,
    /// Not before this moment; none for a follower.
    pub due: Option<Timestamp>,
    /// How long the destination had been out of service in all, by the count of this partition, when the
    /// first attempt failed. What was added to that count since is no part of the event's own time.
    pub outages: Duration,
}

impl RetryHeaders {
    /// The record's headers with this history in place of an older one.
    pub fn onto(&self, original: &[Header]) -> Vec<Header> {
        let mut headers = without(original, &[ATTEMPTS, FIRST_FAILURE, DUE, OUTAGES]);
        headers.push(Header::text(ATTEMPTS, self.attempts.to_string()));
        if !self.outages.is_zero() {
            headers.push(Header::text(OUTAGES, self.outages.as_millis().to_string()));
        }
        let moments = [(FIRST_FAILURE, self.first_failure), (DUE, self.due)];
        headers.extend(
            moments
                .into_iter()
                .filter_map(|(name, moment)| Some(Header::text(name, moment?.to_string()))),
        );
        headers
    }

    /// Reads the history of a record of the retry topic.
    pub fn from_headers(headers: &[Header]) -> Result<Self, HeaderError> {
        Ok(Self {
            attempts: parse(headers, ATTEMPTS)?.ok_or(HeaderError::Missing(ATTEMPTS))?,
            first_failure: moment(headers, FIRST_FAILURE)?,
            due: moment(headers, DUE)?,
            outages: Duration::from_millis(parse(headers, OUTAGES)?.unwrap_or(0)),
        })
    }
}

/// The headers, and that nobody knows whether an attempt took effect. It stays with the record wherever
/// that goes: a later attempt that was refused does not undo it.
pub fn with_unknown_outcome(headers: &[Header]) -> Vec<Header> {
    let mut headers = without(headers, &[OUTCOME]);
    headers.push(Header::text(OUTCOME, UNKNOWN));
    headers
}

/// Whether an attempt may have taken effect without an answer that says so.
pub fn is_outcome_unknown(headers: &[Header]) -> bool {
    headers.iter().any(|header| header.name == OUTCOME && header.value == UNKNOWN.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn any_moment()(millis in 0_i64..4_000_000_000_000) -> Timestamp {
            Timestamp::from_millis(millis)
        }
    }

    proptest! {
        #[test]
        fn retries_survive_the_wire_and_a_move_replaces_the_one_before(
            attempts: (u32, u32), due in any_moment(), first in proptest::option::of(any_moment()),
        ) {
            let follower = RetryHeaders {
                attempts: attempts.0, first_failure: None, due: None, outages: Duration::ZERO,
            };
            let head = RetryHeaders {
                attempts: attempts.1, first_failure: first, due: Some(due),
                outages: Duration::from_millis(u64::from(attempts.0)),
            };
            let read = |headers: Vec<_>| RetryHeaders::from_headers(&headers);
            prop_assert_eq!(read(head.onto(&follower.onto(&[]))), Ok(head.clone()));
            prop_assert_eq!(read(follower.onto(&head.onto(&[]))), Ok(follower));
        }
    }

    #[test]
    fn an_unknown_outcome_is_said_once_and_kept_when_the_record_moves() {
        let headers = with_unknown_outcome(&with_unknown_outcome(&[]));
        assert_eq!(headers.len(), 1);
        let waits =
            RetryHeaders { attempts: 1, first_failure: None, due: None, outages: Duration::ZERO };
        assert!(is_outcome_unknown(&waits.onto(&headers)));
        assert!(!is_outcome_unknown(&waits.onto(&[])));
    }
}
