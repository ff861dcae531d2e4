//! Subscriber by subscriber, at a pace, until all had their turn or the process is asked to end.

use std::pin::Pin;
use std::time::Duration;

use dead_letters::pace::Pace;
use indicatif::{ProgressBar, ProgressStyle};
use schemas::codec::{Codec, Framing};
use schemas::state::SubscriberState;
use schemas::topics::Topic;
use schemas::{LifecycleEvent, Timestamp};
use service::clock::Clock;
use service::config::{Config, Rate};
use stream::{Acknowledged, AppendError, Appender, ReadError, Reader, Record};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use transform::sources::Sources;

use super::RefreshError;
use super::choice::{Choice, Chosen};
use super::present::Present;
use super::record::{Subscriber, record};
use super::report::{Done, Tally};
use super::room::Room;
use crate::configure;
use crate::destinations::Skip;
use crate::preview::Rehearse;

/// Longer than a broker's failover: nobody waits for a single record.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(2);

/// Pause between two looks at whether there is room again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// After so long without room somebody is told.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Nothing of theirs would go to a destination.
const NOTHING_BOUGHT: &str = "nothing is known to be bought in an environment that goes there";

/// What a run depends on from outside.
type Surroundings<'a> = (&'a dyn Clock, &'a CancellationToken, &'a Handle);

type Fate = Pin<Box<dyn Future<Output = Result<Acknowledged, AppendError>> + Send>>;

/// A run.
pub(super) struct Refreshing<'a> {
    states: Reader,
    topic: String,
    partitions: i32,
    sources: Sources,
    targets: Vec<Target<'a>>,
    /// None in a dry run.
    appender: Option<Appender>,
    pace: Pace,
    known: Codec<SubscriberState>,
    events: Codec<LifecycleEvent>,
    tally: Tally,
    /// Everybody up to this one is refreshed.
    last: Option<String>,
}

/// A destination, and what asks it.
struct Target<'a> {
    chosen: &'a Chosen,
    rehearsed: Box<dyn Rehearse>,
    room: Room,
}

/// How a run ended.
pub(super) struct Ended {
    pub(super) tally: Tally,
    pub(super) error: Option<RefreshError>,
}

/// A subscriber on the way: the records, with the index of the target each is for.
struct Batch {
    records: Vec<(usize, Record)>,
    subscribers: usize,
    last: Option<String>,
}

impl<'a> Refreshing<'a> {
    /// Connects, and looks whether the topics are there.
    pub(super) fn open(
        config: &Config,
        chosen: &'a [Chosen],
        (done, rate): (Done, Rate),
    ) -> Result<Self, RefreshError> {
        let cluster = configure::cluster(config);
        let topic = Topic::State.name(&config.kafka.topic_prefix);
        let states = Reader::open(&cluster, &format!("{}transform", config.kafka.topic_prefix))?;
        let partitions = states.partitions(&topic)?;
        if partitions == 0 {
            return Err(RefreshError::NoTopic(topic));
        }
        let targets = chosen.iter().filter_map(|chosen| {
            let rehearsed = configure::rehearsed(config.destinations.get(&chosen.name)?);
            let target = || -> Result<_, RefreshError> {
                let room = Room::open(&cluster, config, &chosen.name)?;
                Ok(Target { chosen, rehearsed: rehearsed?, room })
            };
            Some(target())
        });
        let append = || Appender::open(&cluster, ACKNOWLEDGED_WITHIN);
        let appender = match done {
            Done::DryRun => None,
            Done::HandedOver => {
                Some(append().map_err(|cause| RefreshError::Append { after: None, cause })?)
            }
        };
        Ok(Self {
            targets: targets.collect::<Result<_, RefreshError>>()?,
            sources: transform::configure::sources(config),
            known: Codec::new(Framing::SingleObject)?,
            events: Codec::new(Framing::SingleObject)?,
            pace: Pace::new(Some(rate).filter(|_| done == Done::HandedOver)),
            tally: Tally::default(),
            last: None,
            states,
            topic,
            partitions,
            appender,
        })
    }

