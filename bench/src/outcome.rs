//! What came out of a raw topic, held against what went in.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, ensure};
use schemas::LifecycleEvent;
use schemas::codec::{Codec, Framing};

use crate::payload::Webhook;
use crate::sample::Flaws;
use crate::topics::Tail;

/// Events of a renewal.
pub(crate) const EVENTS: usize = 2;

/// What is known of the events that a side writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// They say of which webhook they are.
    ByContent,
    /// They are all the same.
    ByCount,
}

/// The events that came out, judged.
pub(crate) struct Outcome {
    events: Tail,
    codec: Codec<LifecycleEvent>,
    /// The latest of each subscriber.
    sequences: HashMap<String, i64>,
}

impl Outcome {
    pub(crate) fn open(events: Tail) -> Result<Self> {
        let codec = Codec::new(Framing::SingleObject)?;
        Ok(Self { events, codec, sequences: HashMap::new() })
    }

    /// What is wrong with what came out for these webhooks.
    pub(crate) fn flaws(&mut self, webhooks: &[Webhook]) -> Result<Flaws> {
        let mut told = Vec::new();
        self.read_on(&mut told)?;
        Ok(self.judge(webhooks, &told))
    }

    /// Adds what has come since it was read last.
    pub(crate) fn read_on(&mut self, told: &mut Vec<Told>) -> Result<()> {
        let (events, codec) = (&mut self.events, &self.codec);
        let mut unreadable = 0;
        events.read(|record| match codec.decode(&record.value.unwrap_or_default()) {
            Ok(event) => told.push(Told::of(event)),
            Err(_) => unreadable += 1,
        })?;
        ensure!(unreadable == 0, "{unreadable} events cannot be read");
        Ok(())
    }

    /// What is wrong with these events, which are all that came of these webhooks.
    pub(crate) fn judge(&mut self, webhooks: &[Webhook], told: &[Told]) -> Flaws {
        judge(webhooks.iter().map(|webhook| webhook.id.as_str()), told, &mut self.sequences)
    }

    pub(crate) fn miscount(&mut self, webhooks: &[Webhook]) -> Result<Flaws> {
        let mut came = 0;
        self.events.read(|_| came += 1)?;
        let ids: HashSet<&str> = webhooks.iter().map(|webhook| webhook.id.as_str()).collect();
        let due = ids.len() * EVENTS;
        let (lost, doubled) = (due.saturating_sub(came), came.saturating_sub(due));
        Ok(Flaws { lost, doubled, ..Flaws::default() })
    }
}

/// What matters of an event.
pub(crate) struct Told {
    subscriber: String,
    sequence: i64,
    id: String,
    name: &'static str,
}

impl Told {
    fn of(event: LifecycleEvent) -> Self {
        let (sequence, name) = (event.sequence, event.event_type.name());
        Self { subscriber: event.subscriber.key, sequence, id: event.provider_event_id, name }
    }
}

/// Every webhook has its events, none twice, and everybody's are numbered without a gap, in the order in which they come.
fn judge<'a>(
    webhooks: impl Iterator<Item = &'a str>,
    told: &[Told],
    sequences: &mut HashMap<String, i64>,
) -> Flaws {
    let mut flaws = Flaws::default();
    let mut seen: HashMap<&str, HashSet<&str>> = HashMap::new();
    for Told { subscriber, sequence, id, name } in told {
        if !seen.entry(id).or_default().insert(name) {
            flaws.doubled += 1;
        }
        let latest = sequences.entry(subscriber.clone()).or_default();
        if *sequence != *latest + 1 {
            flaws.disordered += 1;
        }
        *latest = *sequence;
    }
    let unique: HashSet<&str> = webhooks.collect();
    for id in unique {
        flaws.lost += EVENTS.saturating_sub(seen.get(id).map_or(0, HashSet::len));
    }
    flaws
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: &str, name: &'static str, sequence: i64) -> Told {
        Told { subscriber: "s/1".to_owned(), sequence, id: id.to_owned(), name }
    }

    fn flaws(told: &[Told]) -> Flaws {
        judge(["a", "b", "b"].into_iter(), told, &mut HashMap::new())
    }

    #[test]
    fn every_webhook_has_its_events_once_and_in_sequence() {
        let all = |third: Told| [told("a", "x", 1), told("a", "y", 2), third, told("b", "y", 4)];
        assert_eq!(flaws(&all(told("b", "x", 3))), Flaws::default());
        assert_eq!(flaws(&all(told("b", "y", 3))).doubled, 1);
        assert_eq!(flaws(&all(told("b", "x", 4))).disordered, 2);
        assert_eq!(flaws(&[told("a", "x", 1), told("a", "y", 2), told("b", "x", 3)]).lost, 1);
        assert_eq!(flaws(&[]).lost, 4);
    }
}
