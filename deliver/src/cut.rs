//! From when on a destination is told: the cut that `start: <moment>` makes.
//!
//! It is made by when things *happened* (`occurred_at`, the provider's own time), because that is the time by which
//! an integration that is switched off at a moment was told its last event. So what happened before the moment is the
//! other integration's, however late it comes here, and what happened at or after it is ours, whatever was committed:
//! nothing is sent twice, and nothing not at all. The moment may lie in the future, so that both sides can be prepared.
//!
//! A destination that never committed anything need not read what cannot be meant: it begins a little before the
//! moment in the event topic, whose records have the time at which `transform` wrote them, and the cut does the rest.

use std::time::Duration;

use schemas::{LifecycleEvent, Timestamp};
use service::config::Start;

use crate::broker::Beginning;
use crate::destinations::Skip;

/// So far a provider's clock may be ahead of that by which the event topic's records are stamped.
const AHEAD: Duration = Duration::from_hours(1);

/// What happened before it is not for the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    start: Start,
}

impl Cut {
    /// As configured.
    pub fn of(start: Start) -> Self {
        Self { start }
    }

    /// The moment of the cut; none where everything that is read counts.
    pub fn moment(self) -> Option<Timestamp> {
        match self.start {
            Start::Earliest | Start::Latest => None,
            Start::At(moment) => Some(Timestamp::from_millis(moment.as_millisecond())),
        }
    }

    /// Whether the event is for the destination, as far as the time is concerned.
    ///
    /// # Errors
    /// With the reason when it is not.
    pub fn admit(self, event: &LifecycleEvent) -> Result<(), Skip> {
        match self.moment() {
            Some(moment) if event.occurred_at < moment => Err(Skip::BeforeStart),
            Some(_) | None => Ok(()),
        }
    }

    /// Where a group begins to read that never committed.
    pub fn beginning(self) -> Beginning {
        match self.start {
            Start::Earliest => Beginning::Earliest,
            Start::Latest => Beginning::Latest,
            Start::At(moment) => {
                let ahead = i64::try_from(AHEAD.as_millis()).unwrap_or(i64::MAX);
                Beginning::At(Timestamp::from_millis(moment.as_millisecond()).plus_millis(-ahead))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::EventType;

    use super::*;
    use crate::destinations::samples;

    fn at(moment: Timestamp) -> Cut {
        Cut::of(Start::At(jiff::Timestamp::from_millisecond(moment.millis()).unwrap()))
    }

    #[test]
    fn what_happened_at_the_moment_is_ours_and_what_happened_before_it_is_not() {
        let event = samples::event(EventType::SubscriptionRenewed);
        assert_eq!(at(event.occurred_at).admit(&event), Ok(()));
        let later = at(event.occurred_at.plus_millis(1));
        assert_eq!(later.admit(&event), Err(Skip::BeforeStart));
        for start in [Start::Earliest, Start::Latest] {
            assert_eq!(Cut::of(start).admit(&event), Ok(()));
        }
    }

    #[test]
    fn when_it_was_received_does_not_matter() {
        let mut late = samples::event(EventType::SubscriptionRenewed);
        late.received_at = late.occurred_at.plus(Duration::from_hours(48));
        assert_eq!(at(late.occurred_at.plus_millis(1)).admit(&late), Err(Skip::BeforeStart));
        late.received_at = late.occurred_at.plus_millis(-600_000);
        assert_eq!(at(late.occurred_at).admit(&late), Ok(()), "of a provider that is ahead");
    }

    #[test]
    fn a_new_group_reads_from_an_hour_before_the_moment() {
        let moment = Timestamp::from_millis(7_200_000);
        assert_eq!(at(moment).beginning(), Beginning::At(Timestamp::from_millis(3_600_000)));
        assert_eq!(Cut::of(Start::Earliest).beginning(), Beginning::Earliest);
        assert_eq!(Cut::of(Start::Latest).beginning(), Beginning::Latest);
    }
}
