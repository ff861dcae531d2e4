//! How far a rebuild has come, and how long it will take.
//!
//! One for all partitions that are taken over together, since whoever waits for the last of them wants to
//! know how long that is. How much is to be read of a partition that is not begun yet is not known; keys
//! are spread evenly, so it is taken to be what the others had on average.

use std::time::Duration;

use crate::metrics::Metrics;

/// What takes less than this is not worth telling.
const FIRST: Duration = Duration::from_secs(1);

/// Time between two pieces of news.
const INTERVAL: Duration = Duration::from_secs(5);

/// Reading some partitions one after the other, each from one offset to another.
#[derive(Debug)]
pub(super) struct Progress {
    /// Partitions in all, and how many of them have begun.
    partitions: i64,
    begun: i64,
    /// Offsets of all spans so far, and of those that are over.
    offered: i64,
    over: i64,
    span: (i64, i64),
    /// Up to here the present partition has been read.
    known: i64,
    /// Whether the present span holds what has not been read yet.
    is_news: bool,
    began: Duration,
    next_news: Duration,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// Offsets of the present partition still to be read.
    pub(super) here: i64,
    /// Partitions behind the present one.
    pub(super) queued: i64,
    /// Offsets read, and in all partitions. Some hold nothing: compaction leaves gaps.
    pub(super) done: i64,
    pub(super) all: i64,
    /// How long the rest of all takes if it goes on like this.
    pub(super) left: Duration,
}

impl Progress {
    /// So many partitions are taken over from now on.
    pub(super) fn of(partitions: usize, now: Duration) -> Self {
        Self {
            partitions: i64::try_from(partitions).unwrap_or(i64::MAX),
            begun: 0,
            offered: 0,
            over: 0,
            span: (0, 0),
            known: 0,
            is_news: false,
            began: now,
            next_news: now + FIRST,
        }
    }

    /// The next partition's turn.
    pub(super) fn next_partition(&mut self) {
        self.begun += 1;
        self.known = 0;
    }

    /// This much of the present partition is read next; what was begun before is over. Where offset and state do
    /// not agree yet, the end is looked at again and again, which is no progress.
    pub(super) fn reads(&mut self, (from, until): (i64, i64)) {
        let from = from.max(self.known);
        self.over = self.offered;
        self.offered += (until - from).max(0);
        self.span = (from, until);
        self.is_news = until > from;
        self.known = self.known.max(until);
    }

    /// News, when it is time for some.
    pub(super) fn at(&mut self, offset: i64, now: Duration) -> Option<News> {
        if now < self.next_news || !self.is_news {
            return None;
        }
        self.next_news = now + INTERVAL;
        let (from, until) = self.span;
        let done = (self.over + offset - from).clamp(1, self.offered.max(1));
        let queued = (self.partitions - self.begun).max(0);
        let all = (self.offered + self.offered / self.begun.max(1) * queued).max(done);
        let took = now.saturating_sub(self.began).as_millis();
        let rest = u128::try_from(all - done).unwrap_or(0);
        let left = took.saturating_mul(rest) / u128::try_from(done).unwrap_or(1);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX));
        Some(News { here: (until - offset).max(0), queued, done, all, left })
    }
}

impl News {
    /// Tells it to whoever watches.
    pub(super) fn tell(&self, partition: i32, metrics: &Metrics) {
        let Self { here, queued, done, all, left } = *self;
        let percent = done * 100 / all.max(1);
        metrics.restoring(partition, Some(here));
        tracing::info!(
            partition,
            queued,
            percent,
            seconds_left = left.as_secs(),
            "rebuilding states: {done} of about {all} offsets of the changelog read"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn tells_after_a_second_and_then_every_few_how_long_the_rest_takes() {
        let mut progress = Progress::of(1, ms(100_000));
        progress.next_partition();
        progress.reads((1_000, 11_000));
        assert_eq!(progress.at(1_400, ms(100_900)), None);
        let news = progress.at(1_500, ms(101_000)).unwrap();
        let left = ms(19_000);
        assert_eq!(news, News { here: 9_500, queued: 0, done: 500, all: 10_000, left });
        assert_eq!(progress.at(4_000, ms(105_900)), None);
        let news = progress.at(11_000, ms(106_000)).unwrap();
        assert_eq!((news.done, news.here, news.left), (10_000, 0, ms(0)));
    }

    #[test]
    fn looking_at_the_end_again_is_no_progress() {
        let mut progress = Progress::of(2, ms(0));
        progress.next_partition();
        progress.reads((0, 100));
        assert_eq!(progress.at(100, ms(1_000)).unwrap().all, 200);
        for look in 1..100 {
            progress.reads((99, 100));
            assert_eq!(progress.at(100, ms(look * 1_000)), None);
        }
        progress.reads((99, 150));
        assert_eq!(progress.at(125, ms(100_000)).unwrap().all, 300);
        progress.next_partition();
        progress.reads((0, 50));
        assert_eq!(progress.at(50, ms(105_000)).unwrap().done, 200);
    }

    #[test]
    fn partitions_too_small_for_news_of_their_own_are_told_together() {
        let mut progress = Progress::of(12, ms(0));
        let mut told = Vec::new();
        for partition in 0..12_u64 {
            progress.next_partition();
            progress.reads((0, 5_000));
            for step in 1..=10_i64 {
                let now = ms(partition * 700 + u64::try_from(step).unwrap() * 70);
                told.extend(progress.at(step * 500, now).map(|news| (now, news)));
            }
        }
        let (first, news) = told[0];
        assert_eq!(first, ms(1_050));
        let left = ms(7_350);
        assert_eq!(news, News { here: 2_500, queued: 10, done: 7_500, all: 60_000, left });
        assert_eq!(told.len(), 2, "one after a second, one five seconds later: {told:?}");
        assert_eq!(told[1].1.all, 60_000);
    }
}
