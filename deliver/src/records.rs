//! Between records of a topic and lanes: what was read becomes owed, what leaves becomes a record.

use std::sync::Arc;

use schemas::codec::{Codec, CodecError, Framing};
use schemas::headers::{
    Correlation, ParkedHeaders, RetryHeaders, is_outcome_unknown, refreshed_at, times_redriven,
    with_unknown_outcome,
};
use schemas::topics::Topic;
use schemas::{LifecycleEvent, Timestamp};
use stream::{Received, Record};

use crate::failure::{Failure, Reason};
use crate::lanes::{
    Arriving, Departure, Effect, Fate, Footprint, History, Identity, Sequence, Source, Turn,
};
use crate::shadow::Note;

/// A record without a key cannot be written again without one; this names nobody.
const NO_KEY: &[u8] = b"unknown";

/// What a record costs in memory beside its own bytes.
const ENTRY: usize = 512;

/// Why a record says nothing yet.
#[derive(Debug)]
pub enum Unread {
    /// It is written with a schema that is not known here.
    Schema(UnknownSchema),
    /// It is no event of ours.
    Foreign(Failure),
}

/// What a record names as the schema that it is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnknownSchema {
    /// One of the registry, under this id; it can be learned.
    Registered(u32),
    /// The fingerprint of one that only a later version knows.
    Fingerprint(u64),
}

/// What is to be done for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// An event is told.
    Tell,
    /// A subscriber is shown once more, and nothing is told.
    Refresh,
}

/// Names and codec of one destination's records.
#[derive(Debug)]
pub struct Records {
    codec: Codec<LifecycleEvent>,
    retry_topic: String,
    dead_topic: String,
    shadow_topic: String,
    group: String,
}

impl Records {
    /// The records of `destination` on a cluster where names start with `prefix`.
    pub fn new(prefix: &str, destination: &str, group: &str) -> Result<Self, CodecError> {
        Ok(Self {
            codec: Codec::new(Framing::SingleObject)?,
            retry_topic: Topic::Retry(destination.to_owned()).name(prefix),
            dead_topic: Topic::Dead(destination.to_owned()).name(prefix),
            shadow_topic: Topic::Shadow(destination.to_owned()).name(prefix),
            group: group.to_owned(),
        })
    }

    /// Reads from now on what is written with this schema of the registry.
    pub fn learn(&mut self, id: u32, schema: &str) -> Result<(), CodecError> {
        self.codec.learn(id, schema)
    }

    /// The event in a record that has arrived.
    pub fn event(&self, received: &Received) -> Result<LifecycleEvent, Failure> {
        self.decode(received).map_err(|error| undecodable(&error))
    }

    /// What is to be done for a record that has arrived. Only the retry topic asks for a refresh.
    pub fn errand(&self, received: &Received) -> Errand {
        let is_retry = *received.topic == *self.retry_topic;
        match refreshed_at(&received.headers) {
            Ok(Some(_)) if is_retry => Errand::Refresh,
            Ok(Some(_) | None) | Err(_) => Errand::Tell,
        }
    }

    fn decode(&self, received: &Received) -> Result<LifecycleEvent, CodecError> {
        self.codec.decode(received.value.as_deref().unwrap_or_default())
    }

    /// What a record means for its lane.
    pub fn arriving(
        &self,
        received: Arc<Received>,
        source: Source,
    ) -> Result<Arriving<Arc<Received>>, (Arc<Received>, Unread)> {
        match self.read(&received, source) {
            Ok((identity, history, due)) => {
                let footprint = footprint(&received);
                Ok(Arriving { identity, history, due, footprint, content: received })
            }
            Err(unread) => Err((received, unread)),
        }
    }

