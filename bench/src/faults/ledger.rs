//! What came to a destination, and what may be held against whoever sent it.
//!
//! The destination believes the ids of messages, as Standard Webhooks asks of a receiver: a message that comes again
//! under its id is answered and changes nothing. So an effect is doubled only where one event comes under two ids; and of
//! a subscriber an event is out of order when its effect comes after that of a later one.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::sample::Flaws;

/// A message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// By what a receiver knows it again.
    pub(crate) message_id: &'a str,
    /// The event that it tells.
    pub(crate) event_id: &'a str,
    /// Of whom it tells.
    pub(crate) key: &'a str,
    pub(crate) sequence: i64,
}

/// An event that was written for the destination.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) event_id: String,
    pub(crate) key: String,
    /// When it was handed to the topic.
    pub(crate) at: Instant,
}

/// All that came in one run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Of each event: how often it came, and when first.
    came: HashMap<String, (usize, Instant)>,
    /// Of each subscriber: the latest event that came, whatever became of it.
    latest_call: HashMap<String, i64>,
    messages: HashSet<String>,
    effects: HashSet<String>,
    /// Of each subscriber: the latest event that had its effect.
    latest_effect: HashMap<String, i64>,
    doubled: usize,
    disordered: usize,
    /// Messages that came again after their effect.
    pub(crate) repeated: usize,
    /// Calls for an event after one for a later event of the same subscriber.
    pub(crate) behind: usize,
}

impl Ledger {
    /// A call comes; says how many of the same event came before.
    pub(crate) fn come(&mut self, call: Call<'_>, now: Instant) -> usize {
        let latest = self.latest_call.entry(call.key.to_owned()).or_insert(call.sequence);
        if call.sequence < *latest {
            self.behind += 1;
        }
        *latest = call.sequence.max(*latest);
        let (times, _) = self.came.entry(call.event_id.to_owned()).or_insert((0, now));
        *times += 1;
        *times - 1
    }

    /// A call has its effect, unless its message had it before.
    pub(crate) fn take(&mut self, call: Call<'_>) {
        if !self.messages.insert(call.message_id.to_owned()) {
            self.repeated += 1;
            return;
        }
        if !self.effects.insert(call.event_id.to_owned()) {
            self.doubled += 1;
            return;
        }
        let latest = self.latest_effect.entry(call.key.to_owned()).or_insert(call.sequence);
        if call.sequence < *latest {
            self.disordered += 1;
        }
        *latest = call.sequence.max(*latest);
    }

    /// How many of these events have neither had their effect nor been given up.
    pub(crate) fn owed(&self, told: &[Told], given_up: &[String]) -> usize {
        let given_up: HashSet<&str> = given_up.iter().map(String::as_str).collect();
        let settled = |told: &&Told| {
            self.effects.contains(&told.event_id) || given_up.contains(told.event_id.as_str())
        };
        told.len() - told.iter().filter(settled).count()
    }

    /// What is wrong, now that everything should be over. Only events of `never_taken` may have been given up.
    pub(crate) fn judge(&self, told: &[Told], given_up: &[String], never_taken: &str) -> Flaws {
        let unique: HashSet<&str> = given_up.iter().map(String::as_str).collect();
        let both = unique.iter().filter(|id| self.effects.contains(**id)).count();
        let in_vain = |told: &&Told| told.key != never_taken && unique.contains(&*told.event_id);
        Flaws {
            lost: self.owed(told, given_up),
            doubled: self.doubled + both + given_up.len() - unique.len(),
            disordered: self.disordered,
            misjudged: told.iter().filter(in_vain).count(),
        }
    }

    /// How long each of these events took to come here for the first time, in milliseconds.
    pub(crate) fn latencies(&self, told: &[Told]) -> Vec<f64> {
        let took = |told: &Told| {
            let (_, first) = self.came.get(&told.event_id)?;
            Some(first.saturating_duration_since(told.at).as_secs_f64() * 1e3)
        };
        told.iter().filter_map(took).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn call(message_id: &'static str, event_id: &'static str, sequence: i64) -> Call<'static> {
        Call { message_id, event_id, key: "s/1", sequence }
    }

