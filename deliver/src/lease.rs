//! Until when an owner may begin calls, and how long its successor waits.
//!
//! An owner that was replaced cannot know it: it may have been suspended, or cut off from the cluster.
//! What it commits is refused, but what it sends would arrive, be it after its successor's calls. So
//! calls are begun only for a term after the last commit that succeeded, counted from when that commit
//! was sent: then the group had not yet moved on. An idle owner commits too. Whoever takes over waits
//! until the last call of its predecessor can have had its effect, unless the predecessor has said, in its
//! last commit, that nothing of it is under way (lane protocol, rule 11).

use std::time::Duration;

use crate::tenure::Ending;

/// A commit renews it; without one it runs out. Times are those of a stopwatch.
#[derive(Debug)]
pub struct Lease {
    term: Duration,
    renewed: Option<Duration>,
}

impl Lease {
    /// Not held before the first commit; each renews it for `term`.
    pub fn new(term: Duration) -> Self {
        Self { term, renewed: None }
    }

    /// A commit that was sent at this time has succeeded.
    pub fn renew(&mut self, sent: Duration) {
        self.renewed = self.renewed.max(Some(sent));
    }

    /// The partitions are no longer ours, or may not be.
    pub fn end(&mut self) {
        self.renewed = None;
    }

    /// Whether a call may begin.
    pub fn holds(&self, now: Duration) -> bool {
        self.renewed.is_some_and(|sent| now < sent + self.term)
    }
}

/// What all owners of one destination's partitions go by.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long after a commit calls begin.
    pub lease: Duration,
    /// How long after its beginning a call has its effect, or never.
    pub landing: Duration,
}

impl Terms {
    /// How old the last commit may become before one is made for the lease alone: two may fail to come
    /// through before calls stop.
    pub fn renewal_interval(&self) -> Duration {
        self.lease / 3
    }

    /// How long the successor of an owner that ended so begins no call.
    pub fn patience_of_successor(&self, ending: Ending) -> Duration {
        match ending {
            Ending::Open => self.lease + self.landing,
            Ending::Clean => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn no_call_begins_before_the_first_commit_nor_a_term_after_the_last() {
        let mut lease = Lease::new(TERM);
        assert!(!lease.holds(at(0)));
        lease.renew(at(10));
        assert!(lease.holds(at(14)) && !lease.holds(at(15)));
        lease.renew(at(12));
        assert!(lease.holds(at(16)));
        lease.renew(at(11));
        assert!(lease.holds(at(16)), "an older commit takes nothing away");
    }

    #[test]
    fn no_call_begins_after_the_partitions_were_given_up() {
        let mut lease = Lease::new(TERM);
        lease.renew(at(10));
        lease.end();
        assert!(!lease.holds(at(10)));
    }

    #[test]
    fn a_successor_begins_when_the_last_call_of_an_owner_without_commits_is_over() {
        let terms = Terms { lease: TERM, landing: at(20) };
        let mut lease = Lease::new(TERM);
        lease.renew(at(0));
        let last_call = (0..10).map(at).filter(|now| lease.holds(*now)).max().unwrap();
        assert!(last_call + terms.landing < terms.patience_of_successor(Ending::Open));
        assert_eq!(terms.patience_of_successor(Ending::Clean), Duration::ZERO);
    }
}