    /// Refreshes everybody who is meant.
    pub(super) fn run(mut self, choice: &Choice, around: Surroundings<'_>) -> Ended {
        let error = self.go(choice, around).err();
        Ended { tally: self.tally, error }
    }

    fn go(&mut self, choice: &Choice, around: Surroundings<'_>) -> Result<(), RefreshError> {
        let (clock, ..) = around;
        self.warn_of_nobody()?;
        let begun = (Timestamp::from_millis(clock.now_millis()), clock.elapsed());
        let partitions = choice.partitions(self.partitions);
        if let Some(named) = choice.named() {
            let read = partitions.iter().map(|partition| self.read(*partition, choice, clock));
            let read = read.collect::<Result<Vec<_>, _>>()?;
            for key in named {
                self.look_at(key, read.iter().find_map(|present| present.states.get(key)))?;
            }
            let bar = ProgressBar::hidden();
            return read.iter().try_for_each(|one| self.refresh(one, begun, around, &bar));
        }
        let bar = bar(partitions.len());
        for partition in partitions {
            self.rest(Duration::ZERO, around)?;
            let present = self.read(partition, choice, clock)?;
            self.refresh(&present, begun, around, &bar)?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn read(
        &self,
        partition: i32,
        choice: &Choice,
        clock: &dyn Clock,
    ) -> Result<Present, ReadError> {
        let place = (partition, self.partitions);
        Present::read(&self.states, &self.topic, place, (choice, clock))
    }

    /// Whether somebody who was named is known.
    fn look_at(&self, key: &str, state: Option<&Vec<u8>>) -> Result<(), RefreshError> {
        let Some(state) = state else { return Err(RefreshError::Unknown(key.to_owned())) };
        match self.known.decode(state) {
            Err(_) => Err(RefreshError::Unreadable(key.to_owned())),
            Ok(state) if state.emitted_up_to.is_none() => {
                Err(RefreshError::Unknown(key.to_owned()))
            }
            Ok(_) => Ok(()),
        }
    }

    fn warn_of_nobody(&self) -> Result<(), RefreshError> {
        for Target { chosen, room, .. } in &self.targets {
            if room.members()? == 0 {
                let destination = &chosen.name;
                tracing::warn!(
                    destination,
                    "no instance of deliver works on it; what is handed over waits"
                );
            }
        }
        Ok(())
    }

    /// Those of one partition, in the order of their keys.
    fn refresh(
        &mut self,
        present: &Present,
        begun: (Timestamp, Duration),
        around: Surroundings<'_>,
        bar: &ProgressBar,
    ) -> Result<(), RefreshError> {
        let before = bar.position();
        let mut subscribers = present.states.iter().peekable();
        let mut taken = 0;
        while subscribers.peek().is_some() {
            self.wait(begun.1, around)?;
            let mut batch = Batch { records: Vec::new(), subscribers: 0, last: None };
            for (key, state) in subscribers.by_ref().take(self.pace.batch()) {
                self.add(&mut batch, (key, state), (present, begun.0))?;
                taken += 1;
            }
            self.hand_over(batch, around)?;
            bar.set_position(before + of_partition(taken, present.states.len()));
        }
        bar.set_position(before + of_partition(1, 1));
        Ok(())
    }

    /// Adds what a subscriber is shown at each destination.
    fn add(
        &mut self,
        batch: &mut Batch,
        (key, state): (&String, &[u8]),
        (present, now): (&Present, Timestamp),
    ) -> Result<(), RefreshError> {
        let Ok(state) = self.known.decode(state) else {
            self.tally.unreadable += 1;
            return Ok(());
        };
        let source = self.sources.of_key(key).filter(|_| state.emitted_up_to.is_some());
        // What waits to learn whose it is has a state too, and is nobody.
        let Some(source) = source else { return Ok(()) };
        let subscriber = Subscriber { key, source, state: &state };
        let mut is_shown = false;
        for (index, target) in self.targets.iter().enumerate() {
            let at = self.tally.destinations.entry(target.chosen.name.clone()).or_default();
            let snapshot = subscriber.snapshot(&target.chosen.environments, now);
            let left_out = match &snapshot {
                None => Some(NOTHING_BOUGHT),
                Some(snapshot) => target.rehearsed.skip_refresh(snapshot).map(Skip::meaning),
            };
            match (snapshot, left_out) {
                (Some(snapshot), None) => {
                    let place = (target.room.retry.as_str(), present.partition);
                    let record = record(&snapshot, present.known_at, place, &self.events)?;
                    batch.records.push((index, record));
                    is_shown = true;
                }
                (_, reason) => {
                    *at.left_out.entry(reason.unwrap_or(NOTHING_BOUGHT)).or_default() += 1;
                }
            }
        }
        batch.subscribers += usize::from(is_shown);
        batch.last = Some(key.clone());
        Ok(())
    }

    /// Writes a batch, and returns when all of it is acknowledged.
    fn hand_over(&mut self, batch: Batch, around: Surroundings<'_>) -> Result<(), RefreshError> {
        let (_, _, runtime) = around;
        if let Some(appender) = &self.appender {
            let failed = |cause| RefreshError::Append { after: self.last.clone(), cause };
            let mut fates: Vec<(usize, Fate)> = Vec::new();
            for (target, record) in &batch.records {
                let fate = appender.enqueue(record).map_err(failed)?;
                fates.push((*target, Box::pin(fate)));
            }
            for (target, fate) in fates {
                let written = runtime.block_on(fate).map_err(failed)?;
                if let Some(target) = self.targets.get_mut(target) {
                    target.room.take(written);
                }
            }
        }
        for (target, _) in batch.records {
            let name = self.targets.get(target).map(|target| target.chosen.name.as_str());
            if let Some(at) = name.and_then(|name| self.tally.destinations.get_mut(name)) {
                at.refreshed += 1;
            }
        }
        self.tally.subscribers += batch.subscribers;
        self.last = batch.last.or(self.last.take());
        Ok(())
    }

    /// Waits until the next batch may go: for the pace, and for every destination.
    fn wait(&mut self, begun: Duration, around: Surroundings<'_>) -> Result<(), RefreshError> {
        let (clock, _, _) = around;
        let so_far = clock.elapsed().saturating_sub(begun);
        self.rest(self.pace.wait(self.tally.subscribers, so_far), around)?;
        let waits_since = clock.elapsed();
        let mut is_told = false;
        while let Some(full) = self.full()? {
            if !is_told && clock.elapsed().saturating_sub(waits_since) >= STUCK_AFTER {
                tracing::warn!(destination = full, "waits: deliver takes no refreshes there");
                is_told = true;
            }
            self.rest(LOOK_AGAIN, around)?;
        }
        Ok(())
    }

    /// A destination that has enough to do.
    fn full(&mut self) -> Result<Option<&'a str>, RefreshError> {
        for target in &mut self.targets {
            if !target.room.has_some()? {
                return Ok(Some(&target.chosen.name));
            }
        }
        Ok(None)
    }

    /// Lets time pass, unless the process is asked to end.
    fn rest(
        &mut self,
        time: Duration,
        (_, shutdown, runtime): Surroundings<'_>,
    ) -> Result<(), RefreshError> {
        if !time.is_zero() {
            // Whether it was the time or the end is asked for afterwards.
            drop(runtime.block_on(tokio::time::timeout(time, shutdown.cancelled())));
        }
        if shutdown.is_cancelled() {
            return Err(RefreshError::Interrupted(self.last.take()));
        }
        Ok(())
    }
}

/// Steps of the progress bar for one partition.
const STEPS: u64 = 1_000;

/// How far so many of all take the bar.
fn of_partition(taken: usize, all: usize) -> u64 {
    let share = taken.saturating_mul(1_000) / all.max(1);
    u64::try_from(share).unwrap_or(STEPS).min(STEPS)
}

/// On a terminal; elsewhere nothing is drawn.
fn bar(partitions: usize) -> ProgressBar {
    let template = "refreshing {wide_bar} {percent}%, {eta} left";
    let style = ProgressStyle::with_template(template);
    let steps = u64::try_from(partitions).unwrap_or(u64::MAX).saturating_mul(STEPS);
    ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
