//! The verdict: does every destination show every person's story, each event once and in order?
//!
//! Pure. What is expected was written down when the journeys were made; what is seen comes from the destinations. A
//! story that differs is taken apart: an event missing is *lost*, one too many is *doubled*, and if all are there but
//! not in their places, they are *out of order*. What lies in the dead letters is not expected.

use std::collections::BTreeMap;
use std::fmt;

use crate::journeys::Journey;

/// What a destination shows: each person's event names in order.
pub type Seen = BTreeMap<String, Vec<String>>;

/// What lies in a destination's dead letters: the types of each subscriber's events.
pub type Parked = BTreeMap<String, Vec<String>>;

/// What one destination did to the stories. All zero is what we want.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    pub destination: String,
    /// Events shown, right or wrong.
    pub shown: usize,
    pub lost: usize,
    pub doubled: usize,
    /// People whose events are all there, in another order.
    pub out_of_order: usize,
    /// People whom nobody sent.
    pub strangers: usize,
    /// Requests that the vendor would not have taken or that a good client does not make.
    pub violations: usize,
    /// The first few wrong stories.
    pub examples: Vec<Example>,
}

const EXAMPLES: usize = 3;

/// One wrong story. People are named by their key at the provider, never by e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub subscriber: String,
    pub expected: Vec<String>,
    pub seen: Vec<String>,
}

impl Finding {
    /// Whether everything arrived once and in order, and nothing else did.
    pub fn is_flawless(&self) -> bool {
        let Self { lost, doubled, out_of_order, strangers, violations, .. } = self;
        lost + doubled + out_of_order + strangers + violations == 0
    }

    /// Whether some story is still shorter than it will be: worth waiting, if nothing else is wrong.
    pub fn is_incomplete(&self) -> bool {
        self.lost > 0
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {} events, {} lost, {} doubled, {} people out of order, {} strangers, {} violations",
            self.destination,
            self.shown,
            self.lost,
            self.doubled,
            self.out_of_order,
            self.strangers,
            self.violations
        )?;
        for example in &self.examples {
            write!(
                formatter,
                "\n  {}\n    expected {}\n    seen     {}",
                example.subscriber,
                example.expected.join(" "),
                example.seen.join(" ")
            )?;
        }
        Ok(())
    }
}

/// Compares what `destination` shows with what the journeys must lead to, except for what is parked.
pub fn judge(
    destination: &str,
    journeys: &[Journey],
    seen: &Seen,
    parked: &Parked,
    violations: usize,
) -> Finding {
    let mut finding =
        Finding { destination: destination.to_owned(), violations, ..Finding::default() };
    finding.shown = seen.values().map(Vec::len).sum();
    let mut known = 0;
    for journey in journeys {
        let story = seen.get(&journey.who);
        known += usize::from(story.is_some());
        let story: &[String] = story.map_or(&[], Vec::as_slice);
        let parked = parked.get(&journey.subscriber).map_or(&[][..], Vec::as_slice);
        let expected = without(parked, journey.shown(), story);
        if story == expected {
            continue;
        }
        let (lost, doubled) = differences(&expected, story);
        finding.lost += lost;
        finding.doubled += doubled;
        finding.out_of_order += usize::from(lost + doubled == 0 || !is_thinned(&expected, story));
        if finding.examples.len() < EXAMPLES {
            finding.examples.push(Example {
                subscriber: journey.subscriber.clone(),
                expected: expected.into_iter().map(str::to_owned).collect(),
                seen: story.to_vec(),
            });
        }
    }
    finding.strangers = seen.len() - known;
    finding
}

/// A story without what is parked of it. Where events of one type could be the parked one, it is one that is not
/// seen in its place.
fn without(parked: &[String], shown: Vec<&'static str>, seen: &[String]) -> Vec<&'static str> {
    let mut parked: Vec<&str> = parked.iter().map(String::as_str).collect();
    let mut seen = seen.iter().peekable();
    let is_expected = |event: &&'static str| {
        if seen.next_if(|next| next == event).is_some() {
            return true;
        }
        let letter = parked.iter().position(|letter| letter == event);
        letter.map(|place| parked.swap_remove(place)).is_none()
    };
    shown.into_iter().filter(is_expected).collect()
}

/// How many of `expected` are missing and how many of `seen` are too many, whatever their order.
fn differences(expected: &[&str], seen: &[String]) -> (usize, usize) {
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    for event in expected {
        *balance.entry(event).or_default() += 1;
    }
    for event in seen {
        *balance.entry(event).or_default() -= 1;
    }
    let sum = |sign: i64| {
        let counts = balance.values().map(|count| usize::try_from(count * sign).unwrap_or(0));
        counts.sum()
    };
    (sum(1), sum(-1))
}

