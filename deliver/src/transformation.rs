//! Transformation code of the operator's: a destination whose calls a `handler(webhook)` decides.
//!
//! The handler is given the webhook as the provider sent it ([`surface`]), runs in a process of its own
//! ([`handlers`]), and returns what is to be sent. A webhook that it leaves as it is, is told as it would be without
//! it; one that it cancels is not told. A call of the destination's own API is understood ([`Transformable`]) and goes
//! the way of every other: the same lanes, batches, limits, ids and retries. A call of another host is refused, unless
//! that host is allowed ([`route`]); it goes without the destination's credentials, after what is the destination's.
//!
//! One webhook may give several events. The handler is asked about each, and what it returns holds for that event. But
//! one that looks at nothing in which they differ ([`SHARED`]) returns the same for all of them: its calls are made with
//! the first, so that they are made once. Whom a destination is for (`environments`, `anonymous`) is decided before, and
//! a person who asked to be forgotten is forgotten whatever a handler says.
//!
//! The clock that a handler sees is when the webhook was received, and its randomness comes from the event's id: a
//! retry and a replay send the same bytes. A handler that throws, does not end or returns what cannot be used parks its
//! event. What it said may be about a person, so it stands in the dead letter and in no log.
//!
//! Without transformation code no destination is wrapped, and nothing here is run.

mod handlers;
mod ids;
mod outcome;
mod route;
mod sending;
mod surface;

#[cfg(test)]
mod tests;

use schemas::LifecycleEvent;
use script::{Ambient, Kind};

pub use handlers::{Handler, Handlers, WORKER, run_scripts_if_asked};
pub use ids::Ids;
pub use outcome::{Considered, Corrected, Correction, Counts, Outcome};
pub use route::Reach;
pub(crate) use route::is_this_machine;

pub use sending::{Exchange, Sending};
pub use surface::{Call, Part};

use self::route::Route;
use self::sending::judge_call;
use self::surface::Given;
use crate::destinations::{
    Answer, Audience, Destination, Grouping, Method, Plan, Reply, Request, Skip, Verdict,
};
use crate::failure::{Failure, Reason};

/// Fields of an event that are the same for all events of one webhook: whoever looks at these alone would not return
/// anything else for another of them.
const SHARED: [&str; 12] = [
    "occurred_at",
    "received_at",
    "epoch",
    "late",
    "source",
    "provider",
    "provider_event_id",
    "provider_event_type",
    "environment",
    "subscriber",
    "subscription",
    "payment",
];

/// A destination whose API is understood when a handler calls it.
pub trait Transformable: Destination {
    /// Whose events it gets.
    fn audience(&self) -> &Audience;

    /// What has to be sent for these, in their order; never asked about none.
    ///
    /// # Errors
    /// What is wrong with a call.
    fn understand(
        &self,
        event: &LifecycleEvent,
        told: Vec<Told>,
    ) -> Result<Understood<Self::Delivery>, Failure>;

    /// What the answer to one of [`Understood::calls`] means.
    fn judge_call(answer: &Answer) -> Verdict {
        judge_call(answer)
    }
}

/// What a handler wants told to the destination itself.
#[derive(Debug)]
pub enum Told {
    /// The event, as it would be without the handler.
    AsMapped,
    /// A call of the destination's API.
    Call(OwnCall),
}

/// A call of a destination's own API.
pub struct OwnCall {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The body.
    pub payload: serde_json::Value,
}

impl std::fmt::Debug for OwnCall {
    /// Without path and body: they name people.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OwnCall").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What calls of a destination's API come to.
#[derive(Debug)]
pub struct Understood<D> {
    /// What is delivered as everything else is.
    pub delivery: Option<D>,
    /// Further requests, made one after the other when that is delivered.
    pub calls: Vec<Request>,
    /// Why an event that was to be told as it would be without the handler is not.
    pub skipped: Option<Skip>,
    /// What was put right.
    pub corrections: Vec<Correction>,
}

impl<D> Understood<D> {
    /// Nothing yet.
    pub fn nothing() -> Self {
        Self { delivery: None, calls: Vec::new(), skipped: None, corrections: Vec::new() }
    }
}

/// A destination with transformation code.
#[derive(Debug)]
pub struct Transformed<D> {
    inner: D,
    handlers: Handlers,
    reach: Reach,
    counts: Counts,
}

impl<D: Transformable> Transformed<D> {
    /// `inner`, where the events of some sources are given to `handlers`.
    pub fn new(inner: D, handlers: Handlers, reach: Reach, counts: Counts) -> Self {
        Self { inner, handlers, reach, counts }
    }

