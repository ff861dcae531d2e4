//! One batch on its way: sent whole, and halved for as long as it is refused whole, until the one
//! delivery that is wrong stands alone.

use std::collections::VecDeque;
use std::ops::Range;

use super::BATCH_PATH;
use super::judge::{Judgement, judge};
use super::plan::Operations;
use crate::destinations::{Answer, Conversation, Method, Request, Turn, Verdict};

/// A group of deliveries, all of different lanes.
#[derive(Debug)]
pub struct Batch {
    deliveries: Vec<Operations>,
    verdicts: Vec<Option<Verdict>>,
    /// Parts still to be sent; the first is the one in flight.
    parts: VecDeque<Range<usize>>,
}

impl Batch {
    pub(super) fn new(deliveries: Vec<Operations>) -> Self {
        let verdicts = deliveries.iter().map(|_| None).collect();
        let parts = std::iter::once(0..deliveries.len()).collect();
        Self { deliveries, verdicts, parts }
    }

    fn request(&self) -> Request {
        let part = self.parts.front().cloned().unwrap_or_default();
        let items: Vec<&str> =
            self.deliveries[part].iter().flat_map(Operations::items).map(String::as_str).collect();
        let body = format!(r#"{{"batch":[{}]}}"#, items.join(","));
        Request::with_body(Method::Post, BATCH_PATH, body)
    }

    fn accepted(&mut self, part: Range<usize>, refused: Vec<(usize, crate::failure::Failure)>) {
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
            Judgement::Accepted { refused } => self.accepted(part, refused),
            Judgement::Refused(failure) if part.len() <= 1 => {
                for at in part {
                    self.verdicts[at] = Some(Verdict::Park(failure.clone()));
                }
            }
            Judgement::Refused(_) => {
                let middle = part.start + part.len() / 2;
                self.parts.push_front(middle..part.end);
                self.parts.push_front(part.start..middle);
            }
            Judgement::Trouble(verdict) => self.give_up(&verdict),
        }
        if self.parts.is_empty() {
            Turn::Over(std::mem::take(&mut self.verdicts).into_iter().flatten().collect())
        } else {
            Turn::Ask(self.request())
        }
    }
}
