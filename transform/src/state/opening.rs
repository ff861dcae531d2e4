//! Taking over a partition, as a decision: what to ask next, and when the answers allow to begin.
//!
//! There is one order that is safe: the group's committed offset (stable) → the high watermark of the
//! changelog, open transactions included → the changelog read from where the store stands up to it →
//! offset and partition record compared → links read to their end → process. Any other can pair the
//! state of one transaction with the offset of another, and then a sequence is given twice.
//!
//! A store is used only while nothing speaks against it. What does: it stands outside of what the
//! changelog holds, so far back that tombstones may be gone, ahead of the committed offset, or the
//! changelog is another one than it followed. Then it is cleared and filled again from the beginning,
//! once; what still disagrees after that is a loss, and is reported, never guessed away.
//!
//! This module does no IO. Whoever drives it answers each [`Step`] and asks for the next.

use std::time::Duration;

use schemas::state::PartitionRecord;

use super::restore::{Disagreement, Standing, compare};

/// How long offset and state may disagree: longer than an open transaction of a dead worker lives.
const PATIENCE: Duration = Duration::from_secs(30);

/// First offset that a topic's partition holds, and its high watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset there is.
    pub low: i64,
    /// The offset after the last, open transactions included.
    pub high: i64,
}

/// What a store says of itself when the partition is taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Where it has followed the changelog to; 0 when it is empty.
    pub checkpoint: i64,
    /// Where it has followed the links to.
    pub links_position: i64,
    /// The partition record in it.
    pub record: Option<PartitionRecord>,
}

/// What reading a part of the changelog brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Records read.
    pub records: u64,
    /// The latest partition record that the store holds by now.
    pub record: Option<PartitionRecord>,
    /// A partition record of another incarnation than the store's came by.
    pub another_incarnation: bool,
}

/// Why a store is not believed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::EnumIter, strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// The changelog does not reach that far.
    #[error("it stands behind the end of the changelog")]
    BehindTheEnd,
    /// The changelog does not reach back that far.
    #[error("it stands before the start of the changelog")]
    BeforeTheStart,
    /// Tombstones behind it may have been compacted away, and would be missed.
    #[error("it is older than tombstones are kept")]
    TooOld,
    /// The changelog was made anew.
    #[error("it followed another changelog")]
    AnotherChangelog,
    /// It is newer than what the group has committed.
    #[error("it is newer than the committed offset")]
    NewerThanCommitted,
    /// It was read to the end and still does not fit the committed offset.
    #[error("it does not fit the committed offset")]
    DoesNotFit,
}

/// Why the partition cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What was restored is not what the committed offset stands for.
    #[error(transparent)]
    Disagree(#[from] Disagreement),
    /// The raw topic does not hold the position any more, or not yet.
    #[error(
        "the group stands at {committed} of the raw topic, which holds {} to {}: records are missing. \
         Nothing is skipped silently",
        raw.low, raw.high
    )]
    RawGone {
        /// Where the group stands.
        committed: i64,
        /// What there is.
        raw: Bounds,
    },
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for the group's committed offset of raw, once no open transaction can change it:
    /// [`Opening::committed`].
    AskCommitted,
    /// Ask what the changelog holds, and at which offset tombstones are surely still kept:
    /// [`Opening::changelog`].
    AskChangelog,
    /// Forget everything in the store: [`Opening::cleared`].
    Clear(Cause),
    /// Take everything committed from here to there into the store: [`Opening::followed`].
    Follow {
        /// The first offset to read.
        from: i64,
        /// The offset to stop before.
        until: i64,
    },
    /// Wait a moment and go on: [`Opening::waited`].
    Wait(Disagreement),
    /// Ask what the links topic holds: [`Opening::links`].
    AskLinks,
    /// Take the links from here to there into the store: [`Opening::linked`].
    FollowLinks {
        /// The first offset to read.
        from: i64,
        /// The offset to stop before.
        until: i64,
    },
    /// Ask what the raw topic holds: [`Opening::raw`].
    AskRaw,
    /// Process from this offset of raw on. Nobody owned the partition before: offset and partition
    /// record are to be committed before anything else.
    Begin(i64),
    /// Process from this offset of raw on.
    Continue(i64),
    /// Do not process.
    Refuse(Refusal),
}

/// One partition being taken over.
#[derive(Clone, Debug)]
pub struct Opening {
    partitions: i32,
    stored: Stored,
    /// The store was filled from the beginning of the changelog, within this opening.
    rebuilt: bool,
    committed: Option<i64>,
    /// Since when offset and state disagree.
    disagree_since: Option<Duration>,
    /// Where to process from, once offset and state agree; none for a group that begins.
    agreed: Option<i64>,
    next: Step,
}

