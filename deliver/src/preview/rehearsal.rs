//! Which requests a destination would make for an event, if it is well and has never met the person.

use schemas::LifecycleEvent;

use crate::destinations::{Answer, Conversation, Destination, Plan, Request, Skip, Turn, Verdict};
use crate::http::Http;

/// Requests of one event beyond which a conversation is not believed to end.
const MOST_REQUESTS: usize = 32;

/// A destination that is asked for its requests and not made to send them.
pub(super) struct Rehearsal {
    pub(super) name: String,
    pub(super) destination: Box<dyn Rehearse>,
    /// Shows what would go over the wire.
    pub(super) http: Http,
    pub(super) calls: Fictitious,
}

/// Whether the calls would not even be made by the running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fictitious {
    No,
    /// `mode: shadow`.
    Shadow,
}

/// Any destination, whatever its deliveries look like.
pub trait Rehearse {
    /// The requests that the event causes, or why it causes none. What is learned on the way (a contact's
    /// id) is known to the next event.
    fn requests(&self, event: &LifecycleEvent) -> Result<Vec<Request>, Untold>;

    /// Why the event is not sent; none for one that is.
    fn skip(&self, event: &LifecycleEvent) -> Option<Skip>;

    /// Why a person is not refreshed; none for one that is.
    fn skip_refresh(&self, snapshot: &LifecycleEvent) -> Option<Skip>;
}

/// Why an event causes no requests.
#[derive(Debug)]
pub enum Untold {
    /// It is not sent.
    Skip(Skip),
    /// Nothing can be made of it.
    End(Verdict),
}

/// The requests of a delivery to somebody of whom the destination knows nothing yet.
pub fn rehearse<D: Destination>(destination: &D, delivery: D::Delivery) -> Vec<Request> {
    destination.forget();
    conversation(destination, delivery)
}

fn conversation<D: Destination>(destination: &D, delivery: D::Delivery) -> Vec<Request> {
    let mut conversation = destination.converse(vec![delivery]);
    let mut requests = vec![conversation.begin()];
    while requests.len() < MOST_REQUESTS
        && let Some(last) = requests.last()
    {
        let answer = Answer::Replied(destination.first_answer(last));
        match conversation.judge(&answer) {
            Turn::Ask(next) => requests.push(next),
            Turn::Over(_) => break,
        }
    }
    requests
}

impl<D: Destination> Rehearse for D {
    fn requests(&self, event: &LifecycleEvent) -> Result<Vec<Request>, Untold> {
        let delivery = match self.plan(event) {
            Plan::Skip(skip) => return Err(Untold::Skip(skip)),
            Plan::End(verdict) => return Err(Untold::End(verdict)),
            Plan::Send(delivery) => delivery,
        };
        Ok(conversation(self, delivery))
    }

    fn skip(&self, event: &LifecycleEvent) -> Option<Skip> {
        match self.plan(event) {
            Plan::Skip(skip) => Some(skip),
            Plan::Send(_) | Plan::End(_) => None,
        }
    }

    fn skip_refresh(&self, snapshot: &LifecycleEvent) -> Option<Skip> {
        match self.refresh(snapshot) {
            Plan::Skip(skip) => Some(skip),
            Plan::Send(_) | Plan::End(_) => None,
        }
    }
}
