//! Parking: a record that cannot go on is put aside with a reason, and too many of them stop the line.
//!
//! A bad deploy or a changed payload makes every record unfit at once. Putting all of them aside would
//! empty the line into the dead letters; so past a limit the line stops instead, and nothing is lost.

use std::collections::VecDeque;
use std::time::Duration;

use strum::{EnumIter, IntoStaticStr};

/// Why a record was parked: one word, also a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum ParkReason {
    /// The record has no key.
    MissingKey,
    /// A mandatory CloudEvents header is absent.
    MissingHeader,
    /// A header is not what it should be.
    MalformedHeader,
    /// The record has no value.
    MissingBody,
    /// `ce_source` names no configured source.
    UnknownSource,
    /// Key, `ce_source` and the subscriber in the body disagree.
    KeyMismatch,
    /// No subscriber is named and none is linked.
    SubscriberUnknown,
    /// So many records wait under the key already that this one cannot.
    TooManyWaiting,
    /// A copy came to a key from which it would have to go on to where it has been.
    RekeyLoop,
    /// The body is not what its type promises.
    Unreadable,
    /// What the body says is larger than an event may be.
    TooLarge,
}

impl ParkReason {
    /// The word.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The step that gave the record up.
    pub fn stage(self) -> &'static str {
        match self {
            Self::MissingKey
            | Self::MissingHeader
            | Self::MalformedHeader
            | Self::MissingBody
            | Self::UnknownSource => "envelope",
            Self::KeyMismatch
            | Self::SubscriberUnknown
            | Self::TooManyWaiting
            | Self::RekeyLoop => "identity",
            Self::Unreadable | Self::TooLarge => "read",
        }
    }

    /// Whether it speaks against the deployed version or the producers, which is what stopping the
    /// line is for. A missing link speaks against neither.
    fn counts_against_the_line(self) -> bool {
        !matches!(self, Self::SubscriberUnknown | Self::TooManyWaiting)
    }
}

/// A record's end: the reason and what exactly was wrong, without any of the record's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parking {
    /// One word.
    pub reason: ParkReason,
    /// For people.
    pub message: String,
}

impl Parking {
    /// An end for this reason.
    pub fn new(reason: ParkReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// How far the limit looks back.
const LOOK_BACK: Duration = Duration::from_mins(1);

/// Width of one count; the limit is exact to this much.
const SLICE: Duration = Duration::from_secs(1);

/// Counts what is parked of what is processed, over the last minute.
///
/// The line stops when more than the allowed number *and* more than half of everything was parked: a
/// trickle of broken records in a healthy stream never stops it, however long it lasts.
#[derive(Debug)]
pub struct ParkLimit {
    allowed: u64,
    slices: VecDeque<Slice>,
}

#[derive(Debug)]
struct Slice {
    began: Duration,
    parked: u64,
    processed: u64,
}

impl ParkLimit {
    /// At most `per_second` records a second on the average of the last minute.
    pub fn new(per_second: f64) -> Self {
        let minute = (per_second * LOOK_BACK.as_secs_f64()).round().max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounded and not negative; the cast saturates"
        )]
        let allowed = minute as u64;
        Self { allowed, slices: VecDeque::new() }
    }

    /// Counts a record that was processed at `now` (time of a clock that never goes back).
    pub fn processed(&mut self, now: Duration, parked: Option<ParkReason>) {
        while self.slices.front().is_some_and(|oldest| oldest.began + LOOK_BACK <= now) {
            self.slices.pop_front();
        }
        let current = self.slices.back().is_some_and(|newest| now < newest.began + SLICE);
        if !current {
            self.slices.push_back(Slice { began: now, parked: 0, processed: 0 });
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.processed += 1;
            slice.parked += u64::from(parked.is_some_and(ParkReason::counts_against_the_line));
        }
    }

    /// Whether the line must stop.
    pub fn is_exceeded(&self) -> bool {
        let parked: u64 = self.slices.iter().map(|slice| slice.parked).sum();
        let processed: u64 = self.slices.iter().map(|slice| slice.processed).sum();
        parked > self.allowed && parked * 2 > processed
    }

    /// Forgets the past: somebody looked and let the line go on.
    pub fn reset(&mut self) {
        self.slices.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    fn after(parked: u32, fine: u32, spread: Duration) -> ParkLimit {
        let mut limit = ParkLimit::new(100.0 / 60.0);
        let steps = parked.max(fine);
        for step in 0..steps {
            let now = spread * step / steps;
            if step < parked {
                limit.processed(now, Some(ParkReason::Unreadable));
            }
            if step < fine {
                limit.processed(now, None);
            }
        }
        limit
    }

    #[test]
    fn stops_when_more_than_the_limit_and_more_than_half_are_parked() {
        let minute = Duration::from_secs(59);
        assert!(!after(100, 0, minute).is_exceeded());
        assert!(after(101, 0, minute).is_exceeded());
        assert!(after(101, 100, minute).is_exceeded());
        assert!(!after(101, 101, minute).is_exceeded());
    }

    #[test]
    fn forgets_what_is_older_than_a_minute() {
        assert!(!after(200, 0, Duration::from_mins(3)).is_exceeded());
    }

    #[test]
    fn goes_on_after_a_reset() {
        let mut limit = after(500, 0, Duration::from_secs(1));
        assert!(limit.is_exceeded());
        limit.reset();
        assert!(!limit.is_exceeded());
    }

    #[test]
    fn records_that_only_lack_a_link_do_not_count() {
        let mut limit = ParkLimit::new(0.0);
        limit.processed(Duration::ZERO, Some(ParkReason::SubscriberUnknown));
        assert!(!limit.is_exceeded());
        limit.processed(Duration::ZERO, Some(ParkReason::KeyMismatch));
        assert!(!limit.is_exceeded(), "half is not more than half");
        limit.processed(Duration::ZERO, Some(ParkReason::KeyMismatch));
        assert!(limit.is_exceeded());
    }

    #[test]
    fn reasons_are_single_words_for_labels() {
        for reason in ParkReason::iter() {
            let name = reason.name();
            assert!(name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'));
        }
    }
}
