//! Tells a mapper a story, one payload after the other, and writes down what it answers: the way the
//! mapping tests of every provider read.
//!
//! Only what the caller of a mapper does with one subscriber is done here: the subscription found by
//! environment and id, its new state put back unless the event was late.

use schemas::Timestamp;
use schemas::state::{Facts, Role, SubscriberState, SubscriptionState};
use serde_json::Value;

use super::{Decision, Known, Mapper, RawView, Reading, SourceSettings};

/// A mapper, what it has been told so far, and the subscriber that came of it.
pub(crate) struct Story {
    mapper: &'static dyn Mapper,
    settings: SourceSettings,
    subscriber_id: &'static str,
    /// What is known by now.
    pub(crate) subscriber: SubscriberState,
}

impl Story {
    /// Nothing told yet, about the subscriber keyed by `subscriber_id`.
    pub(crate) fn new(mapper: &'static dyn Mapper, subscriber_id: &'static str) -> Self {
        Self {
            mapper,
            settings: SourceSettings::default(),
            subscriber_id,
            subscriber: SubscriberState::default(),
        }
    }

    /// The same with these settings of the source.
    pub(crate) fn with_settings(self, settings: SourceSettings) -> Self {
        Self { settings, ..self }
    }

    /// What the mapper reads from a payload.
    pub(crate) fn read(&self, event_type: &str, body: &Value) -> Reading {
        self.read_bytes(event_type, &serde_json::to_vec(body).unwrap())
    }

    /// What the mapper reads from a body, whatever it is.
    pub(crate) fn read_bytes(&self, event_type: &str, body: &[u8]) -> Reading {
        self.mapper.read(
            &RawView {
                body,
                event_id: "evt_in_story",
                event_type,
                subscriber_id: self.subscriber_id,
                received_at: Timestamp::from_millis(1_790_000_000_000),
                traceparent: None,
                role: Role::Sender,
            },
            &self.settings,
        )
    }

    /// Tells an event in its turn. The answer: `renewed, transaction_processed 9.99 USD => active`,
    /// `(no_lifecycle_change) => active`, `ignored: reason` or `parked: path: problem`.
    pub(crate) fn tell(&mut self, event_type: &str, body: &Value) -> String {
        self.answer(event_type, body, |story, facts| {
            let decision = story.decide(facts, story.known(facts));
            if let Some(next) = &decision.subscription {
                story.put(next.clone());
            }
            decision
        })
    }

    /// Tells an event that the reorder window had not waited for.
    pub(crate) fn tell_late(&mut self, event_type: &str, body: &Value) -> String {
        self.answer(event_type, body, |story, facts| story.decide(facts, None))
    }

    /// What the mapper decides about an event in its turn; nothing is put back.
    pub(crate) fn decision(&self, event_type: &str, body: &Value) -> Decision {
        let facts = self.facts(event_type, body);
        self.decide(&facts, self.known(&facts))
    }

    /// The facts the mapper reads from a payload that has some.
    pub(crate) fn facts(&self, event_type: &str, body: &Value) -> Facts {
        let reading = self.read(event_type, body);
        let Reading::Facts(facts) = reading else { panic!("no facts: {reading:?}") };
        *facts
    }

    fn answer(
        &mut self,
        event_type: &str,
        body: &Value,
        decide: impl FnOnce(&mut Self, &Facts) -> Decision,
    ) -> String {
        match self.read(event_type, body) {
            Reading::Ignored(reason) => format!("ignored: {reason}"),
            Reading::Parked(unreadable) => format!("parked: {unreadable}"),
            Reading::KeyMismatch => "parked: key mismatch".to_owned(),
            Reading::Facts(facts) => {
                let decision = decide(self, &facts);
                assert_eq!(decision.events.is_empty(), decision.ignored.is_some());
                line(&decision)
            }
        }
    }

    fn decide(&self, facts: &Facts, subscription: Option<&SubscriptionState>) -> Decision {
        let known = Known { subscription, subscriber: &self.subscriber, settings: &self.settings };
        self.mapper.decide(facts, &known)
    }

    fn known(&self, facts: &Facts) -> Option<&SubscriptionState> {
        let id = &facts.subscription.as_ref()?.shown.id;
        self.subscriber
            .subscriptions
            .iter()
            .find(|state| state.environment == facts.environment && state.current.id == *id)
    }

    fn put(&mut self, next: SubscriptionState) {
        let same = |state: &SubscriptionState| {
            state.environment == next.environment && state.current.id == next.current.id
        };
        match self.subscriber.subscriptions.iter_mut().find(|state| same(state)) {
            Some(state) => *state = next,
            None => self.subscriber.subscriptions.push(next),
        }
    }
}

fn line(decision: &Decision) -> String {
    let events: Vec<String> = decision
        .events
        .iter()
        .map(|draft| match (&draft.money, draft.event_type) {
            (Some(money), schemas::EventType::TransactionProcessed) => {
                format!("{} {} {}", draft.event_type, money.major(), money.currency)
            }
            _ => draft.event_type.to_string(),
        })
        .collect();
    let told = match decision.ignored {
        Some(reason) => format!("({reason})"),
        None => events.join(", "),
    };
    match decision.subscription.as_ref().map(|state| state.current.status) {
        Some(Some(status)) => format!("{told} => {status}"),
        Some(None) => format!("{told} => no status"),
        None => told,
    }
}
