//! Makes the calls: groups what may go together, asks the gate before each request, and follows each
//! conversation to its verdicts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;
use service::clock::Clock;
use service::traces::{Span, SpanKind, TraceContext, Tracer};
use tokio::task::JoinSet;

use crate::breaker::State;
use crate::destinations::{
    Answer, Conversation, Destination, Reply, Request, Turn, Verdict, trouble,
};
use crate::gate::Gate;
use crate::http::Http;
use crate::lanes::Ticket;
use crate::metrics::{Answers, code};
use crate::records::Errand;

#[cfg(test)]
mod tests;

/// What calls have in common.
#[derive(Debug)]
pub struct Caller {
    /// Opens the connections.
    pub http: Http,
    /// Says whether and how soon.
    pub gate: Arc<Gate>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Who is told of requests.
    pub observers: Observers,
}

/// Who is told of requests.
#[derive(Clone, Debug, Default)]
pub struct Observers {
    /// Counts, where somebody looks at the numbers.
    pub answers: Option<Answers>,
    /// Tells how long they took, where somebody collects that.
    pub tracer: Tracer,
}

impl Caller {
    /// Makes one request, on account of those whose contexts these are: the first is told to the destination.
    pub async fn ask(&self, request: &Request, on_account_of: &[TraceContext]) -> Answer {
        let began = self.clock.elapsed();
        let parent = on_account_of.first().copied();
        let mut span = self.observers.tracer.start(request.method.name(), SpanKind::Client, parent);
        for other in on_account_of.iter().skip(1).take(LINKS) {
            span.link(*other);
        }
        let answer = self.http.send(request, self.clock.now().as_second(), span.context()).await;
        describe(&mut span, request, &answer);
        if let Some(answers) = &self.observers.answers {
            answers.count(&answer, self.clock.elapsed().saturating_sub(began));
        }
        answer
    }
}

/// Events that share a request are named up to so many: more than one trace can make use of.
const LINKS: usize = 127;

/// Names of HTTP by OpenTelemetry's conventions; no path, which may name a person.
fn describe(span: &mut Span, request: &Request, answer: &Answer) {
    span.say("http.request.method", request.method.name());
    match answer {
        Answer::Replied(reply) => {
            span.count("http.response.status_code", reply.status);
            if reply.status >= 400 {
                span.fail(code(answer));
            }
        }
        Answer::Failed(_) => span.fail(code(answer)),
    }
}

/// Which sending a delivery belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// Of which partition.
    pub partition: i32,
    /// Which sending of it.
    pub ticket: Ticket,
    /// When what the event tells of occurred.
    pub occurred_at: Timestamp,
    /// When the event's webhook was received.
    pub received_at: Timestamp,
    /// What it is for.
    pub errand: Errand,
}

/// What came of a task.
#[derive(Debug)]
pub enum Finished {
    /// Verdicts in the order of the tokens.
    Called(Vec<(Token, Verdict)>),
    /// The breaker opened or the lease ran out before it was over: nothing is known of these, and
    /// nothing was spent.
    Interrupted(Vec<Token>),
    /// A probe is back.
    Probed,
    /// A task ended without saying anything; what it held is not known any more.
    Broken,
}

/// A delivery that waits for its call.
#[derive(Debug)]
struct Queued<Delivery> {
    token: Token,
    delivery: Delivery,
    span: Span,
}

/// A delivery under way.
#[derive(Debug)]
struct Sending {
    token: Token,
    span: Span,
}

/// The calls of one destination.
#[derive(Debug)]
pub struct Dispatch<D: Destination> {
    destination: Arc<D>,
    caller: Arc<Caller>,
    concurrency: usize,
    queue: VecDeque<Queued<D::Delivery>>,
    tasks: JoinSet<Finished>,
}

impl<D: Destination> Dispatch<D> {
    /// At most `concurrency` calls at a time.
    pub fn new(destination: Arc<D>, caller: Arc<Caller>, concurrency: usize) -> Self {
        let (queue, tasks) = (VecDeque::new(), JoinSet::new());
        Self { destination, caller, concurrency, queue, tasks }
    }

    /// Whether there is room for another delivery: two rounds of full groups are enough to never run
    /// dry.
    pub fn has_room(&self) -> bool {
        let group = self.destination.grouping().deliveries;
        self.queue.len() < self.concurrency.saturating_mul(group).saturating_mul(2)
    }

    /// Takes a delivery on.
    pub fn push(&mut self, token: Token, delivery: D::Delivery, span: Span) {
        self.queue.push_back(Queued { token, delivery, span });
    }

