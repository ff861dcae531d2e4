//! How long it takes until all is as before.
//!
//! Counted from the moment at which a fault is taken back: the process is started again, the connection let through,
//! the destination well. It is over when everything that was first sent before that moment is shown, and something
//! that was first sent after it: then nothing waits any more, in whichever partition, and what is new flows. Where a
//! destination was in trouble it counts alone, else both do. The reorder window is in it, and so is whatever else goes
//! wrong meanwhile.

use std::time::{Duration, Instant};

/// A webhook that tells something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Telling {
    /// When the first attempt to send it was made.
    pub(super) sent: Instant,
    /// When all of it was shown.
    pub(super) shown: Instant,
}

/// From `ended` on. None when nothing was sent after it.
pub(super) fn recovery(ended: Instant, told: &[Telling]) -> Option<Duration> {
    let (before, after): (Vec<&Telling>, Vec<_>) =
        told.iter().partition(|telling| telling.sent < ended);
    let first = after.iter().map(|telling| telling.shown).min()?;
    let backlog = before.iter().map(|telling| telling.shown).max();
    Some(backlog.map_or(first, |backlog| backlog.max(first)).saturating_duration_since(ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seconds: &[(u64, u64)], origin: Instant) -> Vec<Telling> {
        let at = |second| origin + Duration::from_secs(second);
        seconds.iter().map(|&(sent, shown)| Telling { sent: at(sent), shown: at(shown) }).collect()
    }

    #[test]
    fn it_is_over_when_nothing_old_waits_and_something_new_is_shown() {
        let origin = Instant::now();
        let ended = origin + Duration::from_secs(10);
        let takes = |seconds: &[(u64, u64)]| {
            recovery(ended, &told(seconds, origin)).map(|taken| taken.as_secs())
        };
        assert_eq!(takes(&[(1, 3), (11, 14), (12, 13)]), Some(3));
        assert_eq!(takes(&[(1, 17), (11, 14)]), Some(7));
        assert_eq!(takes(&[(11, 30), (12, 14)]), Some(4));
        assert_eq!(takes(&[(1, 17)]), None);
    }
}
