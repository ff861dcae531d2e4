//! Events and refreshes: what differs between the two where a line plans, counts and gives up.

use std::time::Duration;

use schemas::LifecycleEvent;
use schemas::headers::Correlation;
use service::traces::Span;
use stream::Received;

use super::Line;
use crate::destinations::{Destination, Plan, Skip};
use crate::dispatch::Token;
use crate::metrics::{Attempt, OCCURRED, RECEIVED, SKIPPED_REFRESH};
use crate::park_limit::Ending;
use crate::records::Errand;

/// Time in which lanes are started in one turn, where that takes time: the lease has to be renewed meanwhile.
const LONGEST_PLANNING: Duration = Duration::from_millis(200);

impl<D: Destination> Line<D> {
    /// Whether what was planned since took so long that something else has its turn.
    pub(super) fn is_slow(&self, since: Duration) -> bool {
        D::PLANS_SLOWLY && self.around.clock.elapsed().saturating_sub(since) >= LONGEST_PLANNING
    }

    /// What is to be sent.
    pub(super) fn planned(&self, errand: Errand, event: &LifecycleEvent) -> Plan<D::Delivery> {
        match errand {
            Errand::Tell => match self.settings.cut.admit(event) {
                Ok(()) => self.destination.plan(event),
                Err(skip) => Plan::Skip(skip),
            },
            Errand::Refresh => self.destination.refresh(event),
        }
    }

    /// Begins to tell of an attempt to deliver an event.
    pub(super) fn attempt(&self, received: &Received, event: &LifecycleEvent) -> Span {
        let parent = Correlation::of(&received.headers).traceparent;
        let parent = parent.and_then(|traceparent| traceparent.parse().ok());
        let at = (&*received.topic, received.partition);
        let mut span = self.around.tracer.process(at, parent, None);
        span.count("messaging.kafka.offset", received.offset);
        span.say("tributary.destination", &self.settings.name);
        span.say("tributary.source", &event.source);
        span.say("tributary.event_id", &event.event_id);
        span.say("tributary.event_type", event.event_type.name());
        span
    }

    pub(super) fn count_skipped(&self, errand: Errand, skip: Skip) {
        let (name, metrics) = (self.settings.name.as_str(), &self.around.metrics);
        match errand {
            Errand::Tell => metrics.skipped.with([name, skip.word()]).inc(),
            Errand::Refresh => metrics.refreshed.with([name, SKIPPED_REFRESH]).inc(),
        }
    }

    /// The destination took it.
    pub(super) fn count_taken(&self, token: Token, attempt: Attempt) {
        let (name, metrics) = (self.settings.name.as_str(), &self.around.metrics);
        match token.errand {
            Errand::Tell => {
                metrics.delivered.with([name]).inc();
                let now = self.now();
                for (since, at) in [(OCCURRED, token.occurred_at), (RECEIVED, token.received_at)] {
                    metrics.end_to_end.with([name, since]).observe(now.since(at).as_secs_f64());
                }
            }
            Errand::Refresh => metrics.refreshed.with([name, attempt.word()]).inc(),
        }
    }

    /// Whether the line may go on. However many refreshes are parked, it does not stop for them: they are none of
    /// the stream, and somebody has just asked for them.
    pub(super) fn goes_on(&mut self, errand: Errand, ending: Ending) -> bool {
        match errand {
            Errand::Tell => self.limit.admits(ending, self.around.clock.elapsed()),
            Errand::Refresh => true,
        }
    }
}
