//! How large a subscriber's state may become, so that it always fits a message.
//!
//! A message may have `ingest.max_body` + 64 KiB. Of that, a quarter at most is for the ids of provider
//! events (12 bytes each, 8,192 of them at most), a quarter for held events, a quarter for
//! subscriptions, and the rest for the identity. With the default of 1 MiB these are 96 KiB, 272 KiB
//! and 272 KiB: some 500 subscriptions of 500 bytes. Of somebody with more, those that ended longest ago
//! are forgotten, which is counted. A quarter is for records that wait for a link, 64 at most; under a
//! key where some wait, nobody has a state yet. No single event may say more than a sixteenth of a
//! message (68 KiB), because what it says of the person and the subscription is kept, and a lifecycle
//! event repeats it; a transfer's own bytes count as what it says, because they go on to the receiver.
//!
//! Where transformation code is configured, events carry the provider's body, and what is held holds it until then. It
//! counts as held, and one of more than an eighth of a message (136 KiB) is left out, so that two of them still wait for
//! each other.

use schemas::event::Subscription;
use schemas::state::{
    Facts, Held, Identity, Imported, ImportedSubscription, KeptRecord, SubscriberState,
    SubscriptionFacts, SubscriptionState,
};

/// Most ids of provider events, whatever the size of messages.
const MOST_IDS: usize = 8_192;
/// Bytes of one id in the state.
const ID: usize = 12;
/// Most held events, whatever their size.
const MOST_HELD: usize = 64;
/// Bytes that an entry costs beyond its texts: numbers, times, lengths.
const ENTRY: usize = 64;
/// Most records that wait under one key, whatever their size.
const MOST_WAITING: usize = 64;

/// Limits of one subscriber's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Ids of provider events.
    pub ids: usize,
    /// Held events.
    pub held: usize,
    /// Bytes of all held events.
    pub held_bytes: usize,
    /// Bytes of what one event says.
    pub facts_bytes: usize,
    /// Bytes of a body that an event carries.
    pub payload_bytes: usize,
    /// Records that wait.
    pub waiting: usize,
    /// Bytes of all records that wait.
    pub waiting_bytes: usize,
    /// Bytes of all subscriptions.
    pub subscription_bytes: usize,
}

impl Budget {
    /// The limits where a message may have `max_message_bytes`.
    pub fn of(max_message_bytes: usize) -> Self {
        Self {
            ids: MOST_IDS.min(max_message_bytes / 4 / ID),
            held: MOST_HELD,
            held_bytes: max_message_bytes / 4,
            facts_bytes: max_message_bytes / 16,
            payload_bytes: max_message_bytes / 8,
            waiting: MOST_WAITING,
            waiting_bytes: max_message_bytes / 4,
            subscription_bytes: max_message_bytes / 4,
        }
    }

    /// Whether one event says more than an event may.
    pub fn is_exceeded_by(&self, facts: &Facts) -> bool {
        weight(facts) > self.facts_bytes
    }

    /// Whether one more record can wait beside those that do.
    pub fn admits(&self, waiting: &[KeptRecord], next: &KeptRecord) -> bool {
        let bytes: usize = waiting.iter().map(of_record).sum();
        waiting.len() < self.waiting && bytes + of_record(next) <= self.waiting_bytes
    }

    /// Forgets subscriptions until the rest fits: the ended ones first, those with the oldest facts
    /// first, and the last never. Returns how many were forgotten.
    pub fn trim(&self, state: &mut SubscriberState) -> usize {
        let known = &mut state.subscriptions;
        let mut bytes: usize = known.iter().map(of_known).sum();
        let mut forgotten = 0;
        while bytes > self.subscription_bytes && known.len() > 1 {
            let order = |(_, one): &(usize, &SubscriptionState)| (!one.ended, one.facts_at);
            let Some((oldest, _)) = known.iter().enumerate().min_by_key(order) else { break };
            bytes -= of_known(&known.remove(oldest));
            forgotten += 1;
        }
        forgotten
    }

