//! Whether a worker whose tenure has ended begins again, and when.
//!
//! To be fenced once is what a successor of one's own name does, for instance after a pause in which the
//! group gave up waiting. Twice within a minute means that two processes live under one name and take the
//! partitions away from each other for ever, so the worker stops and says so.

use std::time::Duration;

use super::failure::Cure;

/// Pause before a worker begins again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A tenure that lasted this long was a good one: failures before it no longer count.
const GOOD: Duration = Duration::from_mins(1);

/// What a worker does after a tenure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Begin again after this pause.
    Again(Duration),
    /// Stop with the error that ended the tenure.
    Stop,
    /// Stop, because another process uses the same name.
    StopForShared,
}

/// What it remembers of the tenures before.
#[derive(Debug)]
pub(super) struct Recovery {
    pause: Duration,
    fenced_at: Option<Duration>,
}

impl Recovery {
    pub(super) fn new() -> Self {
        Self { pause: PAUSES.0, fenced_at: None }
    }

    /// A tenure lasted from the first moment to the second, and this would help.
    pub(super) fn after(&mut self, cure: Cure, (began, now): (Duration, Duration)) -> Next {
        match cure {
            Cure::Stop => return Next::Stop,
            Cure::StartAgainOnce => {
                if self.fenced_at.is_some_and(|before| now.saturating_sub(before) < GOOD) {
                    return Next::StopForShared;
                }
                self.fenced_at = Some(now);
            }
            Cure::StartAgain => {}
        }
        if now.saturating_sub(began) >= GOOD {
            self.pause = PAUSES.0;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        Next::Again(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::WorkerError;
    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    /// Short tenures that end at these moments.
    fn ends(recovery: &mut Recovery, all: &[(Cure, u64)]) -> Vec<Next> {
        let end = |&(cure, at): &(Cure, u64)| recovery.after(cure, (seconds(at), seconds(at)));
        all.iter().map(end).collect()
    }

    #[test]
    fn stops_when_it_is_fenced_twice_within_a_minute() {
        use Cure::{StartAgain, StartAgainOnce};
        let shared = |all: &[(Cure, u64)]| {
            let next = ends(&mut Recovery::new(), all);
            next.iter().position(|next| *next == Next::StopForShared)
        };
        assert_eq!(shared(&[(StartAgainOnce, 100)]), None, "a successor");
        assert_eq!(shared(&[(StartAgainOnce, 100), (StartAgainOnce, 159)]), Some(1));
        assert_eq!(shared(&[(StartAgainOnce, 100), (StartAgainOnce, 160)]), None);
        assert_eq!(
            shared(&[(StartAgainOnce, 100), (StartAgain, 110), (StartAgainOnce, 120)]),
            Some(2),
            "another failure between them"
        );
        assert_eq!(
            shared(&[(StartAgainOnce, 0), (StartAgainOnce, 60), (StartAgainOnce, 119)]),
            Some(2),
            "counted from the last"
        );
        assert_eq!(shared(&[(StartAgain, 0), (StartAgain, 1), (StartAgain, 2)]), None);
    }

    #[test]
    fn begins_again_more_and_more_slowly_until_a_tenure_was_a_good_one() {
        let mut recovery = Recovery::new();
        let bad: Vec<_> = (0..8).map(|at| (Cure::StartAgain, at)).collect();
        let pauses = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].map(Duration::from_millis);
        assert_eq!(ends(&mut recovery, &bad), pauses.map(Next::Again));
        let good = recovery.after(Cure::StartAgain, (seconds(10), seconds(70)));
        assert_eq!(good, Next::Again(PAUSES.0));
        assert_eq!(ends(&mut recovery, &[(Cure::Stop, 71)]), [Next::Stop]);
    }

    #[test]
    fn a_shared_name_stops_and_says_what_may_have_happened() {
        let shared = WorkerError::SharedIdentity;
        assert_eq!(shared.cure(), Cure::Stop);
        assert!(shared.to_string().contains("Was state_dir copied"), "{shared}");
    }
}
