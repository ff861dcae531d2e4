//! What goes wrong at a destination, and when: the same for all sides, because it depends on nothing but the event and
//! the time.

use std::ops::Range;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// One in so many events is answered 500 when it comes for the first time.
const FAILS_FIRST: u64 = 100;
/// One in so many has its effect when it comes for the first time, and is never answered.
const STAYS_SILENT: u64 = 200;

/// What is wrong with a destination.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    /// When it is out of service, from the beginning of the run.
    pub(crate) outage: Range<Duration>,
    /// Whose events it always fails to take, by the subscriber key.
    pub(crate) never_takes: String,
    /// Whether single calls fail, too.
    pub(crate) calls: Calls,
}

/// What becomes of single calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Calls {
    #[default]
    AllSucceed,
    SomeFail,
}

/// What a destination does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has its effect and is answered.
    Taken,
    /// No effect, and 500.
    Failed,
    /// No effect, and 503.
    OutOfService,
    /// It has its effect, and its caller never hears of that.
    Unanswered,
}

impl Trouble {
    /// Whether nobody is answered as usual, `since` the beginning.
    pub(crate) fn is_out(&self, since: Duration) -> bool {
        self.outage.contains(&since)
    }

    /// What becomes of a call that comes `since` the beginning, after so many of the same event.
    pub(crate) fn fate(&self, since: Duration, key: &str, event_id: &str, before: usize) -> Fate {
        if self.is_out(since) {
            return Fate::OutOfService;
        }
        if key == self.never_takes {
            return Fate::Failed;
        }
        if before > 0 || self.calls == Calls::AllSucceed {
            return Fate::Taken;
        }
        let dice = dice(event_id);
        if dice.is_multiple_of(FAILS_FIRST) {
            Fate::Failed
        } else if (dice / FAILS_FIRST).is_multiple_of(STAYS_SILENT) {
            Fate::Unanswered
        } else {
            Fate::Taken
        }
    }
}

/// A number that is the same for an event whoever sends it.
fn dice(event_id: &str) -> u64 {
    let digest = Sha256::digest(event_id);
    let (first, _) = digest.split_at(8);
    first.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble() -> Trouble {
        let outage = Duration::from_secs(10)..Duration::from_secs(40);
        Trouble { outage, never_takes: "s/poor".to_owned(), calls: Calls::SomeFail }
    }

    #[test]
    fn about_one_in_a_hundred_fails_first_and_half_as_many_are_never_answered() {
        let fates = |before| {
            let fate = move |place| {
                trouble().fate(Duration::ZERO, "s/1", &format!("event-{place}"), before)
            };
            let fates: Vec<Fate> = (0..10_000).map(fate).collect();
            let of = |wanted| fates.iter().filter(|fate| **fate == wanted).count();
            (of(Fate::Failed), of(Fate::Unanswered), of(Fate::OutOfService))
        };
        let (failed, unanswered, out) = fates(0);
        assert!((70..130).contains(&failed), "{failed}");
        assert!((30..70).contains(&unanswered), "{unanswered}");
        assert_eq!(out, 0);
        assert_eq!(fates(1), (0, 0, 0), "what comes again is taken");
    }

    #[test]
    fn an_outage_begins_and_ends_and_is_everybodys() {
        let at = |seconds| trouble().fate(Duration::from_secs(seconds), "s/1", "event-1", 1);
        assert_eq!(at(9), Fate::Taken);
        assert_eq!((at(10), at(39)), (Fate::OutOfService, Fate::OutOfService));
        assert_eq!(at(40), Fate::Taken);
        assert!(!trouble().is_out(Duration::from_secs(40)));
    }

    #[test]
    fn one_subscriber_is_never_taken_and_without_trouble_everybody_is() {
        let fate = |trouble: &Trouble| trouble.fate(Duration::ZERO, "s/poor", "event-1", 7);
        assert_eq!(fate(&trouble()), Fate::Failed);
        assert_eq!(fate(&Trouble::default()), Fate::Taken);
    }
}
