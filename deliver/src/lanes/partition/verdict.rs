//! What the end of a sending means for its lane.

use schemas::Timestamp;

use super::lane::{Destiny, Phase};
use super::{Leaving, Partition};
use crate::failure::{Failure, Reason};
use crate::lanes::{Departure, Effect, Fate, Identity, Next, Outcome, Settled, Ticket, Turn};

impl<T: Clone> Partition<T> {
    /// The sending `ticket` ended. `None` when it was not under way.
    pub fn finish(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: Timestamp,
        jitter: f64,
    ) -> Option<Settled> {
        let identity = self.sending.remove(&ticket)?;
        let lane = self.lanes.get_mut(&identity.lane)?;
        lane.sending = false;
        let held = lane.records.get_mut(&identity.rank())?;
        if outcome.may_still_land() {
            lane.quarantine = now.plus(self.schedule.quarantine);
            held.history.effect = Effect::Unknown;
        }
        let settled = match outcome {
            Outcome::Done => {
                let place = held.place;
                lane.records.remove(&identity.rank());
                self.log(place.source).finish(place.offset);
                self.changed = true;
                Settled::Done
            }
            Outcome::Shadowed(note) => {
                let held = lane.records.remove(&identity.rank())?;
                let (content, place, history) = (held.content, held.place, held.history);
                let fate = Fate::Shadowed(note);
                self.shadowed.push_back(Departure { content, place, history, fate });
                Settled::Done
            }
            Outcome::Excused(_) => {
                held.phase = Phase::Waiting { due: now };
                Settled::Postponed
            }
            Outcome::Postponed { until } => {
                held.phase = Phase::Waiting { due: until };
                Settled::Postponed
            }
            Outcome::Refused(failure) => {
                held.fail(now, self.tenure.outages);
                self.park(&identity, failure, now)
            }
            Outcome::Failed(failure) => self.failed(&identity, failure, now, jitter)?,
        };
        self.settle(&identity.lane, now);
        Some(settled)
    }

    /// What follows a failure that may not last.
    fn failed(
        &mut self,
        identity: &Identity,
        failure: Failure,
        now: Timestamp,
        jitter: f64,
    ) -> Option<Settled> {
        let (schedule, outages) = (self.schedule.clone(), self.tenure.outages);
        let lane = self.lanes.get_mut(&identity.lane)?;
        let held = lane.records.get_mut(&identity.rank())?;
        let history = held.fail(now, outages);
        // As if it had failed later, by as long as the destination was out of service since.
        let excused = outages.saturating_sub(history.outages);
        let first = history.first_failure.unwrap_or(now).plus(excused);
        Some(match schedule.after_failure(history.attempts, first, now, jitter) {
            Next::InPlace { due } => {
                held.phase = Phase::Waiting { due };
                Settled::AgainInPlace
            }
            // It had its waits before it was parked.
            Next::SetAside { .. } if identity.turn == Turn::Redriven => {
                self.park(identity, failure, now)
            }
            Next::SetAside { due } => {
                held.phase = Phase::Leaving(Destiny::Retry);
                let fate = Fate::SetAside { due: due.max(lane.quarantine) };
                self.leaving.push_back(Leaving::Known(identity.clone(), fate));
                Settled::SetAside
            }
            Next::Park => {
                let failure = Failure { reason: Reason::HorizonExceeded, ..failure };
                self.park(identity, failure, now)
            }
        })
    }

    fn park(&mut self, identity: &Identity, failure: Failure, now: Timestamp) -> Settled {
        let reason = failure.reason;
        if let Some(held) = self.held(identity) {
            held.phase = Phase::Leaving(Destiny::Dead);
        }
        let fate = Fate::Parked { failure, at: now };
        self.leaving.push_back(Leaving::Known(identity.clone(), fate));
        Settled::Parked(reason)
    }
}

impl Outcome {
    /// Whether the call may yet take effect.
    fn may_still_land(&self) -> bool {
        match self {
            Self::Failed(failure) | Self::Refused(failure) | Self::Excused(failure) => {
                failure.may_still_land()
            }
            Self::Done | Self::Shadowed(_) | Self::Postponed { .. } => false,
        }
    }
}