    fn as_mapped(&self, event: &LifecycleEvent) -> Plan<Sending<D::Delivery>> {
        match self.inner.plan(event) {
            Plan::Skip(skip) => Plan::Skip(skip),
            Plan::End(verdict) => Plan::End(verdict),
            Plan::Send(delivery) => Plan::Send(Sending { own: Some(delivery), calls: Vec::new() }),
        }
    }

    /// What becomes of an event, with what there is to say about it.
    pub fn consider(&self, event: &LifecycleEvent) -> Considered<Sending<D::Delivery>> {
        let handler = self.handlers.of(&event.source).filter(|_| !event.is_erasure());
        let Some(handler) = handler else {
            return Considered::new(Outcome::NotAsked, self.as_mapped(event));
        };
        if let Err(skip) = self.inner.audience().admits(event) {
            return Considered::new(Outcome::NotAsked, Plan::Skip(skip));
        }
        let Some(payload) = &event.payload else {
            let message = "the event does not carry its webhook: it was made before the transformation code was \
                           configured, or the webhook is larger than an eighth of a message";
            return Considered::failed(Verdict::Park(Failure::new(
                Reason::PayloadMissing,
                message,
            )));
        };
        let Some(given) = Given::of(event, payload, &self.reach.url) else {
            let failure =
                Failure::new(Reason::TransformationFailed, "the event cannot be said in JSON");
            return Considered::failed(Verdict::Park(failure));
        };
        let seed = event.event_id.get(..8).and_then(|id| u32::from_str_radix(id, 16).ok());
        let now_millis = event.received_at.millis();
        let ambient = Ambient { now_millis, seed: seed.unwrap_or_default() };
        let output = match handler.call(&given.json, ambient) {
            Ok(output) => output,
            Err(fault) => {
                let failed = Considered::failed(judge(&fault));
                return Considered { console: fault.console, ..failed };
            }
        };
        let is_shared = |name: &String| SHARED.contains(&name.as_str());
        let tells_by_webhook = output.looked_at.iter().all(is_shared);
        let parts = given.returned(&output.json);
        let considered = match parts {
            Ok(parts) if event.ordinal > 0 && tells_by_webhook => self.told_by_first(event, &parts),
            Ok(parts) => self.decide(event, parts),
            Err(message) => Considered::failed(refused(handler, &message)),
        };
        Considered { console: output.console, ..considered }
    }

    /// What is left to be told of a later event where the first has told its calls.
    fn told_by_first(
        &self,
        event: &LifecycleEvent,
        parts: &[Part],
    ) -> Considered<Sending<D::Delivery>> {
        if parts.is_empty() {
            Considered::new(Outcome::Cancelled, Plan::Skip(Skip::Cancelled))
        } else if parts.iter().any(|part| matches!(part, Part::AsMapped)) {
            Considered::new(Outcome::AsMapped, self.as_mapped(event))
        } else {
            Considered::new(Outcome::ToldByFirst, Plan::Skip(Skip::ToldByFirst))
        }
    }

    fn decide(&self, event: &LifecycleEvent, parts: Vec<Part>) -> Considered<Sending<D::Delivery>> {
        if parts.is_empty() {
            return Considered::new(Outcome::Cancelled, Plan::Skip(Skip::Cancelled));
        }
        if parts.iter().all(|part| matches!(part, Part::AsMapped)) {
            return Considered::new(Outcome::AsMapped, self.as_mapped(event));
        }
        match self.calls(event, parts) {
            Ok(understood) => understood,
            Err(failure) => Considered::failed(Verdict::Park(failure)),
        }
    }

