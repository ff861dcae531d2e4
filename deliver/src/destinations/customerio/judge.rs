//! What an answer means.
//!
//! 200 means accepted; 207 lists the items that were not, and 200 may do so too. Those are refusals of
//! the item, never trouble of the server. 400 and 413 refuse the batch as a whole.

use serde::Deserialize;

use crate::destinations::{Answer, Verdict, trouble};
use crate::failure::{Failure, Reason};

/// What an answer means for a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Accepted, except for these items.
    Accepted {
        /// Item and what is wrong with it.
        refused: Vec<(usize, Failure)>,
    },
    /// Refused as a whole: something in it is wrong.
    Refused(Failure),
    /// Nothing was accepted, for reasons that lie outside the batch.
    Trouble(Verdict),
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<ItemError>,
}

#[derive(Deserialize)]
struct ItemError {
    batch_index: Option<usize>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    field: String,
    #[serde(default)]
    message: String,
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
        200..=299 => {
            let body = serde_json::from_slice::<Body>(&reply.body);
            let errors = body.map(|body| body.errors).unwrap_or_default();
            let refused = errors.into_iter().filter_map(|error| {
                let message = format!("{} {} {}", error.reason, error.field, error.message);
                let failure = Failure::new(Reason::Refused, message.trim())
                    .answered(reply.status, reply.request_id.clone());
                error.batch_index.map(|index| (index, failure))
            });
            Judgement::Accepted { refused: refused.collect() }
        }
        413 => Judgement::Refused(reply.failure(Reason::TooLarge)),
        // Nobody but a wrong base URL answers so.
        404 | 405 => Judgement::Trouble(Verdict::Pause {
            failure: reply.failure(Reason::UnexpectedAnswer),
            after: None,
        }),
        _ => Judgement::Refused(reply.failure(Reason::Refused)),
    }
}
