//! What an operator should change where a source does not send what it could.
//!
//! Two providers can be told to send bodies that carry nothing this version reads, and a producer of
//! one's own may put its records into partitions of its own choosing. Each such record is counted; who
//! reads the log is told once per source what to change there.

use std::collections::BTreeSet;

use crate::tally::Tally;

/// A notification without content, which would have to be fetched with an API key.
pub(crate) const THIN_EVENT: &str = "thin_event";
/// A body of another version than the one that is read.
pub(crate) const UNSUPPORTED_API_VERSION: &str = "unsupported_api_version";
/// A record outside of the partition of its key.
const MISPLACED: &str = "misplaced";

/// What to change, for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The configured source.
    pub source: String,
    /// What is wrong with what it sends.
    pub reason: &'static str,
    /// What helps.
    pub remedy: &'static str,
}

/// Remembers what advice was given, so that none is repeated with every webhook.
#[derive(Clone, Debug, Default)]
pub struct Adviser {
    given: BTreeSet<(String, &'static str)>,
}

impl Adviser {
    /// What has to be said about this transaction and was not said before.
    pub fn news(&mut self, tally: &Tally) -> Vec<Advice> {
        let mut news = Vec::new();
        let ignored = tally.ignored.keys().map(|(source, reason)| (source, *reason));
        let misplaced = tally.misplaced.keys().map(|source| (source, MISPLACED));
        for (source, reason) in ignored.chain(misplaced) {
            if let Some(remedy) = remedy(reason)
                && self.given.insert((source.clone(), reason))
            {
                news.push(Advice { source: source.clone(), reason, remedy });
            }
        }
        news
    }
}

fn remedy(reason: &str) -> Option<&'static str> {
    match reason {
        THIN_EVENT => Some(
            "thin events carry nothing to read: set the payload style of this event destination \
             to snapshot in Stripe's Workbench, or create one that is",
        ),
        UNSUPPORTED_API_VERSION => Some(
            "only version 3 of Purchasely's webhooks is read: choose it in the console's settings \
             of the webhook",
        ),
        MISPLACED => Some(
            "records of this source do not lie in the partition of their key, while what else is \
             written about its subscribers does: set the producer's partitioner to murmur2_random, \
             as docs/native-source.md says",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_is_advised_once_and_only_where_something_can_be_changed() {
        let mut tally = Tally::default();
        for (source, reason) in
            [("shop", THIN_EVENT), ("shop", "link_only"), ("app", UNSUPPORTED_API_VERSION)]
        {
            tally.ignore(source, reason);
        }
        let mut adviser = Adviser::default();
        let news = adviser.news(&tally);
        let told: Vec<_> = news.iter().map(|one| (one.source.as_str(), one.reason)).collect();
        assert_eq!(told, [("app", UNSUPPORTED_API_VERSION), ("shop", THIN_EVENT)]);
        assert!(adviser.news(&tally).is_empty());
        tally.ignore("second shop", THIN_EVENT);
        assert_eq!(adviser.news(&tally)[0].source, "second shop");
        tally.misplace("crm");
        let news = adviser.news(&tally);
        assert_eq!((news[0].source.as_str(), news[0].reason, news.len()), ("crm", MISPLACED, 1));
        assert!(adviser.news(&tally).is_empty());
    }
}
