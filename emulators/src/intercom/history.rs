//! The events that took effect, and those that Intercom takes for repetitions of them.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use serde_json::{Map, Value};

use super::contacts::Slot;
use super::events::Submission;
use super::refusals::Refusal;
use crate::people::{Event, Person};
use crate::violations::{Findings, Rule};

/// Event names a workspace may have.
const EVENT_NAME_LIMIT: usize = 120;

#[derive(Debug, Default)]
pub(super) struct History {
    /// In lower case: names are compared without regard to case.
    event_names: HashSet<String>,
    /// Events seen, by contact, name in lower case and second, with a fingerprint of the metadata.
    seen: HashMap<(Slot, String, u64), u64>,
    effective_events: u64,
}

impl History {
    /// Adds the event to the contact's story, unless there is one of this name and second.
    pub(super) fn record(
        &mut self,
        slot: Slot,
        event: Submission,
        person: &mut Person,
        findings: &mut Findings,
    ) -> Result<(), Refusal> {
        let name = event.name.to_lowercase();
        if !self.event_names.contains(&name) && self.event_names.len() >= EVENT_NAME_LIMIT {
            let message = "Cannot have more than 120 active event names";
            return Err(Refusal::fault(422, "422", message, Rule::TooManyEventNames, "event_name"));
        }
        self.event_names.insert(name.clone());
        let key = (slot, name, event.created_at);
        let print = fingerprint(&event.metadata);
        if let Some(first) = self.seen.get(&key) {
            person.ignored_duplicates += 1;
            if *first != print {
                let detail = "the same name and second with other metadata";
                findings.note(Rule::DistinctEventsMerged, detail);
            }
            return Ok(());
        }
        self.seen.insert(key, print);
        person.events.push(Event {
            name: event.name,
            id: None,
            at: event.created_at,
            attributes: event.metadata,
            order: self.effective_events,
            request: findings.request(),
        });
        self.effective_events += 1;
        Ok(())
    }
}

fn fingerprint(metadata: &Map<String, Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (key, value) in metadata {
        (key, value.to_string()).hash(&mut hasher);
    }
    hasher.finish()
}
