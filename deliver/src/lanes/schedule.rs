//! When a failed call is made again.

use std::time::Duration;

use schemas::Timestamp;

/// The waits of one destination.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Short waits on the spot, while the lane stays where it is.
    pub in_place: Vec<Duration>,
    /// Waits in the retry topic, the last one repeated.
    pub delays: Vec<Duration>,
    /// How long after the first failure the event is parked.
    pub horizon: Duration,
    /// How long a call that nobody answered may still take effect.
    pub quarantine: Duration,
}

/// What becomes of an event whose call failed and may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again from where it lies.
    InPlace {
        /// Not before.
        due: Timestamp,
    },
    /// Set aside in the retry topic.
    SetAside {
        /// Not before.
        due: Timestamp,
    },
    /// It failed for too long.
    Park,
}

impl Schedule {
    /// What follows the failure number `attempts` (from 1) at `now`, of an event that first failed at
    /// `first_failure`. `jitter`, from 0 to 1, lengthens a wait by up to a tenth, so that what failed
    /// together does not come back together. The last try is at the horizon itself.
    pub fn after_failure(
        &self,
        attempts: u32,
        first_failure: Timestamp,
        now: Timestamp,
        jitter: f64,
    ) -> Next {
        let last = first_failure.plus(self.horizon);
        if now >= last {
            return Next::Park;
        }
        let failures = usize::try_from(attempts).unwrap_or(usize::MAX).saturating_sub(1);
        let due = |wait: &Duration| {
            let stretched = wait.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 10.0);
            now.plus(stretched).min(last)
        };
        if let Some(wait) = self.in_place.get(failures) {
            return Next::InPlace { due: due(wait) };
        }
        let delay = self.delays.get(failures - self.in_place.len()).or(self.delays.last());
        match delay {
            Some(wait) => Next::SetAside { due: due(wait) },
            None => Next::Park,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds).unwrap()
    }

    fn schedule() -> Schedule {
        Schedule {
            in_place: vec![Duration::from_secs(1), Duration::from_secs(2)],
            delays: vec![Duration::from_secs(10), Duration::from_mins(1)],
            horizon: Duration::from_secs(200),
            quarantine: Duration::ZERO,
        }
    }

    #[test]
    fn waits_in_place_then_in_the_retry_topic_where_the_last_wait_repeats() {
        let next = |attempts| schedule().after_failure(attempts, at(0), at(100), 0.0);
        assert_eq!(next(1), Next::InPlace { due: at(101) });
        assert_eq!(next(2), Next::InPlace { due: at(102) });
        assert_eq!(next(3), Next::SetAside { due: at(110) });
        assert_eq!(next(4), Next::SetAside { due: at(160) });
        assert_eq!(next(5), Next::SetAside { due: at(160) });
    }

    #[test]
    fn parks_after_the_horizon_and_tries_once_more_at_it() {
        let next = |now| schedule().after_failure(9, at(0), at(now), 0.0);
        assert_eq!(next(199), Next::SetAside { due: at(200) });
        assert_eq!(next(200), Next::Park);
    }

    #[test]
    fn jitter_lengthens_by_at_most_a_tenth() {
        let next = schedule().after_failure(4, at(0), at(0), 1.0);
        assert_eq!(next, Next::SetAside { due: at(66) });
    }
}
