//! Moments on the wire: Avro `timestamp-millis`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, as milliseconds since the Unix epoch (UTC). Never a local time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The moment `seconds` seconds after the epoch; `None` when it does not fit.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        seconds.checked_mul(1000).map(Self)
    }

    /// Reads RFC 3339, with any offset and any number of fractional digits (cut to milliseconds).
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|moment| Self(moment.as_millisecond()))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment `millis` milliseconds later (earlier when negative), held at the ends of the range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The moment so much later, held at the end of the range.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        self.plus_millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }

    /// The time that has passed since `earlier`; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl std::fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds; a moment outside the years -9999..9999 as plain milliseconds.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(formatter, "{moment:.3}"),
            Err(_) => write!(formatter, "{}ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_rfc3339() {
        let moment = Timestamp::from_rfc3339("2026-05-28T22:26:40.1239+02:00").unwrap();
        assert_eq!(moment, Timestamp::from_millis(1_780_000_000_123));
        assert_eq!(moment.to_string(), "2026-05-28T20:26:40.123Z");
        assert_eq!(moment.seconds(), 1_780_000_000);
    }

    #[test]
    fn refuses_what_is_no_moment() {
        assert_eq!(Timestamp::from_rfc3339("2026-05-28"), None);
        assert_eq!(Timestamp::from_seconds(i64::MAX), None);
        assert_eq!(Timestamp::from_millis(i64::MAX).plus_millis(1).millis(), i64::MAX);
        assert_eq!(Timestamp::from_millis(0).plus(Duration::MAX).millis(), i64::MAX);
    }

    #[test]
    fn time_passes_forwards_only() {
        let (earlier, later) = (Timestamp::from_millis(-500), Timestamp::from_millis(1_000));
        assert_eq!(later.since(earlier), Duration::from_millis(1_500));
        assert_eq!(earlier.since(later), Duration::ZERO);
        assert_eq!(earlier.plus(later.since(earlier)), later);
    }
}
