//! One destination's line: everything it is owed, from the partitions that are ours to the calls.
//!
//! One task owns it all, so that nothing here needs a lock: records come from the broker's thread,
//! verdicts from the calls, and between them the lanes decide. What happens in a turn: start what may
//! start, commit what has to be committed, stop or start the flow of records, then wait for whatever
//! comes first.

mod ledger;

use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;
use service::admin::Condition;
use service::clock::Clock;
use stream::Received;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::ledger::Ledger;
use crate::breaker::State;
use crate::broker::{Broker, BrokerError, FromBroker, Place, ToBroker};
use crate::destinations::{Destination, Plan, Verdict};
use crate::dispatch::{Caller, Dispatch, Finished, Token};
use crate::failure::{Failure, Reason};
use crate::lanes::{Arrival, Bounds, Outcome, Schedule, Settled, Source};
use crate::metrics::Metrics;
use crate::park_limit::{Ending, ParkLimit};
use crate::records::Records;

/// Lanes started in one turn, so that a long run of skipped events keeps nobody waiting.
const STARTS_IN_A_TURN: usize = 1_000;

/// Messages of the broker heard in one turn.
const MESSAGES_IN_A_TURN: usize = 500;

/// The longest turn: gauges are brought up to date.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// How long to wait before starting again from what is committed.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// What an operator is told about a line that stands still.
const STOPPED: &str = "nearly everything would be parked. Mend the cause, then restart or POST /resume \
                       on the admin port";

/// Whether the destination is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Live,
    /// Calls are planned and counted, and nobody is called.
    Shadow,
}

/// How one line works.
#[derive(Debug)]
pub struct Settings {
    /// The destination's configured name.
    pub name: String,
    /// Its records.
    pub place: Place,
    /// When failed calls are made again.
    pub schedule: Arc<Schedule>,
    /// Whether calls are made.
    pub mode: Mode,
    /// Calls at a time.
    pub concurrency: usize,
    /// The longest time between two commits.
    pub commit_interval: Duration,
    /// How long calls under way may take to end.
    pub drain: Duration,
    /// The line stops when more than so many are parked …
    pub park_most: u32,
    /// … in so long.
    pub park_window: Duration,
}

/// What all lines are given.
#[derive(Debug)]
pub struct Surroundings {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Metrics,
    /// Cancelled when the process is asked to end.
    pub shutdown: CancellationToken,
    /// Notified when an operator lets a stopped line go on.
    pub resume: Arc<Notify>,
    /// Holds while the line has joined its group.
    pub joined: Condition,
}

/// One destination's line.
#[derive(Debug)]
pub struct Line<D: Destination> {
    settings: Settings,
    around: Surroundings,
    destination: Arc<D>,
    caller: Arc<Caller>,
    dispatch: Dispatch<D>,
    records: Records,
    ledger: Ledger,
    limit: ParkLimit,
    /// Time until the calls want to be asked again.
    ask_again: Option<Duration>,
}

/// What a message of the broker asks for.
enum Heard {
    Nothing,
    HandOver,
    Drop,
    Ended(BrokerError),
}

impl<D: Destination> Line<D> {
    /// Sets a line up; [`Self::run`] joins the group.
    pub fn new(
        settings: Settings,
        around: Surroundings,
        destination: D,
        caller: Caller,
        records: Records,
    ) -> Self {
        let destination = Arc::new(destination);
        let caller = Arc::new(caller);
        let dispatch =
            Dispatch::new(destination.clone(), caller.clone(), settings.concurrency.max(1));
        let ledger = Ledger::new(settings.schedule.clone(), Bounds::default());
        let limit = ParkLimit::new(settings.park_most, settings.park_window);
        let ask_again = None;
        Self { settings, around, destination, caller, dispatch, records, ledger, limit, ask_again }
    }

