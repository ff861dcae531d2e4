//! What a destination that begins has before it, and whether it may.
//!
//! The shadow of a destination and the destination itself are two groups that know nothing of each other, so that
//! nothing counts as sent that was only planned. Whoever ends the shadow has therefore to say from when the
//! destination is told: from the oldest event on it would be sent once more what another integration has sent, and
//! from the newest on it would not be sent what happens while `deliver` starts.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::Duration;

use schemas::topics::Topic;
use service::config::{Config, Destination, Mode};
use service::exit::Failure;
use stream::{Cluster, ReadError, Reader};

use crate::broker::Beginning;
use crate::configure;
use crate::cut::Cut;

/// How often a cluster out of reach is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Where a destination stands before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its group goes on where it left off.
    GoesOn,
    /// Its group never committed: so many events are before it.
    Begins {
        /// Those that happened a little before `start` are among them.
        events: u64,
    },
    /// It leaves its shadow, and nothing says from when.
    Undated,
}

/// Whether a group has ever committed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Never,
    Committed,
}

/// What has to be known of a destination.
#[derive(Clone, Debug)]
pub struct Question {
    cluster: Cluster,
    live: String,
    shadow: String,
    events: String,
    mode: Mode,
    cut: Cut,
}

impl Question {
    /// About a configured destination.
    pub fn of(config: &Config, name: &str, destination: &Destination) -> Self {
        Self {
            cluster: configure::cluster(config),
            live: configure::group(config, name, Mode::Live),
            shadow: configure::group(config, name, Mode::Shadow),
            events: Topic::Events.name(&config.kafka.topic_prefix),
            mode: destination.mode,
            cut: Cut::of(destination.start),
        }
    }

    /// Asks the cluster, and counts what is before a group that begins.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn ask(self) -> Result<Standing, Failure> {
        let asked = tokio::task::spawn_blocking(move || self.standing());
        asked.await.map_err(Failure::failed)?.map_err(Failure::failed)
    }

    /// Refuses a switch that does not say from when. A cluster that is away is asked until it answers.
    ///
    /// # Errors
    /// When `start` has to be said.
    pub async fn require_date(self) -> Result<(), Failure> {
        loop {
            let question = self.clone();
            let asked = tokio::task::spawn_blocking(move || question.is_undated());
            match asked.await.map_err(Failure::failed)? {
                Ok(true) => return Err(Failure::Refused(undated())),
                Ok(false) => return Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "what was committed is not told; asking again");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    fn standing(&self) -> Result<Standing, ReadError> {
        if self.is_undated()? {
            return Ok(Standing::Undated);
        }
        let group = match self.mode {
            Mode::Live => &self.live,
            Mode::Shadow => &self.shadow,
        };
        match self.progress(group)? {
            Progress::Committed => Ok(Standing::GoesOn),
            Progress::Never => Ok(Standing::Begins { events: self.ahead(group)? }),
        }
    }

    fn is_undated(&self) -> Result<bool, ReadError> {
        if self.mode == Mode::Shadow || self.cut.moment().is_some() {
            return Ok(false);
        }
        let is_new = self.progress(&self.live)? == Progress::Never;
        Ok(is_new && self.progress(&self.shadow)? == Progress::Committed)
    }

    fn progress(&self, group: &str) -> Result<Progress, ReadError> {
        let reader = Reader::open(&self.cluster, group)?;
        let partitions = reader.partitions(&self.events)?;
        let notes = reader.notes(&self.events, partitions)?;
        Ok(if notes.is_empty() { Progress::Never } else { Progress::Committed })
    }

    /// Counts by reading: what is between two offsets are not events alone.
    fn ahead(&self, group: &str) -> Result<u64, ReadError> {
        let reader = Reader::open(&self.cluster, group)?;
        let counted = Cell::new(0_u64);
        for partition in 0..reader.partitions(&self.events)? {
            let (low, high) = reader.low_and_high(&self.events, partition)?;
            let from = match self.cut.beginning() {
                Beginning::Earliest => low,
                Beginning::Latest => high,
                Beginning::At(moment) => reader.offset_at(&self.events, partition, moment)?,
            };
            let count = |_: stream::Glimpse<'_>| {
                counted.set(counted.get() + 1);
                false
            };
            reader.read_some(&self.events, partition, (from.max(low), high), count, |_| {
                ControlFlow::Continue(())
            })?;
        }
        Ok(counted.get())
    }
}

impl Standing {
    /// In a sentence: what is well, or what has to be put right.
    ///
    /// # Errors
    /// With what has to be put right.
    pub fn told(self, destination: &Destination) -> Result<String, String> {
        let whose = match destination.mode {
            Mode::Live => "it",
            Mode::Shadow => "its shadow, which calls nobody",
        };
        match self {
            Self::Undated => Err(undated()),
            Self::GoesOn => Ok(format!("goes on where {whose} left off")),
            Self::Begins { events } => Ok(match Cut::of(destination.start).moment() {
                None => format!("new: {events} events of the topic are before {whose}"),
                Some(moment) => format!(
                    "new: {events} events of the topic are before {whose}, of which those that \
                     happened before {moment} are skipped"
                ),
            }),
        }
    }
}

fn undated() -> String {
    "it was in shadow until now, and `start` does not say from when it is told: what another \
     integration has sent would be sent again. Set `start` to the moment at which that one is \
     switched off, such as `2026-12-01T02:00:00Z`; it may lie ahead (docs/going-live.md)"
        .to_owned()
}
