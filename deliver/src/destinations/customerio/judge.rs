//! What an answer means.
//!
//! 200 means accepted; 207 lists the items that were not, and 200 may do so too. Those are refusals of
//! the item, never trouble of the server. 400 and 413 refuse the batch as a whole, and so does an answer
//! that speaks of refused items and does not say which: halving finds them, and what was accepted is
//! recognised when it comes again.

use serde::Deserialize;
use serde_json::Value;

use crate::destinations::{Answer, Reply, Verdict, trouble};
use crate::failure::{Failure, Reason};

/// What an answer means for a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Accepted, except for these items.
    Accepted {
        /// Item and what is wrong with it.
        refused: Vec<(usize, Failure)>,
    },
    /// Refused as a whole: something in it is wrong, and it is not said what.
    Refused(Failure),
    /// Nothing was accepted, for reasons that lie outside the batch.
    Trouble(Verdict),
}

/// What an answer says of refused items; each is read by itself.
#[derive(Deserialize)]
struct Body {
    errors: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct ItemError {
    batch_index: Option<usize>,
    reason: Option<String>,
    field: Option<String>,
    message: Option<String>,
}

pub(super) fn judge(answer: &Answer) -> Judgement {
    if let Some(verdict) = trouble(answer) {
        return Judgement::Trouble(verdict);
    }
    let Answer::Replied(reply) = answer else {
        let failure = Failure::new(Reason::UnexpectedAnswer, "");
        return Judgement::Trouble(Verdict::Retry(failure));
    };
    match reply.status {
        200..=299 => accepted(reply),
        413 => Judgement::Refused(reply.failure(Reason::TooLarge)),
        // Nobody but a wrong base URL answers so.
        404 | 405 => Judgement::Trouble(Verdict::Pause {
            failure: reply.failure(Reason::UnexpectedAnswer),
            after: None,
        }),
        _ => Judgement::Refused(reply.failure(Reason::Refused)),
    }
}

/// Of a 207 some items were refused for certain; any other success says so only if it lists them.
fn accepted(reply: &Reply) -> Judgement {
    let listed = serde_json::from_slice::<Body>(&reply.body).ok().and_then(|body| body.errors);
    let listed = match (listed, reply.status) {
        (Some(listed), _) => listed,
        (None, 207) => return Judgement::Refused(reply.failure(Reason::Refused)),
        (None, _) => Vec::new(),
    };
    let refused: Option<Vec<_>> = listed.into_iter().map(|error| item(error, reply)).collect();
    refused.map_or_else(
        || Judgement::Refused(reply.failure(Reason::Refused)),
        |refused| Judgement::Accepted { refused },
    )
}

/// Which item, and what is wrong with it; `None` when it is not said which.
fn item(error: Value, reply: &Reply) -> Option<(usize, Failure)> {
    let ItemError { batch_index, reason, field, message } = serde_json::from_value(error).ok()?;
    let said: Vec<String> = [reason, field, message].into_iter().flatten().collect();
    let failure = Failure::new(Reason::Refused, said.join(" "))
        .answered(reply.status, reply.request_id.clone());
    Some((batch_index?, failure))
}
