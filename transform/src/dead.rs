//! `transform dead ...`: what was parked in `subscriptions.unprocessable`.
//!
//! A redriven record goes back to `subscriptions.raw` as it was, into the partition it came from, behind
//! what is live there. From then on it is a record like any other: held, ordered and deduplicated by the
//! key that emits its events.

use std::sync::Arc;

use dead_letters::letter::Letter;
use dead_letters::{Arguments, Stage, Surroundings, execute};
use schemas::Timestamp;
use schemas::headers::Header;
use schemas::topics::Topic;
use service::clock::Clock;
use service::config::Config;
use service::exit::Failure;
use stream::{Received, Record};
use strum::IntoEnumIterator;
use tokio_util::sync::CancellationToken;

use crate::configure;
use crate::parking::ParkReason;

/// Does what was asked for.
///
/// # Errors
/// When not all of it could be done.
pub async fn work(
    arguments: Arguments,
    config: &Config,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(Unprocessable::of(&config.kafka.topic_prefix))];
    let around = Surroundings { cluster: configure::cluster(config), clock, shutdown };
    execute(arguments, stages, around).await
}

/// The dead letters of `transform`.
#[derive(Debug)]
struct Unprocessable {
    topic: String,
    identity: String,
    raw: String,
}

impl Unprocessable {
    fn of(prefix: &str) -> Self {
        Self {
            topic: Topic::Unprocessable.name(prefix),
            identity: format!("{prefix}transform.dead"),
            raw: Topic::Raw.name(prefix),
        }
    }
}

impl Stage for Unprocessable {
    fn name(&self) -> &'static str {
        "transform"
    }

    fn topic(&self) -> &str {
        &self.topic
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn target(&self) -> &str {
        &self.raw
    }

    fn reasons(&self) -> Vec<&'static str> {
        ParkReason::iter().map(ParkReason::name).collect()
    }

    fn obstacle(&self, letter: &Letter) -> Option<&'static str> {
        let parked_for = |reason: ParkReason| letter.reason() == Some(reason.name());
        if parked_for(ParkReason::MissingKey) {
            return Some("it came without a key, so that nobody knows whose it is");
        }
        if parked_for(ParkReason::SubscriberUnknown) && names_nothing(letter) {
            return Some("its body names nothing that a subscriber could be found by");
        }
        None
    }

    /// What a body says only its mapper knows, and no caution asks for it.
    fn happened_at(&self, _letter: &Received) -> Option<Timestamp> {
        None
    }

    fn caution(&self, _age: i64) -> Option<&'static str> {
        None
    }

    fn redriven(&self, letter: Received, partition: i32, headers: Vec<Header>) -> Record {
        Record {
            topic: self.raw.clone(),
            partition: Some(partition),
            key: letter.key.unwrap_or_default(),
            value: letter.value,
            headers,
        }
    }

    fn legible(&self, body: &[u8]) -> Option<String> {
        String::from_utf8(body.to_vec()).ok()
    }
}

/// Its key is `<source>/unknown`: no link can ever lead from there to a subscriber.
fn names_nothing(letter: &Letter) -> bool {
    let source = letter.labels.source.as_deref();
    source.is_some_and(|source| letter.key == format!("{source}/unknown").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parking::Parking;
    use crate::testing::raw_headers;
    use crate::worker::outgoing::{Names, Outgoing};
    use schemas::codec::Framing;
    use schemas::headers::{RawHeaders, restored, times_redriven};

    fn parked(reason: ParkReason, key: Option<&[u8]>) -> Received {
        let raw = Received {
            topic: "acme.subscriptions.raw".into(),
            partition: 3,
            offset: 77,
            timestamp: Timestamp::from_millis(1),
            key: key.map(<[u8]>::to_vec),
            value: Some(b"{\"a\":1}".to_vec()),
            headers: raw_headers("evt_1", "shop", "stripe.invoice.paid"),
        };
        let outgoing = Outgoing::new(Names::with_prefix("acme."), Framing::SingleObject).unwrap();
        let record = outgoing.parked(raw, &Parking::new(reason, "why"));
        Received {
            topic: record.topic.into(),
            partition: 0,
            offset: 5,
            timestamp: Timestamp::from_millis(2),
            key: Some(record.key),
            value: record.value,
            headers: record.headers,
        }
    }

    #[test]
    fn a_redriven_record_is_what_was_read_from_raw() {
        let letter = parked(ParkReason::Unreadable, Some(b"shop/cus_1"));
        let headers = restored(&letter.headers).unwrap();
        let record = Unprocessable::of("acme.").redriven(letter, 3, headers);
        let original = raw_headers("evt_1", "shop", "stripe.invoice.paid");
        assert_eq!(
            (record.topic.as_str(), record.partition, record.key.as_slice()),
            ("acme.subscriptions.raw", Some(3), &b"shop/cus_1"[..])
        );
        assert_eq!(record.value.as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!(record.headers[..original.len()], original);
        assert_eq!(times_redriven(&record.headers), Ok(1));
        assert!(RawHeaders::from_headers(&record.headers).is_ok());
    }

    #[test]
    fn what_has_no_usable_key_cannot_go_back() {
        let obstacle = |reason, key: Option<&[u8]>| {
            Unprocessable::of("").obstacle(&Letter::of(&parked(reason, key))).is_some()
        };
        assert!(obstacle(ParkReason::MissingKey, None));
        assert!(obstacle(ParkReason::SubscriberUnknown, Some(b"shop/unknown")));
        assert!(!obstacle(ParkReason::SubscriberUnknown, Some(b"shop/charge/ch_1")));
        assert!(!obstacle(ParkReason::Unreadable, Some(b"shop/cus_1")));
        assert!(!obstacle(ParkReason::UnknownSource, Some(b"gone/cus_1")));
    }

    #[test]
    fn the_manual_says_of_every_reason_what_to_do() {
        let manual = include_str!("../../docs/dead-letters.md");
        for reason in ParkReason::iter().map(ParkReason::name) {
            assert!(manual.contains(&format!("`{reason}`")), "{reason}");
        }
    }
}
