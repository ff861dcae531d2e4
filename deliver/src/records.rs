//! Between records of a topic and lanes: what was read becomes owed, what leaves becomes a record.

use std::sync::Arc;

use schemas::codec::{Codec, CodecError, Framing};
use schemas::headers::{ParkedHeaders, RetryHeaders};
use schemas::topics::Topic;
use schemas::{LifecycleEvent, Timestamp};
use stream::{Received, Record};

use crate::failure::{Failure, Reason};
use crate::lanes::{Arriving, Departure, Fate, History, Identity, Source};

/// A record without a key cannot be written again without one; this names nobody.
const NO_KEY: &[u8] = b"unknown";

/// Names and codec of one destination's records.
#[derive(Debug)]
pub struct Records {
    codec: Codec<LifecycleEvent>,
    retry_topic: String,
    dead_topic: String,
    group: String,
}

impl Records {
    /// The records of `destination` on a cluster where names start with `prefix`.
    pub fn new(prefix: &str, destination: &str, group: &str) -> Result<Self, CodecError> {
        Ok(Self {
            codec: Codec::new(Framing::SingleObject)?,
            retry_topic: Topic::Retry(destination.to_owned()).name(prefix),
            dead_topic: Topic::Dead(destination.to_owned()).name(prefix),
            group: group.to_owned(),
        })
    }

    /// The event in a record.
    pub fn event(&self, received: &Received) -> Result<LifecycleEvent, Failure> {
        let bytes = received.value.as_deref().unwrap_or_default();
        self.codec.decode(bytes).map_err(|error| undecodable(&error))
    }

    /// What a record means for its lane.
    pub fn arriving(
        &self,
        received: Arc<Received>,
        source: Source,
    ) -> Result<Arriving<Arc<Received>>, (Arc<Received>, Failure)> {
        match self.read(&received, source) {
            Ok((identity, history, due)) => {
                Ok(Arriving { identity, history, due, content: received })
            }
            Err(failure) => Err((received, failure)),
        }
    }

    fn read(
        &self,
        received: &Received,
        source: Source,
    ) -> Result<(Identity, History, Timestamp), Failure> {
        let event = self.event(received)?;
        let identity =
            Identity { lane: event.subscriber.key.as_str().into(), sequence: event.sequence };
        if source == Source::Events {
            return Ok((identity, History::default(), Timestamp::default()));
        }
        let headers =
            RetryHeaders::from_headers(&received.headers).map_err(|error| undecodable(&error))?;
        let history = History { attempts: headers.attempts, first_failure: headers.first_failure };
        Ok((identity, history, headers.due.unwrap_or_default()))
    }

    /// The record that a departure leaves behind: the event byte for byte under its own key.
    pub fn departing(&self, departure: &Departure<Arc<Received>>) -> Record {
        let received = &departure.content;
        let (topic, partition, headers) = match &departure.fate {
            Fate::SetAside { due } => {
                let headers = RetryHeaders {
                    attempts: departure.history.attempts,
                    first_failure: departure.history.first_failure,
                    due: (departure.history.attempts > 0).then_some(*due),
                };
                let partition = Some(received.partition);
                (&self.retry_topic, partition, headers.onto(&received.headers))
            }
            Fate::Parked { failure, at } => {
                let headers = self.end(departure, failure, *at).onto(&received.headers);
                (&self.dead_topic, None, headers)
            }
        };
        Record {
            topic: topic.clone(),
            partition,
            key: received.key.clone().unwrap_or_else(|| NO_KEY.to_vec()),
            value: received.value.clone(),
            headers,
        }
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
            message: failure.message.clone(),
            attempts: Some(departure.history.attempts),
            first_failure: departure.history.first_failure,
            last_failure: Some(at),
            http_status: failure.status,
            request_id: failure.request_id.clone(),
        }
    }
}

fn undecodable(error: &dyn std::error::Error) -> Failure {
    Failure::new(Reason::Undecodable, error.to_string())
}
