//! The rules of the protocol that can be switched off, each where the driver keeps it or where a
//! decision of the crate is told the truth. The crate itself has no such switches.

use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// The end of the changelog is its high watermark, open transactions included.
    HighWatermark,
    /// The committed offset is asked for until no open transaction can change it.
    StableOffset,
    /// The committed offset is asked for before the end of the changelog.
    OffsetBeforeEnd,
    /// Offsets are sent after every record is acknowledged.
    FlushBeforeOffsets,
    /// A transaction of a timer sends offsets too.
    OffsetsAlways,
    /// Offsets are sent with the generation of the group they were read in.
    GenerationFences,
    /// Nothing held goes by the local clock: it appends a tick.
    TicksRelease,
    /// After a doubt the changelog is read again, not only the offset.
    ChangelogAfterDoubt,
    /// After a doubt there is a new producer.
    NewProducerAfterDoubt,
    /// The store takes in a batch only after its transaction has committed.
    StoreAfterCommit,
    /// The offset that the state says it stands for is compared with the committed one.
    Compared,
    /// A batch of an earlier tenure never reaches the store.
    BatchOfThisTenure,
    /// A store older than tombstones are kept is not believed.
    TombstoneAge,
    /// A store of another incarnation of the changelog is not believed.
    Incarnation,
    /// A missing offset is never taken for a beginning.
    NoReset,
    /// Timers are rebuilt from the whole store.
    TimersFromStore,
}

/// Which rules are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    off: BTreeSet<Rule>,
}

impl Rules {
    pub(crate) fn without(off: &[Rule]) -> Self {
        Self { off: off.iter().copied().collect() }
    }

    pub(crate) fn keep_all(&self) -> bool {
        self.off.is_empty()
    }

    pub(crate) fn keep(&self, rule: Rule) -> bool {
        !self.off.contains(&rule)
    }
}
