//! A dead letter without its body: what lists, filters and plans are made from.

use std::fmt;
use std::str::FromStr;

use schemas::Timestamp;
use schemas::headers::{Disposal, HeaderError, Labels, ParkedHeaders, times_redriven};
use stream::Received;

/// Where a dead letter lies: `<partition>/<offset>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Partition of the topic.
    pub partition: i32,
    /// Offset in it.
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.partition, self.offset)
    }
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be <partition>/<offset> as `dead list` shows it, such as 3/17")]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (partition, offset) = text.split_once('/').ok_or(PositionError)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(partition) || !digits(offset) {
            return Err(PositionError);
        }
        let partition = partition.parse().map_err(|_| PositionError)?;
        let offset = offset.parse().map_err(|_| PositionError)?;
        Ok(Self { partition, offset })
    }
}

/// How and when somebody dealt with a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dealt {
    /// How.
    pub disposal: Disposal,
    /// When.
    pub at: Timestamp,
}

/// A dead letter without its body.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// Where it lies.
    pub position: Position,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// When that happened which it tells of, where its body could be asked.
    pub happened_at: Option<Timestamp>,
    /// Its key: the subscriber, in most cases.
    pub key: Vec<u8>,
    /// What it says about itself.
    pub labels: Labels,
    /// Why and where it ended, unless somebody else wrote it.
    pub end: Result<ParkedHeaders, HeaderError>,
    /// How often it was redriven before it was parked here.
    pub redriven: u32,
    /// What was done with it since.
    pub dealt: Option<Dealt>,
}

impl fmt::Debug for Letter {
    /// Without what may name a person. Its reason may, too: whoever may write to the topic can say anything there.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Letter")
            .field("position", &self.position)
            .field("dealt", &self.dealt)
            .finish_non_exhaustive()
    }
}

impl Letter {
    /// Reads a record of a dead-letter topic.
    pub fn of(received: &Received) -> Self {
        Self {
            position: Position { partition: received.partition, offset: received.offset },
            parked_at: received.timestamp,
            happened_at: None,
            key: received.key.clone().unwrap_or_default(),
            labels: Labels::from_headers(&received.headers),
            end: ParkedHeaders::from_headers(&received.headers),
            redriven: times_redriven(&received.headers).unwrap_or_default(),
            dealt: None,
        }
    }

    /// Why it was parked, in one word; none when its headers do not say.
    pub fn reason(&self) -> Option<&str> {
        self.end.as_ref().ok().map(|end| end.reason.as_str())
    }

    /// The subscriber key as text.
    pub fn subscriber(&self) -> String {
        String::from_utf8_lossy(&self.key).into_owned()
    }

    /// Milliseconds since that happened which it tells of; where that is not known since it failed
    /// first, and where that is not either since it was parked.
    pub fn age(&self, now: Timestamp) -> i64 {
        let failed = self.end.as_ref().ok().and_then(|end| end.first_failure);
        let since = self.happened_at.or(failed).unwrap_or(self.parked_at);
        now.millis().saturating_sub(since.millis())
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    pub(crate) fn end(reason: &str) -> ParkedHeaders {
        ParkedHeaders {
            reason: reason.to_owned(),
            topic: "subscriptions.events".to_owned(),
            partition: 3,
            offset: 40,
            group: "deliver.crm".to_owned(),
            stage: "deliver".to_owned(),
            class: format!("deliver.{reason}"),
            message: "ada@example.com is not welcome".to_owned(),
            attempts: Some(2),
            first_failure: Some(Timestamp::from_millis(1_000)),
            last_failure: Some(Timestamp::from_millis(2_000)),
            http_status: Some(400),
            request_id: Some("req_1".to_owned()),
        }
    }

    pub(crate) fn letter(partition: i32, offset: i64, reason: &str) -> Letter {
        Letter {
            position: Position { partition, offset },
            parked_at: Timestamp::from_millis(offset * 1_000),
            happened_at: None,
            key: b"shop/cus_1".to_vec(),
            labels: Labels {
                id: Some("evt_1".to_owned()),
                source: Some("shop".to_owned()),
                event_type: Some("stripe.invoice.paid".to_owned()),
            },
            end: Ok(end(reason)),
            redriven: 0,
            dealt: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::letter;
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_shown() {
        let position = Position { partition: 3, offset: 17 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for wrong in ["", "3", "3/", "/17", "-1/17", "3/-17", "3/1 7", "3/17/1", "99999999999/1"] {
            assert_eq!(wrong.parse::<Position>(), Err(PositionError), "{wrong}");
        }
    }

    #[test]
    fn a_record_of_somebody_else_is_a_letter_without_a_reason() {
        let received = Received {
            topic: "dead".into(),
            partition: 0,
            offset: 4,
            timestamp: Timestamp::from_millis(5),
            key: None,
            value: None,
            headers: Vec::new(),
        };
        let letter = Letter::of(&received);
        assert_eq!((letter.reason(), letter.position.offset), (None, 4));
        assert_eq!(letter.age(Timestamp::from_millis(7)), 2);
    }

    #[test]
    fn age_counts_from_what_happened_else_from_the_first_failure() {
        let mut letter = letter(0, 9, "refused");
        assert_eq!(letter.age(Timestamp::from_millis(4_000)), 3_000);
        letter.happened_at = Some(Timestamp::from_millis(500));
        assert_eq!(letter.age(Timestamp::from_millis(4_000)), 3_500);
    }

    #[test]
    fn debugging_names_nobody() {
        let letter = letter(0, 9, "refused");
        let shown = format!("{letter:?}");
        assert!(!shown.contains("cus_1") && !shown.contains("ada"), "{shown}");
    }
}