    fn read(
        &self,
        received: &Received,
        source: Source,
    ) -> Result<(Identity, History, Timestamp), Unread> {
        let event = self.decode(received).map_err(|error| match error {
            CodecError::UnknownSchemaId(id) => Unread::Schema(UnknownSchema::Registered(id)),
            CodecError::UnknownFingerprint(fingerprint) => {
                Unread::Schema(UnknownSchema::Fingerprint(fingerprint))
            }
            CodecError::Schema(..)
            | CodecError::Encode(_)
            | CodecError::Framing
            | CodecError::Decode(_) => Unread::Foreign(undecodable(&error)),
        })?;
        let (lane, sequence) = (event.subscriber.key.as_str().into(), Sequence::of(&event));
        if source == Source::Events {
            let identity = Identity { lane, turn: Turn::Live, sequence };
            return Ok((identity, History::default(), Timestamp::default()));
        }
        let headers = RetryHeaders::from_headers(&received.headers)
            .map_err(|error| Unread::Foreign(undecodable(&error)))?;
        let redriven = times_redriven(&received.headers)
            .map_err(|error| Unread::Foreign(undecodable(&error)))?;
        let refreshed = refreshed_at(&received.headers)
            .map_err(|error| Unread::Foreign(undecodable(&error)))?;
        let turn = match refreshed {
            Some(known_at) => Turn::Refreshed(known_at),
            None if redriven > 0 => Turn::Redriven,
            None => Turn::Live,
        };
        let identity = Identity { lane, turn, sequence };
        let effect =
            if is_outcome_unknown(&received.headers) { Effect::Unknown } else { Effect::None };
        let history = History {
            attempts: headers.attempts,
            first_failure: headers.first_failure,
            outages: headers.outages,
            effect,
        };
        Ok((identity, history, headers.due.unwrap_or_default()))
    }

    /// The record that a departure leaves behind: the event byte for byte under its own key, or the note of what
    /// would have been sent.
    pub fn departing(&self, departure: &Departure<Arc<Received>>) -> Record {
        let received = &departure.content;
        let headers = match departure.history.effect {
            Effect::None => received.headers.clone(),
            Effect::Unknown => with_unknown_outcome(&received.headers),
        };
        let (topic, partition, headers) = match &departure.fate {
            Fate::SetAside { due } => {
                let waits = RetryHeaders {
                    attempts: departure.history.attempts,
                    first_failure: departure.history.first_failure,
                    due: (departure.history.attempts > 0).then_some(*due),
                    outages: departure.history.outages,
                };
                let partition = Some(received.partition);
                (&self.retry_topic, partition, waits.onto(&headers))
            }
            Fate::Parked { failure, at } => {
                self.tell_parked(received, failure);
                let headers = self.end(departure, failure, *at).onto(&headers);
                (&self.dead_topic, None, headers)
            }
            Fate::Shadowed(note) => {
                let key = key_of(received);
                let (partition, value) = (Some(received.partition), Some(note.bytes().to_vec()));
                let (topic, headers) = (self.shadow_topic.clone(), vec![Note::content_type()]);
                return Record { topic, partition, key, value, headers };
            }
        };
        let (topic, key, value) = (topic.clone(), key_of(received), received.value.clone());
        Record { topic, partition, key, value, headers }
    }

    /// A parked record is told with its position and never with its content.
    fn tell_parked(&self, received: &Received, failure: &Failure) {
        let found = Correlation::of(&received.headers);
        let (event_id, trace_id) = (found.event_id, found.trace_id());
        let Received { topic, partition, offset, .. } = received;
        let (reason, status, parked_in) = (failure.reason.word(), failure.status, &self.dead_topic);
        tracing::warn!(%topic, partition, offset, reason, status, event_id, trace_id, parked_in, "event parked");
    }

    fn end(
        &self,
        departure: &Departure<Arc<Received>>,
        failure: &Failure,
        at: Timestamp,
    ) -> ParkedHeaders {
        let received = &departure.content;
        ParkedHeaders {
            reason: failure.reason.word().to_owned(),
            topic: received.topic.to_string(),
            partition: received.partition,
            offset: received.offset,
            group: self.group.clone(),
            stage: "deliver".to_owned(),
            class: format!("deliver.{}", failure.reason.word()),
            message: message(failure, departure.history.effect),
            attempts: Some(departure.history.attempts),
            first_failure: departure.history.first_failure,
            last_failure: Some(at),
            http_status: failure.status,
            request_id: failure.request_id.clone(),
        }
    }
}

