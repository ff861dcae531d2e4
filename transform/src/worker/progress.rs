//! How far a rebuild has come, and how long it will take.

use std::time::Duration;

use crate::metrics::Metrics;

/// Time between two pieces of news. What takes less than this is not worth telling.
const INTERVAL: Duration = Duration::from_secs(5);

/// Reading from one offset to another.
#[derive(Debug)]
pub(super) struct Progress {
    from: i64,
    until: i64,
    began: Duration,
    told: Duration,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// Offsets read, and in all. Some hold nothing: compaction leaves gaps.
    pub(super) done: i64,
    pub(super) all: i64,
    /// How long the rest takes if it goes on like this.
    pub(super) left: Duration,
}

impl Progress {
    pub(super) fn begin((from, until): (i64, i64), now: Duration) -> Self {
        Self { from, until, began: now, told: now }
    }

    /// News, when it is time for some.
    pub(super) fn at(&mut self, offset: i64, now: Duration) -> Option<News> {
        if now.saturating_sub(self.told) < INTERVAL {
            return None;
        }
        self.told = now;
        let all = self.until - self.from;
        let done = (offset - self.from).clamp(1, all.max(1));
        let took = now.saturating_sub(self.began).as_millis();
        let rest = u128::try_from(all - done).unwrap_or(0);
        let left = took.saturating_mul(rest) / u128::try_from(done).unwrap_or(1);
        Some(News {
            done,
            all,
            left: Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX)),
        })
    }
}

impl News {
    /// Tells it to whoever watches.
    pub(super) fn tell(&self, partition: i32, metrics: &Metrics) {
        let Self { done, all, left } = *self;
        let percent = done * 100 / all.max(1);
        metrics.restoring(partition, Some(all - done));
        tracing::info!(
            partition,
            percent,
            seconds_left = left.as_secs(),
            "rebuilding the partition's state: {done} of {all} offsets of the changelog read"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_every_few_seconds_how_long_the_rest_takes() {
        let seconds = Duration::from_secs;
        let mut progress = Progress::begin((1_000, 11_000), seconds(100));
        assert_eq!(progress.at(2_000, seconds(104)), None);
        let news = progress.at(3_000, seconds(106)).unwrap();
        assert_eq!(news, News { done: 2_000, all: 10_000, left: seconds(24) });
        assert_eq!(progress.at(4_000, seconds(107)), None);
        let news = progress.at(11_000, seconds(111)).unwrap();
        assert_eq!((news.done, news.left), (10_000, seconds(0)));
    }
}
