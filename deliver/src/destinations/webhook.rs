//! A receiver of signed webhooks, as Standard Webhooks describes them: one message for each event, which
//! the receiver believes by its signature and recognises by its id (standardwebhooks.com, version 1, read
//! 2026-11).
//!
//! For whatever has no integration here. The message has the names that the destination's configuration
//! gives, as everywhere; who somebody is at the receiver is left to the receiver: it is told everything
//! that is known of the person. `webhook-id` is our event id: the same for every repetition, so that a
//! receiver that remembers ids sees each event once.

mod judge;
mod plan;
mod returned;

#[cfg(test)]
mod tests;

use std::fmt;

use schemas::LifecycleEvent;
use serde_json::json;

pub use judge::Exchange;
pub use plan::Message;

use super::telling::telling;
use super::{
    Audience, Destination, Grouping, Names, Plan, Receiver, Recipient, Reply, Request, Skip,
};

/// The type of the message that only asks whether somebody is there.
const PING: &str = "tributary.ping";

/// One receiver.
#[derive(Clone)]
pub struct Webhook {
    /// Whose events it gets. By what people are identified does not matter here.
    pub audience: Audience,
    /// What the events are called there.
    pub names: Names,
    /// Path and query of the URL, with the leading slash.
    pub path: String,
}

impl fmt::Debug for Webhook {
    /// Without the path: its query may hold a token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Webhook")
            .field("audience", &self.audience)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Destination for Webhook {
    type Delivery = Message;
    type Conversation = Exchange;

    fn plan(&self, event: &LifecycleEvent) -> Plan<Message> {
        let planned = telling(event, &self.names, Receiver::Webhook).and_then(|telling| {
            // The provider's id is always known, and a message has room for any, so that nobody is left
            // out for want of an identity.
            self.audience.admit(event, Recipient::ProvidersId, usize::MAX)?;
            Ok(plan::message(event, telling, &self.path))
        });
        planned.map_or_else(Plan::Skip, Plan::Send)
    }

    /// A receiver has no attributes that could be written anew: it is told of events.
    fn refresh(&self, _snapshot: &LifecycleEvent) -> Plan<Message> {
        Plan::Skip(Skip::Unsupported)
    }

    fn grouping(&self) -> Grouping {
        Grouping { deliveries: 1, bytes: usize::MAX }
    }

    fn weight(_delivery: &Message) -> usize {
        0
    }

    fn converse(&self, group: Vec<Message>) -> Exchange {
        Exchange::new(group)
    }

    /// There is no request that every receiver answers but a message; this one says nothing.
    fn probe(&self) -> Request {
        let body = json!({"type": PING, "data": {}});
        Request::post(self.path.as_str(), &body).identified(PING)
    }

    fn first_answer(&self, _request: &Request) -> Reply {
        Reply { status: 204, ..Reply::default() }
    }

    fn forget(&self) {}
}