    fn calls(
        &self,
        event: &LifecycleEvent,
        parts: Vec<Part>,
    ) -> Result<Considered<Sending<D::Delivery>>, Failure> {
        let (mut told, mut elsewhere) = (Vec::new(), Vec::new());
        let (mut headers_left_out, mut ids) = (None, Ids::of(&event.event_id));
        for part in parts {
            match part {
                Part::AsMapped => told.push(Told::AsMapped),
                Part::Call(call) => match self.reach.route(&call.url)? {
                    Route::Own(path) => {
                        let Call { method, payload, headers, .. } = call;
                        if !headers.is_empty() {
                            let text = "headers were left out: the destination's own are sent";
                            headers_left_out = Some(Correction::new(Corrected::Headers, text));
                        }
                        told.push(Told::Call(OwnCall { method, path, payload }));
                    }
                    Route::Elsewhere(origin, path) => {
                        elsewhere.push(call.elsewhere(origin, path, &mut ids));
                    }
                },
            }
        }
        let understood = if told.is_empty() {
            Understood::nothing()
        } else {
            self.inner.understand(event, told)?
        };
        let Understood { delivery, mut calls, skipped, mut corrections } = understood;
        calls.extend(elsewhere);
        corrections.extend(headers_left_out);
        let plan = match (delivery, skipped) {
            (None, Some(skip)) if calls.is_empty() => Plan::Skip(skip),
            (own, _) => Plan::Send(Sending { own, calls }),
        };
        let outcome = if corrections.is_empty() { Outcome::Sent } else { Outcome::Corrected };
        Ok(Considered { corrections, ..Considered::new(outcome, plan) })
    }
}

/// What a fault means for the event.
fn judge(fault: &script::Fault) -> Verdict {
    match fault.kind {
        Kind::Lost => Verdict::Retry(Failure::new(Reason::NotReady, fault.to_string())),
        Kind::Syntax
        | Kind::NoHandler
        | Kind::Threw
        | Kind::TimedOut
        | Kind::OutOfMemory
        | Kind::TooDeep
        | Kind::Nonsense
        | Kind::Ended => {
            Verdict::Park(Failure::new(Reason::TransformationFailed, fault.to_string()))
        }
    }
}

fn refused(handler: &Handler, message: &str) -> Verdict {
    let message = format!("{}: {message}", handler.name());
    Verdict::Park(Failure::new(Reason::TransformationFailed, message))
}

impl<D: Transformable> Destination for Transformed<D> {
    type Delivery = Sending<D::Delivery>;
    type Conversation = Exchange<D::Conversation>;

    const PLANS_SLOWLY: bool = true;

    fn plan(&self, event: &LifecycleEvent) -> Plan<Self::Delivery> {
        let considered = self.consider(event);
        self.counts.count(&considered);
        considered.plan
    }

    /// What a person shows who is told by a handler, the handler alone knows.
    fn refresh(&self, snapshot: &LifecycleEvent) -> Plan<Self::Delivery> {
        if self.handlers.of(&snapshot.source).is_some() {
            return Plan::Skip(Skip::Unsupported);
        }
        match self.inner.refresh(snapshot) {
            Plan::Skip(skip) => Plan::Skip(skip),
            Plan::End(verdict) => Plan::End(verdict),
            Plan::Send(delivery) => Plan::Send(Sending { own: Some(delivery), calls: Vec::new() }),
        }
    }

    fn grouping(&self) -> Grouping {
        self.inner.grouping()
    }

    /// One with further calls stands alone, so that nobody waits for them.
    fn weight(delivery: &Self::Delivery) -> usize {
        if delivery.calls.is_empty() {
            delivery.own.as_ref().map_or(0, D::weight)
        } else {
            usize::MAX
        }
    }

    fn converse(&self, group: Vec<Self::Delivery>) -> Self::Conversation {
        Exchange::new(group, D::judge_call, |own| self.inner.converse(own))
    }

    fn probe(&self) -> Request {
        self.inner.probe()
    }

    fn first_answer(&self, request: &Request) -> Reply {
        if request.elsewhere.is_some() {
            return Reply { status: 200, ..Reply::default() };
        }
        self.inner.first_answer(request)
    }

    fn forget(&self) {
        self.inner.forget();
    }
}
