//! Lanes: what is owed to each subscriber at one destination, in order.
//!
//! One [`Partition`] decides everything about one partition of the event topic and of the destination's
//! retry topic together. It is a plain state machine: records, outcomes and the time go in, what to
//! send and what to commit comes out. Nothing here reads a clock, a topic or a socket, so that every
//! schedule of crashes and failures can be played in a test.
//!
//! What it promises, given that one owner holds both topics of the partition and that a commit is one
//! transaction:
//!
//! * **Order.** A lane is ordered by the event's sequence, wherever its records lie. Its head is the
//!   smallest sequence that is undone; nothing else of the lane is sent before that is delivered or
//!   parked.
//! * **Nothing is lost.** A record is marked done when it is delivered, or in the very transaction that
//!   writes its copy to the retry topic or to the dead letters.
//! * **Quarantine.** After a call that nobody answered nothing more of its lane is sent until it can no
//!   longer take effect, wherever its record went meanwhile (rule 12).
//! * **The horizon is the event's own.** Time in which the destination is out of service does not count
//!   towards it (rule 15).
//! * **Written once.** What would have been sent of an event in shadow is written in the transaction that marks it
//!   done. Its lane need not wait for that.
//! * **One place.** So a record is undone in exactly one place. A second copy in memory is recognised by
//!   subscriber and sequence, never by "not above the highest seen".
//! * **A redriven event is a guest.** It goes when nothing live of its lane is left, blocks nobody, and
//!   returns to the dead letters when it fails again (lane protocol, rule 10).
//! * **A refresh is a guest too**, behind those: it tells no event and shows its subscriber as of a moment. Of
//!   several that wait only the latest is sent, because it shows all that the others would (rule 16). It is
//!   retried as an event is, and holds up nothing live meanwhile.
//! * **Bounded marks.** What is undone in the event topic is bounded by setting failed lanes aside:
//!   their records move to the retry topic, followers untried. There the oldest are appended anew when
//!   they keep the committed offset from moving, and before the topic's retention comes near them.
//! * **Bounded memory.** Every undone record of the retry topic is held, because nobody else can say which
//!   is the first of its lane. So no more events are taken on while too many wait, or too large ones: the
//!   event topic is the queue then.

mod log;
mod partition;
mod schedule;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod partition_tests;

use std::sync::Arc;
use std::time::Duration;

use schemas::{LifecycleEvent, Timestamp};

pub use log::Log;
pub use partition::{Bounds, Partition};
pub use schedule::{Next, Schedule};

use crate::failure::{Failure, Reason};
use crate::marks::Marks;
use crate::shadow::Note;
use crate::tenure::Tenure;

/// When a record of a lane has its turn: everything live goes before what was redriven, and that before what is
/// only shown once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Turn {
    /// In its place in the story.
    #[default]
    Live,
    /// The story went on without it, and somebody wants it to be told after all.
    Redriven,
    /// The subscriber is shown again, as of this moment.
    Refreshed(Timestamp),
}

/// An event's place in its subscriber's story. A later epoch comes after all of an earlier one: sequences begin anew
/// with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence {
    /// When the count began.
    pub epoch: Timestamp,
    /// The event's `sequence`.
    pub number: i64,
}

impl Sequence {
    /// The place of an event.
    pub fn of(event: &LifecycleEvent) -> Self {
        Self { epoch: event.epoch, number: event.sequence }
    }
}

/// Which event of which subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The subscriber key.
    pub lane: Arc<str>,
    /// Whether it is live. What is redriven or refreshed is never mistaken for the same event that is, nor one
    /// refresh for another.
    pub turn: Turn,
    /// The event's place in the subscriber's story.
    pub sequence: Sequence,
}

/// Which topic of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// `subscriptions.events`.
    Events,
    /// `deliver.<destination>.retry`.
    Retry,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The topic.
    pub source: Source,
    /// The offset in it.
    pub offset: i64,
}

/// What was tried with an event so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Calls that failed.
    pub attempts: u32,
    /// When the first of them did.
    pub first_failure: Option<Timestamp>,
    /// How long the destination had been out of service by then, by the partition's count.
    pub outages: Duration,
    /// Whether it is known what the calls did.
    pub effect: Effect,
}

/// What is known of the calls that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// None of them did anything.
    #[default]
    None,
    /// One of them was not answered, and may have done what it asked for.
    Unknown,
}

/// A record that was read. `T` is what a caller needs to send it, to move it and to park it.
#[derive(Clone, Debug)]
pub struct Arriving<T> {
    /// Whose and which.
    pub identity: Identity,
    /// What its headers say was tried.
    pub history: History,
    /// Not to be sent before.
    pub due: Timestamp,
    /// What it takes to keep it.
    pub footprint: Footprint,
    /// The record itself.
    pub content: T,
}

/// What a record that waits takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Memory.
    pub bytes: usize,
    /// Since when it lies where it does: the topic keeps it for so long and no longer.
    pub appended: Timestamp,
}

/// What became of a record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It waits for its turn.
    Owed,
    /// The committed marks say that it is done.
    Done,
    /// The lane holds the same event already.
    Duplicate,
    /// A refresh, and the lane holds a later one.
    Outdone,
}

/// One sending under way. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// How a sending ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Delivered, or there is nothing to deliver.
    Done,
    /// Planned only: what would have been sent is written down.
    Shadowed(Note),
    /// It may succeed later.
    Failed(Failure),
    /// It never will.
    Refused(Failure),
    /// It may succeed later, and the destination takes the blame: no attempt is spent.
    Excused(Failure),
    /// Nothing was asked of the destination: no attempt is spent.
    Postponed {
        /// Not to be sent before.
        until: Timestamp,
    },
}

/// What an outcome led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Settled {
    /// Delivered, or nothing is to be.
    Done,
    /// It is tried again from where it lies.
    AgainInPlace,
    /// It moves to the retry topic with the next commit.
    SetAside,
    /// It goes to the dead letters with the next commit.
    Parked(Reason),
    /// It waits, no attempt spent.
    Postponed,
}

/// A record that leaves its place in a commit.
#[derive(Clone, Debug)]
pub struct Departure<T> {
    /// The record.
    pub content: T,
    /// Where it lies until the commit.
    pub place: Place,
    /// What was tried.
    pub history: History,
    /// Where it goes.
    pub fate: Fate,
}

/// Where a departing record goes.
#[derive(Clone, Debug)]
pub enum Fate {
    /// To the end of the retry topic.
    SetAside {
        /// Not to be sent before.
        due: Timestamp,
    },
    /// To the dead letters.
    Parked {
        /// Why.
        failure: Failure,
        /// When that was.
        at: Timestamp,
    },
    /// Nowhere: it is done, and this is written down about it.
    Shadowed(Note),
}

/// What one transaction commits for the partition: all of it or nothing.
#[derive(Clone, Debug)]
pub struct Checkpoint<T> {
    /// For the event topic.
    pub events: Marks,
    /// For the retry topic.
    pub retry: Marks,
    /// Beside the marks of the event topic.
    pub tenure: Tenure,
    /// To be appended, in this order.
    pub departures: Vec<Departure<T>>,
}
