//! What came back for a request, and the part of its meaning that all destinations share.

use std::fmt;
use std::time::Duration;

use crate::failure::{Failure, Reason};

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The destination answered.
    Replied(Reply),
    /// It did not.
    Failed(Transport),
}

/// How a request failed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// No connection: it had no effect.
    Unreachable,
    /// No answer in time: it may have had an effect.
    TimedOut,
    /// The connection broke: it may have had an effect.
    Lost,
}

/// An HTTP answer, as far as anybody here looks at it.
#[derive(Clone, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// From `Retry-After`, or until the time in `X-RateLimit-Reset` where a 429 says no more.
    pub retry_after: Option<Duration>,
    /// Until the time in `X-RateLimit-Reset`, whatever the status, where `X-RateLimit-Remaining` says that this was the
    /// last request before.
    pub used_up_for: Option<Duration>,
    /// From `X-Request-Id`.
    pub request_id: Option<String>,
    /// From `Link`.
    pub link: Option<String>,
    /// From `Date`, in Unix seconds.
    pub served_at: Option<i64>,
    /// At most as much as the client reads.
    pub body: Vec<u8>,
}

impl fmt::Debug for Reply {
    /// Without the body: it may name a person.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reply")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("used_up_for", &self.used_up_for)
            .field("request_id", &self.request_id)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

impl Reply {
    /// A failure that says what this answer said.
    pub fn failure(&self, reason: Reason) -> Failure {
        Failure::new(reason, String::from_utf8_lossy(&self.body))
            .answered(self.status, self.request_id.clone())
    }
}

/// What an answer means for one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The destination shows it.
    Delivered,
    /// The event is shown, but the person's attributes were refused.
    DeliveredWithoutAttributes(Failure),
    /// A refresh, and the person shows something newer: there is nothing to do.
    Outdated,
    /// It may succeed later.
    Retry(Failure),
    /// It never will.
    Park(Failure),
    /// The destination's own fault, whatever is sent: everything waits, no attempt is spent.
    Pause {
        /// What was answered.
        failure: Failure,
        /// How long the destination asked to be left alone.
        after: Option<Duration>,
    },
}

/// What an answer means wherever it comes from: trouble of the connection, the credentials, the rate
/// or the server. `None` when the destination's own rules decide.
pub fn trouble(answer: &Answer) -> Option<Verdict> {
    let reply = match answer {
        Answer::Replied(reply) => reply,
        Answer::Failed(transport) => return Some(disconnected(*transport)),
    };
    let pause =
        |reason| Verdict::Pause { failure: reply.failure(reason), after: reply.retry_after };
    match reply.status {
        // A redirect is the sign of an account in another region; following it would send customers'
        // data there.
        300..=399 | 401 | 403 => Some(pause(Reason::CredentialsRefused)),
        429 => Some(pause(Reason::Throttled)),
        500..=599 if reply.retry_after.is_some() => Some(pause(Reason::ServerError)),
        408 | 500..=599 => Some(Verdict::Retry(reply.failure(Reason::ServerError))),
        200..=299 | 400..=499 => None,
        _ => Some(Verdict::Retry(reply.failure(Reason::UnexpectedAnswer))),
    }
}

fn disconnected(transport: Transport) -> Verdict {
    match transport {
        Transport::Unreachable => {
            let failure = Failure::new(Reason::Unreachable, "no connection could be made");
            Verdict::Pause { failure, after: None }
        }
        Transport::TimedOut => {
            Verdict::Retry(Failure::new(Reason::TimedOut, "no answer in time; outcome unknown"))
        }
        Transport::Lost => Verdict::Retry(Failure::new(
            Reason::ConnectionLost,
            "the connection broke; outcome unknown",
        )),
    }
}
