//! Intercom, through its REST API, version 2.16.
//!
//! Contacts are found, updated or created one by one; events carry the contact's id, so that an event
//! for a person Intercom does not know cannot happen unnoticed (Intercom's API description 2.16, read
//! 2026-08-21; the 409 of a create race is described in its pull request 543).

mod contact;
mod declared;
mod judge;
mod plan;
mod progress;
mod remembered;
mod requests;
mod returned;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::{EventType, LifecycleEvent, Provider};

pub use contact::Visit;
pub use plan::Message;

use self::plan::Afterwards;
use self::remembered::Remembered;
use super::telling::{self, attributes, refreshing, telling, untold};
use super::{
    Audience, DataType, Destination, Grouping, Names, Plan, Receiver, Reply, Request, Skip,
    Standing,
};

/// Sent with every request: without it the version is whatever the workspace is set to.
pub const API_VERSION: &str = "2.16";

/// Names of events that a workspace takes (help article 5245634, read 2026-11).
pub const MOST_EVENT_NAMES: usize = 120;

/// What happens to a contact whose customer was deleted at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCustomerDeleted {
    /// The event is sent, the contact stays.
    Keep,
    /// The contact is archived as well.
    Archive,
}

/// An Intercom workspace.
#[derive(Debug)]
pub struct Intercom {
    audience: Audience,
    names: Names,
    on_customer_deleted: OnCustomerDeleted,
    remembered: Arc<Remembered>,
}

impl Intercom {
    /// A workspace of which nothing is known yet.
    pub fn new(audience: Audience, names: Names, on_customer_deleted: OnCustomerDeleted) -> Self {
        Self { audience, names, on_customer_deleted, remembered: Arc::default() }
    }

    /// The custom attributes that must be declared before any of them can be written: name and data
    /// type in Intercom's words. `sources` are those whose events may come, with their providers.
    pub fn declarations<'a>(
        &self,
        sources: impl IntoIterator<Item = (&'a str, Provider)>,
    ) -> BTreeSet<(String, &'static str)> {
        let sources: Vec<_> = sources.into_iter().collect();
        let providers = sources.iter().map(|(_, provider)| *provider);
        let shown = attributes(&self.names, Receiver::Intercom, providers);
        let shown = shown.into_iter().filter_map(|(default, data_type)| {
            let name = self.names.attributes.called(default, Standing::Sent)?;
            Some((name.to_owned(), declared_type(data_type)))
        });
        let sequences =
            sources.iter().map(|(source, _)| (plan::sequence_attribute(source), "string"));
        shown.chain(sequences).collect()
    }
}

impl Intercom {
    /// Every name that an event can have there, as Intercom compares them. `sources` are those whose
    /// events may come: with the provider, and the types of the provider's events that are told.
    pub fn event_names<'a>(
        &self,
        sources: impl IntoIterator<Item = (Provider, Vec<&'a str>)>,
    ) -> BTreeSet<String> {
        let names = sources.into_iter().flat_map(|(provider, types)| {
            telling::event_names(&self.names, Receiver::Intercom, provider, &types)
        });
        names.map(|name| plan::rewritten(&name).to_lowercase()).collect()
    }
}

impl Intercom {
    /// Whether the contact is archived by this event, also where the event itself is not told.
    fn archives(&self, event: &LifecycleEvent) -> bool {
        let is_deleted = event.event_type == EventType::CustomerDeleted;
        event.is_erasure() || is_deleted && self.on_customer_deleted == OnCustomerDeleted::Archive
    }
}

fn declared_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Text => "string",
        DataType::Whole => "integer",
        DataType::Number => "float",
        DataType::Flag => "boolean",
        DataType::Moment => "date",
    }
}

impl Destination for Intercom {
    type Delivery = Message;
    type Conversation = Visit;

    fn plan(&self, event: &LifecycleEvent) -> Plan<Message> {
        let told = telling(event, &self.names, Receiver::Intercom);
        let told = told.or_else(|skip| {
            let untold = || untold(event, &self.names, Receiver::Intercom);
            if self.archives(event) { Ok(untold()) } else { Err(skip) }
        });
        let planned = told.and_then(|telling| {
            let identifier = self.audience.admit(event, telling.recipient, usize::MAX)?;
            // Merging there needs a lead and a user, and neither of the two is a lead.
            if event.event_type == EventType::CustomerMerged {
                return Err(Skip::Unsupported);
            }
            let afterwards =
                if self.archives(event) { Afterwards::Archive } else { Afterwards::Nothing };
            Ok(plan::message(event, telling, identifier, afterwards))
        });
        planned.map_or_else(Plan::Skip, Plan::Send)
    }

    fn refresh(&self, snapshot: &LifecycleEvent) -> Plan<Message> {
        let telling = refreshing(snapshot, &self.names, Receiver::Intercom);
        let admitted = self.audience.admit(snapshot, telling.recipient, usize::MAX);
        let planned = admitted.map(|identifier| plan::refresh(snapshot, telling, identifier));
        planned.map_or_else(Plan::Skip, Plan::Send)
    }

    fn grouping(&self) -> Grouping {
        Grouping { deliveries: 1, bytes: usize::MAX }
    }

    fn weight(_delivery: &Message) -> usize {
        0
    }

    fn converse(&self, group: Vec<Message>) -> Visit {
        Visit::new(group, self.remembered.clone())
    }

    /// Also says which region the workspace lies in.
    fn probe(&self) -> Request {
        Request::get("/me")
    }

    fn first_answer(&self, request: &Request) -> Reply {
        requests::first_answer(request)
    }

    fn forget(&self) {
        self.remembered.forget();
    }
}
