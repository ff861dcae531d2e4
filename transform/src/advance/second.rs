//! The distinct second: a second that a subscriber's event has for itself.
//!
//! One destination identifies an event by person, name and second, so two events of a person within a
//! second would be one there. Events in order get the second they occurred in, or the one after the
//! last given if that is not earlier; late ones the next one free among the last 64 given.

use schemas::Timestamp;

/// How many of the seconds given out last are remembered.
const REMEMBERED: usize = 64;

/// Gives out a second for an event in order; `given` is ascending.
pub(super) fn next(given: &mut Vec<i64>, occurred_at: Timestamp) -> i64 {
    let after_last = given.last().map_or(i64::MIN, |last| last.saturating_add(1));
    let second = occurred_at.seconds().max(after_last);
    remember(given, second);
    second
}

/// Gives out a second for a late event. Once 64 are remembered, nothing before the first of them is
/// given out: whether it was taken is no longer known.
pub(super) fn free(given: &mut Vec<i64>, occurred_at: Timestamp) -> i64 {
    let mut second = occurred_at.seconds();
    if given.len() >= REMEMBERED
        && let Some(first) = given.first()
    {
        second = second.max(*first);
    }
    while given.binary_search(&second).is_ok() {
        second = second.saturating_add(1);
    }
    remember(given, second);
    second
}

fn remember(given: &mut Vec<i64>, second: i64) {
    let place = given.partition_point(|other| *other < second);
    given.insert(place, second);
    let too_many = given.len().saturating_sub(REMEMBERED);
    given.drain(..too_many);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000 + 999)
    }

    #[test]
    fn an_event_gets_its_own_second_or_the_one_after_the_last() {
        let mut given = Vec::new();
        let seconds = [5, 5, 5, 6, 20].map(|second| next(&mut given, at(second)));
        assert_eq!(seconds, [5, 6, 7, 8, 20]);
    }

    #[test]
    fn a_late_event_gets_the_next_one_free() {
        let mut given = vec![5, 6, 8];
        assert_eq!(free(&mut given, at(5)), 7);
        assert_eq!(free(&mut given, at(5)), 9);
        assert_eq!(free(&mut given, at(1)), 1);
        assert_eq!(next(&mut given, at(2)), 10);
        assert_eq!(given, [1, 5, 6, 7, 8, 9, 10]);
    }

    proptest! {
        #[test]
        fn no_second_is_given_twice(events in prop::collection::vec((0_i64..150, any::<bool>()), 0..300)) {
            let mut given = Vec::new();
            let mut all = std::collections::HashSet::new();
            for (second, late) in events {
                let second =
                    if late { free(&mut given, at(second)) } else { next(&mut given, at(second)) };
                prop_assert!(all.insert(second), "{} twice", second);
                prop_assert!(given.len() <= REMEMBERED && given.is_sorted());
            }
        }
    }
}
