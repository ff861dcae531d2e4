//! A mapping so plain that one can say what it will do: a body is `<occurred at, in ms> <rank> <event
//! types>`, and gives an event of each type.

use std::collections::BTreeMap;

use schemas::state::{Facts, Identity};
use schemas::{EventType, Provider, Timestamp};
use transform::sources::{
    Decision, Draft, Known, Mapper, RawView, Reading, SourceSettings, Treatment,
};

#[derive(Debug)]
pub(crate) struct Plain;

impl Mapper for Plain {
    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn treatments(&self) -> &'static [(&'static str, Treatment)] {
        &[("x", Treatment::Mapped)]
    }

    fn read(&self, raw: &RawView<'_>, _: &SourceSettings) -> Reading {
        let text = String::from_utf8_lossy(raw.body);
        let mut words = text.splitn(3, ' ');
        let occurred_at = Timestamp::from_millis(words.next().unwrap().parse().unwrap());
        let rank = words.next().unwrap().parse().unwrap();
        let types = words.next().unwrap().to_owned();
        Reading::Facts(Box::new(Facts {
            rank,
            person: Identity { id: raw.subscriber_id.to_owned(), ..Identity::default() },
            details: BTreeMap::from([("types".to_owned(), types)]),
            ..raw.facts(occurred_at)
        }))
    }

    fn decide(&self, facts: &Facts, _: &Known<'_>) -> Decision {
        let types = facts.details["types"].split_whitespace();
        let events = types.map(|name| Draft::new(name.parse::<EventType>().unwrap())).collect();
        Decision { events, ..Decision::default() }
    }
}
