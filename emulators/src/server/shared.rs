//! The state behind one lock: what the vendor knows and what the emulator noted.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use service::clock::{Clock, SystemClock};

use crate::exchange::{Moment, Received, Reply, RequestRecord, Vendor};
use crate::faults::{Action, Arrival, FaultPlan};
use crate::flights::Flights;
use crate::people::Person;
use crate::throttle::RetryAfterWatch;
use crate::violations::{Findings, Rule, Violation};

/// Beyond it violations are no longer kept: a client this wrong is known to be wrong.
const VIOLATION_LIMIT: usize = 100_000;

pub(crate) struct Shared<V> {
    clock: SystemClock,
    /// Read once, so that the emulator's time never goes backwards.
    started_unix: Duration,
    inner: Mutex<Inner<V>>,
}

struct Inner<V> {
    vendor: V,
    faults: FaultPlan,
    flights: Flights,
    retry_after: RetryAfterWatch,
    violations: Vec<Violation>,
    requests: Vec<RequestRecord>,
    /// Grows with each reset, so that a request under way across one leaves no trace.
    epoch: u64,
}

impl<V> fmt::Debug for Shared<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// What is to be done with a request that has just arrived.
pub(super) struct Admitted<V: Vendor> {
    pub(super) flight: Arc<Flight<V>>,
    pub(super) action: Action,
}

impl<V: Vendor> Shared<V> {
    pub(crate) fn new(vendor: V) -> Self {
        let clock = SystemClock::new();
        let millis = u64::try_from(clock.now_millis()).unwrap_or_default();
        Self {
            clock,
            started_unix: Duration::from_millis(millis),
            inner: Mutex::new(Inner {
                vendor,
                faults: FaultPlan::default(),
                flights: Flights::default(),
                retry_after: RetryAfterWatch::default(),
                violations: Vec::new(),
                requests: Vec::new(),
                epoch: 0,
            }),
        }
    }

    fn now(&self) -> Moment {
        let elapsed = self.clock.elapsed();
        Moment { elapsed, unix: self.started_unix + elapsed }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an arrival and decides what is done with it.
    pub(super) fn admit(self: &Arc<Self>, received: &Received) -> Admitted<V> {
        let now = self.now();
        let mut inner = self.lock();
        let index = inner.requests.len() as u64;
        let people = inner.vendor.concerns(received);
        let mut findings = Findings::of_request(index);
        let overlapping = inner.flights.enter(&people);
        if overlapping > 0 {
            let detail = format!("{overlapping} of {} people", people.len());
            findings.note(Rule::ConcurrentRequestsForPerson, detail);
        }
        if inner.retry_after.is_too_early(now.elapsed) {
            findings.note(Rule::RequestInsideRetryAfter, "arrived before the time asked for");
        }
        inner.note(findings);
        let arrival =
            Arrival { method: received.method.as_str(), path: &received.path, people: &people };
        let course = inner.faults.decide(now.elapsed, &arrival);
        inner.requests.push(RequestRecord {
            index,
            arrived_millis: u64::try_from(now.elapsed.as_millis()).unwrap_or(u64::MAX),
            method: received.method.to_string(),
            path: received.path.clone(),
            body_bytes: received.body.len(),
            people: people.clone(),
            status: None,
            fault: course.fault,
            applied: false,
        });
        let flight = Flight { shared: Arc::clone(self), index, people, epoch: inner.epoch };
        Admitted { flight: Arc::new(flight), action: course.action }
    }

    /// The vendor's usual answer with this status, unless the fault brings its own body.
    pub(super) fn failure(
        &self,
        flight: &Flight<V>,
        status: u16,
        body: Option<Value>,
        retry_after_seconds: Option<u64>,
    ) -> Reply {
        let mut inner = self.lock();
        let mut reply = inner.vendor.failure(status);
        if body.is_some() {
            reply.body = body;
        }
        if let Some(seconds) = retry_after_seconds {
            reply = reply.with_header("retry-after", seconds.to_string());
        }
        if flight.epoch == inner.epoch {
            inner.watch(&reply, self.now());
        }
        reply
    }

    pub(crate) fn running_for(&self) -> Duration {
        self.now().elapsed
    }

    pub(crate) fn people(&self) -> Vec<Person> {
        self.lock().vendor.people()
    }

    pub(crate) fn person(&self, who: &str) -> Option<Person> {
        self.lock().vendor.person(who)
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.lock().violations.clone()
    }

    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        self.lock().requests.clone()
    }

    pub(crate) fn request_count(&self) -> usize {
        self.lock().requests.len()
    }

    pub(crate) fn plan_faults<T>(&self, change: impl FnOnce(&mut FaultPlan, Duration) -> T) -> T {
        let now = self.now().elapsed;
        change(&mut self.lock().faults, now)
    }

    pub(crate) fn hook(&self, name: &str, argument: &Value) -> Option<Reply> {
        let now = self.now();
        self.lock().vendor.hook(name, argument, now)
    }

    pub(crate) fn reset(&self) {
        let mut inner = self.lock();
        inner.vendor.reset();
        inner.faults = FaultPlan::default();
        inner.flights = Flights::default();
        inner.retry_after = RetryAfterWatch::default();
        inner.violations.clear();
        inner.requests.clear();
        inner.epoch += 1;
    }
}

impl<V> Inner<V> {
    fn note(&mut self, findings: Findings) {
        let room = VIOLATION_LIMIT.saturating_sub(self.violations.len());
        self.violations.extend(findings.into_violations().into_iter().take(room));
    }

    /// Remembers how long a 429 asked the client to stay away.
    fn watch(&mut self, reply: &Reply, now: Moment) {
        if reply.status != 429 {
            return;
        }
        let number = |name: &str| {
            let header = reply.headers.iter().find(|(header, _)| *header == name);
            header.and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let wait = number("retry-after").map(Duration::from_secs).or_else(|| {
            let reset = number("x-ratelimit-reset").map(Duration::from_secs)?;
            Some(reset.saturating_sub(now.unix))
        });
        if let Some(wait) = wait {
            self.retry_after.asked(now.elapsed, wait);
        }
    }
}

/// A request under way; dropping it ends its flight.
pub(super) struct Flight<V: Vendor> {
    shared: Arc<Shared<V>>,
    index: u64,
    people: Vec<String>,
    epoch: u64,
}

impl<V: Vendor> Flight<V> {
    /// Carries the request out.
    pub(super) fn apply(&self, received: &Received) -> Reply {
        let now = self.shared.now();
        let mut inner = self.shared.lock();
        if inner.epoch != self.epoch {
            return inner.vendor.failure(503);
        }
        let mut findings = Findings::of_request(self.index);
        let reply = inner.vendor.apply(received, now, &mut findings);
        inner.note(findings);
        inner.watch(&reply, now);
        self.record(&mut inner, |record| record.applied = true);
        reply
    }

    /// Notes what the client is told.
    pub(super) fn answered(&self, status: u16) {
        let mut inner = self.shared.lock();
        if inner.epoch == self.epoch {
            self.record(&mut inner, |record| record.status = Some(status));
        }
    }

    fn record(&self, inner: &mut Inner<V>, change: impl FnOnce(&mut RequestRecord)) {
        let place = usize::try_from(self.index).ok();
        if let Some(record) = place.and_then(|place| inner.requests.get_mut(place)) {
            change(record);
        }
    }
}

impl<V: Vendor> Drop for Flight<V> {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        if inner.epoch == self.epoch {
            inner.flights.leave(&self.people);
        }
    }
}
