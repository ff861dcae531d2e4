//! What events and attributes are called at a destination, and which are sent at all.

use std::collections::HashMap;

use schemas::EventType;

use super::Attribute;

/// Ours by default; an operator may rename or switch off each.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Changed events; `None` switches one off.
    pub events: HashMap<EventType, Option<String>>,
    /// Changed attributes; `None` switches one off.
    pub attributes: HashMap<Attribute, Option<String>>,
}

impl Names {
    /// Whether the event is sent.
    pub fn sends(&self, event_type: EventType) -> bool {
        !matches!(self.events.get(&event_type), Some(None))
    }

    /// The event's name.
    pub fn event(&self, event_type: EventType) -> &str {
        match self.events.get(&event_type) {
            Some(Some(name)) => name,
            Some(None) | None => event_type.name(),
        }
    }

    /// The attribute's name; `None` when it is not sent.
    pub fn attribute(&self, attribute: Attribute) -> Option<&str> {
        match self.attributes.get(&attribute) {
            Some(None) => None,
            Some(Some(name)) => Some(name),
            None => Some(attribute.name()),
        }
    }
}
