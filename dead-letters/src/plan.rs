//! Which letters go, and why others do not.

use std::collections::BTreeSet;

use crate::arguments::Choice;
use crate::letter::{Letter, Position};

/// What becomes of the letters that were chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// These go, the oldest first.
    pub going: Vec<Letter>,
    /// These were asked for and cannot go, each with the reason.
    pub staying: Vec<Staying>,
}

/// A letter that was asked for and stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staying {
    /// Which.
    pub position: Position,
    /// Why.
    pub because: String,
}

/// Decides about `letters`, which are all that the choice admits, also those dealt with.
///
/// What somebody dealt with goes no second time; that is an obstacle only where the letter was named by
/// its position. So is a position without a letter. `obstacle` says why a letter can never go; such a one
/// takes no place of the limit, and is told where it lies before the last that goes.
pub fn plan(
    letters: Vec<Letter>,
    choice: &Choice,
    obstacle: impl Fn(&Letter) -> Option<String>,
) -> Plan {
    let mut staying = Vec::new();
    let found: BTreeSet<Position> = letters.iter().map(|letter| letter.position).collect();
    for position in choice.positions.iter().filter(|position| !found.contains(position)) {
        let because = "there is no such dead letter, or the filters exclude it".to_owned();
        staying.push(Staying { position: *position, because });
    }
    let (dealt, open): (Vec<_>, Vec<_>) =
        letters.into_iter().partition(|letter| letter.dealt.is_some());
    for letter in &dealt {
        if let Some(dealt) = letter.dealt.filter(|_| choice.positions.contains(&letter.position)) {
            let because = format!("it was {} at {} already", dealt.disposal, dealt.at);
            staying.push(Staying { position: letter.position, because });
        }
    }
    let mut going = Vec::new();
    for letter in oldest_first(open, None) {
        if choice.limit.is_some_and(|limit| going.len() >= limit) {
            break;
        }
        match obstacle(&letter) {
            None => going.push(letter),
            Some(because) => staying.push(Staying { position: letter.position, because }),
        }
    }
    staying.sort_by_key(|staying| staying.position);
    Plan { going, staying }
}

/// The oldest of these, at most `limit`, in the order in which they were parked.
pub fn oldest_first(mut letters: Vec<Letter>, limit: Option<usize>) -> Vec<Letter> {
    letters.sort_by_key(|letter| (letter.parked_at, letter.position));
    letters.truncate(limit.unwrap_or(usize::MAX));
    letters
}

#[cfg(test)]
mod tests {
    use schemas::Timestamp;
    use schemas::headers::Disposal;

    use super::*;
    use crate::letter::Dealt;
    use crate::letter::samples::letter;

    fn dealt(offset: i64) -> Letter {
        let at = Timestamp::from_millis(9_000);
        Letter {
            dealt: Some(Dealt { disposal: Disposal::Redriven, at }),
            ..letter(0, offset, "refused")
        }
    }

    fn named(positions: &[&str]) -> Choice {
        let positions = positions.iter().map(|text| text.parse().unwrap()).collect();
        Choice { positions, ..Choice::default() }
    }

    fn nothing(_: &Letter) -> Option<String> {
        None
    }

    fn offsets(plan: &Plan) -> Vec<i64> {
        plan.going.iter().map(|letter| letter.position.offset).collect()
    }

    #[test]
    fn the_oldest_go_first_whatever_partition_they_lie_in() {
        let letters = vec![letter(0, 7, "a"), letter(1, 3, "a"), letter(0, 5, "a")];
        let choice = Choice { limit: Some(2), every: true, ..Choice::default() };
        assert_eq!(offsets(&plan(letters, &choice, nothing)), [3, 5]);
    }

    #[test]
    fn what_was_dealt_with_goes_no_second_time() {
        let letters = || vec![dealt(1), letter(0, 2, "a")];
        let every = Choice { every: true, ..Choice::default() };
        let quietly = plan(letters(), &every, nothing);
        assert_eq!((offsets(&quietly), quietly.staying), (vec![2], vec![]));
        let told = plan(letters(), &named(&["0/1", "0/2"]), nothing);
        assert_eq!(offsets(&told), [2]);
        assert_eq!(told.staying[0].because, "it was redriven at 1970-01-01T00:00:09.000Z already");
    }

    #[test]
    fn what_was_dealt_with_takes_no_place_of_the_limit() {
        let letters = vec![dealt(1), letter(0, 2, "a"), letter(0, 3, "a")];
        let choice = Choice { limit: Some(1), every: true, ..Choice::default() };
        assert_eq!(offsets(&plan(letters, &choice, nothing)), [2]);
    }

    #[test]
    fn what_can_never_go_stays_and_says_why() {
        let letters = vec![letter(0, 1, "missing_key"), letter(0, 2, "refused")];
        let keyless = |letter: &Letter| {
            (letter.reason() == Some("missing_key")).then(|| "it has no key".to_owned())
        };
        let plan = plan(letters, &Choice { every: true, ..Choice::default() }, keyless);
        assert_eq!(offsets(&plan), [2]);
        let position = "0/1".parse().unwrap();
        assert_eq!(plan.staying, [Staying { position, because: "it has no key".to_owned() }]);
    }

    #[test]
    fn what_can_never_go_takes_no_place_of_the_limit() {
        let keyless = |letter: &Letter| {
            (letter.reason() == Some("missing_key")).then(|| "it has no key".to_owned())
        };
        let reasons = ["missing_key", "missing_key", "refused", "refused", "missing_key"];
        let letters = || (0..).zip(reasons).map(|(at, reason)| letter(0, at, reason)).collect();
        for (limit, going, staying) in [(1, &[2][..], 2), (2, &[2, 3], 2), (3, &[2, 3], 3)] {
            let choice = Choice { limit: Some(limit), every: true, ..Choice::default() };
            let plan = plan(letters(), &choice, keyless);
            assert_eq!(
                (offsets(&plan).as_slice(), plan.staying.len()),
                (going, staying),
                "{limit}"
            );
        }
    }

    #[test]
    fn a_position_without_a_letter_is_told() {
        let plan = plan(vec![letter(0, 2, "a")], &named(&["0/2", "5/0"]), nothing);
        assert_eq!(offsets(&plan), [2]);
        assert_eq!(plan.staying.len(), 1);
        assert_eq!(plan.staying[0].position, "5/0".parse().unwrap());
    }
}