    /// How many of the first held events have to go for the rest to fit.
    pub fn surplus(&self, held: &[Held]) -> usize {
        let mut bytes = 0;
        let newest_that_fit = held.iter().rev().take(self.held).take_while(|one| {
            bytes += weight(&one.facts);
            bytes <= self.held_bytes
        });
        held.len() - newest_that_fit.count()
    }
}

/// About as many bytes as the facts take when encoded; never much less.
fn weight(facts: &Facts) -> usize {
    let texts = [
        Some(&facts.provider_event_id),
        Some(&facts.provider_event_type),
        facts.reason.as_ref(),
        facts.traceparent.as_ref(),
        facts.offer.as_ref().and_then(|offer| offer.id.as_ref()),
        facts.payment.as_ref().and_then(|payment| payment.id.as_ref()),
        facts.payment.as_ref().and_then(|payment| payment.method.as_ref()),
    ];
    let transfer = facts.transfer.as_ref();
    let ids = transfer.into_iter().flat_map(|transfer| transfer.from.iter().chain(&transfer.to));
    ENTRY
        + texts.into_iter().flatten().map(String::len).sum::<usize>()
        + ids.map(|id| id.len() + 4).sum::<usize>()
        + pairs(&facts.details)
        + of_person(&facts.person)
        + facts.subscription.as_ref().map_or(0, of_subscription)
        + facts.before.as_ref().map_or(0, of_subscription)
        + facts.hand_over.as_ref().map_or(0, |one| of_record(&one.record))
        + facts.imported.as_ref().map_or(0, of_import)
        + facts.payload.as_ref().map_or(0, Vec::len)
}

fn of_record(record: &KeptRecord) -> usize {
    let headers = record.headers.iter().map(|header| header.name.len() + header.value.len() + 8);
    ENTRY + record.value.len() + headers.sum::<usize>()
}

fn of_person(person: &Identity) -> usize {
    let texts = [Some(&person.id), person.user_id.as_ref(), person.email.as_ref()];
    texts.into_iter().flatten().map(String::len).sum::<usize>()
        + person.aliases.iter().map(|alias| alias.len() + 4).sum::<usize>()
        + pairs(&person.attributes)
}

fn of_subscription(facts: &SubscriptionFacts) -> usize {
    of_shown(&facts.shown) + facts.provider_status.as_ref().map_or(0, String::len)
}

fn of_known(known: &SubscriptionState) -> usize {
    let texts = [known.provider_status.as_ref(), known.pending_product.as_ref()];
    of_shown(&known.current)
        + texts.into_iter().flatten().map(String::len).sum::<usize>()
        + pairs(&known.told)
}

fn of_import(told: &Imported) -> usize {
    told.subscriptions.iter().map(of_imported).sum::<usize>() + told.totals.len() * ENTRY
}

fn of_imported(told: &ImportedSubscription) -> usize {
    let texts = [told.provider_status.as_ref(), told.pending_product.as_ref()];
    of_shown(&told.shown) + texts.into_iter().flatten().map(String::len).sum::<usize>()
}

fn of_shown(shown: &Subscription) -> usize {
    let texts = [
        Some(&shown.id),
        shown.product_id.as_ref(),
        shown.plan_id.as_ref(),
        shown.billing_period.as_ref(),
        shown.previous_product_id.as_ref(),
        shown.cancel_reason.as_ref(),
        shown.expiration_reason.as_ref(),
    ];
    2 * ENTRY
        + texts.into_iter().flatten().map(String::len).sum::<usize>()
        + shown.entitlements.iter().map(|entitlement| entitlement.len() + 4).sum::<usize>()
}

