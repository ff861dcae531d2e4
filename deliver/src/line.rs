//! One destination's line: everything it is owed, from the partitions that are ours to the calls.
//!
//! One task owns it all, so that nothing here needs a lock: records come from the broker's thread,
//! verdicts from the calls, and between them the lanes decide. What happens in a turn: start what may
//! start, commit what has to be committed, stop or start the flow of records, then wait for whatever
//! comes first.

mod cadence;
mod errands;
mod handover;
mod in_a_turn;
mod ledger;
mod questions;
mod shown;
#[cfg(test)]
mod throughput_tests;
mod verdicts;

use std::sync::Arc;
use std::time::Duration;

use registry::Registry;
use schemas::Timestamp;
use service::admin::Condition;
use service::clock::Clock;
use service::traces::Tracer;
use stream::{Membership, Received};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::in_a_turn::InATurn;
use self::ledger::Ledger;
use self::questions::{InOrder, Questions};
use self::verdicts::tell_stopped;
use crate::broker::{Broker, BrokerError, FromBroker, Place};
use crate::cut::Cut;
use crate::destinations::Destination;
use crate::dispatch::{Caller, Dispatch, Token};
use crate::lanes::{Arrival, Bounds, Schedule, Source};
use crate::lease::Terms;
use crate::metrics::Metrics;
use crate::park_limit::{Ending, ParkLimit};
use crate::records::{Records, Unread};
use crate::tenure::Owner;

/// Lanes started in one turn, so that a long run of skipped events keeps nobody waiting.
const STARTS_IN_A_TURN: usize = 1_000;

/// Messages of the broker heard in one turn.
const MESSAGES_IN_A_TURN: usize = 500;

/// The longest turn: gauges are brought up to date.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// How long to wait before starting again from what is committed.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Whether the destination is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Live,
    /// Calls are planned, counted and noted, and nobody is called.
    Shadow,
}

