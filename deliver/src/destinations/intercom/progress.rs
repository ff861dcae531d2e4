//! Up to which event a contact's attributes are, as the text in which the contact itself says so.
//!
//! `<sequence> <subscriber> <second> <epoch>`, as in `7 5f3a99c1 1780000001 1750000000000`. Sequences count for
//! one subscriber, and a contact may be several: a customer who began anew at the provider under another id is
//! the same person by e-mail address or id. So the text says whose sequence it is, by eight digits of the
//! SHA-256 of the subscriber's key; between subscribers the later second counts. And they begin anew with
//! every epoch (in milliseconds), before which all that was told is old. What was written first said less;
//! what it does not say is taken as being the same.

use std::fmt;

use schemas::LifecycleEvent;
use sha2::{Digest, Sha256};

/// Up to which event of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    sequence: i64,
    origin: Option<Origin>,
    epoch: Option<i64>,
}

/// Whose event, and when; ordered by time. Of two in one second the same one is always the later, so that
/// a replay ends as it did before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Origin {
    second: i64,
    subscriber: String,
}

impl Progress {
    /// Up to this event.
    pub(super) fn of(event: &LifecycleEvent) -> Self {
        let digest = Sha256::digest(event.subscriber.key.as_bytes());
        let short = digest.iter().take(4).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let origin = Origin { second: event.distinct_second, subscriber: format!("{short:08x}") };
        Self { sequence: event.sequence, origin: Some(origin), epoch: Some(event.epoch.millis()) }
    }

    /// What a contact says; `None` when it is nothing that was written here. More may follow.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let sequence = words.next()?.parse().ok()?;
        let subscriber = words.next();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let (second, epoch) = (number(), number());
        let origin = subscriber
            .zip(second)
            .map(|(subscriber, second)| Origin { second, subscriber: subscriber.to_owned() });
        Some(Self { sequence, origin, epoch })
    }

    /// Whether attributes up to `event` are news over these.
    pub(super) fn is_older_than(&self, event: &Self) -> bool {
        match (&self.origin, &event.origin) {
            (Some(shown), Some(told)) if shown.subscriber != told.subscriber => shown < told,
            (Some(_) | None, Some(_) | None) => match (self.epoch, event.epoch) {
                (Some(shown), Some(told)) => (shown, self.sequence) < (told, event.sequence),
                (Some(_) | None, Some(_) | None) => self.sequence < event.sequence,
            },
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.sequence)?;
        if let Some(Origin { second, subscriber }) = &self.origin {
            write!(formatter, " {subscriber} {second}")?;
        }
        self.epoch.map_or(Ok(()), |epoch| write!(formatter, " {epoch}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(text: &str) -> Progress {
        Progress::parse(text).unwrap()
    }

    #[test]
    fn is_read_as_it_was_written_and_more_may_follow() {
        for text in ["7", "7 5f3a99c1 1780000001", "7 5f3a99c1 1780000001 1750000000000"] {
            assert_eq!(progress(text).to_string(), text);
        }
        assert_eq!(progress("7 5f3a99c1 17 more"), progress("7 5f3a99c1 17"));
        for text in ["", "seven", "7.5"] {
            assert_eq!(Progress::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sequences_of_one_subscriber_are_compared_and_between_subscribers_the_time() {
        for (shown, told, older) in [
            ("6 a 900", "7 a 100", true),
            ("7 a 100", "7 a 100", false),
            ("8 a 100", "7 a 900", false),
            ("50 a 100", "1 b 101", true),
            ("1 b 101", "51 a 100", false),
            ("1 a 100", "1 b 100", true),
            ("1 b 100", "1 a 100", false),
            ("7 a 100 5", "1 a 90 6", true),
            ("1 a 90 6", "8 a 110 5", false),
            ("6 a 100 5", "7 a 100 5", true),
            ("7 a 100 5", "7 a 100 5", false),
            ("6 a 100", "7 a 100 5", true),
            ("7 a 100", "7 a 100 5", false),
            ("7 a 100 6", "1 b 101 5", true),
            ("6", "7 a 100", true),
            ("7", "7 a 100", false),
        ] {
            assert_eq!(progress(shown).is_older_than(&progress(told)), older, "{shown}, {told}");
        }
    }
}