fn pairs(map: &std::collections::BTreeMap<String, String>) -> usize {
    map.iter().map(|(name, value)| name.len() + value.len() + 8).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{facts, subscription};
    use schemas::codec::{Codec, Framing};
    use schemas::state::{HandOver, Role};
    use schemas::{Status, Timestamp};

    const MESSAGE: usize = 1024 * 1024 + 64 * 1024;

    fn held(id: &str, bytes: usize) -> Held {
        let mut facts = facts(id, 0);
        facts.details.insert("filler".to_owned(), "x".repeat(bytes));
        Held { facts, appended_at: Timestamp::from_millis(0) }
    }

    #[test]
    fn the_fullest_state_takes_half_a_message_without_its_subscriptions() {
        let budget = Budget::of(MESSAGE);
        let all: Vec<_> = (0..200).map(|id| held(&id.to_string(), 4_000)).collect();
        let kept = all[budget.surplus(&all)..].to_vec();
        assert_eq!(kept.len(), 64);
        let state =
            SubscriberState { held: kept, seen: vec![0; budget.ids * ID], ..Default::default() };
        let mut bytes = Vec::new();
        Codec::new(Framing::SingleObject).unwrap().encode(&state, &mut bytes).unwrap();
        assert!(bytes.len() < MESSAGE / 2, "{}", bytes.len());
    }

    #[test]
    fn the_earliest_go_first_when_too_much_is_held() {
        let budget = Budget::of(MESSAGE);
        let large = budget.held_bytes / 2 - 1_000;
        let all = [held("a", 10), held("b", large), held("c", large), held("d", 10)];
        assert_eq!(budget.surplus(&all), 0);
        let all = [held("a", 10), held("b", large), held("c", large), held("d", 3_000)];
        assert_eq!(budget.surplus(&all), 2);
        assert_eq!(budget.surplus(&[]), 0);
    }

    #[test]
    fn the_longest_ended_subscriptions_are_forgotten_first_and_the_last_never() {
        let budget = Budget { subscription_bytes: 1_000, ..Budget::of(MESSAGE) };
        let known = |id: &str, facts_at: i64, ended: bool| SubscriptionState {
            facts_at: Timestamp::from_millis(facts_at),
            ended,
            told: [("filler".to_owned(), "x".repeat(200))].into(),
            ..subscription(id, Status::Active)
        };
        let all = vec![
            known("running", 1, false),
            known("ended", 5, true),
            known("ended before", 3, true),
            known("new", 9, false),
        ];
        let mut state = SubscriberState { subscriptions: all, ..Default::default() };
        assert_eq!(budget.trim(&mut state), 2);
        let left: Vec<_> =
            state.subscriptions.iter().map(|known| known.current.id.as_str()).collect();
        assert_eq!(left, ["running", "new"]);
        let none = Budget { subscription_bytes: 0, ..budget };
        assert_eq!((none.trim(&mut state), state.subscriptions.len()), (1, 1));
    }

    #[test]
    fn the_bytes_of_a_transfer_count_as_held() {
        let budget = Budget::of(MESSAGE);
        let record = KeptRecord {
            offset: 0,
            appended_at: Timestamp::from_millis(0),
            headers: Vec::new(),
            value: vec![0; budget.held_bytes],
        };
        let mut one = held("X", 10);
        one.facts.hand_over = Some(HandOver { role: Role::Sender, record });
        assert_eq!(budget.surplus(&[one]), 1);
    }

    #[test]
    fn a_body_that_is_carried_counts_as_held_and_two_of_the_largest_nearly_fit() {
        let budget = Budget::of(MESSAGE);
        let with = |id: &str, bytes: usize| {
            let mut one = held(id, 10);
            one.facts.payload = Some(vec![0; bytes]);
            one
        };
        let largest = budget.payload_bytes;
        assert_eq!(budget.surplus(&[with("a", largest), with("b", largest - 1_000)]), 0);
        assert_eq!(budget.surplus(&[with("a", largest), with("b", largest), with("c", 1)]), 1);
    }

    #[test]
    fn what_says_too_much_is_recognised() {
        let budget = Budget::of(MESSAGE);
        assert!(!budget.is_exceeded_by(&held("a", 60_000).facts));
        assert!(budget.is_exceeded_by(&held("a", 70_000).facts));
    }
}
