//! Is what was restored what the committed offset stands for?
//!
//! Every transaction writes, beside the states, a record of the partition with the raw offset it
//! commits. A restore is believed only when that offset and the group's agree. Right after a crash they
//! may disagree for a moment (the markers of one transaction reach different partitions one after the
//! other), so a disagreement is first waited for and then reported; it is never resolved by guessing.

use schemas::state::PartitionRecord;

use super::FORMAT;

/// What offset and partition record say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Neither exists: the group begins here for the first time.
    New,
    /// They agree: go on at this offset of raw.
    Agreed(i64),
    /// They do not.
    Disagree(Disagreement),
}

/// How committed offset and restored state can fail to be of one transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The state is older than the offset: records were lost from the changelog, or are not visible yet.
    #[error(
        "the committed offset is ahead: the group stands at {committed} of the raw topic, the state \
         at {recorded} (docs/operations.md, \"A topic is lost\")"
    )]
    OffsetAhead {
        /// The group's offset.
        committed: i64,
        /// The state's.
        recorded: i64,
    },
    /// The offset is older than the state: it was reset, or is not visible yet.
    #[error(
        "the state is ahead: it stands at {recorded} of the raw topic, the committed offset at \
         {committed} (docs/operations.md, \"A topic is lost\")"
    )]
    StateAhead {
        /// The group's offset.
        committed: i64,
        /// The state's.
        recorded: i64,
    },
    /// The group's offset expired, was deleted, or its coordinator is being replaced.
    #[error(
        "the committed offset is gone, but the state stands at {recorded} of the raw topic: that topic was made \
         anew, or the group's offsets were deleted or have expired (docs/operations.md, \"A topic is lost\")"
    )]
    OffsetGone {
        /// The state's offset.
        recorded: i64,
    },
    /// The changelog was deleted or made anew.
    #[error(
        "the state is gone, but the group stands at {committed} of the raw topic: the topic of states was \
         emptied or made anew (docs/operations.md, \"A topic is lost\")"
    )]
    StateGone {
        /// The group's offset.
        committed: i64,
    },
    /// Keys were spread over another number of partitions.
    #[error(
        "the state was written for {recorded} partitions and the topics have {found}: subscribers \
         would lie in other partitions than their state, and begin anew. A topic cannot shrink again: \
         set up an installation under another prefix and go on there with `transform adopt` \
         (docs/partitions.md)"
    )]
    PartitionsChanged {
        /// When the state was written.
        recorded: i32,
        /// Now.
        found: i32,
    },
    /// A later version wrote the state.
    #[error("the state has format {recorded}, and this version knows {FORMAT} at most")]
    FormatTooNew {
        /// Format of the state.
        recorded: i32,
    },
}

impl Disagreement {
    /// Whether waiting may resolve it: what is not visible yet becomes so.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::OffsetAhead { .. }
            | Self::StateAhead { .. }
            | Self::OffsetGone { .. }
            | Self::StateGone { .. } => true,
            Self::PartitionsChanged { .. } | Self::FormatTooNew { .. } => false,
        }
    }
}

/// Holds the group's committed offset against the restored partition record.
pub fn compare(
    committed: Option<i64>,
    recorded: Option<&PartitionRecord>,
    partitions: i32,
) -> Standing {
    let (committed, record) = match (committed, recorded) {
        (None, None) => return Standing::New,
        (Some(committed), None) => {
            return Standing::Disagree(Disagreement::StateGone { committed });
        }
        (committed, Some(record)) => (committed, record),
    };
    if record.format > FORMAT {
        return Standing::Disagree(Disagreement::FormatTooNew { recorded: record.format });
    }
    if record.partitions != partitions {
        let recorded = record.partitions;
        let found = partitions;
        return Standing::Disagree(Disagreement::PartitionsChanged { recorded, found });
    }
    let recorded = record.next_raw_offset;
    match committed {
        None => Standing::Disagree(Disagreement::OffsetGone { recorded }),
        Some(committed) if committed > recorded => {
            Standing::Disagree(Disagreement::OffsetAhead { committed, recorded })
        }
        Some(committed) if committed < recorded => {
            Standing::Disagree(Disagreement::StateAhead { committed, recorded })
        }
        Some(committed) => Standing::Agreed(committed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(next_raw_offset: i64, format: i32, partitions: i32) -> PartitionRecord {
        PartitionRecord { incarnation: "i".to_owned(), next_raw_offset, format, partitions }
    }

    fn disagreement(committed: Option<i64>, recorded: &PartitionRecord) -> Disagreement {
        match compare(committed, Some(recorded), 12) {
            Standing::Disagree(disagreement) => disagreement,
            other @ (Standing::New | Standing::Agreed(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_when_neither_exists_the_group_is_new() {
        assert_eq!(compare(None, None, 12), Standing::New);
        let gone = Disagreement::StateGone { committed: 5 };
        assert_eq!(compare(Some(5), None, 12), Standing::Disagree(gone));
        let gone = Disagreement::OffsetGone { recorded: 5 };
        assert_eq!(disagreement(None, &record(5, FORMAT, 12)), gone);
    }

    #[test]
    fn goes_on_only_where_both_agree_and_says_which_is_ahead() {
        assert_eq!(compare(Some(5), Some(&record(5, FORMAT, 12)), 12), Standing::Agreed(5));
        let ahead = disagreement(Some(6), &record(5, FORMAT, 12));
        assert!(ahead.may_pass() && ahead.to_string().contains("offset is ahead"));
        let ahead = disagreement(Some(4), &record(5, FORMAT, 12));
        assert!(ahead.may_pass() && ahead.to_string().contains("state is ahead"));
    }

    #[test]
    fn no_waiting_helps_against_another_format_or_partition_count() {
        assert!(!disagreement(Some(5), &record(5, FORMAT + 1, 12)).may_pass());
        assert!(!disagreement(Some(5), &record(5, FORMAT, 6)).may_pass());
    }
}
