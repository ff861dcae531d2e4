//! Why a call to a destination did not deliver, in the words that headers, logs and labels use.

use std::fmt;

use strum::{Display, EnumIter, IntoStaticStr};

/// The longest text kept from a destination's answer, in bytes: a dead letter carries no whole body.
const LONGEST_MESSAGE: usize = 1_000;

/// One word for what went wrong; the header `tributary-reason` of a dead letter and a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The record is no lifecycle event.
    Undecodable,
    /// The destination says that the request is wrong and always will be.
    Refused,
    /// The destination takes no further names of events.
    TooManyNames,
    /// The event cannot be written within the destination's limits.
    TooLarge,
    /// The destination knows the person as archived, and reviving people is not ours to decide.
    PersonArchived,
    /// It failed for as long as the configured horizon.
    HorizonExceeded,
    /// The destination answered that it failed (5xx, 408).
    ServerError,
    /// No answer in time: whether it took effect is unknown.
    TimedOut,
    /// The connection broke after the request began: whether it took effect is unknown.
    ConnectionLost,
    /// No connection could be made.
    Unreachable,
    /// Too many requests (429).
    Throttled,
    /// The credentials or the plan do not allow it (401, 403), or the region is wrong (3xx).
    CredentialsRefused,
    /// The answer is none that the destination documents.
    UnexpectedAnswer,
    /// Something the request needs is not there yet and may be soon.
    NotReady,
    /// Transformation code gave nothing that can be sent.
    TransformationFailed,
    /// Transformation code needs the webhook, and the event does not carry it.
    PayloadMissing,
    /// A host that transformation code calls, and that is not the destination, did not take it.
    OtherHost,
}

impl Reason {
    /// The word itself.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether an event can be parked for it. The others are only ever the destination's own fault: they
    /// pause everything and cost no event an attempt.
    pub fn parks(self) -> bool {
        match self {
            Self::Unreachable | Self::Throttled | Self::CredentialsRefused => false,
            Self::Undecodable
            | Self::Refused
            | Self::TooManyNames
            | Self::TooLarge
            | Self::PersonArchived
            | Self::HorizonExceeded
            | Self::ServerError
            | Self::TimedOut
            | Self::ConnectionLost
            | Self::UnexpectedAnswer
            | Self::NotReady
            | Self::TransformationFailed
            | Self::PayloadMissing
            | Self::OtherHost => true,
        }
    }
}

/// A failed attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// In one word.
    pub reason: Reason,
    /// In the destination's words, at most 1,000 bytes. It may name a person: it goes into the dead
    /// letter and nowhere else.
    pub message: String,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The destination's id of the request.
    pub request_id: Option<String>,
}

impl Failure {
    /// A failure without an answer.
    pub fn new(reason: Reason, message: impl AsRef<str>) -> Self {
        let message = shortened(message.as_ref(), LONGEST_MESSAGE).to_owned();
        Self { reason, message, status: None, request_id: None }
    }

    /// Whether the request may yet take effect: nobody who knows has answered. A gateway that gave up
    /// (502, 504, and 520 to 524 of a content delivery network) or a server that did (408) does not know.
    pub fn may_still_land(&self) -> bool {
        match self.reason {
            // Of another host it is not known when it stops to work on a call.
            Reason::TimedOut | Reason::ConnectionLost | Reason::OtherHost => true,
            Reason::ServerError => matches!(self.status, Some(408 | 502 | 504 | 520..=524)),
            Reason::Undecodable
            | Reason::Refused
            | Reason::TooManyNames
            | Reason::TooLarge
            | Reason::PersonArchived
            | Reason::HorizonExceeded
            | Reason::Unreachable
            | Reason::Throttled
            | Reason::CredentialsRefused
            | Reason::UnexpectedAnswer
            | Reason::NotReady
            | Reason::TransformationFailed
            | Reason::PayloadMissing => false,
        }
    }

    /// The same with what the answer said of itself.
    #[must_use]
    pub fn answered(mut self, status: u16, request_id: Option<String>) -> Self {
        self.status = Some(status);
        self.request_id = request_id;
        self
    }
}

impl fmt::Debug for Failure {
    /// Without the message: it may name a person.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Failure")
            .field("reason", &self.reason)
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// The longest beginning of `text` that has at most `limit` bytes and ends between characters.
pub fn shortened(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let failure = Failure::new(Reason::Refused, "é".repeat(900));
        assert_eq!(failure.message.len(), 1_000);
        assert_eq!(shortened("aé", 2), "a");
        assert_eq!(shortened("aé", 3), "aé");
    }

    #[test]
    fn only_a_request_that_nobody_answered_for_may_still_land() {
        let lands =
            |reason, status: u16| Failure::new(reason, "").answered(status, None).may_still_land();
        assert!(Failure::new(Reason::TimedOut, "").may_still_land());
        assert!(Failure::new(Reason::ConnectionLost, "").may_still_land());
        assert!(!Failure::new(Reason::Unreachable, "").may_still_land());
        for status in [408, 502, 504, 520, 522, 524] {
            assert!(lands(Reason::ServerError, status), "{status}");
        }
        for status in [500, 503, 525] {
            assert!(!lands(Reason::ServerError, status), "{status}");
        }
        assert!(!lands(Reason::Refused, 400));
    }

    #[test]
    fn a_message_is_never_printed() {
        let failure = Failure::new(Reason::Refused, "ada@example.com").answered(400, None);
        assert!(!format!("{failure:?}").contains("ada"));
    }
}
