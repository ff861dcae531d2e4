//! The switch that stops the line when too much is parked, shared by all workers of a process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::metrics::Metrics;
use crate::parking::{ParkLimit, ParkReason};

/// Stops when the limit is exceeded; goes on when somebody says so.
#[derive(Debug)]
pub struct LineSwitch {
    limit: Mutex<ParkLimit>,
    stopped: AtomicBool,
    metrics: Metrics,
}

impl LineSwitch {
    /// A line that runs.
    pub fn new(limit: ParkLimit, metrics: Metrics) -> Self {
        Self { limit: Mutex::new(limit), stopped: AtomicBool::new(false), metrics }
    }

    /// A record was processed at `now`.
    pub fn processed(&self, now: Duration, parked: Option<ParkReason>) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        limit.processed(now, parked);
        // Only a parked record can exceed the limit.
        if let Some(reason) = parked
            && limit.is_exceeded()
            && !self.stopped.swap(true, Ordering::AcqRel)
        {
            self.metrics.line_stopped();
            let reason = reason.name();
            tracing::error!(
                reason,
                "the line is stopped: more than transform.park_limit and more than half of the \
                 records are being parked; POST /resume on the admin port lets it go on"
            );
        }
    }

    /// Whether the line stands.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Lets the line go on.
    pub fn resume(&self) {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner).reset();
        self.stopped.store(false, Ordering::Release);
        self.metrics.line_resumed();
        tracing::info!("the line goes on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::metrics::{Dimensions, Registry};

    #[test]
    fn stops_at_the_limit_shows_it_and_goes_on_when_told() {
        let mut registry = Registry::new(Dimensions::default()).unwrap();
        let metrics = Metrics::register(&mut registry).unwrap();
        let switch = LineSwitch::new(ParkLimit::new(2.0 / 60.0), metrics);
        for expected in [false, false, true] {
            switch.processed(Duration::ZERO, Some(ParkReason::Unreadable));
            assert_eq!(switch.is_stopped(), expected);
        }
        assert!(registry.text().unwrap().contains("tributary_line_stopped 1"));
        switch.resume();
        assert!(!switch.is_stopped());
        assert!(registry.text().unwrap().contains("tributary_line_stopped 0"));
        switch.processed(Duration::ZERO, Some(ParkReason::Unreadable));
        assert!(!switch.is_stopped(), "counting began anew");
    }
}
