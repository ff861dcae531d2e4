//! What the store may take of memory, and how it is divided.
//!
//! Three things grow: blocks read from disk, entries not yet written to disk, and what the allocator and
//! a merge need beside them. Three eighths of the bound are for the last, which is what measuring showed
//! (`docs/state.md`). Entries are collected in one table a partition and a second one while that is
//! written; together they may have a quarter of the bound, and no more than [`MOST_COLLECTED`] each,
//! because what was collected is what has to be read again after a crash. The rest is for blocks.

/// Least that a partition collects before it writes. Less would make more files than compaction keeps
/// up with.
const LEAST_COLLECTED: usize = 256 * 1024;

/// Most that a partition collects before it writes.
const MOST_COLLECTED: usize = 2 * 1024 * 1024;

/// Least that is kept of blocks: below it, every read goes to the disk twice.
const LEAST_CACHED: usize = 4 * 1024 * 1024;

/// Shares of the bound, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Blocks of all partitions.
    pub(super) cached: usize,
    /// Entries of one partition that are not on disk, before they are handed over to be written.
    pub(super) collected: usize,
}

impl Shares {
    /// Divides a bound of `total` bytes among `partitions`.
    pub(super) fn of(total: usize, partitions: usize) -> Self {
        let tables = partitions.max(1) * 2;
        let collected = (total / 4 / tables).clamp(LEAST_COLLECTED, MOST_COLLECTED);
        let cached = (total / 8 * 5).saturating_sub(collected * tables).max(LEAST_CACHED);
        Self { cached, collected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn the_shares_stay_five_eighths_of_the_bound() {
        for (total, partitions) in [(64, 12), (256, 12), (256, 48), (1024, 1), (4096, 96)] {
            let shares = Shares::of(total * MIB, partitions);
            let sum = shares.cached + shares.collected * 2 * partitions;
            assert!(sum <= total * MIB / 8 * 5, "{total} MiB, {partitions}: {shares:?}");
            assert!(shares.collected >= LEAST_COLLECTED && shares.collected <= MOST_COLLECTED);
        }
    }

    #[test]
    fn too_little_is_not_divided_into_nothing() {
        let shares = Shares::of(0, 12);
        assert_eq!(shares, Shares { cached: LEAST_CACHED, collected: LEAST_COLLECTED });
        assert_eq!(Shares::of(64 * MIB, 0), Shares::of(64 * MIB, 1));
    }
}
