//! Who is meant: a subscriber key says it, anything else is looked for.
//!
//! An id of the user's own systems and an e-mail address are attributes that `transform` has learned and keeps in
//! `subscriptions.state`, for ever and for every subscriber. Nothing leads from them to a key, so all states are
//! looked through; most only for the bytes of what is looked for, and few are decoded. One person may be several
//! subscribers. What a subscriber was called before and is no longer finds nobody.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressStyle};
use schemas::codec::Codec;
use schemas::state::SubscriberState;
use service::config::Config;
use stream::{Glimpse, Received};

use super::TraceError;
use super::gather::Archive;

/// What the command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A subscriber key: `<source>/<id>` of a source that is configured.
    Subscriber(String),
    /// An id, or an e-mail address.
    Person(String),
}

impl Who {
    /// Reads what was said.
    pub(super) fn of(text: &str, config: &Config) -> Self {
        let source = text.split_once('/').map(|(source, _)| source);
        if source.is_some_and(|source| config.sources.contains_key(source)) {
            Self::Subscriber(text.to_owned())
        } else {
            Self::Person(text.to_owned())
        }
    }
}

/// The keys of all subscribers known by this id or e-mail address, in their order.
pub(super) fn subscribers(archive: &Archive<'_>, who: &str) -> Result<Vec<String>, TraceError> {
    let reader = archive.of_states();
    let topic = archive.names.state.as_str();
    let ranges = (0..archive.partitions)
        .map(|partition| Ok((partition, reader.low_and_high(topic, partition)?)));
    let ranges = ranges.collect::<Result<Vec<_>, TraceError>>()?;
    let bar = bar(ranges.iter().map(|(_, (low, high))| high.abs_diff(*low)).sum());
    let mut found = BTreeSet::new();
    for (partition, range) in ranges {
        let before = bar.position();
        let search = Search { who, keys: RefCell::default() };
        reader.read_some(
            topic,
            partition,
            range,
            |glimpse| search.concerns(glimpse),
            |state| {
                search.take(&state, &archive.states);
                ControlFlow::Continue(())
            },
        )?;
        bar.set_position(before + range.1.abs_diff(range.0));
        found.extend(search.keys.into_inner());
    }
    bar.finish_and_clear();
    Ok(found.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect())
}

/// A search through the states of one partition. The latest state of a key counts.
struct Search<'a> {
    who: &'a str,
    keys: RefCell<BTreeSet<Vec<u8>>>,
}

impl Search<'_> {
    /// Whether a record may change what has been found.
    fn concerns(&self, glimpse: Glimpse<'_>) -> bool {
        let Some(key) = glimpse.key else { return false };
        key == self.who.as_bytes()
            || glimpse.value.is_some_and(|value| contains(value, self.who.as_bytes()))
            || self.keys.borrow().contains(key)
    }

    fn take(&self, record: &Received, states: &Codec<SubscriberState>) {
        let Some(key) = &record.key else { return };
        let state = record.value.as_deref().and_then(|value| states.decode(value).ok());
        let is_meant =
            state.is_some_and(|state| key == self.who.as_bytes() || is_known_as(&state, self.who));
        let mut keys = self.keys.borrow_mut();
        if is_meant {
            keys.insert(key.clone());
        } else {
            keys.remove(key);
        }
    }
}

/// Ids are compared exactly; an address as its owner may have written it.
fn is_known_as(state: &SubscriberState, who: &str) -> bool {
    let identity = &state.identity;
    identity.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(who))
        || identity.user_id.as_deref() == Some(who)
        || identity.id == who
        || identity.aliases.iter().any(|alias| alias == who)
}

/// Whether the bytes hold the text, in whichever case its ASCII letters are.
fn contains(bytes: &[u8], text: &[u8]) -> bool {
    let Some((first, rest)) = text.split_first() else { return false };
    let (low, high) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == low || **byte == high);
    let mut tails = starts.filter_map(|(at, _)| bytes.get(at + 1..at + 1 + rest.len()));
    tails.any(|tail| tail.eq_ignore_ascii_case(rest))
}

/// On a terminal; elsewhere nothing is drawn.
fn bar(offsets: u64) -> ProgressBar {
    let template = "looking through all subscribers {wide_bar} {percent}%, {eta} left";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(offsets).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use schemas::codec::Framing;

    use super::*;

    #[test]
    fn a_key_begins_with_a_source_and_everything_else_is_looked_for() {
        let config = super::super::tests::config();
        let of = |text: &str| Who::of(text, &config);
        assert_eq!(of("shop/cus_1"), Who::Subscriber("shop/cus_1".to_owned()));
        assert_eq!(of("shop/charge/ch_1"), Who::Subscriber("shop/charge/ch_1".to_owned()));
        for person in ["u_1", "ada@example.com", "shopping/cus_1", "a/b"] {
            assert_eq!(of(person), Who::Person(person.to_owned()));
        }
    }

    fn record(key: &str, change: impl FnOnce(&mut SubscriberState)) -> Received {
        let mut state = SubscriberState::default();
        change(&mut state);
        let mut value = Vec::new();
        Codec::new(Framing::SingleObject).unwrap().encode(&state, &mut value).unwrap();
        Received {
            topic: "state".into(),
            partition: 0,
            offset: 0,
            timestamp: schemas::Timestamp::from_millis(0),
            key: Some(key.as_bytes().to_vec()),
            value: Some(value),
            headers: Vec::new(),
        }
    }

    fn found(who: &str, records: &[Received]) -> Vec<String> {
        let states = Codec::new(Framing::SingleObject).unwrap();
        let search = Search { who, keys: RefCell::default() };
        for record in records {
            let glimpse = Glimpse { key: record.key.as_deref(), value: record.value.as_deref() };
            if search.concerns(glimpse) {
                search.take(record, &states);
            }
        }
        let keys = search.keys.into_inner();
        keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect()
    }

    #[test]
    fn a_person_is_found_by_what_the_latest_states_say() {
        let named = |key, email: &str| {
            let email = email.to_owned();
            record(key, move |state| state.identity.email = Some(email))
        };
        let records = [
            named("shop/1", "Ada@Example.com"),
            named("shop/2", "ada@example.community"),
            record("app/3", |state| state.identity.user_id = Some("u_7".to_owned())),
            record("app/4", |state| state.identity.aliases.push("u_7".to_owned())),
            named("shop/5", "ada@example.com"),
            named("shop/5", "grace@example.com"),
            record("gone/6", |_| ()),
        ];
        assert_eq!(found("ada@example.com", &records), ["shop/1"]);
        assert_eq!(found("u_7", &records), ["app/3", "app/4"]);
        assert_eq!(found("U_7", &records), [""; 0], "ids are what they are");
        assert_eq!(found("gone/6", &records), ["gone/6"], "a source that is no longer configured");
        assert_eq!(found("nobody", &records), [""; 0]);
    }
}
