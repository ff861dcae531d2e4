//! The one request of a message, and what its answer means.
//!
//! 2xx is delivered. Standard Webhooks asks a sender to stop at a 410, and a 404 or 405 is no receiver's
//! answer to a message: the destination pauses and nothing is lost. Any other refusal is the message's
//! own, and repeating it would only hold up those behind it: it is parked, to be redriven once the
//! receiver is put right.

use super::plan::Message;
use crate::destinations::{Answer, Conversation, Request, Turn, Verdict, trouble};
use crate::failure::{Failure, Reason};

/// One message on its way.
#[derive(Debug)]
pub struct Exchange {
    messages: Vec<Message>,
}

impl Exchange {
    pub(super) fn new(messages: Vec<Message>) -> Self {
        Self { messages }
    }
}

impl Conversation for Exchange {
    fn begin(&mut self) -> Request {
        let request = self.messages.first().map(|message| message.0.clone());
        request.unwrap_or_else(|| Request::get(""))
    }

    fn judge(&mut self, answer: &Answer) -> Turn {
        Turn::Over(vec![verdict(answer); self.messages.len()])
    }
}

pub(super) fn verdict(answer: &Answer) -> Verdict {
    if let Some(verdict) = trouble(answer) {
        return verdict;
    }
    let Answer::Replied(reply) = answer else {
        return Verdict::Retry(Failure::new(Reason::UnexpectedAnswer, ""));
    };
    match reply.status {
        200..=299 => Verdict::Delivered,
        404 | 405 | 410 => Verdict::Pause {
            failure: reply.failure(Reason::UnexpectedAnswer),
            after: reply.retry_after,
        },
        413 => Verdict::Park(reply.failure(Reason::TooLarge)),
        _ => Verdict::Park(reply.failure(Reason::Refused)),
    }
}
