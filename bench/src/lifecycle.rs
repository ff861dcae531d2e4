//! Events as `transform` writes them, for those who are to deliver them.

use anyhow::Result;
use schemas::LifecycleEvent;
use schemas::codec::{Codec, Framing};
use schemas::headers::EventHeaders;
use schemas::samples::full_event;
use schemas::topics::Topic;
use stream::Record;

/// Makes records of one topic of events.
pub(crate) struct Lifecycle {
    pub(crate) topic: String,
    pub(crate) codec: Codec<LifecycleEvent>,
}

impl Lifecycle {
    /// For the topic of the side whose names begin so.
    pub(crate) fn of(prefix: &str) -> Result<Self> {
        let codec = Codec::new(Framing::SingleObject)?;
        Ok(Self { topic: Topic::Events.name(prefix), codec })
    }

    /// The event of this number, from 1, of a person.
    pub(crate) fn record(&self, person: &str, sequence: usize) -> Result<Record> {
        let mut event = LifecycleEvent {
            event_id: event_id(person, sequence),
            sequence: i64::try_from(sequence).unwrap_or_default(),
            payload: None,
            ..full_event()
        };
        event.subscriber.key = key(person);
        event.subscriber.user_id = Some(person.to_owned());
        person.clone_into(&mut event.subscriber.id);
        let headers = EventHeaders {
            id: event.event_id.clone(),
            source: event.source.clone(),
            event_type: event.event_type.name().to_owned(),
            traceparent: None,
        };
        let headers = headers.to_headers();
        let mut value = Vec::new();
        self.codec.encode(&event, &mut value)?;
        Ok(Record {
            topic: self.topic.clone(),
            partition: None,
            key: event.subscriber.key.into_bytes(),
            value: Some(value),
            headers,
        })
    }
}

/// By what the event of this number is known.
pub(crate) fn event_id(person: &str, sequence: usize) -> String {
    format!("{person}-{sequence}")
}

/// The subscriber key of a person.
pub(crate) fn key(person: &str) -> String {
    format!("revenuecat/{person}")
}
