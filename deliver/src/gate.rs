//! Asked directly before every call: is the destination to be called at all, is it ours to call, and how
//! soon.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::breaker::{Breaker, State};
use crate::destinations::Verdict;
use crate::failure::{Failure, Reason};
use crate::lease::Lease;
use crate::pace::Pace;

/// Breaker, lease and pace of one destination, shared by all its calls. Times are those of a stopwatch.
#[derive(Debug)]
pub struct Gate(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    breaker: Breaker,
    lease: Lease,
    pace: Pace,
}

impl Gate {
    /// Closed breaker, `ceiling` calls a second for all instances together; no call begins before
    /// `lease` is renewed.
    pub fn new(ceiling: f64, lease: Lease) -> Self {
        Self(Mutex::new(Inner { breaker: Breaker::default(), lease, pace: Pace::new(ceiling) }))
    }

    /// Where the breaker stands.
    pub fn state(&self) -> State {
        self.lock().breaker.state()
    }

    /// Whether the destination is to be called.
    pub fn is_open_for_calls(&self) -> bool {
        self.lock().breaker.is_closed()
    }

    /// Whether a call may begin now: the destination is to be called, and it is ours to call.
    pub fn may_begin(&self, now: Duration) -> bool {
        let inner = self.lock();
        inner.breaker.is_closed() && inner.lease.holds(now)
    }

    /// A commit that was sent at this time has succeeded.
    pub fn renew_lease(&self, sent: Duration) {
        self.lock().lease.renew(sent);
    }

    /// Nothing is ours any more.
    pub fn end_lease(&self) {
        self.lock().lease.end();
    }

    /// How long the destination was not called, in all, because it was out of service.
    pub fn out_of_service(&self, now: Duration) -> Duration {
        self.lock().breaker.out_of_service(now)
    }

    /// This instance's part of the ceiling.
    pub fn share(&self, part: f64) {
        self.lock().pace.share(part);
    }

    /// How long the next call would have to wait.
    pub fn wait(&self, now: Duration) -> Duration {
        self.lock().pace.wait(now)
    }

    /// Takes the next place: how long to wait before the call.
    #[must_use = "the call must wait that long"]
    pub fn reserve(&self, now: Duration) -> Duration {
        self.lock().pace.reserve(now)
    }

    /// Whether a probe is to be sent now; says so once.
    pub fn begin_probe(&self, now: Duration) -> bool {
        self.lock().breaker.begin_probe(now)
    }

    /// What a probe found: `None` when the destination is well.
    pub fn probed(&self, trouble: Option<&Verdict>, now: Duration) {
        let mut inner = self.lock();
        match trouble {
            None => inner.breaker.probe_succeeded(now),
            Some(Verdict::Pause { after, .. }) => inner.breaker.pause(now, *after),
            Some(_) => inner.breaker.pause(now, None),
        }
    }

    /// Learns from the verdicts of one conversation, before any other call asks.
    pub fn learn(&self, verdicts: &[Verdict], now: Duration) {
        let mut inner = self.lock();
        let pause = verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Pause { after, .. } => Some(*after),
            Verdict::Delivered
            | Verdict::DeliveredWithoutAttributes(_)
            | Verdict::Retry(_)
            | Verdict::Park(_) => None,
        });
        let failing = |verdict: &Verdict| matches!(verdict, Verdict::Retry(failure) if is_suspicious(failure));
        if let Some(after) = pause {
            inner.breaker.pause(now, after);
        } else if verdicts.iter().any(failing) {
            inner.breaker.failed(now);
        } else if !verdicts.is_empty() {
            inner.breaker.succeeded();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a failure may be the destination's own rather than the event's.
fn is_suspicious(failure: &Failure) -> bool {
    match failure.reason {
        Reason::ServerError
        | Reason::TimedOut
        | Reason::ConnectionLost
        | Reason::Unreachable
        | Reason::UnexpectedAnswer => true,
        Reason::Undecodable
        | Reason::Refused
        | Reason::TooManyNames
        | Reason::TooLarge
        | Reason::PersonArchived
        | Reason::HorizonExceeded
        | Reason::Throttled
        | Reason::CredentialsRefused
        | Reason::NotReady => false,
    }
}
