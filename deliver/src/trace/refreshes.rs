//! What became of the latest refresh of a subscriber at one destination. A refresh is no event and has no place in
//! the story; without this it could be taken for one, because it lies where events lie.

use dead_letters::letter::Letter;
use schemas::Timestamp;
use schemas::headers::{RetryHeaders, refreshed_at};
use stream::Received;

use super::material::Standing;

/// The latest refresh that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refresh {
    /// The subscriber is shown as known at this moment.
    pub(super) known_at: Timestamp,
    pub(super) fate: RefreshFate,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RefreshFate {
    /// It was taken, or something newer is shown.
    Done,
    /// It goes when nothing live is left; after failures not before a moment.
    Waits { failures: u32, due: Option<Timestamp> },
    /// It was parked, and nobody has dealt with that.
    Dead { reason: String },
}

/// As of when the record shows its subscriber, if it is a refresh.
pub(super) fn of(record: &Received) -> Option<Timestamp> {
    refreshed_at(&record.headers).ok().flatten()
}

/// The latest of those that lie in the retry topic and among the dead letters.
pub(super) fn latest(
    retries: &[Received],
    letters: &[(Letter, Received)],
    standing: Option<&Standing>,
) -> Option<Refresh> {
    let mut parked = letters.iter().filter_map(|(letter, record)| Some((of(record)?, letter)));
    let asked = || retries.iter().filter_map(|record| Some((of(record)?, record)));
    let moments = asked().map(|(at, _)| at).chain(parked.clone().map(|(at, _)| at));
    let known_at = moments.max()?;
    let is_owed =
        |record: &Received| standing.is_none_or(|standing| !standing.retry.is_done(record.offset));
    let waits = asked().find(|(at, record)| *at == known_at && is_owed(record));
    let dead = parked.rfind(|(at, letter)| *at == known_at && letter.dealt.is_none());
    let fate = match (waits, dead) {
        (Some((_, record)), _) => {
            let history = RetryHeaders::from_headers(&record.headers).ok();
            RefreshFate::Waits {
                failures: history.as_ref().map_or(0, |history| history.attempts),
                due: history.and_then(|history| history.due),
            }
        }
        (None, Some((_, letter))) => {
            RefreshFate::Dead { reason: letter.reason().unwrap_or("unknown").to_owned() }
        }
        (None, None) => RefreshFate::Done,
    };
    Some(Refresh { known_at, fate })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use schemas::headers::with_refresh;

    use super::*;
    use crate::marks::Marks;
    use crate::tenure::Tenure;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn record(offset: i64, known_at: i64, attempts: u32) -> Received {
        let due = (attempts > 0).then(|| at(900));
        let waits = RetryHeaders { attempts, first_failure: due, due, outages: Duration::ZERO };
        Received {
            topic: "retry".into(),
            partition: 0,
            offset,
            timestamp: at(0),
            key: Some(b"shop/1".to_vec()),
            value: None,
            headers: with_refresh(&waits.onto(&[]), at(known_at)),
        }
    }

    fn up_to(offset: i64) -> Standing {
        let (events, retry) = (Marks::up_to(0), Marks::up_to(offset));
        Standing { events, retry, tenure: Tenure::default() }
    }

    #[test]
    fn the_latest_is_told_wherever_it_lies() {
        let retries = [record(4, 10, 0), record(5, 20, 0), record(6, 20, 2)];
        let fate = |letters: &[_], done| {
            let latest = latest(&retries, letters, Some(&up_to(done))).unwrap();
            assert_eq!(latest.known_at, at(20));
            latest.fate
        };
        assert_eq!(fate(&[], 5), RefreshFate::Waits { failures: 0, due: None });
        assert_eq!(fate(&[], 6), RefreshFate::Waits { failures: 2, due: Some(at(900)) });
        assert_eq!(fate(&[], 7), RefreshFate::Done);
        let parked = record(1, 20, 3);
        let letters = [(Letter::of(&parked), parked)];
        assert_eq!(fate(&letters, 7), RefreshFate::Dead { reason: "unknown".to_owned() });
        assert_eq!(latest(&[], &[], Some(&up_to(7))), None);
    }
}
