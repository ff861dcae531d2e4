//! One batch on its way: sent whole, and halved for as long as it is refused whole, until the one
//! delivery that is wrong stands alone.
//!
//! A server error is looked into in the same way, because one person's record may be what the server
//! stumbles over, and whoever waits beside it would wait for ever. But where everything fails, the cause
//! is not in the batch: after so many errors without a success between them that two such people would
//! have been found, what is left waits for the breaker. Parts are taken in the order of their size, so
//! that both halves are tried before a quarter.
//!
//! After an error that leaves open whether the part took effect nothing more is sent at all: what is to
//! be sent of these people must wait until it cannot land any more, which is for their lanes to see to.

use std::collections::VecDeque;
use std::ops::Range;

use super::judge::{Judgement, judge};
use super::plan::Operations;
use super::{BATCH_PATH, DELIVERIES_IN_BATCH};
use crate::destinations::{Answer, Conversation, Method, Request, Turn, Verdict};
use crate::failure::{Failure, Reason};

/// A group of deliveries, all of different lanes.
#[derive(Debug)]
pub struct Batch {
    deliveries: Vec<Operations>,
    verdicts: Vec<Option<Verdict>>,
    /// Parts still to be sent; the first is the one in flight.
    parts: VecDeque<Range<usize>>,
    /// Server errors since the last success.
    errors: u32,
}

/// Server errors in a row after which the cause is not looked for in the batch: those on the way to two
/// deliveries that stand in different halves of a full one.
const MOST_ERRORS: u32 = 2 * (DELIVERIES_IN_BATCH.ilog2() + 1);

impl Batch {
    pub(super) fn new(deliveries: Vec<Operations>) -> Self {
        let verdicts = deliveries.iter().map(|_| None).collect();
        let parts = std::iter::once(0..deliveries.len()).collect();
        Self { deliveries, verdicts, parts, errors: 0 }
    }

    fn request(&self) -> Request {
        let part = self.parts.front().cloned().unwrap_or_default();
        let items: Vec<&str> =
            self.deliveries[part].iter().flat_map(Operations::items).map(String::as_str).collect();
        let body = format!(r#"{{"batch":[{}]}}"#, items.join(","));
        Request::with_body(Method::Post, BATCH_PATH, body)
    }

    fn accepted(&mut self, part: Range<usize>, refused: Vec<(usize, Failure)>) {
        let owners: Vec<usize> = part
            .clone()
            .flat_map(|at| std::iter::repeat_n(at, self.deliveries[at].items().len()))
            .collect();
        for at in part {
            self.verdicts[at] = Some(Verdict::Delivered);
        }
        for (index, failure) in refused {
            // An index beyond the batch says nothing about any delivery.
            if let Some(owner) = owners.get(index) {
                self.verdicts[*owner] = Some(Verdict::Park(failure));
            }
        }
    }

    /// Both halves are tried by themselves; what cannot be halved has its verdict.
    fn halve(&mut self, part: &Range<usize>, verdict: &Verdict) {
        if part.len() <= 1 {
            for at in part.clone() {
                self.verdicts[at] = Some(verdict.clone());
            }
            return;
        }
        let middle = part.start + part.len() / 2;
        self.parts.extend([part.start..middle, middle..part.end]);
    }

    /// Everything not yet decided waits for the same reason.
    fn give_up(&mut self, verdict: &Verdict) {
        self.parts.clear();
        for open in self.verdicts.iter_mut().filter(|one| one.is_none()) {
            *open = Some(verdict.clone());
        }
    }
}

impl Conversation for Batch {
    fn begin(&mut self) -> Request {
        self.request()
    }

    fn judge(&mut self, answer: &Answer) -> Turn {
        let part = self.parts.pop_front().unwrap_or_default();
        match judge(answer) {
            Judgement::Accepted { refused } => {
                self.errors = 0;
                self.accepted(part, refused);
            }
            Judgement::Refused(failure) => self.halve(&part, &Verdict::Park(failure)),
            Judgement::Trouble(verdict) => {
                self.errors += 1;
                if may_lie_in_batch(&verdict) && self.errors < MOST_ERRORS {
                    self.halve(&part, &verdict);
                } else {
                    self.give_up(&verdict);
                }
            }
        }
        if self.parts.is_empty() {
            Turn::Over(std::mem::take(&mut self.verdicts).into_iter().flatten().collect())
        } else {
            Turn::Ask(self.request())
        }
    }
}

/// The server answered that it failed and took nothing, and nothing else is known of the cause.
fn may_lie_in_batch(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Retry(failure)
        if failure.reason == Reason::ServerError && !failure.may_still_land())
}