    fn told(ids: &[&str]) -> Vec<Told> {
        let told = |id: &&str| {
            let key = if id.starts_with("poor") { "s/poor" } else { "s/1" };
            Told { event_id: (*id).to_owned(), key: key.to_owned(), at: Instant::now() }
        };
        ids.iter().map(told).collect()
    }

    /// The judgement of what these calls, all of which have their effect, leave of three events.
    fn judged(calls: &[Call<'static>], given_up: &[&str]) -> Flaws {
        let mut ledger = Ledger::default();
        for call in calls {
            ledger.come(*call, Instant::now());
            ledger.take(*call);
        }
        let given_up: Vec<String> = given_up.iter().map(|id| (*id).to_owned()).collect();
        ledger.judge(&told(&["a", "b", "poor-1"]), &given_up, "s/poor")
    }

    #[test]
    fn what_comes_in_order_and_whoever_is_never_taken_is_given_up_has_no_flaw() {
        let calls = [call("a", "a", 1), call("b", "b", 2)];
        assert_eq!(judged(&calls, &["poor-1"]), Flaws::default());
    }

    #[test]
    fn an_effect_after_that_of_a_later_event_is_out_of_order() {
        let calls = [call("b", "b", 2), call("a", "a", 1)];
        assert_eq!(judged(&calls, &["poor-1"]), Flaws { disordered: 1, ..Flaws::default() });
    }

    #[test]
    fn a_message_that_is_known_again_has_no_second_effect_and_is_in_nobodys_way() {
        let calls = [call("a", "a", 1), call("b", "b", 2), call("a", "a", 1)];
        assert_eq!(judged(&calls, &["poor-1"]), Flaws::default());
    }

    #[test]
    fn an_event_under_two_ids_has_two_effects() {
        let calls = [call("a", "a", 1), call("a-again", "a", 1), call("b", "b", 2)];
        assert_eq!(judged(&calls, &["poor-1"]), Flaws { doubled: 1, ..Flaws::default() });
    }

    #[test]
    fn what_neither_came_nor_was_given_up_is_lost() {
        assert_eq!(judged(&[call("a", "a", 1)], &["poor-1"]).lost, 1);
        assert_eq!(judged(&[call("a", "a", 1), call("b", "b", 2)], &[]).lost, 1);
    }

    #[test]
    fn giving_up_what_could_be_delivered_or_was_is_a_flaw_and_twice_is_two() {
        let in_vain = judged(&[call("a", "a", 1)], &["b", "poor-1"]);
        assert_eq!(in_vain, Flaws { misjudged: 1, ..Flaws::default() });
        let calls = [call("a", "a", 1), call("b", "b", 2)];
        assert_eq!(judged(&calls, &["b", "poor-1"]).doubled, 1);
        assert_eq!(judged(&calls, &["poor-1", "poor-1"]).doubled, 1);
    }

    #[test]
    fn a_call_behind_a_later_one_is_seen_also_where_nothing_has_an_effect() {
        let mut ledger = Ledger::default();
        let mut come = |sequence| {
            ledger.come(call("x", "x", sequence), Instant::now());
            ledger.behind
        };
        assert_eq!([1, 1, 2, 1, 2].map(&mut come), [0, 0, 0, 1, 1]);
    }

    #[test]
    fn how_often_an_event_came_is_counted_and_its_first_coming_is_what_it_took() {
        let mut ledger = Ledger::default();
        let told = told(&["a", "b"]);
        let first = told[0].at + Duration::from_millis(30);
        assert_eq!(ledger.come(call("a", "a", 1), first), 0);
        assert_eq!(ledger.come(call("a", "a", 1), first + Duration::from_secs(1)), 1);
        let took = ledger.latencies(&told);
        assert_eq!(took.len(), 1);
        assert!((took[0] - 30.0).abs() < 1e-6, "{took:?}");
    }
}
