//! What the tests of this crate share: sources with a mapping so plain that the tests can say what it
//! will do.
//!
//! A body is `<occurred at, in ms> <rank> <event types>`; the subscription `sub` takes its status from
//! the first type. A body that is not so is unreadable.

use schemas::headers::{Header, RawHeaders};
use schemas::state::{Facts, Identity, SubscriptionFacts, SubscriptionState};
use schemas::{Environment, EventType, Money, Provider, Status, Timestamp};

use schemas::event::Subscription;

use crate::sources::{
    Decision, Draft, Known, Mapper, RawView, Reading, Source, SourceSettings, Sources, Treatment,
    Unreadable,
};

#[derive(Debug)]
pub(crate) struct Plain;

impl Mapper for Plain {
    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn treatments(&self) -> &'static [(&'static str, Treatment)] {
        &[("x", Treatment::Mapped), ("noise", Treatment::Ignored("noise"))]
    }

    fn read(&self, raw: &RawView<'_>, _: &SourceSettings) -> Reading {
        if raw.event_type == "noise" {
            return Reading::Ignored("noise");
        }
        let text = String::from_utf8_lossy(raw.body);
        let mut words = text.splitn(3, ' ');
        let number = |word: Option<&str>| word?.parse::<i64>().ok();
        let (Some(occurred), Some(rank)) = (number(words.next()), number(words.next())) else {
            let path = "/0".to_owned();
            return Reading::Parked(Unreadable { path, problem: "is no number" });
        };
        let mut facts = facts(raw.event_id, occurred);
        facts.rank = i32::try_from(rank).unwrap();
        facts.person.id = raw.subscriber_id.to_owned();
        facts.received_at = raw.received_at;
        facts.details.insert("types".to_owned(), words.next().unwrap_or_default().to_owned());
        Reading::Facts(Box::new(facts))
    }

    fn decide(&self, facts: &Facts, known: &Known<'_>) -> Decision {
        let names = facts.details.get("types").map_or("", String::as_str);
        let events: Vec<_> = names
            .split_whitespace()
            .map(|name| {
                let mut draft = Draft::new(name.parse::<EventType>().unwrap());
                if draft.event_type == EventType::TransactionProcessed {
                    draft.money = Some(Money::minor(100, "usd"));
                }
                draft
            })
            .collect();
        let status = match events.first().map(|draft| draft.event_type) {
            Some(EventType::SubscriptionExpired) => Some(Status::Expired),
            Some(EventType::TrialStarted) => Some(Status::Trial),
            Some(EventType::SubscriptionStarted) => Some(Status::Active),
            _ => known.subscription.and_then(|known| known.current.status),
        };
        let mut after = subscription("sub", Status::Active);
        after.current.status = status;
        after.facts_at = facts.occurred_at;
        after.told.insert(facts.provider_event_id.clone(), String::new());
        let kept = facts.subscription.as_ref().filter(|_| !facts.details.contains_key("one_off"));
        let after = kept.map(|_| after);
        if events.is_empty() {
            return Decision::ignored("nothing_new", after);
        }
        Decision { events, subscription: after, ..Decision::default() }
    }
}

/// The source `shop` of Stripe and the source `app` of RevenueCat.
pub(crate) fn sources() -> Sources {
    let source = |name: &str, provider| Source {
        name: name.to_owned(),
        provider,
        mapper: &Plain,
        settings: SourceSettings::default(),
    };
    [source("shop", Provider::Stripe), source("app", Provider::Revenuecat)].into_iter().collect()
}

pub(crate) fn raw_headers(id: &str, source: &str, event_type: &str) -> Vec<Header> {
    RawHeaders {
        id: id.to_owned(),
        source: source.to_owned(),
        event_type: event_type.to_owned(),
        time: None,
        content_type: None,
        traceparent: None,
        rekeyed: None,
    }
    .to_headers()
}

/// Facts that say nothing but when.
pub(crate) fn facts(id: &str, occurred: i64) -> Facts {
    Facts {
        person: Identity { id: "cus_1".to_owned(), ..Identity::default() },
        subscription: Some(SubscriptionFacts {
            shown: Subscription { id: "sub".to_owned(), ..Subscription::default() },
            ..SubscriptionFacts::default()
        }),
        ..Facts::bare(id, "x", Timestamp::from_millis(occurred))
    }
}

pub(crate) fn subscription(id: &str, status: Status) -> SubscriptionState {
    SubscriptionState {
        environment: Environment::Production,
        current: Subscription {
            id: id.to_owned(),
            status: Some(status),
            ..Subscription::default()
        },
        provider_status: None,
        cancel_scheduled: false,
        collection_paused: false,
        trial_open: false,
        intro_open: false,
        in_grace: false,
        in_billing_retry: false,
        paused: false,
        ended: false,
        pending_product: None,
        told: std::collections::BTreeMap::new(),
        facts_at: Timestamp::from_millis(0),
        owned_since: Timestamp::from_millis(0),
    }
}
