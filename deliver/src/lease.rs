//! Until when an owner may begin calls, and how long its successor waits.
//!
//! An owner that was replaced cannot know it: it may have been suspended, or cut off from the cluster.
//! What it commits is refused, but what it sends would arrive, be it after its successor's calls. So
//! calls are begun only for a term after the last commit that succeeded, counted from when that commit
//! was sent: then the group had not yet moved on. An idle owner commits too. Whoever takes over waits
//! until the last call of its predecessor can have had its effect, unless the predecessor has said, in its
//! last commit, that nothing of it is under way (lane protocol, rule 11), or was itself, and knows that its calls
//! are over: a commit in doubt costs a new beginning, and not this wait.

use std::time::Duration;

use crate::tenure::{Ending, Owner, Tenure};

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

    /// When `own` may begin calls, having taken over from `earlier` now. `left` is what it remembers of its own last
    /// time with the partition, if all its calls were over then: when it might have begun calls, or begun to.
    pub fn begins_at(
        &self,
        earlier: Tenure,
        own: Owner,
        left: Option<Duration>,
        now: Duration,
    ) -> Duration {
        match (earlier.ending, left) {
            (Ending::Clean, _) => now,
            // Nobody begins a call before a commit, so nobody else has begun one since.
            (Ending::Open, Some(could_begin)) if earlier.owner == Some(own) => could_begin.max(now),
            (Ending::Open, Some(_) | None) => now + self.lease + self.landing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Duration = Duration::from_secs(5);
    const TERMS: Terms = Terms { lease: TERM, landing: Duration::from_secs(20) };

    fn of(owner: Option<Owner>, ending: Ending) -> Tenure {
        Tenure { owner, ending, outages: Duration::ZERO }
    }

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
        let mut lease = Lease::new(TERM);
        lease.renew(at(0));
        let last_call = (0..10).map(at).filter(|now| lease.holds(*now)).max().unwrap();
        let begins = |ending| TERMS.begins_at(of(Some(Owner(1)), ending), Owner(2), None, at(0));
        assert!(last_call + TERMS.landing < begins(Ending::Open));
        assert_eq!(begins(Ending::Clean), at(0));
    }

    #[test]
    fn an_owner_waits_for_itself_only_if_it_does_not_know_that_its_calls_are_over() {
        let begins =
            |owner, left| TERMS.begins_at(of(owner, Ending::Open), Owner(1), left, at(100));
        let patient = at(100) + TERM + TERMS.landing;
        assert_eq!(begins(Some(Owner(1)), Some(at(90))), at(100));
        assert_eq!(begins(Some(Owner(1)), Some(at(107))), at(107), "its predecessor's calls");
        assert_eq!(begins(Some(Owner(1)), None), patient);
        assert_eq!(begins(Some(Owner(2)), Some(at(90))), patient, "somebody was there since");
        assert_eq!(begins(None, Some(at(90))), patient);
    }
}