fn key_of(received: &Received) -> Vec<u8> {
    received.key.clone().unwrap_or_else(|| NO_KEY.to_vec())
}

/// What it takes to keep a record: its bytes, and what each entry of an index costs.
fn footprint(received: &Received) -> Footprint {
    let headers = received.headers.iter().map(|header| header.name.len() + header.value.len());
    let key = received.key.as_ref().map_or(0, Vec::len);
    let value = received.value.as_ref().map_or(0, Vec::len);
    let bytes = ENTRY + key + value + headers.sum::<usize>();
    Footprint { bytes, appended: received.timestamp }
}

/// What the dead letter says: also that an attempt before the last may have taken effect.
fn message(failure: &Failure, effect: Effect) -> String {
    match effect {
        Effect::Unknown => format!("outcome unknown; {}", failure.message),
        Effect::None => failure.message.clone(),
    }
}

fn undecodable(error: &dyn std::error::Error) -> Failure {
    Failure::new(Reason::Undecodable, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::destinations::samples;
    use crate::lanes::Place;
    use schemas::EventType;
    use schemas::codec::Described;
    use schemas::headers::{restored, with_refresh};

    fn renewal() -> LifecycleEvent {
        samples::event(EventType::SubscriptionRenewed)
    }

    fn received(framing: Framing) -> Arc<Received> {
        let mut value = Vec::new();
        Codec::new(framing).unwrap().encode(&renewal(), &mut value).unwrap();
        Arc::new(Received {
            topic: "events".into(),
            partition: 0,
            offset: 0,
            timestamp: Timestamp::from_millis(0),
            key: None,
            value: Some(value),
            headers: Vec::new(),
        })
    }

    #[test]
    fn a_schema_of_the_registry_is_asked_for_once_and_read_ever_after() {
        let mut records = Records::new("", "crm", "group").unwrap();
        let framed = received(Framing::Registry(5));
        let (returned, unread) = records.arriving(framed.clone(), Source::Events).unwrap_err();
        let asked = matches!(unread, Unread::Schema(UnknownSchema::Registered(5)));
        assert!(asked && Arc::ptr_eq(&returned, &framed));
        records.learn(5, LifecycleEvent::VERSIONS.last().unwrap()).unwrap();
        assert!(records.arriving(framed.clone(), Source::Events).is_ok());
        assert_eq!(records.event(&framed), Ok(renewal()));
    }

    #[test]
    fn an_event_without_an_id_needs_no_registry() {
        let records = Records::new("", "crm", "group").unwrap();
        assert!(records.arriving(received(Framing::SingleObject), Source::Events).is_ok());
    }

    #[test]
    fn only_the_retry_topic_says_that_an_event_was_redriven() {
        let records = Records::new("", "crm", "group").unwrap();
        let waits =
            RetryHeaders { attempts: 0, first_failure: None, due: None, outages: Duration::ZERO };
        let headers = waits.onto(&restored(&[]).unwrap());
        let redriven = Arc::new(Received { headers, ..(*received(Framing::SingleObject)).clone() });
        let turn = |source| records.arriving(redriven.clone(), source).unwrap().identity.turn;
        assert_eq!((turn(Source::Retry), turn(Source::Events)), (Turn::Redriven, Turn::Live));
    }

    #[test]
    fn only_the_retry_topic_asks_for_a_refresh_and_it_is_no_event_in_the_lane() {
        let records = Records::new("", "crm", "group").unwrap();
        let waits =
            RetryHeaders { attempts: 0, first_failure: None, due: None, outages: Duration::ZERO };
        let known_at = Timestamp::from_millis(7);
        let headers = waits.onto(&with_refresh(&[], known_at));
        let event = (*received(Framing::SingleObject)).clone();
        let elsewhere = Received { headers, ..event.clone() };
        let refresh = Received { topic: "deliver.crm.retry".into(), ..elsewhere.clone() };
        assert_eq!(records.errand(&refresh), Errand::Refresh);
        assert_eq!([&elsewhere, &event].map(|other| records.errand(other)), [Errand::Tell; 2]);
        let arriving = records.arriving(Arc::new(refresh), Source::Retry).unwrap();
        assert_eq!(arriving.identity.turn, Turn::Refreshed(known_at));
        let history = History { attempts: 1, ..History::default() };
        let fate = Fate::SetAside { due: Timestamp::from_millis(9) };
        let place = Place { source: Source::Retry, offset: 0 };
        let moved = Departure { content: arriving.content.clone(), place, history, fate };
        let headers = records.departing(&moved).headers;
        assert_eq!(refreshed_at(&headers), Ok(Some(known_at)), "it stays one");
    }

    #[test]
    fn a_dead_letter_says_that_an_earlier_outcome_is_unknown() {
        let records = Records::new("", "crm", "group").unwrap();
        let history = History { attempts: 2, effect: Effect::Unknown, ..History::default() };
        let failure = Failure::new(Reason::Refused, "no").answered(400, None);
        let fate = Fate::Parked { failure, at: Timestamp::from_millis(9) };
        let place = Place { source: Source::Events, offset: 0 };
        let content = received(Framing::SingleObject);
        let letter = records.departing(&Departure { content, place, history, fate });
        assert!(is_outcome_unknown(&letter.headers));
        let parked = ParkedHeaders::from_headers(&letter.headers).unwrap();
        assert_eq!(parked.message, "outcome unknown; no");
    }

    #[test]
    fn an_outcome_stays_unknown_through_the_retry_topic() {
        let records = Records::new("", "crm", "group").unwrap();
        let history = History {
            attempts: 2,
            first_failure: Some(Timestamp::from_millis(5)),
            outages: Duration::from_millis(70),
            effect: Effect::Unknown,
        };
        let content = received(Framing::SingleObject);
        let fate = Fate::SetAside { due: Timestamp::from_millis(9) };
        let place = Place { source: Source::Events, offset: 0 };
        let moved =
            records.departing(&Departure { content: content.clone(), place, history, fate });
        let copy = Arc::new(Received { headers: moved.headers, ..(*content).clone() });
        assert_eq!(records.arriving(copy, Source::Retry).unwrap().history, history);
    }

    #[test]
    fn a_note_lies_in_the_shadow_topic_in_the_partition_and_under_the_key_of_its_event() {
        let records = Records::new("acme.", "crm", "group").unwrap();
        let note = Note::of(&renewal(), &[], 10_000);
        let content = Arc::new(Received {
            partition: 7,
            key: Some(b"shop/1".to_vec()),
            ..(*received(Framing::SingleObject)).clone()
        });
        let place = Place { source: Source::Events, offset: 0 };
        let (history, fate) = (History::default(), Fate::Shadowed(note.clone()));
        let record = records.departing(&Departure { content, place, history, fate });
        assert_eq!((record.topic.as_str(), record.partition), ("acme.deliver.crm.shadow", Some(7)));
        assert_eq!(
            (record.key.as_slice(), record.value.as_deref()),
            (&b"shop/1"[..], Some(note.bytes()))
        );
    }

    #[test]
    fn what_a_later_version_wrote_is_not_foreign() {
        let records = Records::new("", "crm", "group").unwrap();
        let mut later = (*received(Framing::SingleObject)).clone();
        later.value.as_mut().unwrap()[2..10].copy_from_slice(&7_u64.to_le_bytes());
        let (_, unread) = records.arriving(Arc::new(later), Source::Events).unwrap_err();
        assert!(matches!(unread, Unread::Schema(UnknownSchema::Fingerprint(7))), "{unread:?}");
    }

    #[test]
    fn what_is_no_event_is_foreign_and_not_asked_for() {
        let records = Records::new("", "crm", "group").unwrap();
        let framed = received(Framing::SingleObject);
        let foreign = Arc::new(Received { value: Some(b"{}".to_vec()), ..(*framed).clone() });
        let (_, unread) = records.arriving(foreign, Source::Events).unwrap_err();
        let Unread::Foreign(failure) = unread else { panic!("{unread:?}") };
        assert_eq!(failure.reason, Reason::Undecodable);
    }
}
