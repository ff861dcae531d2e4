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
    /// What the destination's answer to one of them means.
    judge_call: fn(&Answer) -> Verdict,
    verdicts: Vec<Verdict>,
}

impl<C: Conversation> Exchange<C> {
    pub(super) fn new<D>(
        group: Vec<Sending<D>>,
        judge_call: fn(&Answer) -> Verdict,
        converse: impl FnOnce(Vec<D>) -> C,
    ) -> Self {
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
        Self { inner, calls, judge_call, verdicts }
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
            let verdict = match request.elsewhere {
                None => (self.judge_call)(answer),
                Some(_) => of_another_host(answer),
            };
            // What was said of the calls before, as that attributes were refused, stays said.
            if verdict != Verdict::Delivered {
                self.verdicts[at] = verdict;
            }
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

/// Another host's trouble is not the destination's: it costs the event an attempt and does not pause anybody.
fn of_another_host(answer: &Answer) -> Verdict {
    match judge_call(answer) {
        Verdict::Pause { failure, .. } | Verdict::Retry(failure) => {
            Verdict::Retry(Failure { reason: Reason::OtherHost, ..failure })
        }
        verdict @ (Verdict::Delivered
        | Verdict::DeliveredWithoutAttributes(_)
        | Verdict::Outdated
        | Verdict::Park(_)) => verdict,
    }
}

/// What the answer to a call means where nothing but the status tells.
pub(super) fn judge_call(answer: &Answer) -> Verdict {
    match (trouble(answer), answer) {
        (Some(verdict), _) => verdict,
        (None, Answer::Replied(reply)) => match reply.status {
            200..=299 => Verdict::Delivered,
            413 => Verdict::Park(reply.failure(Reason::TooLarge)),
            _ => Verdict::Park(reply.failure(Reason::Refused)),
        },
        (None, Answer::Failed(_)) => Verdict::Retry(Failure::new(Reason::UnexpectedAnswer, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::{Elsewhere, Reply, Transport};

    /// Takes a group with one request.
    #[derive(Debug)]
    struct One(usize);

    impl Conversation for One {
        fn begin(&mut self) -> Request {
            Request::get("/own")
        }

        fn judge(&mut self, answer: &Answer) -> Turn {
            let verdict = match trouble(answer) {
                Some(verdict) => verdict,
                None => Verdict::Delivered,
            };
            Turn::Over(vec![verdict; self.0])
        }
    }

    fn call(path: &str) -> Request {
        let origin = "https://other".to_owned();
        Request::get(path).to(Elsewhere { origin, headers: Vec::new() })
    }

    fn replied(status: u16) -> Answer {
        Answer::Replied(Reply { status, ..Reply::default() })
    }

    /// The paths that are asked for, and the verdicts, when these are the answers.
    fn play(group: Vec<Sending<()>>, answers: &[Answer]) -> (Vec<String>, Vec<Verdict>) {
        let mut exchange = Exchange::new(group, judge_call, |own| One(own.len()));
        let mut asked = vec![exchange.begin().path];
        for answer in answers {
            match exchange.judge(answer) {
                Turn::Ask(request) => asked.push(request.path),
                Turn::Over(verdicts) => return (asked, verdicts),
            }
        }
        panic!("not over after {asked:?}")
    }

    #[test]
    fn the_destinations_own_goes_first_and_then_each_call() {
        let group = vec![
            Sending { own: Some(()), calls: vec![call("/a"), call("/b")] },
            Sending { own: None, calls: vec![call("/c")] },
        ];
        let answers = [200, 200, 201, 204].map(replied);
        let (asked, verdicts) = play(group, &answers);
        assert_eq!(asked, ["/own", "/a", "/b", "/c"]);
        assert_eq!(verdicts, [Verdict::Delivered, Verdict::Delivered]);
    }

    #[test]
    fn what_fails_ends_its_own_delivery_and_no_other() {
        let group = || {
            vec![
                Sending { own: Some(()), calls: vec![call("/a"), call("/b")] },
                Sending { own: None, calls: vec![call("/c")] },
            ]
        };
        let (asked, verdicts) = play(group(), &[replied(200), replied(400), replied(200)]);
        assert_eq!(asked, ["/own", "/a", "/c"]);
        assert!(matches!(&verdicts[..], [Verdict::Park(_), Verdict::Delivered]), "{verdicts:?}");
        let (asked, verdicts) = play(group(), &[replied(503), replied(200)]);
        assert_eq!(asked, ["/own", "/c"]);
        assert!(matches!(&verdicts[..], [Verdict::Retry(_), Verdict::Delivered]), "{verdicts:?}");
    }

    #[test]
    fn another_hosts_trouble_pauses_nobody_and_may_still_have_had_an_effect() {
        for answer in [
            Answer::Failed(Transport::Unreachable),
            Answer::Failed(Transport::TimedOut),
            replied(401),
            replied(429),
            replied(500),
        ] {
            let group = vec![Sending { own: None, calls: vec![call("/a")] }];
            let (_, verdicts) = play(group, std::slice::from_ref(&answer));
            let [Verdict::Retry(failure)] = &verdicts[..] else { panic!("{verdicts:?}") };
            assert!(failure.reason == Reason::OtherHost && failure.may_still_land(), "{answer:?}");
        }
    }

    #[test]
    fn a_call_of_the_destination_is_judged_as_it_judges() {
        let group = vec![Sending { own: None, calls: vec![Request::get("/own")] }];
        let gone = |_: &Answer| Verdict::Outdated;
        let mut exchange = Exchange::new(group, gone, |own: Vec<()>| One(own.len()));
        let Turn::Over(verdicts) = exchange.judge(&replied(410)) else { panic!("not over") };
        assert_eq!(verdicts, [Verdict::Outdated]);
    }
}
