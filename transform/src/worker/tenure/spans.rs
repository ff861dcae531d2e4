//! What is told of the work in the open transaction, to whoever collects traces.

use std::time::{Duration, UNIX_EPOCH};

use schemas::Timestamp;
use schemas::headers::{Correlation, Header};
use service::traces::{Span, Tracer};

use crate::line::Emission;
use crate::parking::ParkReason;

/// A span for each event and each parked record, from the webhook's place in the raw topic to the commit: so it shows
/// how long the record lay there, and how long the reorder window held it.
#[derive(Debug)]
pub(super) struct Spans {
    tracer: Tracer,
    topic: String,
    open: Vec<Span>,
}

impl Spans {
    /// Of records of this topic.
    pub(super) fn of(tracer: Tracer, topic: &str) -> Self {
        Self { tracer, topic: topic.to_owned(), open: Vec::new() }
    }

    pub(super) fn event(&mut self, partition: i32, emission: &Emission) {
        let Emission { event, traceparent } = emission;
        let mut span = self.span(partition, traceparent.as_deref(), event.received_at);
        span.say("tributary.source", &event.source);
        span.say("tributary.event_id", &event.event_id);
        span.say("tributary.event_type", event.event_type.name());
        self.open.push(span);
    }

    pub(super) fn parked(
        &mut self,
        (partition, appended_at): (i32, Timestamp),
        headers: &[Header],
        reason: ParkReason,
    ) {
        let traceparent = Correlation::of(headers).traceparent;
        let mut span = self.span(partition, traceparent, appended_at);
        span.fail(reason.name());
        self.open.push(span);
    }

    fn span(&self, partition: i32, traceparent: Option<&str>, appended_at: Timestamp) -> Span {
        let parent = traceparent.and_then(|traceparent| traceparent.parse().ok());
        let since_epoch = u64::try_from(appended_at.millis()).unwrap_or_default();
        let began = UNIX_EPOCH + Duration::from_millis(since_epoch);
        self.tracer.process((&self.topic, partition), parent, Some(began))
    }

    /// The transaction is committed.
    pub(super) fn committed(&mut self) {
        self.open.clear();
    }
}

/// The transaction is in doubt, and its work is done again.
impl Drop for Spans {
    fn drop(&mut self) {
        for span in &mut self.open {
            span.fail("in_doubt");
        }
    }
}
