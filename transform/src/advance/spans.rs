//! When the money of a sum moved, as far as an import may have to ask.
//!
//! An import says what had moved by the moment of its export, and arrives later: what was counted meanwhile
//! has to be told apart from what is in it. So the latest movements are kept each by itself, by the time at
//! which they occurred, and older ones together, with the time from the first to the last of them. A moment
//! that lies outside of every span divides a sum exactly.

use std::time::Duration;

use schemas::Timestamp;
use schemas::state::Span;

/// Most spans of one sum. An import that comes after this many more movements may find its moment within
/// the first span, and then its sum is not taken.
const MOST: usize = 16;
/// Movements that are this much older than the latest are kept together.
const APART: Duration = Duration::from_hours(35 * 24);

/// Notes a movement.
pub(super) fn note(spans: &mut Vec<Span>, at: Timestamp, amount: i64) {
    let within = spans.iter_mut().find(|span| span.first <= at && at <= span.last);
    if let Some(within) = within {
        within.amount = within.amount.saturating_add(amount);
    } else {
        let place = spans.partition_point(|span| span.last < at);
        spans.insert(place, Span { first: at, last: at, amount });
    }
    while let [first, second, .., latest] = spans.as_slice()
        && (spans.len() > MOST || second.last.plus(APART) < latest.first)
    {
        let together = Span {
            first: first.first,
            last: second.last,
            amount: first.amount.saturating_add(second.amount),
        };
        spans.splice(..2, [together]);
    }
}

/// What moved after `as_of`; `None` where that cannot be told exactly.
pub(super) fn after(spans: &[Span], as_of: Timestamp) -> Option<Vec<Span>> {
    let within = |span: &Span| span.first <= as_of && as_of < span.last;
    if spans.iter().any(within) {
        return None;
    }
    Some(spans.iter().filter(|span| span.first > as_of).copied().collect())
}

/// How much moved in all of them.
pub(super) fn sum(spans: &[Span]) -> i64 {
    spans.iter().fold(0, |sum, span| sum.saturating_add(span.amount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_subscriber_who_pays_every_month_has_few_spans() {
        let mut spans = Vec::new();
        for month in 0..24 {
            note(&mut spans, at(month * 30 * DAY), 100);
        }
        assert_eq!(spans.len(), 3);
        assert_eq!(sum(&spans), 2_400);
    }

    #[test]
    fn a_moment_within_what_is_kept_together_divides_nothing() {
        let mut spans = Vec::new();
        for day in [0, 1, 100, 200] {
            note(&mut spans, at(day * DAY), 100);
        }
        assert_eq!(after(&spans, at(DAY / 2)), None);
        assert_eq!(after(&spans, at(-1)).map(|spans| sum(&spans)), Some(400));
        assert_eq!(after(&spans, at(150 * DAY)).map(|spans| sum(&spans)), Some(100));
        assert_eq!(after(&spans, at(200 * DAY)), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn what_is_told_of_a_moment_is_exact(
            movements in prop::collection::vec((0_i64..90, -50_i64..50), 0..60),
            moment in -5_i64..95,
        ) {
            let mut spans = Vec::new();
            for (day, amount) in &movements {
                note(&mut spans, at(day * DAY), *amount);
                prop_assert!(spans.len() <= MOST);
                prop_assert!(spans.is_sorted_by(|one, next| one.last < next.first));
            }
            let all: i64 = movements.iter().map(|(_, amount)| amount).sum();
            prop_assert_eq!(sum(&spans), all);
            if let Some(later) = after(&spans, at(moment * DAY)) {
                let counted = movements.iter().filter(|(day, _)| *day > moment);
                prop_assert_eq!(sum(&later), counted.map(|(_, amount)| amount).sum::<i64>());
            }
        }
    }
}
