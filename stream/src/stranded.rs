//! A client that knows no broker any more.
//!
//! A broker that does not count as alive yet, as after a pause, may answer that the cluster has no brokers. librdkafka
//! (2.10 to 2.14 at least) then drops all it knows, the configured ones too, and asks nobody again: it never comes back
//! (confluentinc/librdkafka#5301). One that cannot reach its brokers still knows them, so the two can be told apart by
//! its statistics. The remedy is another client.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::Statistics;

/// How often a client's statistics are looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// Looks at which none was known, one after the other, before it counts: while a client starts over by itself there
/// is a moment without any.
const LOOKS: u32 = 2;

/// Watches one client.
#[derive(Debug, Default)]
pub(crate) struct Stranded(AtomicU32);

impl Stranded {
    /// Takes in what the client tells of itself.
    pub(crate) fn look(&self, statistics: &Statistics) {
        let sources = statistics.brokers.values().map(|broker| broker.source.as_str());
        self.note(sources);
    }

    fn note<'a>(&self, mut sources: impl Iterator<Item = &'a str>) {
        // Beside those there are handles for the coordinators and for the client itself.
        if sources.any(|source| matches!(source, "configured" | "learned")) {
            self.0.store(0, Ordering::Relaxed);
        } else {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the client is lost.
    pub(crate) fn is_certain(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_brokers_is_lost_and_one_that_cannot_reach_them_is_not() {
        let stranded = Stranded::default();
        for _ in 0..5 {
            stranded.note(["internal", "logical", "configured"].into_iter());
            stranded.note(["internal", "learned"].into_iter());
        }
        assert!(!stranded.is_certain());
        stranded.note(["internal", "logical"].into_iter());
        assert!(!stranded.is_certain(), "a moment is nothing");
        stranded.note(["internal", "configured"].into_iter());
        stranded.note(["internal"].into_iter());
        assert!(!stranded.is_certain(), "two moments are nothing");
        stranded.note(["internal"].into_iter());
        assert!(stranded.is_certain());
    }
}
