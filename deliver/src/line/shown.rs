//! What an operator sees of a line: gauges, and a word when its destination is not called any more.

use super::Line;
use crate::breaker::State;
use crate::destinations::Destination;
use crate::gate::Cause;
use crate::metrics::{BREAKER_STATES, CLOSED, HALF_OPEN, OPEN};

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
        let backlog = u32::try_from(self.ledger.backlog()).unwrap_or(u32::MAX);
        metrics.backlog.with(name).set(f64::from(backlog));
    }
}
