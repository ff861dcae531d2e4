//! The handle on a running emulator, the same for both vendors.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;

use crate::exchange::{RequestRecord, Vendor};
use crate::faults::{Credentials, Fault, Outage};
use crate::people::{Event, Person};
use crate::server::{self, Port, Server};
use crate::violations::Violation;
use crate::{CustomerIoSettings, CustomerIoWorkspace, IntercomSettings, IntercomWorkspace};

/// A running emulator of Customer.io's Track API.
pub type CustomerIo = Emulator<CustomerIoWorkspace>;

/// A running emulator of Intercom's REST API.
pub type Intercom = Emulator<IntercomWorkspace>;

/// A running emulator. Clones share it; it stops when the last one is dropped.
#[derive(Debug)]
pub struct Emulator<V: Vendor> {
    server: Arc<Server<V>>,
}

impl<V: Vendor> Clone for Emulator<V> {
    fn clone(&self) -> Self {
        Self { server: Arc::clone(&self.server) }
    }
}

impl CustomerIo {
    /// Listens on the address (port 0: any free one) and serves from then on.
    pub async fn start(address: SocketAddr, settings: CustomerIoSettings) -> io::Result<Self> {
        Self::serve(address, CustomerIoWorkspace::new(settings)).await
    }
}

impl Intercom {
    /// Listens on the address (port 0: any free one) and serves from then on.
    pub async fn start(address: SocketAddr, settings: IntercomSettings) -> io::Result<Self> {
        Self::serve(address, IntercomWorkspace::new(settings)).await
    }

    /// Merges the contact with one external id into that with another, as `POST /contacts/merge` does.
    /// False if either is unknown.
    pub fn merge(&self, from: &str, into: &str) -> bool {
        self.hook("merge", &serde_json::json!({"from": from, "into": into}))
    }

    /// Archives the contact with this external id. False if it is unknown.
    pub fn archive(&self, external_id: &str) -> bool {
        self.hook("archive", &serde_json::json!({"external_id": external_id}))
    }

    /// Creates a contact, given the body of `POST /contacts`. False if Intercom would refuse it.
    pub fn create_contact(&self, contact: &Value) -> bool {
        self.hook("create_contact", contact)
    }

    /// Declares a custom attribute of contacts. False if the name is taken or the type unknown.
    pub fn declare_attribute(&self, name: &str, data_type: &str) -> bool {
        let attribute =
            serde_json::json!({"name": name, "data_type": data_type, "model": "contact"});
        self.hook("declare_attribute", &attribute)
    }

    fn hook(&self, name: &str, argument: &Value) -> bool {
        let reply = self.server.shared().hook(name, argument);
        reply.is_some_and(|reply| (200..300).contains(&reply.status))
    }
}

impl<V: Vendor> Emulator<V> {
    async fn serve(address: SocketAddr, vendor: V) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { server: Arc::new(server::start(listener, vendor)?) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The base URL for the client, without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// How long it has been running: the clock of [`RequestRecord::arrived_millis`].
    pub fn running_for(&self) -> Duration {
        self.server.shared().running_for()
    }

    /// Everybody, in order of creation.
    pub fn people(&self) -> Vec<Person> {
        self.server.shared().people()
    }

    /// The person with this own id, address or vendor's id.
    pub fn person(&self, who: &str) -> Option<Person> {
        self.server.shared().person(who)
    }

    /// The person's effective events in order; none for somebody unknown.
    pub fn events_of(&self, who: &str) -> Vec<Event> {
        self.person(who).map(|person| person.events).unwrap_or_default()
    }

    /// What a well-behaved client would not have done, in order.
    pub fn violations(&self) -> Vec<Violation> {
        self.server.shared().violations()
    }

    /// Every request to the vendor's API, in order of arrival.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.server.shared().requests()
    }

    /// How many there are.
    pub fn request_count(&self) -> usize {
        self.server.shared().request_count()
    }

    /// Adds a fault behind those injected before.
    pub fn inject(&self, fault: Fault) {
        self.server.shared().plan_faults(|plan, now| plan.inject(fault, now));
    }

    /// Removes all faults and turns both switches back.
    pub fn clear_faults(&self) {
        self.server.shared().plan_faults(|plan, _| *plan = crate::faults::FaultPlan::default());
    }

    /// Starts or ends an outage in which the port stays open.
    pub fn set_outage(&self, outage: Outage) {
        self.server.shared().plan_faults(|plan, _| plan.set_outage(outage));
    }

    /// Refuses the right credentials, or accepts them again.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.server.shared().plan_faults(|plan, _| plan.set_credentials(credentials));
    }

    /// Closes the port and drops every connection; returns once it is closed.
    pub async fn close_port(&self) {
        self.server.turn_port(Port::Closed).await;
    }

    /// Listens on the same address again; returns once it does.
    pub async fn open_port(&self) {
        self.server.turn_port(Port::Open).await;
    }

    /// Forgets people, events, violations, requests and faults.
    pub fn reset(&self) {
        self.server.shared().reset();
    }

    /// Stops serving, for all clones.
    pub fn stop(&self) {
        self.server.stop();
    }
}
