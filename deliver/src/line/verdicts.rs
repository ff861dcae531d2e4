//! What an event becomes, and what its verdict means for its lane.

use std::time::Duration;

use schemas::Timestamp;
use stream::Received;

use super::{Line, Mode};
use crate::broker::BrokerError;
use crate::destinations::{Destination, Plan, Verdict};
use crate::dispatch::{Finished, Token};
use crate::failure::Failure;
use crate::lanes::{Outcome, Settled};
use crate::metrics::Attempt;
use crate::park_limit::Ending;
use crate::preview::rehearse;
use crate::records::Errand;
use crate::shadow::Note;
use crate::tally::Fate;

/// What an operator is told about a line that stands still.
const STOPPED: &str = "nearly everything would be parked. Mend the cause, then restart or POST /resume \
                       on the admin port";

/// When a shadow plans an event again that could not be planned.
const PLANNED_AGAIN_AFTER: Duration = Duration::from_secs(10);

impl<D: Destination> Line<D> {
    pub(super) fn plan(&mut self, token: Token, received: &Received) {
        let outcome = match self.records.event(received) {
            Err(failure) => Outcome::Refused(failure),
            Ok(event) => match (self.planned(token.errand, &event), self.settings.mode) {
                (Plan::Skip(skip), Mode::Live | Mode::Shadow) => {
                    self.count_skipped(token.errand, skip);
                    self.count_done(token, Outcome::Done, Fate::Skipped);
                    return;
                }
                (Plan::End(Verdict::Retry(failure)), mode) => {
                    let name = &self.settings.name;
                    self.around.metrics.attempts.with([name, Attempt::Failed.word()]).inc();
                    not_planned(failure, mode, self.now())
                }
                (Plan::End(verdict), Mode::Live | Mode::Shadow) => self.outcome(token, verdict),
                (Plan::Send(delivery), Mode::Shadow) => {
                    let requests = rehearse(&*self.destination, delivery);
                    Outcome::Shadowed(Note::of(&event, &requests, self.settings.longest_note))
                }
                (Plan::Send(delivery), Mode::Live) => {
                    let (occurred_at, received_at) = (event.occurred_at, event.received_at);
                    let token = Token { occurred_at, received_at, ..token };
                    let span = self.attempt(received, &event);
                    self.dispatch.push(token, delivery, span);
                    return;
                }
            },
        };
        self.finish(token, outcome);
    }

    /// A sending ended; if nothing is left to be done, that is what became of an event's record.
    fn count_done(&mut self, token: Token, outcome: Outcome, told: Fate) {
        if self.finish(token, outcome) == Some(Settled::Done) {
            self.ledger.tally.settle(match token.errand {
                Errand::Tell => told,
                Errand::Refresh => Fate::Refreshed,
            });
        }
    }

    fn finish(&mut self, token: Token, outcome: Outcome) -> Option<Settled> {
        let now = self.now();
        let failed = matches!(outcome, Outcome::Failed(_));
        let settled = self.ledger.finish(token, outcome, now, rand::random());
        let counted = match settled {
            // Parked by the horizon, or redriven in vain: not admitted by anybody before, hence
            // counted here.
            Some(Settled::Parked(_)) if failed => Some(Ending::Parked),
            Some(Settled::Done) => Some(Ending::Otherwise),
            None
            | Some(
                Settled::Parked(_) | Settled::Postponed | Settled::AgainInPlace | Settled::SetAside,
            ) => None,
        };
        if let Some(ending) = counted
            && !self.goes_on(token.errand, ending)
        {
            tracing::error!(destination = self.settings.name, "the line stops: {STOPPED}");
        }
        settled
    }

    /// What calls that ended mean for their lanes.
    pub(super) fn settle(&mut self, finished: Finished) -> Result<(), BrokerError> {
        match finished {
            Finished::Called(verdicts) => {
                for (token, verdict) in verdicts {
                    let outcome = self.outcome(token, verdict);
                    self.count_done(token, outcome, Fate::Delivered);
                }
            }
            Finished::Interrupted(tokens) => {
                let until = self.now();
                for token in tokens {
                    self.finish(token, Outcome::Postponed { until });
                }
            }
            Finished::Probed => {}
            // Its lanes would wait for ever: everything starts again from what is committed.
            Finished::Broken => return Err(BrokerError::CallLost),
        }
        Ok(())
    }

    fn outcome(&mut self, token: Token, verdict: Verdict) -> Outcome {
        let name = self.settings.name.clone();
        let now = self.now();
        let (attempt, outcome) = match verdict {
            Verdict::Delivered => (Attempt::Delivered, Outcome::Done),
            Verdict::DeliveredWithoutAttributes(failure) => {
                let status = failure.status;
                tracing::warn!(
                    destination = name,
                    status,
                    "attributes refused, event delivered: has `deliver setup` declared them?"
                );
                (Attempt::DeliveredWithoutAttributes, Outcome::Done)
            }
            Verdict::Outdated => (Attempt::Outdated, Outcome::Done),
            Verdict::Pause { failure, .. } => {
                tracing::debug!(destination = name, reason = failure.reason.word(), "pauses");
                (Attempt::Paused, Outcome::Excused(failure))
            }
            // The breaker takes the blame.
            Verdict::Retry(failure) if !self.caller.gate.is_open_for_calls() => {
                (Attempt::Paused, Outcome::Excused(failure))
            }
            Verdict::Retry(failure) => (Attempt::Failed, Outcome::Failed(failure)),
            Verdict::Park(failure) => {
                if self.goes_on(token.errand, Ending::Parked) {
                    (Attempt::Refused, Outcome::Refused(failure))
                } else {
                    tell_stopped(&name, &failure);
                    (Attempt::Refused, Outcome::Postponed { until: now })
                }
            }
        };
        self.around.metrics.attempts.with([&name, attempt.word()]).inc();
        if matches!(outcome, Outcome::Done) {
            self.count_taken(token, attempt);
        }
        outcome
    }
}

/// What becomes of an event that cannot be planned now. The destination has no part in that, so that its being out of
/// service is no excuse: the event would be planned again at once, for as long as that lasts.
fn not_planned(failure: Failure, mode: Mode, now: Timestamp) -> Outcome {
    match mode {
        Mode::Live => Outcome::Failed(failure),
        // What goes to the retry topic is the live group's, and lost to the shadow.
        Mode::Shadow => Outcome::Postponed { until: now.plus(PLANNED_AGAIN_AFTER) },
    }
}

pub(super) fn tell_stopped(destination: &str, failure: &Failure) {
    tracing::error!(
        destination,
        reason = failure.reason.word(),
        status = failure.status,
        "the line stops: {STOPPED}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    #[test]
    fn what_cannot_be_planned_waits_its_time_and_a_shadow_gives_nothing_to_the_live_group() {
        let now = Timestamp::from_millis(1_000);
        let of = |mode| not_planned(Failure::new(Reason::NotReady, ""), mode, now);
        assert!(matches!(of(Mode::Live), Outcome::Failed(_)));
        let Outcome::Postponed { until } = of(Mode::Shadow) else { panic!("not postponed") };
        assert_eq!(until, Timestamp::from_millis(11_000));
    }
}
