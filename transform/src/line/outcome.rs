//! What a line hands to its driver, to be written in the open transaction.

use schemas::headers::Header;
use schemas::{LifecycleEvent, Timestamp};

use crate::parking::Parking;
use crate::rekey::RawCopy;

/// A lifecycle event to write, with the trace it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    /// The event.
    pub event: LifecycleEvent,
    /// W3C trace context of the webhook.
    pub traceparent: Option<String>,
}

/// A link to write to `subscriptions.links`, in the partition of its key.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkAnnouncement {
    /// The key under which records wait that need it.
    pub key: String,
    /// The key of the subscriber they belong to.
    pub subscriber: String,
}

/// Both keys name people, hence nothing is shown.
impl std::fmt::Debug for LinkAnnouncement {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LinkAnnouncement").finish_non_exhaustive()
    }
}

/// A record that waited and has to be parked: as it was, and why.
#[derive(Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Its offset in the partition of raw.
    pub offset: i64,
    /// When it was appended there.
    pub appended_at: Timestamp,
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: Vec<Header>,
    /// Why.
    pub parking: Parking,
}

/// Keys and bodies name people, hence only position and reason are shown.
impl std::fmt::Debug for GivenUp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("GivenUp")
            .field("offset", &self.offset)
            .field("parking", &self.parking)
            .finish_non_exhaustive()
    }
}

/// What a record, a link or the passing of time led to.
#[derive(Debug, Default, PartialEq)]
#[must_use]
pub struct Taken {
    /// Events to write, in order.
    pub events: Vec<Emission>,
    /// Copies to write to raw, each in the partition of its key.
    pub copies: Vec<RawCopy>,
    /// Links to write, each in the partition of its key.
    pub links: Vec<LinkAnnouncement>,
    /// The record itself has to be parked.
    pub parked: Option<Parking>,
    /// Records that waited in vain, to be parked.
    pub expired: Vec<GivenUp>,
}

impl Taken {
    /// Whether nothing is to be written on its account.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.copies.is_empty()
            && self.links.is_empty()
            && self.parked.is_none()
            && self.expired.is_empty()
    }
}
