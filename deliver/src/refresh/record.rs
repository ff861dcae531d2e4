//! From what is known of a subscriber to the record that has it shown at a destination.

use std::time::Duration;

use schemas::codec::{Codec, CodecError};
use schemas::headers::{EventHeaders, REFRESH_TYPE, RetryHeaders, with_refresh};
use schemas::state::SubscriberState;
use schemas::{Environment, LifecycleEvent, Timestamp};
use stream::Record;
use transform::advance::snapshot;
use transform::sources::Source;

/// Who is shown.
#[derive(Clone, Copy)]
pub(super) struct Subscriber<'a> {
    pub(super) key: &'a str,
    pub(super) source: &'a Source,
    pub(super) state: &'a SubscriberState,
}

impl Subscriber<'_> {
    /// What a destination for purchases of these environments is shown: those of production, where there are any.
    pub(super) fn snapshot(
        self,
        environments: &[Environment],
        now: Timestamp,
    ) -> Option<LifecycleEvent> {
        let shown = [Environment::Production, Environment::Sandbox];
        let mut shown = shown.into_iter().filter(|one| environments.contains(one));
        shown.find_map(|one| snapshot(self.state, (self.key, self.source), one, now))
    }
}

/// The record for the retry topic: due at once, and never tried.
pub(super) fn record(
    snapshot: &LifecycleEvent,
    known_at: Timestamp,
    (topic, partition): (&str, i32),
    codec: &Codec<LifecycleEvent>,
) -> Result<Record, CodecError> {
    let mut value = Vec::new();
    codec.encode(snapshot, &mut value)?;
    let labels = EventHeaders {
        id: snapshot.event_id.clone(),
        source: snapshot.source.clone(),
        event_type: REFRESH_TYPE.to_owned(),
        traceparent: None,
    };
    let untried =
        RetryHeaders { attempts: 0, first_failure: None, due: None, outages: Duration::ZERO };
    Ok(Record {
        topic: topic.to_owned(),
        partition: Some(partition),
        key: snapshot.subscriber.key.clone().into_bytes(),
        value: Some(value),
        headers: with_refresh(&untried.onto(&labels.to_headers()), known_at),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use schemas::codec::Framing;
    use stream::Received;

    use super::*;
    use crate::destinations::samples;
    use crate::lanes::{Source as Topic, Turn};
    use crate::records::{Errand, Records};
    use schemas::EventType;

    #[test]
    fn what_is_written_is_a_refresh_to_whoever_reads_it() {
        let snapshot = samples::event(EventType::CustomerUpdated);
        let known_at = Timestamp::from_millis(77);
        let codec = Codec::new(Framing::SingleObject).unwrap();
        let written = record(&snapshot, known_at, ("acme.deliver.crm.retry", 4), &codec).unwrap();
        assert_eq!(written.partition, Some(4));
        let received = Arc::new(Received {
            topic: written.topic.as_str().into(),
            partition: 4,
            offset: 9,
            timestamp: known_at,
            key: Some(written.key),
            value: written.value,
            headers: written.headers,
        });
        let records = Records::new("acme.", "crm", "group").unwrap();
        assert_eq!(records.errand(&received), Errand::Refresh);
        assert_eq!(records.event(&received), Ok(snapshot.clone()));
        let arriving = records.arriving(received, Topic::Retry).unwrap();
        assert_eq!(&*arriving.identity.lane, snapshot.subscriber.key);
        assert_eq!(arriving.identity.turn, Turn::Refreshed(known_at));
        assert_eq!(arriving.history.attempts, 0);
    }
}
