//! A delivery with further calls, and the conversation that makes them: first what is the destination's, together with
//! that of the others of its group, then the further calls of each, one after the other. What fails ends its delivery,
//! and all of it is sent again: every part is known by an id that does not change.

use std::collections::VecDeque;

use crate::destinations::{Answer, Conversation, Request, Turn, Verdict, trouble};
use crate::failure::{Failure, Reason};

/// What is sent for one event.
pub struct Sending<D> {
    /// What is delivered as without a handler.
    pub own: Option<D>,
    /// Calls after that.
    pub calls: Vec<Request>,
}

impl<D: std::fmt::Debug> std::fmt::Debug for Sending<D> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sending({:?}, {} calls)", self.own, self.calls.len())
    }
}

/// A group of them on its way.
#[derive(Debug)]
pub struct Exchange<C> {
    /// Of the destination's own, with whose each is.
    inner: Option<(C, Vec<usize>)>,
    /// Further calls, with whose each is; the first is the one in flight, once `inner` is over.
    calls: VecDeque<(usize, Request)>,
    verdicts: Vec<Verdict>,
}

impl<C: Conversation> Exchange<C> {
    pub(super) fn new<D>(group: Vec<Sending<D>>, converse: impl FnOnce(Vec<D>) -> C) -> Self {
        let verdicts = group.iter().map(|_| Verdict::Delivered).collect();
        let (mut deliveries, mut owners, mut calls) = (Vec::new(), Vec::new(), VecDeque::new());
        for (at, sending) in group.into_iter().enumerate() {
            if let Some(own) = sending.own {
                owners.push(at);
                deliveries.push(own);
            }
            calls.extend(sending.calls.into_iter().map(|call| (at, call)));
        }
        let inner = (!deliveries.is_empty()).then(|| (converse(deliveries), owners));
        Self { inner, calls, verdicts }
    }

    fn next(&mut self) -> Turn {
        let verdicts = &self.verdicts;
        self.calls.retain(|(at, _)| verdicts.get(*at).is_some_and(is_delivered));
        match self.calls.front() {
            Some((_, request)) => Turn::Ask(request.clone()),
            None => Turn::Over(std::mem::take(&mut self.verdicts)),
        }
    }
}

impl<C: Conversation> Conversation for Exchange<C> {
    fn begin(&mut self) -> Request {
        match (&mut self.inner, self.calls.front()) {
            (Some((inner, _)), _) => inner.begin(),
            (None, Some((_, request))) => request.clone(),
            (None, None) => Request::get(""),
        }
    }

    fn judge(&mut self, answer: &Answer) -> Turn {
        if let Some((inner, owners)) = &mut self.inner {
            let verdicts = match inner.judge(answer) {
                Turn::Ask(request) => return Turn::Ask(request),
                Turn::Over(verdicts) => verdicts,
            };
            for (at, verdict) in owners.iter().zip(verdicts) {
                self.verdicts[*at] = verdict;
            }
            self.inner = None;
        } else if let Some((at, request)) = self.calls.pop_front() {
            self.verdicts[at] = verdict(&request, answer, &self.verdicts[at]);
        }
        self.next()
    }
}

fn is_delivered(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Delivered | Verdict::DeliveredWithoutAttributes(_) | Verdict::Outdated => true,
        Verdict::Retry(_) | Verdict::Park(_) | Verdict::Pause { .. } => false,
    }
}

/// What the answer to a further call means. Another host's trouble is not the destination's: it costs the event an
/// attempt and does not pause anybody.
fn verdict(request: &Request, answer: &Answer, before: &Verdict) -> Verdict {
    let troubled = trouble(answer).map(|verdict| match (verdict, &request.elsewhere) {
        (Verdict::Pause { failure, .. } | Verdict::Retry(failure), Some(_)) => {
            Verdict::Retry(Failure { reason: Reason::OtherHost, ..failure })
        }
        (verdict, _) => verdict,
    });
    match (troubled, answer) {
        (Some(verdict), _) => verdict,
        (None, Answer::Replied(reply)) if (200..=299).contains(&reply.status) => before.clone(),
        (None, Answer::Replied(reply)) => Verdict::Park(reply.failure(Reason::Refused)),
        (None, Answer::Failed(_)) => Verdict::Retry(Failure::new(Reason::UnexpectedAnswer, "")),
    }
}
