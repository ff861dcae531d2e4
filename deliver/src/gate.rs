//! Asked directly before every call: is the destination to be called at all, is it ours to call, and how
//! soon.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::breaker::{Breaker, State};
use crate::destinations::Verdict;
use crate::failure::{Failure, Reason};
use crate::lease::Lease;
use crate::pace::Pace;

/// Why a destination is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What kind of trouble.
    pub reason: Reason,
    /// What was answered, if anything.
    pub status: Option<u16>,
}

/// Breaker, lease and pace of one destination, shared by all its calls. Times are those of a stopwatch.
#[derive(Debug)]
pub struct Gate {
    inner: Mutex<Inner>,
    /// Something is untold.
    asked: Notify,
}

#[derive(Debug)]
struct Inner {
    breaker: Breaker,
    lease: Lease,
    pace: Pace,
    /// What went wrong last.
    cause: Option<Cause>,
    /// Until when the destination asked to be left alone, while the other instances do not know it.
    untold: Option<Duration>,
}

impl Gate {
    /// Closed breaker, `ceiling` calls a second for all instances together; no call begins before
    /// `lease` is renewed.
    pub fn new(ceiling: f64, lease: Lease) -> Self {
        let (breaker, pace) = (Breaker::default(), Pace::new(ceiling));
        let inner = Inner { breaker, lease, pace, cause: None, untold: None };
        Self { inner: Mutex::new(inner), asked: Notify::new() }
    }

    /// Where the breaker stands.
    pub fn state(&self) -> State {
        self.lock().breaker.state()
    }

    /// What went wrong last.
    pub fn cause(&self) -> Option<Cause> {
        self.lock().cause
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
            Some(Verdict::Pause { failure, after }) => {
                self.pause(&mut inner, now, *after, failure.into());
            }
            Some(Verdict::Retry(failure) | Verdict::Park(failure)) => {
                self.pause(&mut inner, now, None, failure.into());
            }
            Some(
                Verdict::Delivered | Verdict::DeliveredWithoutAttributes(_) | Verdict::Outdated,
            ) => {}
        }
    }

    /// Learns from the verdicts of one conversation, before any other call asks.
    pub fn learn(&self, verdicts: &[Verdict], now: Duration) {
        let (mut pause, mut failing, mut answered) = (None, None, false);
        for verdict in verdicts {
            match verdict {
                Verdict::Pause { failure, after } => pause = Some((failure, after)),
                Verdict::Retry(failure) if is_suspicious(failure) => failing = Some(failure),
                Verdict::Delivered
                | Verdict::DeliveredWithoutAttributes(_)
                | Verdict::Outdated
                | Verdict::Retry(_)
                | Verdict::Park(_) => answered = true,
            }
        }
        let mut inner = self.lock();
        // Where one item fails and others of the same conversation do not, the item is at fault.
        match (pause, failing) {
            (Some((failure, after)), _) => self.pause(&mut inner, now, *after, failure.into()),
            (None, Some(failure)) if !answered => {
                inner.cause = Some(failure.into());
                inner.breaker.failed(now);
            }
            (None, _) if answered => inner.breaker.succeeded(),
            (None, _) => {}
        }
    }

    /// The account's allowance is used up for so long: whatever is sent before is refused.
    pub fn used_up(&self, so_long: Duration, now: Duration) {
        self.pause(&mut self.lock(), now, Some(so_long), Cause::THROTTLED);
    }

    /// Another instance was asked to leave the destination alone for so long.
    pub fn heard_to_wait(&self, so_long: Duration, now: Duration) {
        let mut inner = self.lock();
        inner.cause = Some(Cause::THROTTLED);
        inner.breaker.pause(now, Some(so_long));
    }

    /// Returns when the destination has asked to be left alone since it last returned.
    pub async fn asked_to_wait(&self) {
        self.asked.notified().await;
    }

    /// How long the destination asked to be left alone, if the other instances are to be told; says so once.
    pub fn take_untold(&self, now: Duration) -> Option<Duration> {
        let until = self.lock().untold.take()?;
        until.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    fn pause(&self, inner: &mut Inner, now: Duration, asked: Option<Duration>, cause: Cause) {
        inner.cause = Some(cause);
        inner.breaker.pause(now, asked);
        if let Some(asked) = asked {
            inner.untold = inner.untold.max(Some(now + asked));
            self.asked.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cause {
    const THROTTLED: Self = Self { reason: Reason::Throttled, status: None };
}

impl From<&Failure> for Cause {
    fn from(failure: &Failure) -> Self {
        Self { reason: failure.reason, status: failure.status }
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
        | Reason::NotReady
        | Reason::TransformationFailed
        | Reason::PayloadMissing
        | Reason::OtherHost => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn gate() -> Gate {
        let gate = Gate::new(100.0, Lease::new(at(1_000)));
        gate.renew_lease(at(0));
        gate
    }

    fn throttled(after: Option<Duration>) -> Verdict {
        Verdict::Pause { failure: Failure::new(Reason::Throttled, "slower"), after }
    }

    #[test]
    fn a_wait_that_the_destination_asked_for_is_told_to_the_others_once() {
        let gate = gate();
        gate.learn(&[Verdict::Delivered, throttled(Some(at(20)))], at(10));
        gate.learn(&[throttled(Some(at(5)))], at(11));
        assert_eq!(gate.take_untold(at(12)), Some(at(18)));
        assert_eq!(gate.take_untold(at(12)), None);
        gate.probed(Some(&throttled(Some(at(7)))), at(30));
        assert_eq!(gate.take_untold(at(37)), None, "it is over");
    }

    #[test]
    fn an_item_that_fails_where_others_do_not_says_nothing_of_the_destination() {
        let gate = gate();
        let fails = || Verdict::Retry(Failure::new(Reason::ServerError, "500"));
        for _ in 0..10 {
            gate.learn(&[fails(), Verdict::Delivered], at(0));
        }
        assert_eq!(gate.state(), State::Closed);
        for _ in 0..10 {
            gate.learn(&[fails(), fails()], at(0));
        }
        assert!(matches!(gate.state(), State::Open { .. }));
        assert_eq!(gate.cause(), Some(Cause { reason: Reason::ServerError, status: None }));
    }

    #[test]
    fn what_only_this_instance_believes_is_told_to_nobody() {
        let gate = gate();
        gate.learn(&[throttled(None)], at(10));
        assert!(!gate.may_begin(at(10)));
        assert_eq!(gate.take_untold(at(10)), None);
    }

    #[test]
    fn what_another_instance_was_told_is_heeded_and_not_told_again() {
        let gate = gate();
        gate.heard_to_wait(at(20), at(10));
        assert_eq!(gate.state(), State::Open { until: at(30) });
        assert_eq!(gate.take_untold(at(10)), None);
    }

    #[test]
    fn an_allowance_that_is_used_up_stops_calls_although_the_last_was_answered_well() {
        let gate = gate();
        gate.used_up(at(9), at(10));
        gate.learn(&[Verdict::Delivered], at(10));
        assert_eq!(gate.state(), State::Open { until: at(19) });
        assert_eq!(gate.take_untold(at(10)), Some(at(9)));
    }
}
