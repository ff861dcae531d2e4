//! A member that its group has given no partitions yet.

use std::time::{Duration, Instant};

/// How long a member has no partitions before it says so, and says so again: a rebalance that is well takes less,
/// one that waits for a member that died about as long as the session time-out.
const WAITS_SILENTLY: Duration = Duration::from_secs(30);

/// A member that waits to be given partitions.
pub(super) struct Unassigned {
    since: Instant,
    told: Instant,
}

impl Unassigned {
    pub(super) fn from(now: Instant) -> Self {
        Self { since: now, told: now }
    }

    /// Says so, where that is due.
    pub(super) fn tell(&mut self, group: &str, now: Instant) {
        if let Some(waited) = self.tells(now) {
            tracing::warn!(
                group,
                ?waited,
                "no partitions were assigned yet: the group's coordinator is away, or waits for another member \
                 (kafka-consumer-groups --describe --members names them)"
            );
        }
    }

    /// For how long it has waited, where that is to be told now.
    fn tells(&mut self, now: Instant) -> Option<Duration> {
        if now.duration_since(self.told) < WAITS_SILENTLY {
            return None;
        }
        self.told = now;
        Some(now.duration_since(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_given_nothing_says_so_now_and_then() {
        let joined = Instant::now();
        let mut waiting = Unassigned::from(joined);
        let tells = [1, 29, 30, 31, 59, 60, 61].map(|seconds| {
            let waited = Duration::from_secs(seconds);
            waiting.tells(joined + waited).map(|told| told.as_secs())
        });
        assert_eq!(tells, [None, None, Some(30), None, None, Some(60), None]);
    }
}
