//! Notices a client that comes back before it was told to.

use std::time::Duration;

/// Requests already on their way when the client reads the 429 are nobody's fault.
const GRACE: Duration = Duration::from_millis(250);

/// The latest wait the emulator has asked for.
#[derive(Debug, Default)]
pub(crate) struct RetryAfterWatch {
    asked_at: Duration,
    until: Duration,
}

impl RetryAfterWatch {
    /// A 429 has asked the client to stay away for a while.
    pub(crate) fn asked(&mut self, now: Duration, wait: Duration) {
        if now >= self.until {
            self.asked_at = now;
        }
        self.until = self.until.max(now + wait);
    }

    /// Whether a request that arrives now should have waited.
    pub(crate) fn is_too_early(&self, now: Duration) -> bool {
        now >= self.asked_at + GRACE && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn notices_a_request_inside_the_wait_but_not_one_already_on_its_way() {
        let mut watch = RetryAfterWatch::default();
        assert!(!watch.is_too_early(at(0)));
        watch.asked(at(1000), at(2000));
        assert!(!watch.is_too_early(at(1100)));
        assert!(watch.is_too_early(at(1250)));
        assert!(watch.is_too_early(at(2999)));
        assert!(!watch.is_too_early(at(3000)));
    }

    #[test]
    fn a_repeated_429_does_not_renew_the_grace() {
        let mut watch = RetryAfterWatch::default();
        watch.asked(at(1000), at(2000));
        watch.asked(at(1200), at(2000));
        assert!(watch.is_too_early(at(1300)));
        assert!(watch.is_too_early(at(3100)));
    }
}
