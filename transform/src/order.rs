//! The order of one subscriber's events: by the moment they occurred, then cause before effect, then
//! id; and which of the held ones go when one of them is due.
//!
//! When one is due, everything held that sorts before it goes with it, due or not: an event that came
//! in time but after one that sorts behind it would otherwise be overtaken and called late, although
//! it never was.

use std::cmp::Ordering;
use std::time::Duration;

use schemas::Timestamp;
use schemas::state::{Facts, Held, OrderKey};

/// Where the facts stand in their subscriber's order.
pub fn key_of(facts: &Facts) -> OrderKey {
    OrderKey {
        occurred_at: facts.occurred_at,
        rank: facts.rank,
        provider_event_id: facts.provider_event_id.clone(),
    }
}

/// Compares as [`key_of`] would, without building the keys.
fn compare(one: &Facts, other: &Facts) -> Ordering {
    let by = |facts: &Facts| (facts.occurred_at, facts.rank);
    by(one).cmp(&by(other)).then_with(|| one.provider_event_id.cmp(&other.provider_event_id))
}

/// Whether the facts come too late: something that sorts behind them has been emitted.
pub fn is_late(facts: &Facts, emitted_up_to: Option<&OrderKey>) -> bool {
    emitted_up_to.is_some_and(|emitted| {
        let order = (facts.occurred_at, facts.rank).cmp(&(emitted.occurred_at, emitted.rank));
        order.then_with(|| facts.provider_event_id.cmp(&emitted.provider_event_id)).is_lt()
    })
}

/// Where a newly held event found its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Behind everything held: it came in order.
    Last,
    /// Before something that came earlier: the window put it right.
    Earlier,
}

/// Puts an event among those held, which are and stay in order.
pub fn hold(held: &mut Vec<Held>, new: Held) -> Placed {
    let place = held.partition_point(|other| compare(&other.facts, &new.facts).is_lt());
    let placed = if place == held.len() { Placed::Last } else { Placed::Earlier };
    held.insert(place, new);
    placed
}

/// The moment at which a held event is due: its append time and the window.
pub fn deadline(held: &Held, window: Duration) -> Timestamp {
    held.appended_at.plus(window)
}

/// The earliest deadline among those held.
pub fn earliest_deadline(held: &[Held], window: Duration) -> Option<Timestamp> {
    held.iter().map(|one| deadline(one, window)).min()
}

/// Takes out, in order, everything that goes when the stream's time is `now`.
pub fn take_due(held: &mut Vec<Held>, window: Duration, now: Timestamp) -> Vec<Held> {
    let last_due = held.iter().rposition(|one| deadline(one, window) <= now);
    held.drain(..last_due.map_or(0, |last| last + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::facts;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_millis(4);

    fn held(id: &str, occurred: i64, appended: i64) -> Held {
        Held { facts: facts(id, occurred), appended_at: Timestamp::from_millis(appended) }
    }

    fn ids(held: &[Held]) -> Vec<&str> {
        held.iter().map(|one| one.facts.provider_event_id.as_str()).collect()
    }

    #[test]
    fn a_due_event_takes_with_it_what_sorts_before_it() {
        let mut waiting = Vec::new();
        assert_eq!(hold(&mut waiting, held("later", 6, 0)), Placed::Last);
        assert_eq!(hold(&mut waiting, held("earlier", 0, 1)), Placed::Earlier);
        assert!(take_due(&mut waiting, WINDOW, Timestamp::from_millis(3)).is_empty());
        let gone = take_due(&mut waiting, WINDOW, Timestamp::from_millis(4));
        assert_eq!(ids(&gone), ["earlier", "later"], "the second is not due before 5");
    }

    #[test]
    fn what_sorts_behind_the_last_due_one_stays() {
        let mut waiting = Vec::new();
        hold(&mut waiting, held("b", 2, 3));
        hold(&mut waiting, held("a", 1, 0));
        let gone = take_due(&mut waiting, WINDOW, Timestamp::from_millis(4));
        assert_eq!((ids(&gone), ids(&waiting)), (vec!["a"], vec!["b"]));
        assert_eq!(earliest_deadline(&waiting, WINDOW), Some(Timestamp::from_millis(7)));
    }

    #[test]
    fn ties_go_by_cause_and_then_by_id() {
        let mut waiting = Vec::new();
        let mut effect = held("a", 1, 0);
        effect.facts.rank = 2;
        hold(&mut waiting, effect);
        hold(&mut waiting, held("c", 1, 0));
        hold(&mut waiting, held("b", 1, 0));
        assert_eq!(ids(&waiting), ["b", "c", "a"]);
    }

    #[test]
    fn only_what_sorts_before_the_last_emitted_is_late() {
        let emitted = key_of(&facts("m", 5));
        assert!(is_late(&facts("z", 4), Some(&emitted)));
        assert!(is_late(&facts("a", 5), Some(&emitted)));
        assert!(!is_late(&facts("m", 5), Some(&emitted)));
        assert!(!is_late(&facts("z", 5), Some(&emitted)));
        assert!(!is_late(&facts("a", 0), None));
    }

    proptest! {
        #[test]
        fn held_events_are_always_in_order_and_comparing_is_comparing_keys(
            events in prop::collection::vec((0_i64..5, 0_i32..3, "[a-d]"), 0..30)
        ) {
            let mut waiting = Vec::new();
            for (occurred, rank, id) in events {
                let mut one = held(&id, occurred, 0);
                one.facts.rank = rank;
                hold(&mut waiting, one);
            }
            let keys: Vec<_> = waiting.iter().map(|one| key_of(&one.facts)).collect();
            prop_assert!(keys.is_sorted());
            for (one, key) in waiting.iter().zip(&keys) {
                for other in &keys {
                    prop_assert_eq!(is_late(&one.facts, Some(other)), key < other);
                }
            }
        }
    }
}
