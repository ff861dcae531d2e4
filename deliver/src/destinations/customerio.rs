//! Customer.io, through its Track API v2.
//!
//! Version 2 and its `/api/v2/batch` because only there an event can be de-duplicated by id, attributes
//! are ordered by time, and a bad item is reported alone (Customer.io Track API specification, read
//! 2026-08-22).

mod batch;
mod judge;
mod plan;
mod returned;
mod ulid;

#[cfg(test)]
mod tests;

use schemas::{EventType, LifecycleEvent};

pub use batch::Batch;
pub use plan::Operations;
pub(crate) use returned::ENTITY_PATH;

use super::telling::{refreshing, telling, untold};
use super::{Audience, Destination, Grouping, Names, Plan, Receiver, Reply, Request};

/// The batch as a whole, in bytes. Documented as 500 KB; decimal is the safe reading.
const BATCH_LIMIT: usize = 500_000;

/// One item of a batch, in bytes. Documented as 32 KB.
const ITEM_LIMIT: usize = 32_000;

/// A person's id or address, in bytes.
const IDENTIFIER_LIMIT: usize = 150;

/// Deliveries in one batch: no number is documented; others who send batches stay at or below it.
const DELIVERIES_IN_BATCH: usize = 100;

/// The path that takes batches.
const BATCH_PATH: &str = "/api/v2/batch";

/// What happens to a person whose customer was deleted at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCustomerDeleted {
    /// The event is sent, the person stays.
    Keep,
    /// The person is suppressed as well.
    Suppress,
}

/// A Customer.io workspace.
#[derive(Clone, Debug)]
pub struct CustomerIo {
    /// Whose events it gets.
    pub audience: Audience,
    /// What they are called there.
    pub names: Names,
    /// What a deletion does.
    pub on_customer_deleted: OnCustomerDeleted,
}

impl CustomerIo {
    /// Whether the person is suppressed by this event, also where the event itself is not told.
    fn suppresses(&self, event: &LifecycleEvent) -> bool {
        let is_deleted = event.event_type == EventType::CustomerDeleted;
        event.is_erasure() || is_deleted && self.on_customer_deleted == OnCustomerDeleted::Suppress
    }
}

impl Destination for CustomerIo {
    type Delivery = Operations;
    type Conversation = Batch;

    fn plan(&self, event: &LifecycleEvent) -> Plan<Operations> {
        let told = telling(event, &self.names, Receiver::Customerio);
        let told = told.or_else(|skip| {
            let untold = || untold(event, &self.names, Receiver::Customerio);
            if self.suppresses(event) { Ok(untold()) } else { Err(skip) }
        });
        let planned = told.and_then(|telling| {
            let identifier = self.audience.admit(event, telling.recipient, IDENTIFIER_LIMIT)?;
            Ok(plan::operations(self, event, &telling, &identifier))
        });
        planned.map_or_else(Plan::Skip, Plan::Send)
    }

    fn refresh(&self, snapshot: &LifecycleEvent) -> Plan<Operations> {
        let telling = refreshing(snapshot, &self.names, Receiver::Customerio);
        let admitted = self.audience.admit(snapshot, telling.recipient, IDENTIFIER_LIMIT);
        let planned = admitted.map(|identifier| plan::refresh(snapshot, &telling, &identifier));
        planned.map_or_else(Plan::Skip, Plan::Send)
    }

    fn grouping(&self) -> Grouping {
        let frame = r#"{"batch":[]}"#.len();
        Grouping { deliveries: DELIVERIES_IN_BATCH, bytes: BATCH_LIMIT - frame }
    }

    fn weight(delivery: &Operations) -> usize {
        delivery.items().iter().map(|item| item.len() + 1).sum()
    }

    fn converse(&self, group: Vec<Operations>) -> Batch {
        Batch::new(group)
    }

    /// Also says which region the account lies in.
    fn probe(&self) -> Request {
        Request::get("/api/v1/accounts/region")
    }

    fn first_answer(&self, _request: &Request) -> Reply {
        Reply { status: 200, body: b"{}".to_vec(), ..Reply::default() }
    }

    fn forget(&self) {}
}
