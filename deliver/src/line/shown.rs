//! What an operator sees of a line: gauges, and a word when its destination is not called any more.

use std::time::Duration;

use schemas::Timestamp;
use service::metrics::amount;

use super::{LONGEST_TURN, Line};
use crate::breaker::State;
use crate::destinations::Destination;
use crate::gate::Cause;
use crate::metrics::{ATTEMPTS_MADE, BREAKER_STATES, CLOSED, EVENTS, HALF_OPEN, OPEN, RETRY};
use crate::tally::Tally;

impl<D: Destination> Line<D> {
    /// Says when the destination is not called any more, and when it is again. In between a metric shows it.
    fn tell_people(&mut self) {
        let (destination, is_out) = (&self.settings.name, !self.caller.gate.is_open_for_calls());
        if is_out == self.is_out_of_service {
            return;
        }
        self.is_out_of_service = is_out;
        match self.caller.gate.cause() {
            Some(Cause { reason, status }) if is_out => {
                let reason = reason.word();
                tracing::warn!(destination, reason, status, "is not called until it is well again");
            }
            Some(_) | None => tracing::info!(destination, "is called again"),
        }
    }

    pub(super) fn show(&mut self) {
        self.tell_people();
        let name = [self.settings.name.as_str()];
        let metrics = &self.around.metrics;
        let state = match self.caller.gate.state() {
            State::Closed => CLOSED,
            State::HalfOpen => HALF_OPEN,
            State::Open { .. } => OPEN,
        };
        for each in BREAKER_STATES {
            let is_it = f64::from(u8::from(each == state));
            metrics.breaker.with([self.settings.name.as_str(), each]).set(is_it);
        }
        metrics.line_stopped.with(name).set(f64::from(u8::from(self.limit.is_stopped())));
        self.show_fates();
        let elapsed = self.around.clock.elapsed();
        if self.counted_at.is_none_or(|at| elapsed.saturating_sub(at) >= LONGEST_TURN) {
            self.counted_at = Some(elapsed);
            self.show_what_waits();
        }
    }

    fn show_fates(&mut self) {
        let (name, metrics) = (self.settings.name.as_str(), &self.around.metrics);
        let Tally { consumed, settled } = std::mem::take(&mut self.ledger.tally);
        metrics.consumed.with([name]).inc_by(consumed);
        for (fate, number) in settled {
            metrics.records.with([name, fate.word()]).inc_by(number);
        }
        metrics.waiting.with([name]).set(amount(self.ledger.owed() as u64));
    }

    /// Looks at everything that waits, which may be much.
    fn show_what_waits(&self) {
        let (name, metrics, now) = (self.settings.name.as_str(), &self.around.metrics, self.now());
        let mut by_attempts = [0; ATTEMPTS_MADE.len()];
        let (mut first_failure, mut oldest_event) = (None, None);
        for partition in self.ledger.partitions() {
            oldest_event = earlier(oldest_event, partition.oldest_event());
            for history in partition.backlog() {
                let attempts = usize::try_from(history.attempts).unwrap_or(usize::MAX);
                by_attempts[attempts.min(ATTEMPTS_MADE.len() - 1)] += 1;
                first_failure = earlier(first_failure, history.first_failure);
            }
        }
        for (attempts, number) in ATTEMPTS_MADE.into_iter().zip(by_attempts) {
            metrics.backlog.with([name, attempts]).set(amount(number));
        }
        for (topic, oldest) in [(EVENTS, oldest_event), (RETRY, first_failure)] {
            let age = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
            metrics.oldest.with([name, topic]).set(age.as_secs_f64());
        }
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
