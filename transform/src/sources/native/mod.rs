//! Native: lifecycle events that an existing producer writes to `subscriptions.raw` itself.
//!
//! The value is JSON with the field names of the lifecycle event, or an Avro lifecycle event. What it
//! says (status, money, reasons) is kept; what it leaves out is worked out as for any other source. Of
//! its own place in a sequence nothing is believed: that is given here.
//!
//! Avro framed by a schema registry names its schema by an id. What the id means is not in the record;
//! whoever drives the mapping asks for it first (`crate::framing::teacher`), so that reading stays a
//! function of the bytes. An id that nobody knows parks the record.

mod decide;
mod effect;
mod event;
pub mod forgotten;
pub mod imported;
mod json;
mod plausible;
mod rank;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use schemas::state::Facts;
use schemas::{EventType, Provider};
use strum::IntoEnumIterator;

use super::{Decision, Known, Mapper, RawView, Reading, SourceSettings, Treatment};

pub use event::{learn, read_event, unlearned};

/// The mapping of native events.
#[derive(Clone, Copy, Debug)]
pub struct Native;

/// Names of the facts that `read` leaves in `Facts::details` for `decide`.
mod detail {
    /// The event's type in our vocabulary.
    pub(super) const TYPE: &str = "type";
}

/// The whole vocabulary: a producer may tell all of it.
static TREATMENTS: LazyLock<Vec<(&'static str, Treatment)>> = LazyLock::new(|| {
    EventType::iter()
        .filter(|event_type| *event_type != EventType::Unknown)
        .map(|event_type| (event_type.name(), Treatment::Mapped))
        .collect()
});

impl Mapper for Native {
    fn provider(&self) -> Provider {
        Provider::Native
    }

    fn treatments(&self) -> &'static [(&'static str, Treatment)] {
        &TREATMENTS
    }

    fn read(&self, raw: &RawView<'_>, settings: &SourceSettings) -> Reading {
        if event::is_framed(raw.body) {
            return match event::decode(raw.body) {
                Ok(decoded) => read_event(decoded, raw, settings),
                Err(unreadable) => Reading::Parked(unreadable),
            };
        }
        match json::event(raw, settings) {
            Ok(told) => read_event(told, raw, settings),
            Err(unreadable) => Reading::Parked(unreadable),
        }
    }

    fn decide(&self, facts: &Facts, known: &Known<'_>) -> Decision {
        decide::decide(facts, known)
    }
}