    /// Begins whatever may begin now. Says after how long to ask again, if something waits for time
    /// alone.
    pub fn begin(&mut self) -> Option<Duration> {
        let now = self.caller.clock.elapsed();
        if self.caller.gate.begin_probe(now) {
            self.tasks.spawn(probe(self.destination.probe(), self.caller.clone()));
        }
        match self.caller.gate.state() {
            State::Closed => {}
            State::HalfOpen => return None,
            State::Open { until } => return Some(until.saturating_sub(now)),
        }
        if !self.caller.gate.may_begin(now) {
            return None;
        }
        while !self.queue.is_empty() && self.tasks.len() < self.concurrency {
            // Waiting here and not in the task lets the group grow meanwhile.
            let wait = self.caller.gate.wait(now);
            if !wait.is_zero() {
                return Some(wait);
            }
            let delay = self.caller.gate.reserve(now);
            let (sendings, deliveries) = self.group();
            let conversation = self.destination.converse(deliveries);
            self.tasks.spawn(converse(conversation, sendings, delay, self.caller.clone()));
        }
        None
    }

    /// The longest run of the queue that fits one conversation; never empty while the queue is not.
    fn group(&mut self) -> (Vec<Sending>, Vec<D::Delivery>) {
        let grouping = self.destination.grouping();
        let (mut sendings, mut deliveries) = (Vec::new(), Vec::new());
        let mut bytes = 0_usize;
        while let Some(next) = self.queue.front() {
            bytes = bytes.saturating_add(D::weight(&next.delivery));
            let full = deliveries.len() >= grouping.deliveries || bytes > grouping.bytes;
            if full && !deliveries.is_empty() {
                break;
            }
            if let Some(Queued { token, delivery, span }) = self.queue.pop_front() {
                sendings.push(Sending { token, span });
                deliveries.push(delivery);
            }
        }
        (sendings, deliveries)
    }

    /// Whether a call or a probe is under way.
    pub fn is_busy(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// What ended next. Only to be asked while [`Self::is_busy`]; safe to drop and ask again.
    pub async fn next(&mut self) -> Finished {
        match self.tasks.join_next().await {
            Some(Ok(finished)) => finished,
            Some(Err(error)) => {
                // The text of a panic may quote what was being sent.
                let panicked = error.is_panic();
                tracing::error!(panicked, "a call ended unexpectedly");
                Finished::Broken
            }
            None => Finished::Probed,
        }
    }

    /// Forgets what has not begun, and says what that is.
    pub fn abandon_queue(&mut self) -> Vec<Token> {
        self.queue.drain(..).map(|queued| queued.token).collect()
    }

    /// Breaks off what has begun, and returns when nothing is under way any more.
    pub async fn break_off(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn converse(
    mut conversation: impl Conversation,
    mut sendings: Vec<Sending>,
    mut delay: Duration,
    caller: Arc<Caller>,
) -> Finished {
    let contexts: Vec<_> = sendings.iter().filter_map(|sending| sending.span.context()).collect();
    let mut request = conversation.begin();
    let mut has_asked_the_destination = false;
    loop {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        // Directly before the call: what another call learned meanwhile counts, and the lease.
        if !caller.gate.may_begin(caller.clock.elapsed()) {
            return Finished::Interrupted(
                sendings.into_iter().map(|sending| sending.token).collect(),
            );
        }
        let answer = caller.ask(&request, &contexts).await;
        if request.elsewhere.is_none() {
            has_asked_the_destination = true;
            heed_allowance(&answer, &caller);
        }
        match conversation.judge(&answer) {
            Turn::Ask(next) => request = next,
            Turn::Over(verdicts) => {
                // How other hosts are says nothing about this one.
                if has_asked_the_destination {
                    caller.gate.learn(&verdicts, caller.clock.elapsed());
                }
                for (sending, verdict) in sendings.iter_mut().zip(&verdicts) {
                    judge(&mut sending.span, verdict);
                }
                let tokens = sendings.into_iter().map(|sending| sending.token);
                return Finished::Called(tokens.zip(verdicts).collect());
            }
        }
        // The pace is what the destination takes.
        delay = match request.elsewhere {
            None => caller.gate.reserve(caller.clock.elapsed()),
            Some(_) => Duration::ZERO,
        };
    }
}

/// What the verdict means for an attempt.
fn judge(span: &mut Span, verdict: &Verdict) {
    match verdict {
        Verdict::Delivered | Verdict::DeliveredWithoutAttributes(_) | Verdict::Outdated => {}
        Verdict::Pause { failure, .. } | Verdict::Retry(failure) | Verdict::Park(failure) => {
            span.fail(failure.reason.word());
        }
    }
}

/// An allowance that is used up is heeded before the first call that it would refuse.
fn heed_allowance(answer: &Answer, caller: &Caller) {
    if let Answer::Replied(Reply { used_up_for: Some(wait), .. }) = answer {
        caller.gate.used_up(*wait, caller.clock.elapsed());
    }
}

async fn probe(request: Request, caller: Arc<Caller>) -> Finished {
    let answer = caller.ask(&request, &[]).await;
    let unwell = trouble(&answer).or_else(|| match &answer {
        Answer::Replied(reply) if (200..=299).contains(&reply.status) => None,
        Answer::Replied(reply) => {
            let failure = reply.failure(crate::failure::Reason::UnexpectedAnswer);
            Some(Verdict::Pause { failure, after: reply.retry_after })
        }
        Answer::Failed(_) => None,
    });
    caller.gate.probed(unwell.as_ref(), caller.clock.elapsed());
    heed_allowance(&answer, &caller);
    Finished::Probed
}