impl Opening {
    /// Begins to take over a partition of a topic with `partitions`.
    pub fn new(stored: Stored, partitions: i32) -> Self {
        Self {
            rebuilt: stored.checkpoint == 0,
            partitions,
            stored,
            committed: None,
            disagree_since: None,
            agreed: None,
            next: Step::AskCommitted,
        }
    }

    /// What to do next.
    pub fn step(&self) -> Step {
        self.next.clone()
    }

    /// The group's committed offset; none where it never committed.
    pub fn committed(&mut self, offset: Option<i64>) {
        self.committed = offset;
        self.next = Step::AskChangelog;
    }

    /// What the changelog holds. `kept_since` is the first offset from which on every tombstone is
    /// still there.
    pub fn changelog(&mut self, bounds: Bounds, kept_since: i64) {
        let checkpoint = self.stored.checkpoint;
        self.next = match self.doubt(bounds, kept_since) {
            Some(cause) if checkpoint > 0 => Step::Clear(cause),
            // The last record the store has followed is read again: it shows that the changelog is
            // still the same one.
            _ => Step::Follow { from: bounds.low.max(checkpoint - 1), until: bounds.high },
        };
    }

    fn doubt(&self, Bounds { low, high }: Bounds, kept_since: i64) -> Option<Cause> {
        let checkpoint = self.stored.checkpoint;
        let recorded = self.stored.record.as_ref().map(|record| record.next_raw_offset);
        // A missing offset says nothing of the store: the comparison waits for it to come back.
        let newer = self.committed.is_some() && recorded > self.committed;
        if checkpoint > high {
            Some(Cause::BehindTheEnd)
        } else if checkpoint < low {
            Some(Cause::BeforeTheStart)
        } else if self.rebuilt {
            // It has just been read from the beginning, and is only waiting.
            None
        } else if checkpoint < kept_since.min(high - 1) {
            // Behind the last record of an idle changelog only the marker of its transaction lies.
            Some(Cause::TooOld)
        } else if newer {
            Some(Cause::NewerThanCommitted)
        } else {
            None
        }
    }

    /// The store is empty now.
    pub fn cleared(&mut self) {
        self.stored = Stored::default();
        self.rebuilt = true;
        self.disagree_since = None;
        // The end is asked for anew: much may have been appended, and nothing is lost by asking.
        self.next = Step::AskCommitted;
    }

    /// The changelog has been followed, and the store stands at `checkpoint`.
    pub fn followed(&mut self, followed: Followed, checkpoint: i64, now: Duration) {
        let nothing_left = self.stored.checkpoint > 0 && followed.records == 0;
        self.stored.checkpoint = checkpoint;
        self.stored.record = followed.record;
        if !self.rebuilt && (followed.another_incarnation || nothing_left) {
            self.next = Step::Clear(Cause::AnotherChangelog);
            return;
        }
        self.next = match compare(self.committed, self.stored.record.as_ref(), self.partitions) {
            Standing::New => {
                self.agreed = None;
                Step::AskLinks
            }
            Standing::Agreed(offset) => {
                self.agreed = Some(offset);
                Step::AskLinks
            }
            Standing::Disagree(disagreement) => self.disagree(disagreement, now),
        };
    }

    fn disagree(&mut self, disagreement: Disagreement, now: Duration) -> Step {
        let since = *self.disagree_since.get_or_insert(now);
        if !disagreement.may_pass() {
            Step::Refuse(disagreement.into())
        } else if now.saturating_sub(since) < PATIENCE {
            Step::Wait(disagreement)
        } else if self.rebuilt || matches!(disagreement, Disagreement::OffsetGone { .. }) {
            // Where there is no offset, no other store fits it better than this one.
            Step::Refuse(disagreement.into())
        } else {
            Step::Clear(Cause::DoesNotFit)
        }
    }

    /// A moment has passed.
    pub fn waited(&mut self) {
        self.next = Step::AskCommitted;
    }

    /// What the links topic holds.
    pub fn links(&mut self, Bounds { low, high }: Bounds) {
        let position = self.stored.links_position;
        // A topic that was made anew begins at 0 again.
        let from = if position > high { low } else { position.max(low) };
        self.next = Step::FollowLinks { from, until: high };
    }

    /// The links have been followed.
    pub fn linked(&mut self) {
        self.next = Step::AskRaw;
    }

    /// What the raw topic holds.
    pub fn raw(&mut self, raw: Bounds) {
        self.next = match self.agreed {
            None => Step::Begin(raw.low),
            Some(offset) if (raw.low..=raw.high).contains(&offset) => Step::Continue(offset),
            Some(committed) => Step::Refuse(Refusal::RawGone { committed, raw }),
        };
    }
}

#[cfg(test)]
mod tests;
