//! What was told of each subscriber, added up once more: places in the sequence, ids, seconds and money.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{Environment, EventType, LifecycleEvent, Money};

use crate::promise::keep;

/// The largest amount that a payload is believed.
const LARGEST_AMOUNT: u64 = 1_000_000_000_000_000;

/// A clock may be ahead by as much.
const TOLERANCE_MILLIS: i64 = 5 * 60 * 1000;

/// The records of one partition.
#[derive(Default)]
pub(super) struct Books {
    people: BTreeMap<String, Person>,
    ids: BTreeSet<String>,
    /// Somebody is imported, forgotten or readmitted: sums begin elsewhere, and sequences anew.
    pub(super) is_lenient: bool,
}

#[derive(Default)]
struct Person {
    sequence: i64,
    seconds: BTreeSet<i64>,
    /// By environment and currency.
    moved: BTreeMap<(Environment, String), i64>,
}

impl Books {
    /// The event is one that may follow what was told before.
    pub(super) fn judge(&mut self, event: &LifecycleEvent) {
        let is_lenient = self.is_lenient;
        let person = self.people.entry(event.subscriber.key.clone()).or_default();
        keep(event.sequence == person.sequence + 1 || is_lenient, "sequences have no gap");
        person.sequence = event.sequence;
        let has_second = person.seconds.insert(event.distinct_second);
        keep(has_second || is_lenient, "an event has a second for itself");
        let has_id = self.ids.insert(event.event_id.clone());
        keep(has_id || is_lenient, "an event has an id for itself");
        keep(is_id(&event.event_id), "an event's id is 32 hexadecimal digits");
        let ahead = event.occurred_at.millis().saturating_sub(event.received_at.millis());
        keep(ahead <= TOLERANCE_MILLIS, "nothing happens long after it was received");
        keep(event.event_type != EventType::Unknown, "an event has a type of this version");
        let subscription = event.subscription.as_ref();
        let amounts = [event.money.as_ref(), subscription.and_then(|shown| shown.price.as_ref())];
        amounts.into_iter().flatten().for_each(believable);
        let money =
            event.money.as_ref().filter(|_| event.event_type == EventType::TransactionProcessed);
        if event.event_type == EventType::TransactionProcessed {
            keep(money.is_some_and(|money| money.amount != 0), "a transaction moves money");
        }
        if let Some(money) = money {
            let key = (event.environment, money.currency.clone());
            *person.moved.entry(key).or_default() += money.amount;
        }
    }

    /// The sums that the last events of a step show are those of what has been told.
    pub(super) fn enter(&self, told: &[LifecycleEvent]) {
        if self.is_lenient {
            return;
        }
        let last: BTreeMap<&str, &LifecycleEvent> =
            told.iter().map(|event| (event.subscriber.key.as_str(), event)).collect();
        for (key, event) in last {
            let Some(person) = self.people.get(key) else { continue };
            let Some(shown) = &event.subscriber.total_spent else { continue };
            let sum = person.moved.get(&(event.environment, shown.currency.clone()));
            keep(sum == Some(&shown.amount), "the sum shown is that of the transactions told");
        }
    }
}

fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

fn believable(money: &Money) {
    keep(money.amount.unsigned_abs() <= LARGEST_AMOUNT, "an amount has bounds");
    keep((0..=4).contains(&money.exponent), "a currency has as many digits as currencies have");
    let is_code =
        money.currency.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    keep(is_code && (3..=12).contains(&money.currency.len()), "a currency has a code");
}