    /// Works until the process is asked to end. An error is one that starting again does not mend.
    pub async fn run(mut self) -> Result<(), BrokerError> {
        loop {
            let ended = match Broker::start(self.settings.place.clone()) {
                Ok(mut broker) => self.follow(&mut broker).await,
                Err(error) => {
                    tracing::error!(%error, "no thread can be started");
                    return Err(BrokerError::Left);
                }
            };
            self.around.joined.fails("not joined");
            self.drop_everything().await;
            if matches!(ended, BrokerError::Left) {
                return Ok(());
            }
            if ended.is_final() {
                return Err(ended);
            }
            let destination = &self.settings.name;
            let cause = std::error::Error::source(&ended).map(ToString::to_string);
            tracing::warn!(destination, error = %ended, cause, "starting again from what is committed");
            tokio::select! {
                () = tokio::time::sleep(RESTART_AFTER) => {}
                () = self.around.shutdown.cancelled() => return Ok(()),
            }
        }
    }

    /// Follows one thread to its end, and says why it ended.
    async fn follow(&mut self, broker: &mut Broker) -> BrokerError {
        let resume = self.around.resume.clone();
        let shutdown = self.around.shutdown.clone();
        loop {
            self.start_what_may_start();
            self.commit(broker);
            self.ledger.direct_flow(broker, self.limit.is_stopped());
            self.show();
            let wait = self.longest_wait();
            tokio::select! {
                message = broker.incoming.recv() => {
                    if let Some(error) = self.hear_all(broker, message).await {
                        return error;
                    }
                }
                finished = self.dispatch.next(), if self.dispatch.is_busy() => {
                    if let Err(error) = self.settle(finished) {
                        return error;
                    }
                }
                () = tokio::time::sleep(wait) => {}
                () = resume.notified() => self.limit.resume(),
                () = shutdown.cancelled() => return self.leave(broker).await,
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.around.clock.now_millis())
    }

    fn start_what_may_start(&mut self) {
        self.ask_again = None;
        if !self.ledger.is_started() || self.limit.is_stopped() {
            return;
        }
        let now = self.now();
        for _ in 0..STARTS_IN_A_TURN {
            if !self.dispatch.has_room() {
                break;
            }
            let Some((partition, ticket, received)) = self.ledger.start(now) else { break };
            self.plan(Token { partition, ticket, received_at: now }, &received);
        }
        self.ask_again = self.dispatch.begin();
    }

    fn plan(&mut self, token: Token, received: &Received) {
        let name = self.settings.name.as_str();
        let outcome = match self.records.event(received) {
            Err(failure) => Outcome::Refused(failure),
            Ok(event) => match self.destination.plan(&event) {
                Plan::Skip(skip) => {
                    self.around.metrics.skipped.with([name, skip.word()]).inc();
                    Outcome::Done
                }
                Plan::Send(_) if self.settings.mode == Mode::Shadow => {
                    self.around.metrics.shadowed.with([name]).inc();
                    Outcome::Done
                }
                Plan::Send(delivery) => {
                    let token = Token { received_at: event.received_at, ..token };
                    self.dispatch.push(token, delivery);
                    return;
                }
            },
        };
        self.finish(token, outcome);
    }

    fn finish(&mut self, token: Token, outcome: Outcome) {
        let now = self.now();
        let settled = self.ledger.finish(token, outcome, now, rand::random());
        let elapsed = self.around.clock.elapsed();
        let counted = match settled {
            // Parking by the horizon was not admitted by anybody before: it is counted here.
            Some(Settled::Parked(Reason::HorizonExceeded)) => Some(Ending::Parked),
            Some(Settled::Done) => Some(Ending::Otherwise),
            None
            | Some(
                Settled::Parked(_) | Settled::Postponed | Settled::AgainInPlace | Settled::SetAside,
            ) => None,
        };
        if let Some(ending) = counted
            && !self.limit.admits(ending, elapsed)
        {
            tracing::error!(destination = self.settings.name, "the line stops: {STOPPED}");
        }
    }

    /// What calls that ended mean for their lanes.
    fn settle(&mut self, finished: Finished) -> Result<(), BrokerError> {
        match finished {
            Finished::Called(verdicts) => {
                for (token, verdict) in verdicts {
                    let outcome = self.outcome(token, verdict);
                    self.finish(token, outcome);
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
        let metrics = &self.around.metrics;
        let postponed = Outcome::Postponed { until: now };
        let (word, outcome) = match verdict {
            Verdict::Delivered => ("delivered", Outcome::Done),
            Verdict::DeliveredWithoutAttributes(failure) => {
                let status = failure.status;
                tracing::warn!(
                    destination = name,
                    status,
                    "attributes refused, event delivered: has `deliver setup` declared them?"
                );
                ("delivered_without_attributes", Outcome::Done)
            }
            Verdict::Pause { failure, .. } => {
                tracing::debug!(destination = name, reason = failure.reason.word(), "pauses");
                ("paused", postponed)
            }
            // The breaker takes the blame: not the event's fault, no attempt is spent.
            Verdict::Retry(_) if !self.caller.gate.is_open_for_calls() => ("paused", postponed),
            Verdict::Retry(failure) => ("failed", Outcome::Failed(failure)),
            Verdict::Park(failure) => {
                if self.limit.admits(Ending::Parked, self.around.clock.elapsed()) {
                    ("refused", Outcome::Refused(failure))
                } else {
                    tell_stopped(&name, &failure);
                    ("refused", postponed)
                }
            }
        };
        metrics.attempts.with([&name, word]).inc();
        if matches!(outcome, Outcome::Done) {
            metrics.delivered.with([&name]).inc();
            let millis = now.millis().saturating_sub(token.received_at.millis()).max(0);
            let took = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
            metrics.end_to_end.with([&name]).observe(took.as_secs_f64());
        }
        outcome
    }

    fn commit(&mut self, broker: &Broker) {
        // A line that stands still must not write what it has decided to park.
        if self.limit.is_stopped() {
            return;
        }
        let elapsed = self.around.clock.elapsed();
        let interval = self.settings.commit_interval;
        if self.ledger.is_commit_due(elapsed, interval) {
            let now = self.now();
            self.ledger.commit(broker, &self.records, now, elapsed);
        }
    }

    /// Hears a message, and those that already wait behind it.
    async fn hear_all(
        &mut self,
        broker: &mut Broker,
        first: Option<FromBroker>,
    ) -> Option<BrokerError> {
        let mut next = first;
        for _ in 0..MESSAGES_IN_A_TURN {
            match self.hear(next.unwrap_or(FromBroker::Ended(BrokerError::Left))) {
                Heard::Nothing => {}
                Heard::Ended(error) => return Some(error),
                Heard::HandOver => {
                    if let Err(error) = self.finish_work(broker).await {
                        return Some(error);
                    }
                    self.release(broker).await;
                }
                Heard::Drop => self.release(broker).await,
            }
            next = broker.incoming.try_recv().ok();
            if next.is_none() {
                break;
            }
        }
        None
    }

    fn hear(&mut self, message: FromBroker) -> Heard {
        match message {
            FromBroker::Assigned { partition, events, retry } => {
                self.ledger.assign(partition, events, retry);
            }
            FromBroker::Record(source, received) => self.take(source, *received),
            FromBroker::Started { share } => {
                self.destination.forget();
                self.caller.gate.share(share);
                self.ledger.begin();
                self.around.joined.holds();
            }
            FromBroker::Committed => {
                let now = self.now();
                self.ledger.committed(now, &self.around.metrics, &self.settings.name);
            }
            FromBroker::Revoked => return Heard::HandOver,
            FromBroker::Lost => return Heard::Drop,
            FromBroker::Ended(error) => return Heard::Ended(error),
        }
        Heard::Nothing
    }

    fn take(&mut self, source: Source, received: Received) {
        let now = self.now();
        let name = self.settings.name.as_str();
        let arrival = match self.records.arriving(Arc::new(received), source) {
            Ok(arriving) => self.ledger.arrive(source, arriving, now),
            Err((received, failure)) => {
                if !self.limit.admits(Ending::Parked, self.around.clock.elapsed()) {
                    tell_stopped(name, &failure);
                }
                self.ledger.arrive_unreadable(source, received, failure, now)
            }
        };
        if arrival == Some(Arrival::Duplicate) {
            self.around.metrics.duplicates.with([name]).inc();
        }
    }

    /// Lets calls under way end, and commits what came of them.
    async fn finish_work(&mut self, broker: &mut Broker) -> Result<(), BrokerError> {
        self.ledger.end();
        self.dispatch.abandon_queue();
        let clock = self.around.clock.clone();
        let deadline = clock.elapsed() + self.settings.drain;
        while self.dispatch.is_busy() {
            let left = deadline.saturating_sub(clock.elapsed());
            let Ok(finished) = tokio::time::timeout(left, self.dispatch.next()).await else {
                self.dispatch.break_off().await;
                break;
            };
            self.settle(finished)?;
        }
        loop {
            while self.ledger.is_committing() {
                match broker.incoming.recv().await {
                    Some(FromBroker::Revoked | FromBroker::Lost) => {
                        self.tell(broker, ToBroker::Release).await;
                    }
                    Some(FromBroker::Ended(error)) => return Err(error),
                    Some(FromBroker::Committed) => {
                        let now = self.now();
                        self.ledger.committed(now, &self.around.metrics, &self.settings.name);
                    }
                    // Whatever is read from now on is the next owner's.
                    Some(
                        FromBroker::Assigned { .. }
                        | FromBroker::Record(..)
                        | FromBroker::Started { .. },
                    ) => {}
                    None => return Err(BrokerError::Left),
                }
            }
            let (now, elapsed) = (self.now(), clock.elapsed());
            if self.limit.is_stopped() || !self.ledger.commit(broker, &self.records, now, elapsed) {
                return Ok(());
            }
        }
    }

    async fn release(&mut self, broker: &Broker) {
        self.drop_everything().await;
        self.tell(broker, ToBroker::Release).await;
    }

    async fn leave(&mut self, broker: &mut Broker) -> BrokerError {
        if let Err(error) = self.finish_work(broker).await {
            return error;
        }
        self.tell(broker, ToBroker::Leave).await;
        loop {
            match broker.incoming.recv().await {
                None | Some(FromBroker::Ended(_)) => return BrokerError::Left,
                Some(FromBroker::Revoked | FromBroker::Lost) => {
                    self.tell(broker, ToBroker::Release).await;
                }
                Some(
                    FromBroker::Assigned { .. }
                    | FromBroker::Record(..)
                    | FromBroker::Started { .. }
                    | FromBroker::Committed,
                ) => {}
            }
        }
    }

    async fn tell(&self, broker: &Broker, order: ToBroker) {
        if broker.commands.send(order).await.is_err() {
            tracing::debug!(destination = self.settings.name, "the broker's thread was gone first");
        }
    }

    /// Nothing of it is ours any more.
    async fn drop_everything(&mut self) {
        self.dispatch.abandon_queue();
        self.dispatch.break_off().await;
        self.ledger.clear();
        self.destination.forget();
    }

    fn longest_wait(&self) -> Duration {
        let (now, elapsed) = (self.now(), self.around.clock.elapsed());
        let lanes = self.ledger.wait(now, elapsed, self.settings.commit_interval);
        lanes.min(self.ask_again.unwrap_or(LONGEST_TURN)).min(LONGEST_TURN)
    }

    fn show(&self) {
        let name = [self.settings.name.as_str()];
        let metrics = &self.around.metrics;
        metrics.breaker.with(name).set(match self.caller.gate.state() {
            State::Closed => 0.0,
            State::HalfOpen => 1.0,
            State::Open { .. } => 2.0,
        });
        metrics.line_stopped.with(name).set(f64::from(u8::from(self.limit.is_stopped())));
        let backlog = u32::try_from(self.ledger.backlog()).unwrap_or(u32::MAX);
        metrics.backlog.with(name).set(f64::from(backlog));
    }
}

fn tell_stopped(destination: &str, failure: &Failure) {
    tracing::error!(
        destination,
        reason = failure.reason.word(),
        status = failure.status,
        "the line stops: {STOPPED}"
    );
}