/// How one line works.
#[derive(Debug)]
pub struct Settings {
    /// The destination's configured name.
    pub name: String,
    /// This process, among all that ever own a partition.
    pub owner: Owner,
    /// Its records.
    pub place: Place,
    /// When failed calls are made again.
    pub schedule: Arc<Schedule>,
    /// Whether calls are made.
    pub mode: Mode,
    /// From when on the destination is told.
    pub cut: Cut,
    /// Bytes that a note of what would have been sent may take.
    pub longest_note: usize,
    /// Calls at a time.
    pub concurrency: usize,
    /// The longest time between two commits.
    pub commit_interval: Duration,
    /// How long calls under way may take to end.
    pub drain: Duration,
    /// When calls begin, and when they are over.
    pub terms: Terms,
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
    /// Knows the schemas of events that carry an id, where one is configured.
    pub registry: Option<Arc<Registry>>,
    /// Tells of attempts.
    pub tracer: Tracer,
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
    questions: Questions,
    ledger: Ledger,
    limit: ParkLimit,
    /// How long the destination was out of service, as far as the lanes were told.
    outages: Duration,
    /// Whether it is, as far as people were told.
    is_out_of_service: bool,
    /// Time until the calls want to be asked again.
    ask_again: Option<Duration>,
    /// When what takes longer to count was last shown.
    counted_at: Option<Duration>,
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
        caller: Arc<Caller>,
        records: Records,
    ) -> Self {
        let destination = Arc::new(destination);
        let dispatch =
            Dispatch::new(destination.clone(), caller.clone(), settings.concurrency.max(1));
        let (schedule, terms) = (settings.schedule.clone(), settings.terms);
        let ledger = Ledger::new(settings.owner, schedule, terms, Bounds::default());
        let limit = ParkLimit::new(settings.park_most, settings.park_window);
        let questions = Questions::of(around.registry.clone());
        Self {
            settings,
            around,
            destination,
            caller,
            dispatch,
            records,
            questions,
            ledger,
            limit,
            outages: Duration::ZERO,
            is_out_of_service: false,
            ask_again: None,
            counted_at: None,
        }
    }

    /// Works until the process is asked to end. An error is one that starting again does not mend.
    pub async fn run(mut self) -> Result<(), BrokerError> {
        loop {
            tracing::info!(
                destination = self.settings.name,
                "joins its group; a member that died is waited for as long as the session time-out"
            );
            let Settings { name, place, .. } = &self.settings;
            let watcher = Some(self.around.metrics.lag_of(name, &place.retry));
            let membership = Membership { watcher, ..Membership::default() };
            let ended = match Broker::start(place.clone(), membership) {
                Ok(mut broker) => self.follow(&mut broker).await,
                Err(error) => {
                    tracing::error!(%error, "no thread can be started");
                    return Err(BrokerError::Left);
                }
            };
            self.around.joined.fails("not joined");
            if matches!(ended, BrokerError::Left) {
                self.drop_everything().await;
                return Ok(());
            }
            self.let_calls_end().await;
            self.drop_everything().await;
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
            self.excuse_outages();
            self.start_what_may_start();
            self.commit(broker);
            let held = self.limit.is_stopped() || self.questions.is_asking();
            self.ledger.direct_flow(broker, held);
            self.show();
            let wait = self.longest_wait();
            tokio::select! {
                message = broker.incoming.recv(), if self.questions.has_room() => {
                    if let Some(error) = self.hear_all(broker, message).await {
                        return error;
                    }
                }
                finished = self.dispatch.next(), if self.dispatch.is_busy() => {
                    if let Err(error) = self.settle(finished) {
                        return error;
                    }
                }
                answer = self.questions.answered(), if self.questions.is_asking() => {
                    if let Err(error) = self.learn(answer) {
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

    /// Tells the lanes for how long the destination was out of service.
    fn excuse_outages(&mut self) {
        let outages = self.caller.gate.out_of_service(self.around.clock.elapsed());
        self.ledger.out_of_service(outages.saturating_sub(self.outages));
        self.outages = outages;
    }

    fn start_what_may_start(&mut self) {
        self.ask_again = None;
        if !self.ledger.is_started() || self.limit.is_stopped() {
            return;
        }
        let (now, elapsed) = (self.now(), self.around.clock.elapsed());
        for _ in 0..STARTS_IN_A_TURN {
            if !self.dispatch.has_room() || self.limit.is_stopped() || self.is_slow(elapsed) {
                break;
            }
            let Some((partition, ticket, received)) = self.ledger.start(now, elapsed) else {
                break;
            };
            let errand = self.records.errand(&received);
            let (occurred_at, received_at) = (now, now);
            let token = Token { partition, ticket, occurred_at, received_at, errand };
            self.plan(token, &received);
        }
        let soon = self.is_slow(elapsed).then_some(Duration::ZERO);
        self.ask_again = soon.or(self.dispatch.begin());
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
        let mut message = first.unwrap_or(FromBroker::Ended(BrokerError::Left));
        let mut turn = InATurn::after_the_first(MESSAGES_IN_A_TURN);
        loop {
            match self.hear(message) {
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
            message = turn.next(&mut broker.incoming)?;
        }
    }

    fn hear(&mut self, message: FromBroker) -> Heard {
        match message {
            FromBroker::Assigned { partition, events, retry, tenure } => {
                let elapsed = self.around.clock.elapsed();
                self.ledger.assign(partition, (events, retry), tenure, elapsed);
            }
            FromBroker::Record(source, received) => {
                self.hear_in_order(InOrder::Record(source, received));
            }
            FromBroker::Started { share } => self.hear_in_order(InOrder::Started { share }),
            FromBroker::Committed => {
                self.committed();
            }
            FromBroker::Revoked => return Heard::HandOver,
            FromBroker::Lost => return Heard::Drop,
            FromBroker::Ended(error) => return Heard::Ended(error),
        }
        Heard::Nothing
    }

    fn committed(&mut self) {
        let times = (self.now(), self.around.clock.elapsed());
        let sent = self.ledger.committed(times, &self.around.metrics, &self.settings.name);
        if let Some(sent) = sent {
            self.caller.gate.renew_lease(sent);
        }
    }

    /// Everything owed is known: calls may begin.
    fn begin(&mut self, share: f64) {
        self.destination.forget();
        self.caller.gate.share(share);
        self.ledger.begin();
        self.around.joined.holds();
        self.around.metrics.rebalances.with([self.settings.name.as_str()]).inc();
        let retrying = self.ledger.backlog();
        let waits = self.ledger.held_back_for(self.around.clock.elapsed());
        let destination = &self.settings.name;
        tracing::info!(destination, share, retrying, ?waits, "delivers");
    }

    fn take(&mut self, source: Source, received: Arc<Received>) {
        // What waits there is owed by whoever is live: the shadow neither takes it nor moves it.
        if self.settings.mode == Mode::Shadow && source == Source::Retry {
            self.ledger.pass(source, &received);
            return;
        }
        let now = self.now();
        let arrival = match self.records.arriving(received, source) {
            Ok(arriving) => self.ledger.arrive(source, arriving, now),
            Err((received, unread)) => {
                let failure = match unread {
                    Unread::Foreign(failure) => failure,
                    Unread::Schema(schema) => match self.wait_for_schema(schema, source, &received)
                    {
                        Ok(()) => return,
                        Err(failure) => failure,
                    },
                };
                if !self.limit.admits(Ending::Parked, self.around.clock.elapsed()) {
                    tell_stopped(&self.settings.name, &failure);
                }
                self.ledger.arrive_unreadable(source, received, failure, now)
            }
        };
        if arrival == Some(Arrival::Duplicate) {
            self.around.metrics.duplicates.with([self.settings.name.as_str()]).inc();
        }
    }

    fn longest_wait(&self) -> Duration {
        let (now, elapsed) = (self.now(), self.around.clock.elapsed());
        let lanes = self.ledger.wait(now, elapsed, self.settings.commit_interval);
        lanes.min(self.ask_again.unwrap_or(LONGEST_TURN)).min(LONGEST_TURN)
    }
}
