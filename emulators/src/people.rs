//! What the emulators know about a person, in one shape for both vendors, so that a test that
//! judges order and once-ness need not know which destination it looks at.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// An event that took effect: accepted, not a duplicate, stored for a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The name as the vendor stores it.
    pub name: String,
    /// The de-duplication id (Customer.io's ULID); Intercom has none.
    pub id: Option<String>,
    /// When it happened, Unix seconds: `timestamp` at Customer.io, `created_at` at Intercom.
    pub at: u64,
    /// `attributes` at Customer.io, `metadata` at Intercom (the first ten keys), in sent order.
    pub attributes: Map<String, Value>,
    /// Place in the order of all effective events of this emulator, from 0.
    pub order: u64,
    /// Index of the request that brought it.
    pub request: u64,
}

/// Whether the vendor still takes events and updates for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Takes events and updates.
    Active,
    /// Customer.io: everything sent is accepted and thrown away.
    Suppressed,
    /// Customer.io: gone, until something sent recreates the profile.
    Deleted,
    /// Intercom: hidden until it is unarchived.
    Archived,
    /// Intercom: an alias of another contact.
    Merged,
}

/// A person as the vendor would show them, with their effective story.
#[derive(Clone, PartialEq, Serialize)]
pub struct Person {
    /// The client's own id: `id` at Customer.io, `external_id` at Intercom.
    pub id: Option<String>,
    /// The vendor's id: `cio_id`, or the contact id.
    pub vendor_id: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Attributes at Customer.io; standard fields and `custom_attributes` at Intercom.
    pub attributes: Map<String, Value>,
    /// Effective events in the order in which they took effect.
    pub events: Vec<Event>,
    /// Events ignored because the vendor had seen them.
    pub ignored_duplicates: u64,
    /// Attribute updates ignored because a newer one was there (Customer.io).
    pub ignored_updates: u64,
    /// Attribute updates that took effect.
    pub updates: u64,
    /// Whether the vendor still takes events for them.
    pub standing: Standing,
}

impl fmt::Debug for Person {
    /// Ids and counts only: a failed assertion must not print an address.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Person")
            .field("vendor_id", &self.vendor_id)
            .field("events", &self.events.len())
            .field("ignored_duplicates", &self.ignored_duplicates)
            .field("ignored_updates", &self.ignored_updates)
            .field("updates", &self.updates)
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}
