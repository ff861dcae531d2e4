//! How fast letters are redriven.

use std::time::Duration;

use service::config::Rate;

/// Batches a second that a slow pace is divided into, so that it is even.
const BATCHES_PER_SECOND: f64 = 10.0;

/// Letters in one transaction: enough to make it cheap, few enough to keep it short.
const LARGEST_BATCH: usize = 200;

/// Keeps to a rate, if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rate: Option<Rate>,
}

impl Pace {
    /// At most this fast, on the average since the start; as fast as possible without a rate.
    pub fn new(rate: Option<Rate>) -> Self {
        Self { rate }
    }

    /// How many letters go together.
    pub fn batch(self) -> usize {
        let Some(rate) = self.rate else { return LARGEST_BATCH };
        let even = rate.per_second() / BATCHES_PER_SECOND;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive; the cast saturates"
        )]
        let even = even as usize;
        even.clamp(1, LARGEST_BATCH)
    }

    /// How long to wait before the next batch, when `done` letters went in `elapsed`.
    pub fn wait(self, done: usize, elapsed: Duration) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let done = u32::try_from(done).unwrap_or(u32::MAX);
        let due = rate.period.mul_f64(f64::from(done) / f64::from(rate.count));
        due.saturating_sub(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(text: &str) -> Pace {
        Pace::new(Some(text.parse().unwrap()))
    }

    #[test]
    fn never_faster_than_the_rate() {
        for text in ["1/s", "7/s", "50/s", "100/min", "100000/s"] {
            let pace = pace(text);
            let (mut done, mut now) = (0, Duration::ZERO);
            for _ in 0..50 {
                now += pace.wait(done, now);
                done += pace.batch();
            }
            // The last batch has just begun: it is not to be counted yet.
            let before = u32::try_from(done - pace.batch()).unwrap();
            let allowed = pace.rate.unwrap().per_second() * now.as_secs_f64();
            assert!(f64::from(before) <= allowed + 0.001, "{text}");
        }
    }

    #[test]
    fn a_batch_is_a_tenth_of_a_second_within_bounds() {
        assert_eq!(["1/min", "50/s", "1000000/s"].map(|text| pace(text).batch()), [1, 5, 200]);
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let pace = Pace::new(None);
        assert_eq!((pace.batch(), pace.wait(1_000, Duration::ZERO)), (200, Duration::ZERO));
    }

    #[test]
    fn time_lost_elsewhere_is_not_waited_for_again() {
        assert_eq!(pace("10/s").wait(10, Duration::from_secs(2)), Duration::ZERO);
        assert_eq!(pace("10/s").wait(10, Duration::from_millis(400)), Duration::from_millis(600));
    }
}