/// Whether one of the two is the other with some events left out: then nothing changed places.
fn is_thinned(expected: &[&str], seen: &[String]) -> bool {
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    is_subsequence(expected, &seen) || is_subsequence(&seen, expected)
}

fn is_subsequence(short: &[&str], long: &[&str]) -> bool {
    let mut rest = long.iter();
    short.iter().all(|wanted| rest.any(|event| event == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journeys::{Provider, Webhook};

    fn journey(who: &str, expects: &'static [&'static str]) -> Journey {
        let webhook = Webhook {
            provider: Provider::Stripe,
            event_id: format!("evt_{who}"),
            event_type: "any".to_owned(),
            occurred_at_ms: 0,
            body: serde_json::Value::Null,
            expects,
        };
        Journey {
            provider: Provider::Stripe,
            story: "any",
            subscriber: format!("stripe/{who}"),
            who: who.to_owned(),
            webhooks: vec![webhook],
        }
    }

    fn seen(people: &[(&str, &[&str])]) -> Seen {
        let story = |events: &[&str]| events.iter().map(|&event| event.to_owned()).collect();
        people.iter().map(|&(who, events)| (who.to_owned(), story(events))).collect()
    }

    fn by_itself(journeys: &[Journey], seen: &Seen, violations: usize) -> Finding {
        judge("d", journeys, seen, &Parked::new(), violations)
    }

    fn verdict(expects: &'static [&'static str], shown: &[&str]) -> (usize, usize, usize) {
        let finding = by_itself(&[journey("ann", expects)], &seen(&[("ann", shown)]), 0);
        (finding.lost, finding.doubled, finding.out_of_order)
    }

    #[test]
    fn the_same_story_is_flawless() {
        let finding = by_itself(&[journey("ann", &["a", "b"])], &seen(&[("ann", &["a", "b"])]), 0);
        assert!(finding.is_flawless());
        assert_eq!(finding.shown, 2);
    }

    #[test]
    fn tells_lost_doubled_and_disordered_apart() {
        assert_eq!(verdict(&["a", "b", "c"], &["a", "c"]), (1, 0, 0));
        assert_eq!(verdict(&["a", "b"], &["a", "b", "b"]), (0, 1, 0));
        assert_eq!(verdict(&["a", "b"], &["b", "a"]), (0, 0, 1));
        assert_eq!(verdict(&["a", "b", "c"], &["c", "b"]), (1, 0, 1));
        assert_eq!(verdict(&["a"], &["b"]), (1, 1, 1));
    }

    #[test]
    fn a_person_who_never_arrived_is_lost_whole() {
        let finding = by_itself(&[journey("ann", &["a", "b"])], &Seen::new(), 0);
        assert_eq!((finding.lost, finding.out_of_order), (2, 0));
        assert!(finding.is_incomplete());
    }

    #[test]
    fn a_person_nobody_sent_is_a_stranger() {
        let finding = by_itself(&[], &seen(&[("eve", &["a"])]), 0);
        assert_eq!(finding.strangers, 1);
        assert!(!finding.is_flawless());
    }

    #[test]
    fn a_violation_spoils_a_perfect_story() {
        let finding = by_itself(&[journey("ann", &["a"])], &seen(&[("ann", &["a"])]), 1);
        assert!(!finding.is_flawless());
    }

    #[test]
    fn what_only_changes_the_person_is_not_expected_as_an_event() {
        let journey = journey("ann", &["customer_created", "a", "provider_event"]);
        assert!(by_itself(&[journey], &seen(&[("ann", &["a"])]), 0).is_flawless());
    }

    #[test]
    fn what_is_parked_is_not_missed_and_nothing_else_is_excused_by_it() {
        let but = |parked: &[&str], shown: &[&str]| {
            let parked = parked.iter().map(|&event| event.to_owned()).collect();
            let parked = Parked::from([("stripe/ann".to_owned(), parked)]);
            let journeys = [journey("ann", &["a", "t", "b", "t"])];
            let finding = judge("d", &journeys, &seen(&[("ann", shown)]), &parked, 0);
            (finding.lost, finding.doubled, finding.out_of_order)
        };
        assert_eq!(but(&["t"], &["a", "b", "t"]), (0, 0, 0));
        assert_eq!(but(&["t"], &["a", "t", "b"]), (0, 0, 0));
        assert_eq!(but(&["t", "t"], &["a", "b"]), (0, 0, 0));
        assert_eq!(but(&["customer_updated"], &["a", "t", "b", "t"]), (0, 0, 0));
        assert_eq!(but(&["t"], &["a", "b"]), (1, 0, 0));
        assert_eq!(but(&["b"], &["a", "t", "t", "b"]), (0, 1, 0));
        assert_eq!(but(&["a"], &["b", "t", "t"]), (0, 0, 1));
    }
}
